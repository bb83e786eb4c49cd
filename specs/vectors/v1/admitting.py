"""admission.json: what a node knows of a log, one entry, and whether it may stand there (specs/mesh/judgement.md 8.2).

The decisions are written here by hand; nothing in this module asks the code that admits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocol import canonical
from protocol.entries import Entry, ParsedEntry
from protocol.ids import EntryId, FederationId
from protocol.keys import key_digest
from protocol.kind_data import RecoverData, RotateData
from specs.vectors.v1.cast import HARE, WREN, Json, digest, flipped, key, node
from specs.vectors.v1.hedgerow import SCENE, charters, hare, label, stem
from specs.vectors.v1.scene import Writer, day

EXTENDS, BESIDE, HAVE, SUPERSEDED = "extends", "beside", "have", "superseded"
OWL = node("owl", "https://owl.example")  # no member
SMALL = b"\x01" + bytes(31)  # the identity


@dataclass(frozen=True, slots=True)
class Case:
    """What is known, in the order in which it came, and the entry that comes."""

    name: str
    known: Sequence[ParsedEntry]
    entry: Entry
    decision: str
    code: str | None = None
    head: tuple[int, int] | None = None
    charters: Sequence[str] = ("first",)


def vectors() -> Json:
    cases = [*_plain(), *_firsts(), *_places(), *_keys(), *_besides(), *_cuts(), *_since()]
    table = {label(one): one.entry.encode().hex() for case in cases for one in case.known}
    used = {name for case in cases for name in case.charters}
    return {
        "about": "Whether an entry may stand in its author's log, specs/mesh/judgement.md 8.2.",
        "federation": SCENE.federation.hex(),
        "nodes": {one.name: one.id.hex() for one in (HARE, WREN)},
        "charters": {name: SCENE.signed(one).encode().hex() for name, one in charters().items() if name in used},
        "entries": table,
        "cases": [_written(case) for case in cases],
    }


def _written(case: Case) -> Json:
    found: Json = {
        "name": case.name,
        "charters": list(case.charters),
        "known": [label(one) for one in case.known],
        "entry": case.entry.encode().hex(),
        "decision": case.decision,
    }
    if case.decision == "refused":
        found["code"] = case.code
    if case.decision == "behind":
        found["head"] = case.head and list(case.head)
    return found


def _case(name: str, writer: Writer, entry: ParsedEntry | Entry, decision: str, code: str | None = None) -> Case:
    """The log as its writer wrote it, and an entry that is not in it."""
    return Case(name, writer.line, entry.entry if isinstance(entry, ParsedEntry) else entry, decision, code)


def _next(writer: Writer, kind: str = "weather_report", data: bytes = b"", **said: object) -> ParsedEntry:
    """An entry that would be the next one."""
    return writer.sign(kind, data, **said)


def _plain() -> list[Case]:
    one = stem()
    good = one.copy().summary("calls", day(2))
    odd = one.sign("summary", b"\x01")
    ill = replace(good.entry, signatures=(flipped(good.entry.signatures[0], 40),))
    held = one.line[1].entry
    return [
        _case("the first entry", Writer(SCENE, HARE), hare().line[0], EXTENDS),
        _case("the second", hare(), stem().line[1], EXTENDS),
        _case("the next one", one, good, EXTENDS),
        _case("a kind of tomorrow", one, _next(one), EXTENDS),
        _case("a summary that judgement will void", one, odd, EXTENDS),
        _case("long past, and of a charter nobody knows", one, _next(one, at=1, charter_version=77), EXTENDS),
        _case("the last one again", one, one.line[2], HAVE),
        _case("the first one again", one, one.line[0], HAVE),
        _case("one again with another signature", one, replace(held, signatures=good.entry.signatures), HAVE),
        _case("one again with other data", one, replace(held, data=b"\x80"), "refused", "parts-mismatch"),
        _case("its signature has one bit turned", one, ill, "refused", "bad-signature"),
        _case("of no member", one, Writer(SCENE, OWL).born(), "refused", "not-a-member"),
        _case("of no member and another federation", one, Writer(SCENE, OWL).sign(
            "inception", OWL.inception.encode(), federation=FederationId(digest("x"))), "refused", "not-a-member"),
        _case("of another federation", one, _next(one, federation=FederationId(digest("x"))),
              "refused", "wrong-federation"),
    ]  # fmt: skip


def _firsts() -> list[Case]:
    none, one = Writer(SCENE, HARE), stem()
    record = HARE.inception.encode()
    turned = record[:-1] + bytes([record[-1] ^ 1])
    return [
        _case("another kind first", none, none.sign("weather_report", b""), "refused", "inception-misplaced"),
        _case("a second inception", one, one.sign("inception", record), "refused", "inception-misplaced"),
        _case("an inception of generation 1", none, none.sign("inception", record, generation=1),
              "refused", "inception-misplaced"),
        _case("another kind at seq 0 of generation 1", one, one.sign("weather_report", b"", generation=1, seq=0),
              "refused", "inception-misplaced"),
        _case("another node's record", none, none.sign("inception", WREN.inception.encode()),
              "refused", "bad-inception"),
        _case("a record with one bit turned", none, none.sign("inception", turned), "refused", "bad-inception"),
        _case("signed by the root key", none, none.sign("inception", record, signer=HARE.root),
              "refused", "bad-signature"),
        _case("first, and not on the federation id", none, none.sign("inception", record, prev=EntryId(bytes(32))),
              "refused", "prev-mismatch"),
        _case("another first entry", one, one.sign("inception", record, seq=0, at=1,
              prev=EntryId(SCENE.federation)), BESIDE),
    ]  # fmt: skip


def _places() -> list[Case]:
    one = stem()
    unknown = EntryId(digest("unknown"))
    ahead = one.copy()
    ahead.summary("calls", day(2))
    ahead.summary("calls", day(3))
    early = Case("two beyond the end", one.line, ahead.line[4].entry, "behind", head=(0, 2))
    empty = Case("of a log nothing is known of", (), ahead.line[2].entry, "behind")
    higher = one.sign("weather_report", b"", prev=unknown, generation=1)
    turned = one.copy()
    turned.rotate()
    turned.summary("calls", day(2))
    return [
        early,
        empty,
        Case("beyond the end, signed by a key not seen yet", one.line, turned.line[4].entry, "behind", head=(0, 2)),
        Case("beyond the end, on an entry known at another seq", one.line, _next(one, seq=5).entry, "behind",
             head=(0, 2)),
        Case("at the end, of a later generation, on an entry not known", one.line, higher.entry, "behind", head=(0, 2)),
        _case("at the end, on an entry not known", one, _next(one, prev=unknown), "refused", "prev-mismatch"),
        _case("at a known seq, on an entry not known", one, _next(one, seq=2, prev=unknown), "refused",
              "prev-mismatch"),
        _case("on the last entry, at its seq", one, _next(one, seq=2), "refused", "prev-mismatch"),
        _case("on an entry two below", one, _next(one, prev=one.line[1].id), "refused", "prev-mismatch"),
        _case("a later generation without a recover", one, _next(one, generation=1), "refused", "malformed"),
    ]  # fmt: skip


def _keys() -> list[Case]:
    one = stem()
    turned = one.copy()
    rotation = turned.rotate()
    back = one.copy()
    recovery = back.recover(2)
    ours, next_ = HARE.next.public_key, key_digest(key("hare key 2").public_key)
    stranger = key("stranger")

    def rotate(data: bytes, signer: object = HARE.signing, next_key: object = HARE.next) -> ParsedEntry:
        return one.sign("rotate", data, signer=signer, next_key=next_key)

    def recover(data: bytes, signer: object = HARE.root, generation: int = 1) -> ParsedEntry:
        return one.sign("recover", data, signer=signer, generation=generation)

    good = RotateData(ours, next_).encode()
    fresh = RecoverData(stranger.public_key, next_).encode()
    swapped = replace(rotation.entry, signatures=rotation.entry.signatures[::-1])
    lone = replace(rotation.entry, signatures=rotation.entry.signatures[:1])
    refused = "refused"
    return [
        _case("signed by another member", one, _next(one, signer=WREN.signing), refused, "bad-signature"),
        _case("signed by the key kept for the first rotation", one, _next(one, signer=HARE.next), refused,
              "bad-signature"),
        _case("signed by the root key", one, _next(one, signer=HARE.root), refused, "bad-signature"),
        _case("a rotate", one, rotation, EXTENDS),
        _case("a rotate to a key nobody was told of", one, rotate(
            RotateData(stranger.public_key, next_).encode(), next_key=stranger), refused, "bad-key"),
        _case("a rotate to a key of small order", one, rotate(canonical.encode(
            {"v": 1, "signing_key": SMALL, "next_digest": next_})), refused, "bad-key"),
        _case("a rotate with its signatures swapped", one, swapped, refused, "bad-signature"),
        _case("a rotate with one signature", one, lone, refused, "parts-mismatch"),
        _case("a rotate not signed by the new key", one, rotate(good, next_key=stranger), refused, "bad-signature"),
        _case("a rotate not signed by the key in force", one, rotate(good, signer=stranger), refused, "bad-signature"),
        _case("a rotate of a later data version", one, rotate(canonical.encode({"v": 2})), refused, "unknown-version"),
        _case("a rotate of a later generation", one, one.sign("rotate", good, generation=1, next_key=HARE.next),
              refused, "malformed"),
        _case("by the new key after a rotate", turned, _next(turned), EXTENDS),
        _case("by the old key after a rotate", turned, _next(turned, signer=HARE.signing), refused, "bad-signature"),
        _case("a recover", one, recovery, EXTENDS),
        _case("a recover over several generations", one, recover(fresh, generation=7), EXTENDS),
        _case("a recover of the same generation", one, recover(fresh, generation=0), refused, "malformed"),
        _case("a recover by the signing key", one, recover(fresh, HARE.signing), refused, "bad-signature"),
        _case("a recover to a key of small order", one, recover(canonical.encode(
            {"v": 1, "signing_key": SMALL, "next_digest": next_})), refused, "bad-key"),
        _case("by the new key after a recover", back, _next(back), EXTENDS),
        _case("of the old generation after a recover", back, _next(back, generation=0), refused, "malformed"),
        _case("by the old key after a recover", back, _next(back, signer=HARE.signing), refused, "bad-signature"),
        *_roots(recover(fresh, key("hare new root"))),
    ]  # fmt: skip


def _roots(by_new: ParsedEntry) -> list[Case]:
    one = stem()
    chain = ("first", "new root for hare")
    owner = one.copy()
    owner.recover(2, fresh=30, root=key("hare new root"))
    by_old = owner.copy().recover(3, fresh=20)
    return [
        _case("a recover by a root that no charter names", one, by_new, "refused", "bad-signature"),
        replace(_case("a recover by the root a charter names", one, by_new, EXTENDS), charters=chain),
        replace(_case("a recover by the inception's root, still", one, one.copy().recover(2), EXTENDS), charters=chain),
        replace(_case("a recover by the replaced root on one by its successor", owner, by_old, "refused",
                      "bad-signature"), charters=chain),
    ]  # fmt: skip


def _besides() -> list[Case]:
    one = stem()
    one.summary("calls", day(2))
    two = stem()
    other = two.summary("visits", day(2))
    further = two.summary("visits", day(3))
    third = stem().summary("tips", day(2))
    turned = one.copy()
    turned.rotate()
    turned.summary("calls", day(3))
    rival = stem()
    rival_rotate = rival.rotate()
    back = one.copy().recover(1)
    forked = [*one.line, other]
    frozen_next = one.copy().summary("calls", day(4))
    lost = _next(one, seq=3, prev=EntryId(digest("unknown")))
    cases: list[tuple[str, Sequence[ParsedEntry], ParsedEntry, str]] = [
        ("a second entry at an old position", one.line, other, BESIDE),
        ("the same, and the log went on to another key", turned.line, other, SUPERSEDED),
        ("a second first entry, and the log went on to another key", turned.line, one.sign(
            "inception", HARE.inception.encode(), seq=0, at=1, prev=EntryId(SCENE.federation)), SUPERSEDED),
        ("a rotate at an old position, and the log went on to another", turned.line, rival_rotate, BESIDE),
        ("a recover on an older entry", one.line, back, BESIDE),
        ("a third branch of a frozen log", forked, third, BESIDE),
        ("one branch of a frozen log goes on", forked, frozen_next, BESIDE),
        ("the other branch of a frozen log goes on", forked, further, BESIDE),
        ("a branch of a frozen log that is known", forked, other, HAVE),
    ]  # fmt: skip
    return [
        *(Case(name, known, entry.entry, decision) for name, known, entry, decision in cases),
        Case("a frozen log, on an entry not known", forked, lost.entry, "behind", head=(0, 2)),
    ]


def _cuts() -> list[Case]:
    gone = ("first", "hare removed at seq 1")
    one = stem()
    del one.line[2:]
    beyond = stem().line[2]
    rival = hare()
    rival.summary("visits", day(0))
    back = one.copy()
    back.recover(1)
    lost = ("first", "hare removed at a lost entry")
    return [
        Case("beyond a cut", one.line, beyond.entry, "refused", "cut", charters=gone),
        Case("a rotate beyond a cut", one.line, one.copy().rotate().entry, "refused", "cut", charters=gone),
        Case("a recover on a cut", one.line, back.line[2].entry, EXTENDS, charters=gone),
        Case("beyond a recover on a cut", back.line, _next(back).entry, EXTENDS, charters=gone),
        Case("beside a cut", one.line, rival.line[1].entry, BESIDE, charters=gone),
        Case("another entry where a charter cut", hare().line, rival.line[1].entry, BESIDE, charters=gone),
        Case("the entry of a cut", hare().line, one.line[1].entry, EXTENDS, charters=gone),
        Case("the entry of a cut, after another one", [*hare().line, rival.line[1]], one.line[1].entry, EXTENDS,
             charters=gone),
        Case("at a cut whose entry is not known", hare().line, one.line[1].entry, BESIDE, charters=lost),
    ]  # fmt: skip


def _since() -> list[Case]:
    """M-ADM-9: "the line went on to other keys since", of branches that are longer, and of later generations."""
    line, branch = stem(), stem()
    del branch.line[2:]
    for number in (2, 3, 4):
        branch.summary("visits", day(number))
    beside = branch.line[2:]
    turned = line.copy()
    turned.rotate()
    known = [*line.line, *beside, turned.line[3]]
    at_rotate = branch.copy()
    del at_rotate.line[3:]
    on_top = turned.copy()
    on_top.summary("calls", day(3))
    rival = turned.copy().summary("visits", day(3))
    long = stem()
    long.summary("calls", day(2))
    back = line.copy()
    back.recover(1)
    back.rotate()
    rest = long.line[2:]
    second = back.copy()
    del second.line[3:]
    second.turns = 10
    second.summary("visits", day(4))
    cases: list[tuple[str, Sequence[ParsedEntry], ParsedEntry, str]] = [
        ("on a branch that is longer than the line is at its rotate", known, branch.sign("weather_report", b""),
         BESIDE),
        ("on the same branch, at the seq of the rotate", known, at_rotate.sign("weather_report", b""), SUPERSEDED),
        ("on the same branch, below the seq of the rotate", known, _next(branch, seq=2, prev=line.line[1].id),
         SUPERSEDED),
        ("a second entry after the rotate, by the new key", on_top.line, rival, BESIDE),
        ("of a generation that was recovered from, far beyond the recover", [*back.line[:2], *rest, *back.line[2:]],
         long.sign("weather_report", b""), SUPERSEDED),
        ("a second entry at a rotate after a recover, by the key before it", back.line, second.line[3], SUPERSEDED),
    ]  # fmt: skip
    return [Case(name, held, entry.entry, decision) for name, held, entry, decision in cases]
