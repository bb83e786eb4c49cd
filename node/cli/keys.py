"""Change the keys of the running node."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say


@click.group(
    cls=Noun,
    examples=(
        ("murmur keys show", "the signing key in force, and how often it changed"),
        ("murmur keys rotate", "put the committed key in force; peers follow by themselves"),
        ("murmur keys recover --from 41 --root-key root.key", "after a theft: keep entry 41 and what is before it"),
        ("murmur keys rotate-master", "wrap every epoch key with a new master key"),
    ),
)
def command() -> None:
    """Change the keys of the running node."""


@command.command()
@node_option
@output_option("text", "json")
def show(data: Path, output: str) -> None:
    """Show the signing key in force, the node's position and whether it signs."""
    told = client_of(data).get("/v1/admin/keys/signing")
    if output == "json":
        emit_json(told.pop("schema", "murmur.signing-key/1"), told)
        return
    place = told["position"]
    emit(f"signing key  {told['signing_key']}")
    emit(f"changes      {told['changes']}, generation {told['generation']}")
    emit(f"position     {place['generation']}, {place['seq']}")
    emit(f"signing      {told['held_back'] or 'yes'}")


@command.command()
@node_option
@output_option("text", "json")
def rotate(data: Path, output: str) -> None:
    """Put the committed key in force and commit to a new one; the old key is destroyed.

    Nothing has to be done on peers. If somebody forked this node's log with a stolen key, this ends it.
    """
    told = client_of(data, timeout_s=600.0).post("/v1/admin/keys/rotate", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.key-turn/1"), told)
        return
    emit(told["signing_key"])
    say(f"Rotated at ({told['generation']}, {told['seq']}). The old signing key is destroyed.")


@command.command()
@node_option
@click.option(
    "--from", "seq", type=click.IntRange(min=0), required=True, metavar="POSITION",
    help="The last good entry of this node's log: its number, as murmur keys show says it.",
)  # fmt: skip
@click.option(
    "--root-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, metavar="FILE",
    help="The root key's file, made at init and kept elsewhere.",
)  # fmt: skip
@output_option("text", "json")
def recover(data: Path, seq: int, root_key: Path, output: str) -> None:
    """Begin again from a good entry with new keys; whatever this node's log holds after it is void everywhere."""
    asked = {"seq": seq, "root_key": str(root_key.resolve())}
    told = client_of(data, timeout_s=600.0).post("/v1/admin/keys/recover", asked)
    if output == "json":
        emit_json(told.pop("schema", "murmur.key-turn/1"), told)
        return
    emit(told["signing_key"])
    say(f"Kept {told['kept']} and everything before it; {told['void_entries']} entries after it are void.")
    say(f"Generation {told['generation']} begins at {told['seq']}. Put the root key away again.")


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
