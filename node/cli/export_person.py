"""Show what the running node stores about a person."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.cli.forget import TIMEOUT_S
from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit_json, output_option, say
from node.cli.kit.persons import persons_options


@click.command(
    cls=Verb,
    examples=(
        ("murmur export-person < ids.txt > person.ndjson", "one event a line, in the words of the tracking plan"),
        ("murmur export-person --kind session --file sessions.txt", "sessions instead of users"),
    ),
)
@persons_options
@node_option
@output_option("ndjson", "json")
def command(data: Path, kind: str, ids: list[str], output: str) -> None:
    """Write every stored event of the persons named, and what they withdrew, to stdout, one JSON document a line.

    Ids are read from stdin or a file, one a line, and are not in the output. What was not stored (other attributes,
    exact times and numbers, addresses) cannot be shown: the node never kept it.
    """
    found = client_of(data, timeout_s=TIMEOUT_S).post_for_bytes("/v1/admin/person/export", {"kind": kind, "ids": ids})
    lines = [json.loads(line) for line in found.splitlines()]
    events = [line for line in lines if "withdrawn" not in line]
    if output == "json":
        emit_json("murmur.person/1", {"events": events, "withdrawn": [line for line in lines if "withdrawn" in line]})
    else:
        click.echo(found.decode(), nl=False)
    say(f"Events found: {len(events):,}, of the epochs whose pseudonym key exists.")
