"""Make one sealed file from which this node can go on elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import exists_already, sync_folder
from node.cli.kit.output import emit_json, next_steps, output_option, say
from node.cli.kit.passphrases import PassphraseSource, passphrase_option


@click.command(
    cls=Verb,
    examples=(
        ("murmur backup shop-eu.backup", "asks for a passphrase; the node works on"),
        ("murmur backup /mnt/safe/$(date +%F).backup --passphrase-file /etc/murmur/backup.pass", "in a timer"),
    ),
)
@node_option
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@changing
@output_option("text", "json")
def command(data: Path, file: Path, passphrase: PassphraseSource, change: Change, output: str) -> None:
    """Make a backup of the running node in a new FILE, sealed with a passphrase.

    In it: log and ledger, identity, charter, keys, tokens (as hashes), audit log, node.toml and the tracking plan.
    Not in it: events, the keys of epochs, the master key, pseudonyms. So it is no copy of anybody's data, and a day
    that was destroyed stays destroyed. What it cannot bring back is the events themselves.
    """
    if file.exists() or file.is_symlink():
        raise exists_already(file)
    if change.is_dry_run:
        would([f"copy log, ledger, keys, charter and configuration of {data} into {file}"], output)
        return
    from node.backup_file import sealed

    secret = passphrase.get("the backup")
    client = client_of(data, timeout_s=600.0)
    temporary = file.with_name(f".{file.name}.murmur-backup")  # what a killed command left is written over
    try:
        size = _write(temporary, sealed(client.stream("POST", "/v1/admin/backup"), secret))
        try:
            os.link(temporary, file)  # unlike rename, link never replaces what stands there
        except FileExistsError as error:
            raise exists_already(file) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(file.absolute().parent)
    if output == "json":
        emit_json("murmur.backup/1", {"file": str(file), "bytes": size})
        return
    say(f"Wrote {file}, {size:,} bytes. Keep the passphrase elsewhere: without it the file opens for nobody.")
    next_steps((f"murmur restore {file} --dry-run", "open it once, so that you know it opens"))


def _write(path: Path, parts: Iterator[bytes]) -> int:
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor, not a path
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandRefused(
                exits.CONFLICT, code="backup_running", what="No backup was made",
                why="another command is writing this file right now", fix="Wait for it to end",
            ) from error  # fmt: skip
        target.truncate()
        for part in parts:
            target.write(part)
            size += len(part)
        target.flush()
        os.fsync(target.fileno())
    return size
