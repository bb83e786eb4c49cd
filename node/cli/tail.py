"""Watch what comes in: what was kept, what was dropped, and why; never a value."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say

_PAUSE_S = 0.5


@click.command(
    cls=Verb,
    examples=(
        ("murmur tail", "the last requests, then new ones as they come; Ctrl-C ends"),
        ("murmur tail --once", ""),
    ),
)
@node_option
@click.option("--once", is_flag=True, help="Show what is remembered, and end.")
@output_option("text", "json")
def command(data: Path, once: bool, output: str) -> None:
    """Watch what comes in: what was kept, what was dropped, and why; never a value."""
    client, after, told = client_of(data), 0, 0
    while True:
        answer = client.get("/v1/ingest/recent", {"after": str(after)})
        if output == "json":
            emit_json("murmur.recent/1", answer)
        for request in answer["requests"]:
            after = request["number"]
            if output == "text":
                emit(_line(request))
        for unusual in answer["unusual"]:
            if output == "text" and unusual["number"] > told:
                told = unusual["number"]
                emit(_warning(unusual))
        if once or output == "json":
            if not after and output == "text":
                say("Nothing has come since the node started.")
            return
        time.sleep(_PAUSE_S)


def _warning(unusual: dict[str, Any]) -> str:
    who = f"key {unusual['key']}"
    who = who if unusual["what"] == "key" else f"an address with {who}"
    return f"{_moment(unusual)}  {who} sends far more than it used to: {unusual['requests']} requests within a minute"


def _moment(entry: dict[str, Any]) -> str:
    return datetime.fromtimestamp(entry["at_s"], UTC).strftime("%H:%M:%S")


def _line(request: dict[str, Any]) -> str:
    moment = _moment(request)
    if "error" in request:
        return f"{moment}  key {request['key']}  refused: {request['error']}"
    parts = [f"{request['accepted']} accepted"]
    parts += [f"{count} filtered: {reason}" for reason, count in request["filtered"].items()]
    parts += [f"{one['events']} rejected: {one['code']} {one['pointer']}".rstrip() for one in request["rejected"]]
    return f"{moment}  key {request['key']}  " + ", ".join(parts)
