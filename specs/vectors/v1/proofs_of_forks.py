"""evidence.json: two signed headers at one position, and what proves nothing (specs/mesh/exchange.md 6.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol import canonical
from protocol.entries import ParsedEntry
from protocol.ids import FederationId
from specs.vectors.v1.cast import HARE, WREN, Json, digest, flipped, node
from specs.vectors.v1.hedgerow import SCENE, charters, hare, label, stem
from specs.vectors.v1.scene import Writer, day

Signed = tuple[bytes, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of the author, a document, and the verdict."""

    name: str
    known: Sequence[ParsedEntry]
    body: bytes
    verdict: str
    code: str | None = None


def vectors() -> Json:
    cases = [*_cases(), *_keys_that_may_have_signed(), *_orders_of_checks()]
    return {
        "about": "Evidence of two entries at one position, specs/mesh/exchange.md 6.10.",
        "federation": SCENE.federation.hex(),
        "nodes": {one.name: one.id.hex() for one in (HARE, WREN)},
        "charters": {"first": SCENE.signed(charters()["first"]).encode().hex()},
        "entries": {label(one): one.entry.encode().hex() for case in cases for one in case.known},
        "cases": [
            {
                "name": case.name,
                "charters": ["first"],
                "known": [label(one) for one in case.known],
                "evidence": case.body.hex(),
                "verdict": case.verdict,
                **({"code": case.code} if case.code else {}),
            }
            for case in cases
        ],
    }


def _signed(entry: ParsedEntry) -> Signed:
    return entry.entry.header, entry.entry.signatures


def _proof(*entries: ParsedEntry) -> bytes:
    """The document of these, in the order of their ids."""
    return _written(*(_signed(one) for one in sorted(entries, key=lambda one: one.id)))


def _written(*pairs: Signed) -> bytes:
    return canonical.encode([[header, list(signatures)] for header, signatures in pairs])


def _cases() -> list[Case]:
    line = stem()
    one, other = line.line[2], _beside(day(1))
    both = sorted((one, other), key=lambda entry: entry.id)
    turned = line.copy()
    turned.rotate()
    after = turned.summary("calls", day(2))
    rival = line.copy().summary("visits", day(3))
    by_new = turned.copy()
    del by_new.line[4:]
    late = by_new.summary("visits", day(4))
    misdated = turned.sign("weather_report", b"", seq=2)
    birth = Writer(SCENE, HARE).sign("inception", HARE.inception.encode(), at=1)
    theirs = _of(WREN, 1), _of(WREN, 2)
    owl = node("owl", "https://owl.example")
    strange = _of(owl, 1), _of(owl, 2)
    elsewhere = [_next(line, n, federation=FederationId(digest("x"))) for n in (1, 2)]
    back = line.copy()
    first_back = back.recover(1)
    spoken = back.summary("calls", day(3))
    second_back = line.copy().recover(1, fresh=20)
    header, signatures = _signed(both[1])
    bent: Signed = (header, [flipped(signatures[0], 12)])
    twice: Signed = (header, [signatures[0]] * 2)
    good, bad = "ok", "refused"
    known, fresh = line.line, hare().line
    return [
        Case("two summaries at one position", known, _proof(one, other), good),
        Case("neither of them known here", fresh, _proof(one, other), good),
        Case("of which a later rotate is known", turned.line, _proof(one, other), good),
        Case("two first entries", known, _proof(known[0], birth), good),
        Case("a rotate and a summary", turned.line, _proof(turned.line[3], rival), good),
        Case("two by a key that came with a rotate", turned.line, _proof(after, late), good),
        Case("two recovers", known, _proof(first_back, second_back), good),
        *(
            Case(f"a summary after one recover, and another recover, {order}", back.line, _proof(spoken, recover), good)
            for order, recover in _recovers(line, spoken)
        ),
        Case("nothing is known of their author", (), _proof(one, other), "behind"),
        Case("a key of their author that is not known", (), _proof(*theirs), "behind"),
        Case("of no member", known, _proof(*strange), bad, "not-a-member"),
        Case("in the other order", known, _written(*(_signed(entry) for entry in both[::-1])), bad, "equivocation"),
        Case("one of them twice", known, _written(_signed(one), _signed(one)), bad, "equivocation"),
        Case("at two positions", known, _proof(one, known[1]), bad, "equivocation"),
        Case("of two authors", [*known, *_born(WREN)], _pair(one, _of(WREN, 2, seq=2)), bad, "equivocation"),
        Case("of another federation", known, _proof(*elsewhere), bad, "equivocation"),
        Case("two signatures on a summary", known, _written(_signed(both[0]), twice), bad, "equivocation"),
        Case("one bit of a signature", known, _written(_signed(both[0]), bent), bad, "bad-signature"),
        Case("one by a key that came later", turned.line, _proof(one, misdated), bad, "bad-signature"),
        Case("one header", known, _written(_signed(one)), bad, "malformed"),
        Case("three headers", known, _proof(one, other, _beside(day(5))), bad, "malformed"),
        Case("a header with a trailing byte", known, _written(_signed(both[0]), (header + b"\x00", signatures)), bad,
             "not-canonical"),
        Case("a byte too many", known, _proof(one, other) + b"\x00", bad, "not-canonical"),
    ]  # fmt: skip


def _keys_that_may_have_signed() -> list[Case]:
    """Keys rotated out, or recovered from, before the position; and that only the latest four are tried."""
    line = stem()
    turned = line.copy()
    turned.rotate()
    late = [_next(turned, at, signer=HARE.signing) for at in (1, 2)]
    back = line.copy()
    back.recover(1)
    old = [_next(line, at, seq=5) for at in (1, 2)]
    often = line.copy()
    for _ in range(4):
        often.rotate()
    first, second = ([_next(often, at, signer=often.key_at(turn)) for at in (1, 2)] for turn in (0, 1))
    return [
        Case("two by a key that was rotated out before", turned.line, _proof(*late), "ok"),
        Case("two by a key that was recovered from before", back.line, _proof(*old), "ok"),
        Case("two by the fifth last key", often.line, _proof(*first), "refused", "bad-signature"),
        Case("two by the fourth last key", often.line, _proof(*second), "ok"),
        Case("two of a generation that no key is known of", line.line, _proof(
            *(_next(line, at, generation=3) for at in (1, 2))), "behind"),
    ]  # fmt: skip


def _orders_of_checks() -> list[Case]:
    """Documents that are wrong twice."""
    line = stem()
    owl = node("owl", "https://owl.example")
    ours, theirs = _signed(line.line[2]), _signed(_of(owl, 2, seq=2))
    wrens = _signed(_of(WREN, 2, seq=2))
    bent: Signed = (ours[0], [flipped(ours[1][0], 12)])
    refused = "refused"
    return [
        Case("of no member, then of one", line.line, _written(theirs, ours), refused, "not-a-member"),
        Case("of a member, then of none", line.line, _written(ours, theirs), refused, "equivocation"),
        Case("of two members, the first of whom nothing is known", line.line, _written(wrens, ours), "behind"),
        Case("a bit of the first signature, and two authors", line.line, _written(bent, wrens), refused,
             "bad-signature"),
        Case("a bit of the first signature, and two positions", line.line, _written(bent, _signed(line.line[1])),
             refused, "bad-signature"),
        Case("two positions, and nothing is known", (), _written(ours, _signed(line.line[1])), refused,
             "equivocation"),
    ]  # fmt: skip


def _beside(window: str) -> ParsedEntry:
    """Another entry at seq 2."""
    writer = stem()
    del writer.line[2:]
    return writer.summary("visits", window)


def _next(writer: Writer, at: int, **said: object) -> ParsedEntry:
    return writer.sign("weather_report", b"", at=at, **said)


def _recovers(line: Writer, spoken: ParsedEntry) -> list[tuple[str, ParsedEntry]]:
    """Recovers at the position of an entry, one with a lower id and one with a higher."""
    found: dict[str, ParsedEntry] = {}
    for fresh in range(20, 40):
        made = line.copy().recover(2, fresh=fresh)
        found.setdefault("the recover first" if made.id < spoken.id else "the recover last", made)
    return sorted(found.items())


def _born(who: object) -> list[ParsedEntry]:
    writer = Writer(SCENE, who)  # type: ignore[arg-type]
    writer.born()
    return writer.line


def _of(who: object, at: int, **said: object) -> ParsedEntry:
    """A second entry of another node."""
    writer = Writer(SCENE, who)  # type: ignore[arg-type]
    writer.born()
    return _next(writer, at, **said)


def _pair(one: ParsedEntry, other: ParsedEntry) -> bytes:
    return _proof(one, other)
