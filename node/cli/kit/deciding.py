"""The verbs of `murmur charter` that change a running federation's charter, step by step and by many hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.choice import client_of, later_node_option, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say
from node.fingerprint import fingerprint

if TYPE_CHECKING:
    from node.cli.kit.asked import Asked
    from node.cli.kit.ballot import Ballot
    from node.cli.kit.proposing import Wishes
    from protocol.keys import SigningKey

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DATE = click.DateTime(["%Y-%m-%d"])
_NO_CHANGE = "changes nothing but its dates"
_KEY = click.option("--governance-key", type=_FILE, metavar="FILE", help="Your organisation's key: sign at once.")


@click.command(cls=Verb, examples=(("murmur charter diff", ""),))
@click.argument("proposal", required=False, metavar="[FILE|HASH]")
@later_node_option
@output_option("text", "json")
def diff(proposal: str | None, find_data: Callable[[], Path], output: str) -> None:
    """Say in words what a proposal changes, and who has approved it. The only one, a hash, or a ballot file."""
    _show(_ballot(proposal, find_data), output)


@click.command(cls=Verb, examples=(("murmur charter propose --cap day=1/30", ""),))
@click.option("--add", "added", type=_FILE, multiple=True, metavar="FILE", help="Admit who made this request to join.")
@click.option(
    "--counts-from", type=_DATE, metavar="DATE", help="First day of added nodes, from 00:00 UTC.  [default: tomorrow]"
)
@click.option(
    "--remove", "removed", multiple=True, metavar="NODE", help="Remove a member; what it has said by now stays."
)
@click.option("--readmit", multiple=True, metavar="NODE", help="Take a removed member back.")
@click.option(
    "--replace-root", "roots", multiple=True, metavar="NODE=KEY", help="A member's new root key, 64 hex digits."
)
@click.option("--replace-key", "keys", multiple=True, metavar="ORG=KEY", help="An organisation's new governance key.")
@click.option("--cap", "caps", multiple=True, metavar="EPOCH=RHO", help="Privacy budget of an epoch, like day=1/40.")
@click.option("--metrics", type=_PATH, metavar="DIR", help="A folder of definitions: those not there yet are added.")
@click.option(
    "--from", "from_day", type=_DATE, metavar="DATE", help="First day of added metrics.  [default: in three days]"
)
@click.option(
    "--end",
    "ended",
    multiple=True,
    metavar="METRIC=DATE",
    help="End a metric before this day, 48 hours from now or later.",
)
@click.option("--name", metavar="TEXT", help="Rename the federation.")
@click.option("--threshold", type=click.IntRange(1), metavar="N", help="How many organisations decide.")
@click.option("--suspend-threshold", type=click.IntRange(1), metavar="N", help="How many suspend a member.")
@click.option(
    "--min-organisations",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Show sums of at least so many organisations only.",
)
@click.option(
    "--expires-days",
    type=click.IntRange(1, 3660),
    default=400,
    show_default=True,
    help="After how many days it must be renewed.",
)
@click.option(
    "--attempt", type=click.IntRange(1), help="Another attempt at the vote.  [default: one more than the last]"
)
@click.option("--heal", is_flag=True, help="Follow both charters of a split vote.")
@click.option("--out", type=_PATH, metavar="FILE", help="Write a ballot file instead, to be signed elsewhere.")
@_KEY
@changing
@node_option
@output_option("text", "json")
def propose(data: Path, change: Change, output: str, **asked: Any) -> None:
    """Propose a charter on top of the trusted one. It is shown in words first; nothing holds until enough approve."""
    from node.cli.kit.asked import ask

    _propose(ask(data), _wishes(asked, ask(data)), change, output, asked)


@click.command(cls=Verb, examples=(("murmur charter renew --governance-key governance.key", ""),))
@click.option("--expires-days", type=click.IntRange(1, 3660), default=400, show_default=True, help="From now on.")
@click.option("--out", type=_PATH, metavar="FILE", help="Write a ballot file instead, to be signed elsewhere.")
@_KEY
@changing
@node_option
@output_option("text", "json")
def renew(
    data: Path, change: Change, output: str, expires_days: int, out: Path | None, governance_key: Path | None
) -> None:
    """Propose the same charter with a new expiry. An expired one holds releases back, and nothing else."""
    from node.cli.kit.asked import ask
    from node.cli.kit.proposing import Wishes

    now = ask(data)
    wishes = Wishes(expires_days=expires_days, attempt=_next_attempt(now))
    _propose(now, wishes, change, output, {"out": out, "governance_key": governance_key, "heal": False})


@click.command(cls=Verb, examples=(("murmur charter approve --governance-key governance.key", ""),))
@click.argument("proposal", required=False, metavar="[HASH]")
@click.option("--governance-key", type=_FILE, required=True, metavar="FILE", help="Your organisation's key file.")
@changing
@node_option
@output_option("text", "json")
def approve(proposal: str | None, governance_key: Path, change: Change, data: Path, output: str) -> None:
    """Sign an open proposal with your organisation's governance key, after reading what it changes."""
    from node.cli.kit.asked import ask

    now = ask(data)
    ballot = now.ballot(proposal)
    signed = _signed(ballot, governance_key, change, output, rivals=now.state["rivals"])
    if signed is None:
        return
    _told(now.post(signed.document, []), signed, output)


@click.command(cls=Verb, examples=(("murmur charter assemble a.ballot b.ballot", ""),))
@click.argument("files", type=_FILE, nargs=-1, required=True, metavar="FILE…")
@changing
@node_option
@output_option("text", "json")
def assemble(files: tuple[Path, ...], change: Change, data: Path, output: str) -> None:
    """Put the approvals of several ballot files together and give them to the running node."""
    from node.cli.kit.asked import ask
    from node.cli.kit.ballot import load_ballot

    ballots = [load_ballot(file) for file in files]
    first = ballots[0]
    if any(ballot.document.body != first.document.body for ballot in ballots):
        raise CommandRefused(
            exits.CONFLICT, code="other_proposal", what="Nothing was assembled",
            why="the files hold different proposals", fix="Give files of one proposal only",
        )  # fmt: skip
    document = first.document
    for ballot in ballots:
        for key, signature in ballot.document.approvals.items():
            document = document.with_approval(key, signature)
    if change.is_dry_run:
        would([f"give the node {len(document.approvals)} approvals of {fingerprint(document.hash)}"], output)
        return
    _told(ask(data).post(document, list(first.definitions)), first, output)


@click.command(cls=Verb, examples=(("murmur charter log", ""),))
@node_option
@output_option("text", "json")
def log(data: Path, output: str) -> None:
    """List every charter of the federation, what each changed, and who signed it."""
    from node.charter_diff import difference
    from node.cli.kit.asked import ask
    from protocol.charter import parse_charter
    from protocol.charter_document import parse_charter_document

    now = ask(data)
    shown = client_of(data).get("/v1/admin/charter/chain")["charters"]
    charters = [parse_charter(parse_charter_document(raw).body) for raw in now.chain]
    known = {parse_charter_document(raw).hash: charter for raw, charter in zip(now.chain, charters, strict=True)}
    rows = []
    for one, charter in zip(shown, charters, strict=True):
        before = [known[hash_] for hash_ in charter.previous if hash_ in known]
        changes = difference(before[0], charter, now.definitions) if before else ["founds the federation"]
        rows.append(
            {name: one[name] for name in ("version", "attempt", "hash", "created", "signed")} | {"changes": changes}
        )
    if output == "json":
        emit_json("murmur.charter-log/1", {"federation": now.state["federation"], "charters": rows})
        return
    for row in rows:
        emit(f"version {row['version']}, attempt {row['attempt']}  {fingerprint(bytes.fromhex(str(row['hash'])))}")
        emit(f"  signed by {', '.join(row['signed'])}")
        for line in row["changes"]:
            emit(f"  {line}")


@click.command(cls=Verb, examples=(("murmur charter verify", ""),))
@node_option
@output_option("text", "json")
def verify(data: Path, output: str) -> None:
    """Verify the whole chain of charters anew: every rule and every signature, from the founding on."""
    from node.cli.kit.asked import ask
    from protocol.charter_chain import verify_chain
    from protocol.charter_document import parse_charter_document
    from protocol.errors import ProtocolError

    now = ask(data)
    try:
        chain = verify_chain([parse_charter_document(raw) for raw in now.chain])
    except ProtocolError as error:
        raise CommandRefused(
            exits.VERIFICATION,
            code=error.code,
            what="The chain of charters does not hold",
            why=error.why,
            fix=error.fix,
        ) from error
    told = {
        "federation": chain.federation.hex(), "version": chain.charter.version, "charters": len(chain.items),
        "hash": chain.tip.hash.hex(), "fingerprint": fingerprint(chain.tip.hash),
    }  # fmt: skip
    if output == "json":
        emit_json("murmur.charter-verified/1", told)
        return
    emit(f"federation   {chain.federation.hex()}")
    emit(f"version      {chain.charter.version}, {len(chain.items)} charters, every rule and signature holds")
    emit(f"fingerprint  {fingerprint(chain.tip.hash)}")


@click.command(cls=Verb, examples=(("murmur charter confirm", ""),))
@changing
@node_option
@output_option("text", "json")
def confirm(change: Change, data: Path, output: str) -> None:
    """Follow a charter that waits for you: compare its fingerprint with other members by another channel first."""
    from node.cli.kit.asked import ask

    now = ask(data)
    waiting = now.state["waiting"]
    if waiting is None and change.is_dry_run:
        would(["nothing: no charter waits for confirmation"], output)
        return
    if waiting is None:
        raise CommandRefused(
            exits.CONFLICT, code="nothing_waits", what="Nothing was confirmed", why="no charter waits for confirmation",
            fix="See what is trusted: murmur charter show",
        )  # fmt: skip
    mark = fingerprint(bytes.fromhex(waiting["hash"]))
    if change.is_dry_run:
        would([f"trust charter version {waiting['version']}, {mark}"], output)
        return
    change.confirm(
        f"Charter version {waiting['version']}, {mark}, would be trusted. Compare this with others", mark[:9]
    )
    state = client_of(data).post("/v1/admin/charter/confirm", {"hash": waiting["hash"]})
    if output == "json":
        emit_json("murmur.charters/1", {"trusted": state["trusted"]["hash"], "version": state["trusted"]["version"]})
        return
    say(f"Charter version {state['trusted']['version']} is trusted.")


@click.command(
    cls=Verb,
    examples=(
        (
            'murmur charter suspend shop-eu --from 2026-12-01 --reason "wrong numbers" --governance-key gov.key',
            "",
        ),
    ),
)
@click.argument("member", metavar="NODE")
@click.option("--from", "from_day", type=_DATE, required=True, metavar="DATE", help="First day that does not count.")
@click.option("--days", type=click.IntRange(1, 14), default=14, show_default=True, help="For how many days.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; every member reads it.")
@click.option("--governance-key", "keys", type=_FILE, multiple=True, required=True, metavar="FILE",
              help="A governance key; as many as the charter asks for. Repeatable.")  # fmt: skip
@changing
@node_option
@output_option("text", "json")
def suspend(
    member: str,
    from_day: datetime,
    days: int,
    reason: str,
    keys: tuple[Path, ...],
    change: Change,
    data: Path,
    output: str,
) -> None:
    """Take a member's days out of every answer for at most two weeks, while people talk. It cannot be taken back."""
    from node.cli.kit.asked import ask
    from protocol.suspension import Suspension, SuspensionDocument, sign_suspension

    now = ask(data)
    charter = now.charter
    found = next((one for one in charter.members if one.name == member), None)
    if found is None:
        raise CommandRefused(exits.NOT_FOUND, code="no_such_member", what="Nobody was suspended",
                             why=f"there is no member {member}", fix="See them: murmur charter show")  # fmt: skip
    start = _hour(from_day)
    body = Suspension(now.trusted.hash, found.node, start, start + days * 24, reason).encode()
    document = SuspensionDocument(body)
    for path in keys:
        key = _governance(path)
        signature = sign_suspension(key, body, bytes.fromhex(now.state["federation"]))  # type: ignore[arg-type]
        document = document.with_approval(key.public_key, signature)
    line = f"take {days} days of {member} out of every answer, from {from_day:%Y-%m-%d} on, for ever"
    if change.is_dry_run:
        would([line], output, Signs("suspension", document.hash))
        return
    change.confirm(f"This would {line}", member)
    told = client_of(data).post("/v1/admin/charter/suspend", {"document": document.encode().hex()})
    if output == "json":
        emit_json("murmur.suspension/1", {"hash": document.hash.hex(), "approvals": len(document.approvals)})
        return
    say(f"Said in {told['entries']} entries; it holds once {charter.suspend_threshold} keys signed it.")


VERBS = (diff, propose, renew, approve, assemble, log, verify, confirm, suspend)


def sign_ballot(file: Path, governance_key: Path, change: Change, output: str) -> None:
    """`charter sign` on a ballot file: shown, confirmed, signed in place."""
    from node.cli.kit.ballot import load_ballot
    from node.cli.kit.files import replace as replace_file

    ballot = load_ballot(file)
    signed = _signed(ballot, governance_key, change, output)
    if signed is None:
        return
    replace_file(file, signed.encode())
    if output == "json":
        emit_json("murmur.ballot/1", {"file": str(file), "hash": signed.document.hash.hex(),
                                      "approvals": len(signed.document.approvals)})  # fmt: skip
        return
    say(f"\nSigned {file}.")
    next_steps((f"murmur charter assemble {file}", "on a machine with a running node"))


# -- helpers


def _ballot(proposal: str | None, find_data: Callable[[], Path]) -> Ballot:
    from node.cli.kit.asked import ask
    from node.cli.kit.ballot import load_ballot

    if proposal is not None and Path(proposal).is_file():
        return load_ballot(Path(proposal))
    return ask(find_data()).ballot(proposal)


def _show(ballot: Ballot, output: str) -> None:
    from node.charter_diff import difference
    from protocol.charter_chain import unsigned

    charter = ballot.charter
    parents = ballot.parents()
    lines = difference(parents[0], charter, ballot.bodies) or [_NO_CHANGE]
    missing = sorted({name for one in (*parents, charter) for name in unsigned(one, ballot.document.approvals)})
    if output == "json":
        emit_json("murmur.charter-diff/1", {
            "hash": ballot.document.hash.hex(), "fingerprint": fingerprint(ballot.document.hash),
            "version": charter.version, "attempt": charter.attempt, "changes": lines,
            "approvals": len(ballot.document.approvals), "not_signed": missing,
        })  # fmt: skip
        return
    emit(f"Charter {charter.version}, attempt {charter.attempt}  {fingerprint(ballot.document.hash)}")
    for line in lines:
        emit(f"  {line}")
    needed = max(one.threshold for one in (*parents, charter))
    emit(f"{len(ballot.document.approvals)} of {needed} have approved; not yet: {', '.join(missing) or 'nobody'}")


def _say_lines(ballot: Ballot, lines: Sequence[str]) -> None:
    """What a charter changes, before somebody is asked."""
    say(f'Charter {ballot.charter.version} of "{ballot.charter.name}", {fingerprint(ballot.document.hash)}')
    for line in lines:
        say(f"  {line}")


def _signed(
    ballot: Ballot,
    governance_key: Path,
    change: Change,
    output: str,
    *,
    rivals: list[Any] | None = None,
    notes: Sequence[str] = (),
) -> Ballot | None:
    """The ballot with one more approval, after it was shown with `notes` and confirmed; None after a dry run."""
    charter = ballot.charter
    if rivals and len(charter.previous) < 2:
        raise CommandRefused(
            exits.REFUSED, code="split_vote", what="Nothing was signed",
            why="two charters have a quorum for one vote, and this proposal follows only one of them",
            fix="Propose one that follows both: murmur charter propose --heal",
        )  # fmt: skip
    held = {row.definition for one in ballot.parents() for row in one.catalogue}
    unread = {row.definition for row in charter.catalogue} - held - ballot.bodies.keys()
    if unread:
        raise CommandRefused(
            exits.TRY_AGAIN, code="definition_not_here", what="Nothing was signed",
            why=f"what the definition {min(unread).hex()[:16]} would collect is not known here yet",
            fix="Try again in a moment: the node fetches it from other members",
        )  # fmt: skip
    signed = ballot.sign(_governance(governance_key))
    lines = _change_lines(ballot, notes)
    if change.is_dry_run:
        would(lines, output, Signs(f"charter version {charter.version}", ballot.document.hash))
        return None
    if output != "json":
        _say_lines(ballot, lines)
    change.confirm("You sign this for your organisation", charter.name)
    return signed


def _change_lines(ballot: Ballot, notes: Sequence[str]) -> list[str]:
    """What the charter changes in words, the notes, and whether it comes too late."""
    from node.charter_diff import difference, late
    from node.clock import SystemClock

    [before, *_] = ballot.parents()
    lines = difference(before, ballot.charter, ballot.bodies) or [_NO_CHANGE]
    warning = late(before, ballot.charter, SystemClock().now_ms() // 1000)
    return [*lines, *notes, *([] if warning is None else [warning])]


def _propose(
    now: Asked, wishes: Wishes, change: Change, output: str, asked: dict[str, Any], notes: Sequence[str] = ()
) -> None:
    from node.cli.kit.files import write_new
    from node.cli.kit.proposing import next_charter
    from node.clock import SystemClock
    from protocol.charter_document import CharterDocument

    parents = [(now.trusted.hash, now.charter)]
    rivals = now.rivals()
    if asked["heal"]:
        if not rivals:
            raise CommandRefused(exits.CONFLICT, code="nothing_to_heal", what="Nothing was proposed",
                                 why="there is no split vote", fix="Propose it without --heal")  # fmt: skip
        parents += [(hash_, charter) for hash_, charter, _ in rivals]
    charter = next_charter(parents, wishes, SystemClock().now_ms() // 1000)
    new_bodies = [metric.body for metric, _ in wishes.metrics]
    ballot = now.ballot_of(CharterDocument(charter.encode()))
    ballot = replace(ballot, definitions=tuple(dict.fromkeys([*ballot.definitions, *new_bodies])))
    if asked["governance_key"] is not None:
        signed = _signed(ballot, asked["governance_key"], change, output, rivals=now.state["rivals"], notes=notes)
        if signed is None:
            return
        ballot = signed
    elif change.is_dry_run:
        would(_change_lines(ballot, notes), output, Signs("nothing yet; the proposal", ballot.document.hash))
        return
    elif asked["out"] is None:
        if output != "json":
            _say_lines(ballot, _change_lines(ballot, notes))
        change.confirm("This would be proposed to all members", charter.name)
    if asked["out"] is not None:
        write_new(asked["out"], ballot.encode())
        if output != "json" and asked["governance_key"] is None:
            for line in notes:
                say(line)
        _show(ballot, output)
        next_steps((f"murmur charter sign {asked['out']} --governance-key FILE", "by each organisation"))
        return
    _told(now.post(ballot.document, new_bodies), ballot, output)


def _told(state: dict[str, Any], ballot: Ballot, output: str) -> None:
    """What became of it: trusted, or who is missing."""
    is_trusted = state["trusted"]["version"] >= ballot.charter.version
    proposal = next((one for one in state["proposals"] if one["hash"] == ballot.document.hash.hex()), None)
    if output == "json":
        emit_json("murmur.proposal/1", {
            "hash": ballot.document.hash.hex(), "fingerprint": fingerprint(ballot.document.hash),
            "version": ballot.charter.version, "is_trusted": is_trusted,
            "approvals": None if proposal is None else proposal["approvals"],
            "not_signed": [] if proposal is None else proposal["missing"],
        })  # fmt: skip
        return
    if is_trusted:
        say(f"Charter version {ballot.charter.version} is trusted now; other members follow by themselves.")
        return
    waiting = state["waiting"]
    if waiting is not None and waiting["version"] >= ballot.charter.version:
        say("Enough have signed. The charter before it has ended, so each node asks its operator, this one first.")
        next_steps(("murmur charter confirm", "after comparing the fingerprint with other members"))
        return
    emit(ballot.document.hash.hex())
    if proposal is not None:
        say(f"Not signed yet: {', '.join(proposal['missing'])}.")
        say(
            f"It holds when {proposal['needed']} have. If too many of their keys are lost for good, nothing can be "
            f"decided here any more: found anew with murmur federation create --succeeds {state['federation']}"
        )
    next_steps(("murmur charter approve --governance-key FILE", "by each organisation, on its own node"))


def _wishes(asked: dict[str, Any], now: Asked) -> Wishes:
    from node.cli.kit.founding import load_metrics, load_requests
    from node.cli.kit.proposing import Wishes
    from node.clock import SystemClock

    today = SystemClock().now_ms() // 86_400_000 * 24
    counts = today + 24 if asked["counts_from"] is None else _hour(asked["counts_from"])
    begins = today + 72 if asked["from_day"] is None else _hour(asked["from_day"])
    metrics = [] if asked["metrics"] is None else load_metrics(asked["metrics"])
    return Wishes(
        name=asked["name"],
        expires_days=asked["expires_days"],
        threshold=asked["threshold"],
        suspend_threshold=asked["suspend_threshold"],
        min_organisations=asked["min_organisations"],
        attempt=asked["attempt"] or _next_attempt(now),
        add=[(one.request, counts) for one in load_requests(asked["added"])],
        remove={name: _cut(now, name) for name in asked["removed"]},
        readmit=asked["readmit"],
        past=now.organisations(),
        roots={name: _key_bytes(value) for name, value in map(_pair, asked["roots"])},
        keys={name: _key_bytes(value) for name, value in map(_pair, asked["keys"])},
        caps={name: _ratio(value) for name, value in map(_pair, asked["caps"])},
        metrics=[(metric, begins) for metric in metrics],
        ends={name: _hour(datetime.strptime(value, "%Y-%m-%d")) for name, value in map(_pair, asked["ended"])},  # noqa: DTZ007
    )


def _next_attempt(now: Asked) -> int:
    """One more than the last attempt at the next version that is known here."""
    return max((one["attempt"] for one in now.state["proposals"]), default=0) + 1


def _cut(now: Asked, name: str) -> Any:
    from protocol.charter import Cut
    from protocol.ids import EntryId

    member = next((one for one in now.charter.members if one.name == name), None)
    head = None if member is None else now.state["heads"].get(member.node.hex())
    if head is None:
        raise CommandRefused(exits.NOT_FOUND, code="no_such_member", what="The charter was not made",
                             why=f"there is no member {name} with a log",
                             fix="See them: murmur charter show")  # fmt: skip
    generation, seq, entry = head
    return Cut(generation, seq, EntryId(bytes.fromhex(entry)))


def _governance(path: Path) -> SigningKey:
    from node.cli.kit.passphrases import open_key
    from protocol.keys import SigningKey

    return SigningKey(open_key(path, "governance").secret)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise click.BadParameter(f'"{text}" is not like NAME=VALUE')
    return name, value


def _key_bytes(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise click.BadParameter("a public key has 64 hex digits")
    return key


def _ratio(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise click.BadParameter(f'"{text}" is not like 1/40') from error


def _hour(day: datetime) -> int:
    return (day.date() - datetime(1970, 1, 1).date()).days * 24  # noqa: DTZ001
