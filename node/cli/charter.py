"""Read, sign and accept a federation's charter.

A charter passes as one file: each founder reads it, signs it with its governance key, and when all have
signed, each accepts it on its own node. `accept` verifies everything anew; it trusts no one who handled the
file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.choice import node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_bounded, replace, sync_folder, write_new
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say

if TYPE_CHECKING:
    from protocol.bundle import Bundle
    from protocol.identity import Inception

_PATH = click.Path(path_type=Path)
INSTALLED = "charter.bundle"  # its name in DATA/charter


@click.group(
    cls=Noun,
    examples=(
        ("murmur charter show charter.murmur", "read it in words"),
        ("murmur charter sign charter.murmur --governance-key governance.key", "approve it, in the file itself"),
        ("murmur charter accept charter.murmur --config node.toml", "once all have signed: the node joins"),
    ),
)
def command() -> None:
    """Read, sign and accept a federation's charter."""


@command.command()
@click.argument("file", type=_PATH)
@output_option("text", "json")
def show(file: Path, output: str) -> None:
    """Show a charter in words: who, what is released, at which budget, who has signed."""
    from node.cli.kit.charter_words import charter_fields, charter_lines

    bundle = _load(file)
    if output == "json":
        emit_json("murmur.charter/1", {"file": str(file), **charter_fields(bundle)})
        return
    for line in charter_lines(bundle):
        emit(line)


@command.command()
@click.argument("file", type=_PATH)
@click.option("--governance-key", type=_PATH, required=True, metavar="FILE", help="Your organisation's key file.")
@output_option("text", "json")
def sign(file: Path, governance_key: Path, output: str) -> None:
    """Add your organisation's approval to the file. Signing twice changes nothing."""
    from node.cli.kit.charter_words import charter_fields, charter_lines, missing_signatures, signed_by
    from node.keyfiles import read_key
    from protocol.charter_document import verify_approval
    from protocol.keys import SigningKey

    key = SigningKey(read_key(governance_key, "governance").secret)
    with _only_writer(file):
        bundle = _load(file)
        for signer, signature in bundle.document.approvals.items():
            verify_approval(bundle.document.body, signer, signature)
        signed = bundle.sign(key)
        if signed != bundle:
            replace(file, signed.encode())
    if output == "json":
        emit_json("murmur.charter/1", {"file": str(file), **charter_fields(signed)})
        return
    for line in charter_lines(signed):
        say(line)
    mine = next(item.id for item in signed.charter.organisations if item.governance_key == key.public_key)
    say(f"\n{mine} has signed {file}." if signed != bundle else f"\n{mine} had signed {file} already.")
    missing = missing_signatures(signed.charter, signed_by(signed))
    if missing:
        say(f"Still to sign: {', '.join(missing)}.")
    else:
        next_steps((f"murmur charter accept {file} --config node.toml", "every founder, on its own node"))


@command.command()
@click.argument("file", type=_PATH)
@node_option
@output_option("text", "json")
def accept(file: Path, data: Path, output: str) -> None:
    """Verify a charter that all founders have signed, and install it in this node. Once."""
    from node.cli.kit.charter_words import charter_fields
    from node.datalock import DataLock
    from protocol.bundle import verify_bundle

    bundle = _load(file)
    charter, federation = verify_bundle(bundle)
    _check_definitions(bundle)
    own = _own_record(data)
    if charter.member(own.node_id) is None:
        raise CommandRefused(
            exits.REFUSED, code="charter_of_others", what="The charter was not accepted",
            why=f"it names {len(charter.members)} members, and this node, {own.node_id.hex()[:16]}…, is none of them",
            fix='Check that --config names the right node; else ask for a charter made with its request',
        )  # fmt: skip
    lock = DataLock(data)
    try:
        _install(data, bundle.encode())
    finally:
        lock.release()
    if output == "json":
        emit_json("murmur.charter/1", {"federation": federation.hex(), "file": str(file), **charter_fields(bundle)})
        return
    say(f'This node is a member of "{charter.name}" now.\n  federation   {federation.hex()}')
    next_steps(("murmur run", "the node starts its log and finds its peers"))


def _load(file: Path) -> Bundle:
    from protocol.bundle import MAX_BUNDLE_BYTES, parse_bundle

    return parse_bundle(read_bounded(file, MAX_BUNDLE_BYTES, noun="charter"))


def _own_record(data: Path) -> Inception:
    from protocol.identity import MAX_INCEPTION_BYTES, parse_inception

    return parse_inception(read_bounded(data / "inception", MAX_INCEPTION_BYTES, noun="inception record"))


def _check_definitions(bundle: Bundle) -> None:
    """A definition this version cannot compute is refused now, by name, rather than abstained for ever."""
    from federation.definitions import parse_definition_bytes

    for body in bundle.definitions:
        parse_definition_bytes(body)


def _install(data: Path, bundle: bytes) -> None:
    """Put the bundle into DATA/charter: a folder made aside and renamed, so it is there whole or not at all."""
    target = data / "charter"
    if target.exists():
        raise CommandRefused(
            exits.CONFLICT, code="charter_installed", what="The charter was not accepted",
            why=f"this node has accepted one already, in {target}",
            fix="A node belongs to one federation; later charters arrive by themselves",
        )  # fmt: skip
    staged = data / ".charter.new"
    shutil.rmtree(staged, ignore_errors=True)  # what an interrupted command left
    staged.mkdir(mode=0o700)
    try:
        write_new(staged / INSTALLED, bundle, mode=0o600)
        staged.rename(target)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    sync_folder(data)


@contextlib.contextmanager
def _only_writer(file: Path) -> Iterator[None]:
    """Two people who sign one file on one machine at once must not lose a signature."""
    try:
        folder = os.open(file.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # no such folder: reading the file says it better
        yield
        return
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
