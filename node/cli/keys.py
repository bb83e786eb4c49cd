"""Change the keys of the running node."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit_json, output_option, say


@click.group(
    cls=Noun,
    examples=(("murmur keys rotate-master", "wrap every epoch key with a new master key"),),
)
def command() -> None:
    """Change the keys of the running node."""


@command.command("rotate-master")
@node_option
@output_option("text", "json")
def rotate_master(data: Path, output: str) -> None:
    """Wrap every epoch key with a new master key and destroy the old one; events come in meanwhile.

    Stopped by a crash, the next start goes on with it. Copies of the old master key open nothing any more, unless
    someone also has copies of the old key files of epochs.
    """
    told = client_of(data, timeout_s=600.0).post("/v1/admin/keys/rotate-master", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.keys/1"), told)
        return
    say("Every epoch key is wrapped with a new master key; the old one is destroyed.")
