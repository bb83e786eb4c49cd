"""Put a node back from a backup, on this machine or another."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing, would
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit_json, next_steps, output_option, say
from node.cli.kit.passphrases import PassphraseSource, passphrase_option
from node.cli.kit.staging import Staging
from node.fingerprint import fingerprint

if TYPE_CHECKING:
    from node.config import NodeConfig
    from node.passphrase import Passphrase
    from node.restoring import Content

_READ = 1 << 20


@click.command(
    cls=Verb,
    examples=(
        ("murmur restore shop-eu.backup --dry-run", "open it, and say what would be put where"),
        ("murmur restore shop-eu.backup --config node.toml", "node.toml is written if it is not there"),
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), default=Path("node.toml"), show_default=True, metavar="FILE",
              help="The node.toml that is there, or where the backup's goes. It says where the data go.")  # fmt: skip
@passphrase_option
@click.option("--keys-passphrase-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="What the keys in it are sealed with, unless keys.passphrase_file says it.")  # fmt: skip
@changing
@output_option("text", "json")
def command(
    file: Path, config: Path, passphrase: PassphraseSource, keys_passphrase_file: Path | None, change: Change,
    output: str,
) -> None:  # fmt: skip
    """Put a node back from a backup. Nothing is overwritten; interrupted, nothing of it remains.

    Events are in no backup: the epochs that had begun are over, the node takes events again from the next epoch on. It
    signs nothing before a majority of the other members has told it what it said after the backup was made; what nobody
    can confirm counts as spent. Stop the old node for ever: two of one name undo each other.
    """
    from node.backup_file import Opened

    secret = passphrase.get("the backup")
    with file.open("rb") as sealed:
        opened = Opened(sealed, secret)
        if change.is_dry_run:
            _rehearse(opened, config, output)
            return
        told = _put_back(opened, config, keys_passphrase_file)
    if output == "json":
        emit_json("murmur.restore/1", told)
        return
    say(f"Put back {told['name']} ({told['fingerprint']}) into {told['data']}, as it was on {told['made']}.")
    if told["closed_epochs"]:
        say(f"Over for this node: {', '.join(told['closed_epochs'])}. It takes events from the next epoch on.")
    anchor = "is here, and says how far this node had gone" if told["has_anchor"] else "is lost: a majority must answer"
    say(f"The anchor {told['anchor']} {anchor}.")
    next_steps(
        (f"murmur run --config {config}", "asks its peers for its own log, then signs"),
        (f"murmur doctor --config {config}", "what is still missing"),
        (f"murmur audit verify --config {config}", "names what was recorded after the backup, if anything was"),
    )


def _rehearse(opened: Any, config: Path, output: str) -> None:
    """Open the whole file, check its content, and say where it would go."""
    from node.restoring import unpack

    files: list[str] = []

    def note(name: str, content: IO[bytes]) -> None:
        while content.read(_READ):
            pass
        files.append(name)

    content = unpack(io.BufferedReader(opened, _READ), note)
    opened.finish()
    target = _configuration(content, config)
    would([*(f"write {target.data / name}" for name in files), f"make  {target.data / 'keys/master.key'}"], output)


def _put_back(opened: Any, config: Path, keys_passphrase: Path | None) -> dict[str, Any]:
    from node.keyfiles import KeyFile, read_label
    from node.restoring import close_what_was_begun, unpack
    from protocol.identity import parse_inception

    # The folder's place is known once node.toml was read: the content waits beside the configuration.
    base = config.absolute().parent
    with Staging(base / ".murmur-restore-content") as waiting:
        content = unpack(io.BufferedReader(opened, _READ), lambda name, file: _write(waiting.folder / name, file))
        opened.finish()
        target = _configuration(content, config)
        with Staging(target.data) as staging:
            for path in sorted(waiting.folder.rglob("*")):
                if path.is_file():
                    name = str(path.relative_to(waiting.folder))
                    with path.open("rb") as file:
                        _write(staging.folder / name, file)
            is_sealed = read_label(staging.folder / "keys/signing.key").is_sealed
            secret = _keys_passphrase(target, keys_passphrase) if is_sealed else None
            staging.write("keys/master.key", KeyFile("master", os.urandom(32)).text_under(secret).encode())
            node = parse_inception((staging.folder / "inception").read_bytes()).node_id
            closed = close_what_was_begun(staging.folder / "state.db", node, content.manifest, int(time.time()))
            if not config.exists():
                staging.write_outside(config, content.config, mode=0o644)
            if not target.plan.exists():
                staging.write_outside(target.plan, content.plan, mode=0o644)
            staging.publish()
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(content.manifest.get("made_at", 0))))
    return {
        "name": target.name, "node": node.hex(), "fingerprint": fingerprint(node), "data": str(target.data),
        "config": str(config), "made": made, "closed_epochs": closed, "anchor": str(target.anchor),
        "has_anchor": target.anchor.exists(),
    }  # fmt: skip


def _configuration(content: Content, config: Path) -> NodeConfig:
    """What the node.toml that is there says, else the backup's as it would stand there."""
    from node.config import load_config, parse_config

    if config.exists():
        return load_config(config)
    return parse_config(content.config.decode("utf-8", "replace"), config.absolute())


def _keys_passphrase(target: NodeConfig, given: Path | None) -> Passphrase:
    from node.passphrase import read_passphrase, service_passphrase

    found = read_passphrase(given) if given is not None else service_passphrase(target.keys.passphrase_file)
    if found is None:
        raise CommandRefused(
            exits.USAGE, code="passphrase_needed", what="Nothing was put back",
            why="the keys in the backup are sealed, and their passphrase is not known",
            fix="Give --keys-passphrase-file FILE",
        )  # fmt: skip
    return found


def _write(path: Path, content: IO[bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor, not a path
        shutil.copyfileobj(content, target, _READ)
        target.flush()
        os.fsync(target.fileno())
