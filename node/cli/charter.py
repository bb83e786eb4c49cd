"""Read, sign, accept and change a federation's charter.

A charter passes as one file: each founder reads it, signs it with its governance key, and when all have
signed, each accepts it on its own node. `accept` verifies everything anew; it trusts no one who handled the
file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.choice import later_node_option, node_option
from node.cli.kit.deciding import VERBS, sign_ballot
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_bounded, replace, sync_folder, write_new
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say

if TYPE_CHECKING:
    from protocol.bundle import Bundle
    from protocol.identity import Inception
    from protocol.ids import FederationId

_PATH = click.Path(path_type=Path)
INSTALLED = "charter.bundle"  # its name in DATA/charter


@click.group(
    cls=Noun,
    examples=(
        ("murmur charter show charter.murmur", "read it in words"),
        ("murmur charter sign charter.murmur --governance-key governance.key", "approve it, in the file itself"),
        ("murmur charter accept charter.murmur --config node.toml", "once all have signed: the node joins"),
        ("murmur charter propose --cap day=1/30", "later: propose a change, in words before anyone signs"),
        ("murmur charter approve --governance-key governance.key", "sign what is proposed"),
    ),
)
def command() -> None:
    """Read, sign, accept and change a federation's charter."""


for _verb in VERBS:
    command.add_command(_verb)


@command.command(examples=(("murmur charter show charter.murmur", "read it before you sign"),))
@click.argument("file", type=_PATH, required=False)
@later_node_option
@output_option("text", "json")
def show(file: Path | None, find_data: Callable[[], Path], output: str) -> None:
    """Show a charter in words: who, what is released, at which budget, who has signed. Without FILE the trusted one."""
    from node.cli.kit.charter_words import charter_fields, charter_lines

    bundle, federation = _trusted(find_data()) if file is None else (_load(file), None)
    if output == "json":
        emit_json("murmur.charter/1", {"file": str(file), **charter_fields(bundle, federation)})
        return
    for line in charter_lines(bundle, federation):
        emit(line)


@command.command(examples=(("murmur charter sign charter.murmur --governance-key governance.key", ""),))
@click.argument("file", type=_PATH)
@click.option("--governance-key", type=_PATH, required=True, metavar="FILE", help="Your organisation's key file.")
@click.option("--offline", is_flag=True, help="The file is all that is read; it always is.")
@changing
@output_option("text", "json")
def sign(file: Path, governance_key: Path, offline: bool, change: Change, output: str) -> None:
    """Add your organisation's approval to a founding charter or a ballot. Needs no network; twice changes nothing."""
    from node.cli.kit.charter_words import charter_fields, charter_lines, missing_signatures, signed_by
    from node.cli.kit.passphrases import open_key
    from protocol.charter_document import verify_approval
    from protocol.keys import SigningKey

    if _is_ballot(file):
        sign_ballot(file, governance_key, change, output)
        return
    key = SigningKey(open_key(governance_key, "governance").secret)
    with _only_writer(file):
        bundle = _load(file)
        for signer, signature in bundle.document.approvals.items():
            verify_approval(bundle.document.body, signer, signature)
        signed = bundle.sign(key)
        if change.is_dry_run:
            would(charter_lines(signed), output, Signs("the founding charter", bundle.document.hash))
            return
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


@command.command(examples=(("murmur charter accept charter.murmur --config node.toml", ""),))
@click.argument("file", type=_PATH)
@node_option
@changing
@output_option("text", "json")
def accept(file: Path, data: Path, change: Change, output: str) -> None:
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
    if change.is_dry_run:
        would(
            [f'become a member of "{charter.name}", federation {federation.hex()}', f"write {data / 'charter'}"], output
        )
        return
    lock = DataLock(data)
    try:
        install(data, INSTALLED, bundle.encode())
    finally:
        lock.release()
    if output == "json":
        emit_json("murmur.charter/1", {"federation": federation.hex(), "file": str(file), **charter_fields(bundle)})
        return
    say(f'This node is a member of "{charter.name}" now.\n  federation   {federation.hex()}')
    next_steps(("murmur run", "the node starts its log and finds its peers"))


def _is_ballot(file: Path) -> bool:
    from node.cli.kit.ballot import MAX_BALLOT_BYTES, is_ballot

    return is_ballot(read_bounded(file, MAX_BALLOT_BYTES, noun="charter"))


def _trusted(data: Path) -> tuple[Bundle, FederationId | None]:
    """The charter a running node trusts, with the definitions known there, and the federation its keys signed for."""
    from node.cli.kit.asked import ask
    from protocol.bundle import Bundle
    from protocol.ids import FederationId

    now = ask(data)
    federation = FederationId(bytes.fromhex(now.state["federation"]))
    is_founding = now.charter.version == 1
    return Bundle(now.trusted, (), tuple(now.definitions.values())), None if is_founding else federation


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


def install(data: Path, name: str, content: bytes) -> None:
    """Put a founding bundle or a chain into DATA/charter: made aside and renamed, whole or not at all."""
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
        write_new(staged / name, content, mode=0o600)
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
