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
    cases = _cases()
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
