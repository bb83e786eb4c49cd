"""Show exactly what the node would store of events on stdin. Nothing is sent and nothing is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import config_path
from node.cli.kit.output import emit, emit_json, output_option


@click.command(
    cls=Verb,
    examples=(('echo \'{"app": "shop", "action": "buy", …}\' | murmur send -', "what of it would be stored"),),
)
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE", help="The node.toml."
)
@click.option("--ndjson", is_flag=True, help="One event a line.")
@click.option(
    "--plan", type=click.Path(path_type=Path), metavar="FILE", help="This tracking plan instead of the node's."
)
@click.option("--backfill", is_flag=True, help="As with a key of scope backfill: past hours, too.")
@output_option("ndjson", "json")
def command(file: IO[bytes], config: Path | None, ndjson: bool, plan: Path | None, backfill: bool, output: str) -> None:
    """Show exactly what the node would store of events: the row of each, or why there is none.

    Pseudonyms are made with a key of this moment, so they differ from the node's.
    """
    from node.config import load_config
    from node.plan_file import load_plan
    from node.trial import try_events

    answers = try_events(
        file.read(),
        load_plan(plan or load_config(config_path(config)).plan),
        is_ndjson=ndjson,
        first_hour=0 if backfill else None,
    )
    if output == "json":
        emit_json("murmur.send/1", {"events": answers})
        return
    for answer in answers:
        emit(json.dumps(answer))
