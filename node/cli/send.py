"""Show exactly what the node would store of events on stdin. Nothing is sent and nothing is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

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
@output_option("ndjson", "json")
def command(file: IO[bytes], config: Path | None, ndjson: bool, plan: Path | None, output: str) -> None:
    """Show exactly what the node would store of events: the row of each, or why there is none.

    Pseudonyms are made with a key of this moment, so they differ from the node's.
    """
    from node.config import load_config
    from node.group import IntakePlan
    from node.http.forms.body import decode_body
    from node.plan_file import load_plan
    from privacy.filtering import Filtered, Rejected, Signals
    from privacy.person_key import Pseudonyms
    from privacy.rows import ROW_NAMES

    chosen = load_plan(plan or load_config(config_path(config)).plan)
    intake = IntakePlan(chosen, 1)
    epoch = Pseudonyms(os.urandom(32), os.urandom)
    answers: list[dict[str, Any]] = []
    for position, sent in enumerate(decode_body(file.read(), intake.declared, is_ndjson=ndjson)):
        answer: dict[str, Any] = {"index": position}
        outcome: Any = sent
        if isinstance(sent, tuple):
            form, event = sent
            outcome = intake.filter.apply(event, Signals(), lambda hour: epoch, position)
            outcome = form.in_own_words(outcome) if isinstance(outcome, Rejected) else outcome
        if isinstance(outcome, Rejected):
            answer["rejected"] = {"code": outcome.code, "pointer": outcome.pointer, "hint": outcome.hint}
        elif isinstance(outcome, Filtered):
            answer["filtered"] = outcome.reason
        else:
            row = dict(zip(ROW_NAMES, outcome, strict=True))
            app = chosen.apps[row["app"]]
            action = app.actions[row["action"]]
            answer["meaning"] = {"app": app.name, "action": action.name} | {
                attribute.name: f"a{slot}" for slot, attribute in enumerate(action.attributes)
            }
            answer["stored"] = {name: value for name, value in row.items() if value is not None}
        answers.append(answer)
    if output == "json":
        emit_json("murmur.send/1", {"events": answers})
        return
    for answer in answers:
        emit(json.dumps(answer))
