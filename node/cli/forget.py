"""Take a person's events out of the running node."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.persons import persons_options

TIMEOUT_S = 600.0  # every segment of every epoch within reach is read


@click.command(
    cls=Verb,
    examples=(
        ("murmur forget --yes < ids.txt", "one user id a line; never on the command line, where others can read it"),
        ("murmur forget --dry-run --file ids.txt", "only say how many events there are, by day"),
        ("murmur forget --keep-out --file ids.txt", "and take no more of their events until the epoch ends"),
        ("murmur forget --kind session --file sessions.txt", "sessions instead of users"),
    ),
)
@persons_options
@click.option("--keep-out", is_flag=True, help="Also let none of their events in until the running epoch ends.")
@node_option
@changing
@output_option("text", "json")
def command(data: Path, kind: str, ids: list[str], keep_out: bool, change: Change, output: str) -> None:
    """Take every stored event of the persons named out of the running node.

    Ids are read from stdin or a file, one a line. Segments are rewritten without their events, in every epoch whose
    pseudonym key exists: the last two to three days, and history that is not finished. Numbers that were released stay.
    """
    dry_run = change.is_dry_run
    if not dry_run:
        change.confirm(f"Every stored event of {len(ids)} persons goes, for ever", "forget")
    asked = {"kind": kind, "ids": ids, "dry_run": dry_run, "keep_out": keep_out}
    told = client_of(data, timeout_s=TIMEOUT_S).delete("/v1/person", asked)
    if output == "json":
        emit_json(told.pop("schema", "murmur.forget/1"), told)
        return
    for day, events in told["events_by_day"].items():
        emit(f"{day}\t{events}")
    verb = "Would be taken out" if dry_run else "Taken out"
    say(f"{verb}: {told['events']:,}. Epochs searched: {len(told['epochs'])}.")
    if told["out_of_reach"]:
        say(f"Out of reach, as nobody can be found in them any more: {', '.join(told['out_of_reach'])}.")
    say(told["kept"])
