"""Finish the import of past days, so that they are released."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.change import Change, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit_json, output_option, say


@click.group(
    cls=Noun,
    examples=(("murmur backfill finish --through 2026-11-18", "all days up to that one are complete"),),
)
def command() -> None:
    """Finish the import of past days, so that they are released."""


@command.command(examples=(("murmur backfill finish --through 2026-11-18 --yes", "in a script"),))
@node_option
@click.option("--through", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
              help="The last day that is complete (UTC).")  # fmt: skip
@changing
@output_option("text", "json")
def finish(data: Path, through: datetime, change: Change, output: str) -> None:
    """Close the backfilled windows up to and including DATE, for ever; they are released at the next tick."""
    day = through.date().isoformat()
    if change.is_dry_run:
        would([f"close every past window through {day}, for ever, and release it at the next tick"], output)
        return
    change.confirm(f"No event of {day} or before is taken any more", day)
    answer = client_of(data).post("/v1/admin/backfill/finish", {"through": day})
    if output == "json":
        emit_json(answer.pop("schema", "murmur.backfill/1"), answer)
        return
    say(
        f"The backfill is finished through {day}. Its windows are released at the next tick; "
        "later events for them are late."
    )
