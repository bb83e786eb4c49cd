"""key_chains.json: key chains that verify without the entries between, and what breaks one (specs/mesh/keys.md 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protocol.entries import Entry, ParsedEntry
from protocol.ids import EntryId, FederationId
from protocol.keys import SigningKey, key_digest
from protocol.kind_data import RotateData
from specs.vectors.v1.cast import HARE, WREN, Json, digest, flipped, key
from specs.vectors.v1.hedgerow import SCENE, hare, stem
from specs.vectors.v1.scene import Writer, day

RECORD = HARE.inception.encode()
ONE, TWO = key("hare new root"), key("hare newest root")  # roots that charters name, one after the other
Chain = tuple[Sequence[ParsedEntry | Entry], Sequence[SigningKey]]


def vectors() -> Json:
    return {
        "about": "Key chains, specs/mesh/keys.md 4.3. `roots`: those that charters name, oldest first.",
        "federation": SCENE.federation.hex(),
        "accepted": [_accepted(name, writer, links, roots) for name, writer, links, roots in _good()],
        "refused": [{**_written(name, links, roots), "code": code} for name, (links, roots), code in _bad()]
        + [{**_written("another node's record", _turned(1).line[3:], ()), "inception": WREN.inception.encode().hex(),
            "code": "malformed"}],
    }  # fmt: skip


def _turned(times: int) -> Writer:
    """Three entries, and so many rotations with an entry after each."""
    writer = stem()
    for number in range(times):
        writer.rotate()
        writer.summary("calls", day(2 + number))
    return writer


def _links(writer: Writer) -> list[ParsedEntry]:
    return [one for one in writer.line if one.header.kind in ("rotate", "recover")]


def _good() -> list[tuple[str, Writer, list[ParsedEntry], Sequence[SigningKey]]]:
    back = _turned(1)
    back.recover(2, fresh=20)
    back.rotate()
    leap = stem()
    leap.recover(2, generation=6)
    newer = stem()
    newer.recover(2, root=ONE)
    newest = newer.copy()
    newest.recover(3, fresh=20, root=TWO)
    former = stem()
    former.recover(2)
    former.recover(3, fresh=20, root=ONE)
    written: list[tuple[str, Writer, Sequence[SigningKey]]] = [
        ("nothing since birth", stem(), ()),
        ("a rotation", _turned(1), ()),
        ("three rotations, with entries between", _turned(3), ()),
        ("a recovery that leaves a rotation, and a rotation after it", back, ()),
        ("a recovery over several generations", leap, ()),
        ("a recovery by a root that a charter names", newer, (ONE,)),
        ("the inception's root, where a charter names another", former, (ONE,)),
        ("recoveries by one root after the other", newest, (ONE, TWO)),
    ]
    return [(name, writer, _links(writer), roots) for name, writer, roots in written]


def _bad() -> list[tuple[str, Chain, str]]:
    three = _turned(3)
    first, second, third = _links(three)
    theirs = Writer(SCENE, WREN)
    theirs.born()
    foreign = theirs.rotate()
    early = hare()
    early.rotate()
    low = early.sign("rotate", _data(early), next_key=early.key_at(2), seq=1, prev=EntryId(SCENE.federation))
    other = stem().sign("rotate", _data(stem()), next_key=HARE.next, federation=FederationId(digest("x")))
    back = stem()
    back.recover(2)
    again = stem()
    again.recover(2, fresh=20)
    late = stem()
    late.recover(2, root=TWO)
    late.recover(3, fresh=20, root=ONE)
    stolen = stem()
    stolen.recover(2, root=key("stranger"))
    entry = first.entry
    plain: list[tuple[str, Sequence[ParsedEntry | Entry], str]] = [
        ("in another order", [second, first, third], "bad-key"),
        ("one left out", [first, third], "bad-key"),
        ("one twice", [first, first], "malformed"),
        ("a summary among them", [first, three.line[4]], "malformed"),
        ("another node's", [foreign], "malformed"),
        ("of another federation", [other], "malformed"),
        ("a rotate at the seq of the one before", [early.line[1], low], "malformed"),
        ("a rotate of the generation before the recovery", [back.line[3], first], "malformed"),
        ("a recover of the generation of the one before", [back.line[3], again.line[3]], "malformed"),
        ("a rotate to a key nobody was told of", [_rotate(key("stranger"))], "bad-key"),
        ("its signatures swapped", [replace(entry, signatures=entry.signatures[::-1])], "bad-signature"),
        ("its first signature alone", [replace(entry, signatures=entry.signatures[:1])], "parts-mismatch"),
        ("one bit of its second signature", [replace(entry, signatures=(
            entry.signatures[0], flipped(entry.signatures[1], 33)))], "bad-signature"),
        ("one bit of its data", [replace(entry, data=flipped(entry.data, 20))], "parts-mismatch"),
        ("a recover by a stranger", [stolen.line[3]], "bad-signature"),
    ]  # fmt: skip
    return [
        *((name, (links, ()), code) for name, links, code in plain),
        ("a recover by a root that is named nowhere here", ([late.line[3]], (ONE,)), "bad-signature"),
        ("a recover by a root older than the one before it", (_links(late), (ONE, TWO)), "bad-signature"),
        ("a recover by the inception's root after one by a newer", (
            [late.line[3], _older(late)], (ONE, TWO)), "bad-signature"),
    ]  # fmt: skip


def _data(writer: Writer) -> bytes:
    after, later = writer.key_at(writer.turns + 1), writer.key_at(writer.turns + 2)
    return RotateData(after.public_key, key_digest(later.public_key)).encode()


def _rotate(to: SigningKey) -> ParsedEntry:
    return stem().sign("rotate", RotateData(to.public_key, digest("next")).encode(), next_key=to)


def _older(late: Writer) -> ParsedEntry:
    """A recover by the inception's root on the first one of this log."""
    writer = late.copy()
    return writer.recover(3, generation=3, fresh=40)


def _accepted(name: str, writer: Writer, links: Sequence[ParsedEntry], roots: Sequence[SigningKey]) -> Json:
    last = links[-1].header.position if links else (0, 0)
    return {
        **_written(name, links, roots),
        "position": list(last),
        "signing_key": writer.key_at(writer.turns).public_key.hex(),
        "next_digest": key_digest(writer.key_at(writer.turns + 1).public_key).hex(),
    }


def _written(name: str, links: Sequence[ParsedEntry | Entry], roots: Sequence[SigningKey]) -> Json:
    entries = [one.entry if isinstance(one, ParsedEntry) else one for one in links]
    return {
        "name": name,
        "inception": RECORD.hex(),
        "links": [one.encode().hex() for one in entries],
        "roots": [root.public_key.hex() for root in roots],
    }
