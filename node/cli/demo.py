"""Four nodes on this machine, a federation, two weeks of events, real answers.

Everything else about the demo is in `node/demo/`; it is imported when the command runs.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.output import emit

if TYPE_CHECKING:
    from node.demo.outcome import Outcome


@click.command(
    cls=Verb,
    examples=(
        ("murmur demo", "stays up until Ctrl-C, so that you can look around"),
        ("murmur demo --once --json", "one JSON document on stdout, then the end"),
        ("murmur demo --keep ./four-nodes", "keeps keys, logs and data"),
    ),
)
@click.option("--once", is_flag=True, help="Stop when everything has been said.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all talk on stderr.")
@click.option("--port-base", type=click.IntRange(1, 65_512), default=7700, show_default=True, metavar="N",
              help="The nodes listen on N … N+3, the relay before them on N+10 … N+13, "
                   "the operators' pages are on N+20 … N+23.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Keep everything in this new folder.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR",
              help="Play the four real Parquet logs in this folder instead.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the made-up history.")
@click.option("--scale", type=click.FloatRange(0.001, 10), default=1.0, show_default=True,
              help="Share of the people to make up.")  # fmt: skip
def command(
    once: bool, as_json: bool, port_base: int, keep: Path | None, data: Path | None, seed: int, scale: float
) -> int | None:
    """Four nodes on this machine, a federation, two weeks of events, real answers.

    No question, no account, no container, no network. Four processes are founded, fed and asked like anybody's; a relay
    between them searches every byte for the events that must not cross.
    """
    from node.demo.driver import Options, run_demo
    from node.demo.fleet import operator_key
    from node.demo.printing import closing_words, ended_words, operator_words, standard_voice

    voice = standard_voice(to_stderr=as_json)
    faults: list[str] = []

    def finish(outcome: Outcome) -> None:
        faults.extend(outcome.faults())
        if as_json:
            from node.demo.document import document

            emit(json.dumps(document(outcome), ensure_ascii=False))
        if once or faults:
            ended_words(voice, outcome, is_once=once)
        else:
            closing_words(voice, outcome)
            operator_words(voice, outcome.nodes[0].place.admin_url, operator_key(outcome.nodes[0].place))
            voice.say("\n Everything runs until you press Ctrl-C.")
            while True:
                time.sleep(3600)

    options = Options(port_base=port_base, seed=seed, scale=scale, keep=keep, logs=data, every_window=as_json)
    try:
        run_demo(options, voice, finish)
    except KeyboardInterrupt:
        voice.say("\n Stopped: the four nodes and the relay have ended.")
        return exits.OK
    for fault in faults:
        voice.say(f" WRONG: {fault}")
    return exits.FAILED if faults else exits.OK
