"""Decide about a clock that the running node doubts."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.change import Change, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit_json, output_option, say


@click.group(
    cls=Noun,
    examples=(("murmur clock accept", "the machine's clock is right now: close windows by it"),),
)
def command() -> None:
    """Decide about a clock that the running node doubts."""


@command.command(examples=(("murmur clock accept --dry-run", "what is in doubt"), ("murmur clock accept", "")))
@node_option
@changing
@output_option("text", "json")
def accept(data: Path, change: Change, output: str) -> None:
    """Say that this machine's clock is right as it stands; windows close and keys are destroyed by it again.

    Look at `murmur status` first: it says why the clock is in doubt. What a wrong clock closes or destroys cannot
    be brought back.
    """
    if change.is_dry_run:
        doubt = client_of(data).get("/v1/admin/status")["releases"]["clock"]
        would(
            [f"trust the clock, which is in doubt: {doubt}" if doubt else "nothing: the clock is not in doubt"], output
        )
        return
    told = client_of(data).post("/v1/admin/clock/accept", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.clock/1"), told)
        return
    say(f"The clock is trusted. It was in doubt: {told['doubt']}." if told["doubt"] else "The clock was not in doubt.")
