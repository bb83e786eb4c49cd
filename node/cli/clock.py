"""Decide about a clock that the running node doubts."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit_json, output_option, say


@click.group(
    cls=Noun,
    examples=(("murmur clock accept", "the machine's clock is right now: close windows by it"),),
)
def command() -> None:
    """Decide about a clock that the running node doubts."""


@command.command()
@node_option
@output_option("text", "json")
def accept(data: Path, output: str) -> None:
    """Say that this machine's clock is right as it stands; windows close and keys are destroyed by it again.

    Look at `murmur status` first: it says why the clock is in doubt. What a wrong clock closes or destroys cannot
    be brought back.
    """
    told = client_of(data).post("/v1/admin/clock/accept", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.clock/1"), told)
        return
    say(f"The clock is trusted. It was in doubt: {told['doubt']}." if told["doubt"] else "The clock was not in doubt.")
