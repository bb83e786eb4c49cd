"""Check the sealed events of a node, and give up what is lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.passphrases import PassphraseSource, passphrase_option
from node.errors import TransportError

if TYPE_CHECKING:
    from node.passphrase import Passphrase


@click.group(
    cls=Noun,
    examples=(
        ("murmur vault verify", "open every key and every frame; a node that does not run is checked, too"),
        ("murmur vault abandon 2026-11-18/P1D", "give up an epoch whose key file is lost, so that the node starts"),
    ),
)
def command() -> None:
    """Check the sealed events of a node, and give up what is lost."""


@command.command(examples=(("murmur vault verify", ""),))
@node_option
@passphrase_option
@output_option("text", "json")
def verify(data: Path, passphrase: PassphraseSource, output: str) -> int | None:
    """Open every epoch key and every sealed frame; name what was flipped, cut, swapped, replayed or is missing.

    Asks the running node; where none runs, reads the data folder itself. Exit 6 when something is damaged.
    """
    told = _verified(data, passphrase)
    if output == "json":
        emit_json(told.pop("schema", "murmur.verify/1"), told)
    else:
        for damage in told["damages"]:
            where = f"segment {damage['segment']}, " if damage["segment"] else ""
            frame = f"frame {damage['frame']}" if isinstance(damage["frame"], int) else damage["frame"]
            emit(f"{damage['epoch']}: {where}{frame}: {damage['why']}")
        say("Every key and every frame opens." if told["is_whole"] else "Events that do not open have no backup.")
    return None if told["is_whole"] else exits.VERIFICATION


@command.command(examples=(("murmur vault abandon 2026-11-18/P1D", "the epoch as murmur vault verify names it"),))
@node_option
@click.argument("epoch")
@passphrase_option
@changing
@output_option("text", "json")
def abandon(data: Path, epoch: str, passphrase: PassphraseSource, change: Change, output: str) -> None:
    """Give up EPOCH, whose key file is lost or damaged, so that the node starts again; it must not run.

    Without its data key its events are gone; without its pseudonym key they stay, but the epoch takes no more. An epoch
    whose keys are whole is refused.
    """
    from node.vault.offline import abandon_offline

    if change.is_dry_run:
        would([f"record the lost keys of {epoch} as destroyed, for ever"], output)
        return
    change.confirm(f"What is lost of {epoch} is given up, for ever", epoch)
    is_gone = abandon_offline(data, epoch, int(time.time()), _of(data, passphrase))
    if output == "json":
        emit_json("murmur.abandon/1", {"epoch": epoch, "events_are_gone": is_gone})
        return
    say(
        f"Given up. {'Its events are gone.' if is_gone else 'Its events stay; it takes no more.'} Start the node again."
    )


def _verified(data: Path, passphrase: PassphraseSource) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client_of(data, timeout_s=3600.0).post("/v1/admin/vault/verify", {})
    except TransportError as silent:
        if silent.code != "node_not_running":
            raise
        from node.vault.offline import verify_offline

        try:
            damages = [damage.as_json() for damage in verify_offline(data, _of(data, passphrase))]
        except FileNotFoundError as error:
            raise CommandRefused(
                exits.NOT_FOUND, code="no_vault", what="There is no vault to check",
                why=f"{error.filename} is missing", fix="Name the node with --config or --data",
            ) from error  # fmt: skip
        return {"is_whole": not damages, "damages": damages}
    return found


def _of(data: Path, source: PassphraseSource) -> Passphrase | None:
    """The passphrase of the node's own keys, where they have one."""
    from node.keyfiles import read_label

    master = data / "keys" / "master.key"
    return source.get("the node's keys") if master.exists() and read_label(master).is_sealed else None
