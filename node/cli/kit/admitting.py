"""The verbs of `murmur federation` by which a node joins one that runs: those who invite, and those who join."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.choice import client_of, config_path, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say
from node.fingerprint import fingerprint

if TYPE_CHECKING:
    from node.cli.kit.asked import Asked
    from node.joining import Applicant, Invitation
    from protocol.charter import Charter
    from protocol.charter_document import CharterDocument
    from protocol.join_request import JoinRequest
    from protocol.ops import JoinReply

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DATE = click.DateTime(["%Y-%m-%d"])
ASK_AGAIN_S: Final = 5.0


@click.command(cls=Verb, examples=(("murmur federation invite", ""),))
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the invitation to a file, too.")
@click.option("--qr/--no-qr", default=None, help="Draw the link as a QR code.  [default: on a terminal]")
@changing
@node_option
@output_option("text", "json")
def invite(out: Path | None, qr: bool | None, change: Change, data: Path, output: str) -> None:
    """Make a link with a code by which somebody finds this federation and asks to join. It admits nobody by itself."""
    from node.cli.kit.files import write_new
    from node.cli.kit.qr import qr_lines
    from node.joining import parse_invitation

    if change.is_dry_run:
        would(["make a code that leads here for seven days"], output)
        return
    told = client_of(data).post("/v1/admin/invites", {})
    if told["url"] is None:
        raise CommandRefused(exits.REFUSED, code="no_endpoint", what="No invitation was made",
                             why="this node publishes no address that others could ask",
                             fix="Invite from a node that has one, or pass the request file by hand")  # fmt: skip
    link = f"{told['url']}#{told['code']}"
    if out is not None:
        import json

        write_new(out, parse_invitation(json.dumps(told)).encode().encode())
    if output == "json":
        emit_json("murmur.invite/1", {"link": link, **told})
        return
    emit(link)
    if qr or (qr is None and sys.stderr.isatty()):
        say("\n".join(["", *qr_lines(link)]))
    say(f'\nLeads to "{told["name"]}" for seven days. Who has it can ask, and nothing more.')
    say(f"  federation  {fingerprint(bytes.fromhex(told['federation']))}   compare this by another channel")
    command = f"murmur federation join '{link}' --request FILE --governance-key FILE"
    next_steps((command, "the newcomer, after murmur init"),
               ("murmur federation requests", "you: who asks"))  # fmt: skip


@click.command(cls=Verb, examples=(("murmur federation requests", ""),))
@node_option
@output_option("text", "json")
def requests(data: Path, output: str) -> None:
    """List who asks to join, with the fingerprint that both sides compare."""
    from node.harmless import harmless
    from protocol.join_request import parse_join_request

    rows = []
    for one in client_of(data).get("/v1/admin/charter")["requests"]:
        request = parse_join_request(bytes.fromhex(one["request"]))
        rows.append({
            "node": one["node"], "fingerprint": fingerprint(bytes.fromhex(one["node"])), "name": request.name,
            "organisation": request.record.organisation, "organisation_name": harmless(request.organisation_name),
            "url": None if request.endpoint is None else request.endpoint.url, "population": request.population,
            "received": one["received"],
        })  # fmt: skip
    if output == "json":
        emit_json("murmur.joins/1", {"requests": rows})
        return
    for row in rows:
        emit(f"{row['name']}  of {row['organisation']} ({row['organisation_name']}), {row['url'] or 'is never called'}")
        emit(f"  {row['fingerprint']}")
    if not rows:
        say("Nobody asks to join.")


@click.command(cls=Verb, examples=(("murmur federation approve shop-eu --governance-key governance.key", ""),))
@click.argument("name", metavar="NAME|FILE")
@click.option("--governance-key", type=_FILE, required=True, metavar="FILE", help="Your organisation's key file.")
@click.option("--fingerprint", "mark", metavar="WORDS", help="The fingerprint they told you; it must be this node's.")
@click.option("--counts-from", type=_DATE, metavar="DATE", help="Their first day, from 00:00 UTC.  [default: tomorrow]")
@changing
@node_option
@output_option("text", "json")
def approve(
    name: str,
    governance_key: Path,
    mark: str | None,
    counts_from: datetime | None,
    change: Change,
    data: Path,
    output: str,
) -> None:
    """Approve somebody who asks to join: propose the charter that admits them, or sign the one that is proposed."""
    from node.cli.kit.asked import ask
    from node.cli.kit.deciding import _next_attempt, _propose, _signed, _told
    from node.cli.kit.proposing import Wishes

    now = ask(data)
    node, request = _candidate(now, name)
    words = fingerprint(node)
    if mark is not None and mark.replace(" ", "").lower() not in (node.hex()[:32], node.hex()):
        raise CommandRefused(exits.VERIFICATION, code="other_fingerprint", what="Nobody was approved",
                             why=f"{request.name} has the fingerprint {words}, not the one given",
                             fix="Somebody may ask in their name; compare with them again")  # fmt: skip
    if mark is None and not change.is_confirmed and not change.is_dry_run:
        say(f"{request.name} of {request.record.organisation} says its fingerprint is\n  {words}")
        change.confirm("Have them read it to you by another channel", words[:9])
    proposed = [one for one in now.state["proposals"] if now.ballot(one["hash"]).charter.member(node) is not None]
    if proposed:
        best = max(proposed, key=lambda one: one["approvals"])
        ballot = now.ballot(best["hash"])
        signed = _signed(ballot, governance_key, change, output, rivals=now.state["rivals"])
        if signed is not None:
            _told(now.post(signed.document, []), signed, output)
        return
    from node.clock import SystemClock

    tomorrow = SystemClock().now_ms() // 86_400_000 * 24 + 24
    start = tomorrow if counts_from is None else (counts_from.date() - datetime(1970, 1, 1).date()).days * 24  # noqa: DTZ001
    wishes = Wishes(add=[(request, start)], attempt=_next_attempt(now), expires_days=_days_left(now))
    _propose(now, wishes, change, output, {"out": None, "governance_key": governance_key, "heal": False})


@click.command(cls=Verb, examples=(("murmur federation reject shop-eu", ""),))
@click.argument("name", metavar="NAME")
@changing
@node_option
@output_option("text", "json")
def reject(name: str, change: Change, data: Path, output: str) -> None:
    """Turn somebody down who asks to join. Other members decide for themselves."""
    from node.cli.kit.asked import ask

    node, request = _candidate(ask(data), name)
    if change.is_dry_run:
        would([f"turn down {request.name}, {fingerprint(node)}"], output)
        return
    told = client_of(data).post("/v1/admin/joins/refuse", {"hash": node.hex()})
    if output == "json":
        emit_json("murmur.join/1", {"node": told["node"], "state": told["state"]})
        return
    say(f"Turned {request.name} down.")


@click.command(
    cls=Verb,
    examples=(
        (
            "murmur federation join 'https://host#4-velvet-harbor-iris' --request a.request --governance-key gov.key",
            "",
        ),
    ),
)
@click.argument("invitation", metavar="URL#CODE|FILE")
@click.option(
    "--request", "request_file", type=_FILE, required=True, metavar="FILE", help="The request from murmur init."
)
@click.option("--governance-key", type=_FILE, required=True, metavar="FILE", help="Your organisation's key file.")
@click.option("--wait-s", type=click.FloatRange(0), default=86_400.0, metavar="SECONDS",
              help="How long to wait for the members at most.  [default: a day]")  # fmt: skip
@changing
@click.option("--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE",
              help="The node's node.toml.  [default: ./node.toml]")  # fmt: skip
@output_option("text", "json")
def join(
    invitation: str,
    request_file: Path,
    governance_key: Path,
    wait_s: float,
    change: Change,
    config: Path | None,
    output: str,
) -> None:
    """Join a federation: ask, wait until members propose the charter that admits you, sign it, and install it.

    Run it again after any interruption: it goes on where it stopped.
    """
    import asyncio

    from node.config import load_config

    data = load_config(config_path(config)).data
    code = asyncio.run(_join(invitation, request_file, governance_key, wait_s, change, data, output))
    if code:
        raise click.exceptions.Exit(code)


@click.command(cls=Verb, examples=(("murmur federation leave", ""),))
@changing
@node_option
@output_option("text", "json")
def leave(change: Change, data: Path, output: str) -> None:
    """Propose the charter that lets this node go; what it has said stays. The members decide, as over everything."""
    from node.cli.kit.asked import ask
    from node.cli.kit.deciding import _cut, _next_attempt, _propose
    from node.cli.kit.proposing import Wishes

    now = ask(data)
    own = client_of(data).get("/v1/admin/status")["node"]
    member = next(one for one in now.charter.members if one.node.hex() == own)
    if change.is_dry_run:
        cut = _cut(now, member.name)
        would([f"propose that {member.name} leaves; what it said up to entry {cut.seq} of its log stays"], output)
        return
    wishes = Wishes(
        remove={member.name: _cut(now, member.name)}, attempt=_next_attempt(now), expires_days=_days_left(now)
    )
    change.confirm("This node would leave the federation", member.name)
    _propose(
        now, wishes, replace(change, is_confirmed=True), output, {"out": None, "governance_key": None, "heal": False}
    )


VERBS = (invite, requests, approve, reject, join, leave)


# -- helpers


def _days_left(now: Asked) -> int:
    """So that a change of members does not move the expiry by much."""
    from node.clock import SystemClock

    return max(1, -(-(now.charter.expires - SystemClock().now_ms() // 1000) // 86_400))


def _candidate(now: Asked, name: str) -> tuple[Any, JoinRequest]:
    """(node id, request) of who asks by this name or id, or whose request file this is."""
    from node.cli.kit.files import read_bounded
    from protocol.join_request import MAX_JOIN_REQUEST_BYTES, parse_join_request

    if Path(name).is_file():
        request = parse_join_request(read_bounded(Path(name), MAX_JOIN_REQUEST_BYTES, noun="join request"))
        return request.record.node_id, request
    for one in now.state["requests"]:
        request = parse_join_request(bytes.fromhex(one["request"]))
        if name in (request.name, one["node"]) or one["node"].startswith(name.replace(" ", "")):
            return request.record.node_id, request
    raise CommandRefused(exits.NOT_FOUND, code="no_such_request", what="Nobody was found",
                         why=f"nobody named {name} asks", fix="See who does: murmur federation requests")  # fmt: skip


async def _join(
    link: str, request_file: Path, governance_key: Path, wait_s: float, change: Change, data: Path, output: str
) -> int:
    """The whole way in; returns the exit code."""
    import time

    from node.cli.kit.deciding import _governance
    from node.cli.kit.files import read_bounded, read_text
    from node.cli.kit.passphrases import open_key
    from node.joining import Applicant, fetch_invitation, parse_invitation
    from protocol.charter import parse_charter
    from protocol.charter_document import parse_charter_document, sign_charter
    from protocol.identity import MAX_INCEPTION_BYTES
    from protocol.join_request import MAX_JOIN_REQUEST_BYTES, parse_join_request
    from protocol.keys import SigningKey

    if (data / "charter").exists():
        raise CommandRefused(exits.CONFLICT, code="charter_installed", what="Nothing was joined",
                             why=f"this node belongs to a federation already, in {data / 'charter'}",
                             fix="A node belongs to one federation; make another with murmur init")  # fmt: skip
    is_file = Path(link).is_file()
    found = (
        parse_invitation(read_text(Path(link), 1 << 16, noun="invitation")) if is_file else await fetch_invitation(link)
    )
    raw = read_bounded(request_file, MAX_JOIN_REQUEST_BYTES, noun="join request")
    request = parse_join_request(raw)
    inception = read_bounded(data / "inception", MAX_INCEPTION_BYTES, noun="inception record")
    voice = _governance(governance_key)
    if request.inception != inception or voice.public_key != request.governance_key:
        raise CommandRefused(exits.CONFLICT, code="other_request", what="Nothing was joined",
                             why="the request is of another node, or names another governance key",
                             fix="Give the request and the key that murmur init made for this node")  # fmt: skip
    say(f'Federation "{found.name}"\n  federation  {fingerprint(found.federation)}   compare with who invited you')
    say(f"  your node   {fingerprint(request.record.node_id)}   read it to them")
    if change.is_dry_run:
        steps = [f"ask {found.url} to admit {request.name}", "wait for the charter, show it, sign and install it"]
        would(steps, output, Signs("the charter that admits this node", None))
        return exits.OK
    change.confirm("You ask to join this federation", request.name)
    key = SigningKey(open_key(data / "keys" / "signing.key", "signing").secret)
    applicant = Applicant(found, request.record.node_id, key, inception, raw)
    until = time.monotonic() + wait_s
    approval: tuple[bytes, bytes] | None = None
    shown: bytes | None = None
    try:
        while True:
            reply = await applicant.ask(approval)
            if reply.state == "admitted" and reply.charter is not None:
                return await _install(applicant, parse_charter_document(reply.charter), data, output)
            if reply.state == "refused":
                raise CommandRefused(exits.REFUSED, code="join_refused", what="Nothing was joined",
                                     why=f"{found.url} turned the request down",
                                     fix="Talk to who invited you")  # fmt: skip
            if reply.charter is not None:
                document = parse_charter_document(reply.charter)
                if document.hash != shown:
                    shown = document.hash
                    _tell(document, reply, found, parse_charter(document.body))
                    if voice.public_key not in document.approvals:
                        change.confirm("You sign this charter", found.name)
                        approval = document.hash, sign_charter(voice, document.body, found.federation)
                        continue
            elif shown is None:
                shown = b""
                say("\nAsked. Waiting until a member proposes the charter that admits this node; stop at will.")
            if time.monotonic() >= until:
                say("Not admitted yet. Run the same command again; it goes on where it stopped.")
                return exits.TRY_AGAIN
            await _pause(min(ASK_AGAIN_S, max(0.1, until - time.monotonic())))
    finally:
        await applicant.close()


async def _pause(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


def _tell(document: CharterDocument, reply: JoinReply, invitation: Invitation, charter: Charter) -> None:
    """The exact charter that would admit this node, in words."""
    from node.cli.kit.charter_words import charter_lines
    from protocol.bundle import Bundle

    say("")
    for line in charter_lines(Bundle(document, (), reply.definitions), invitation.federation):
        say(line)
    say(f"\nThis is charter {charter.version} of the federation. It holds once enough members signed, and you.")


async def _install(applicant: Applicant, admitted: CharterDocument, data: Path, output: str) -> int:
    """Fetch and verify the chain whole, and put it where the node looks for it, in one step."""
    from node.charter_chain_file import CHAIN_FILE, encode_chain
    from node.cli.charter import install
    from node.datalock import DataLock

    chain, definitions = await applicant.fetch(admitted)
    member = chain.member(applicant.node)
    if member is None:
        raise CommandRefused(exits.VERIFICATION, code="not_a_member", what="Nothing was joined",
                             why="the charter shown does not name this node", fix="Ask again later")  # fmt: skip
    lock = DataLock(data)
    try:
        install(data, CHAIN_FILE, encode_chain(chain, definitions))
    finally:
        lock.release()
    if output == "json":
        emit_json("murmur.joined/1", {
            "federation": chain.federation.hex(), "version": chain.charter.version, "hash": chain.tip.hash.hex(),
            "node": applicant.node.hex(), "name": member.name,
        })  # fmt: skip
        return exits.OK
    say(f'This node is a member of "{chain.charter.name}" now.')
    next_steps(("murmur run", "the node starts its log and finds its peers"))
    return exits.OK
