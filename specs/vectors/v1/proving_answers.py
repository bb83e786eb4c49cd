"""answer_proofs.json: bundles from which an answer is computed anew, and each kind of damage (specs/proofs.md 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from federation.answer_proofs import AuthorPart, make_answer_proof
from federation.answers import canonical_json
from federation.combine import Refusal
from federation.query import Query, parse_query
from federation.selection import parse_nodes, parse_where
from protocol import canonical
from protocol.charter import Charter, Cut, charter_hash
from protocol.entries import KEY_KINDS, SUMMARY, Entry, ParsedEntry
from protocol.ids import CharterHash, DefinitionHash
from protocol.kind_data import ApproveData, ProposeData
from protocol.objects import SUSPENSION, object_id
from protocol.summaries import parse_summary
from protocol.suspension import Suspension, sign_suspension
from specs.vectors.v1.answering import Asked, Known
from specs.vectors.v1.cast import COUNTS_FROM, HARE, WREN, Json, digest, flipped
from specs.vectors.v1.later import SCENE
from specs.vectors.v1.scene import FINCH, NODES, Writer, day

THREE = {"from": "2026-11-05", "to": "2026-11-08"}
LATER = {"from": "2026-11-07", "to": "2026-11-09"}
FIRST = (SCENE.first,)


@dataclass(frozen=True, slots=True)
class World:
    """Logs of three nodes under a chain of charters."""

    logs: Sequence[Writer]
    charters: Sequence[Charter] = FIRST

    def known(self) -> Known:
        return Known(SCENE, self.charters, [entry for writer in self.logs for entry in writer.line])


def vectors() -> Json:
    return {
        "about": "Bundles of answers, specs/proofs.md 4.",
        "federation": SCENE.federation.hex(),
        "accepted": [_accepted(*case) for case in _good()],
        "refused": [
            {"name": name, "bundle": bundle.hex(), "part": part, **({"code": code} if code else {})}
            for name, bundle, part, code in [*_damaged(), *_shown()]
        ],
    }


# -- what is known


def _logs() -> list[Writer]:
    hare, wren, finch = (Writer(SCENE, one) for one in NODES)
    tau = SCENE.demand("pages").threshold
    assert tau is not None
    for writer in (hare, wren, finch):
        writer.born()
    hare.summary("crowd", day(0), [210, 20, 4])
    hare.summary("trips", day(0), [90, 30, 7, 60, 10, 2])
    hare.summary("pages", day(0), [tau + 300, tau + 4, 812, 95], keys=["/", "/über"])
    hare.abstain("crowd", day(1), "budget")
    hare.rotate()
    hare.summary("sold, as people", day(2), [150])
    hare.summary("crowd, with apps", day(2), [100, 40, 9, 3, 55, 21, 2, 80])
    wren.summary("crowd", day(0), [201, 21, 5])
    wren.summary("crowd", day(0), [202, 21, 5])  # another release for the slot
    wren.summary("trips", day(0), [91, 31, 6, 59, 12, 1])
    wren.summary("pages", day(0), [tau + 200, 700], keys=["/"])
    wren.summary("crowd", day(1), [190, 18, 2])
    wren.recover(len(wren.line) - 1)
    wren.summary("crowd, with apps", day(2), [90, 44, 7, 1, 50, 20, 3, 70])
    wren.summary("crowd, with apps", day(3), [92, 43, 8, 1, 51, 19, 2, 71])
    finch.summary("crowd", day(1), [160, 11, 1])
    finch.summary("crowd, with apps", day(3), [30, 10, 1, 0, 12, 4, 0, 22])  # suspended
    body = Suspension(
        CharterHash(charter_hash(SCENE.first.encode())), FINCH.id, COUNTS_FROM + 3 * 24, COUNTS_FROM + 4 * 24, "low"
    ).encode()
    document = object_id(SUSPENSION, body)
    wren.write("propose", ProposeData(document, None, body).encode())
    approval = sign_suspension(WREN.governance, body, SCENE.federation)
    wren.write("approve", ApproveData(document, WREN.governance.public_key, approval).encode())
    return [hare, wren, finch]


WORLD = World(_logs())


def _renewed() -> World:
    """The same logs when a later charter has a longer life."""
    return World(WORLD.logs, [SCENE.first, SCENE.after(SCENE.first)])


def _removed() -> World:
    """Finch is removed at its first release."""
    finch = WORLD.logs[2].line[1]
    cut = Cut(0, finch.header.seq, finch.id)
    return World(WORLD.logs, [SCENE.first, SCENE.after(SCENE.first, members=SCENE.member_with(FINCH, cut=cut))])


# -- bundles


def _query(known: Known, metric: str, asked: Asked) -> Query:
    plain = {name: text for name, text in asked.items() if name not in ("where", "nodes")}
    query = parse_query(metric, known._rows(metric), plain, None)
    if "where" in asked:
        query = replace(query, where=parse_where(asked["where"], query.row.definition.by))
    if "nodes" in asked:
        query = replace(query, nodes=parse_nodes(asked["nodes"], known._members()))
    return query


def _bundle(world: World, metric: str, asked: Asked) -> bytes:
    known = world.known()
    query = _query(known, metric, asked)
    authors, voided = [], []
    for writer in sorted(world.logs, key=lambda one: one.who.id):
        if query.nodes and writer.who.id.hex() not in query.nodes:
            continue
        judged = known.logs.judged(writer.who.id)
        spoken: set[bytes] = set()
        for window, row in query.windows:
            slot = DefinitionHash(row.definition_hash), window.text
            outcome = judged.slot(slot)
            claim = None if outcome is None else outcome.released or outcome.abstained
            if claim is not None:
                spoken.add(claim.entry)
            elif void := judged.void_in(slot):
                voided.append(Refusal(writer.who.id, window, void[-1][1].reason))
        if spoken:
            counted = {outcome.released.entry for _, outcome in judged.slots() if outcome.released is not None}
            authors.append(_author(writer, spoken, counted))
    hashes = {row.definition_hash for _, row in query.windows} | {query.row.definition_hash}
    bodies = {SCENE.hash(name): body for name, body in SCENE.definitions.items()}
    return make_answer_proof(
        SCENE.federation,
        [SCENE.signed(one) for one in world.charters],
        [bodies[DefinitionHash(hash_)] for hash_ in sorted(hashes)],
        query,
        canonical_json(known.ask(metric, asked)),
        authors,
        voided,
        known.rules.suspended,
    )


def _author(writer: Writer, spoken: set[bytes], counted: set[bytes]) -> AuthorPart:
    """The entries that speak; of the others that count those that charge an epoch of a release after them."""
    ends: dict[str, int] = {}
    for entry in writer.line:
        if entry.id in spoken and entry.header.kind == SUMMARY:
            for epoch in _epochs(entry):
                ends[epoch] = entry.header.seq
    items: list[tuple[bool, Entry]] = []
    for entry in writer.line:
        is_other = entry.id in counted and any(entry.header.seq < ends.get(epoch, 0) for epoch in _epochs(entry))
        if entry.id in spoken or is_other:
            items.append((entry.id in spoken, entry.entry))
    last = max(one.header.seq for one in writer.line if one.id in spoken)
    links = [one.entry.encode() for one in writer.line if one.header.kind in KEY_KINDS and 0 < one.header.seq < last]
    return AuthorPart(writer.line[0].entry.data, links, items)


def _epochs(entry: ParsedEntry) -> list[str]:
    if entry.header.kind != SUMMARY:
        return []
    return [charge.epoch for charge in parse_summary(entry.entry.data, entry.header.author).charges]


def _good() -> list[tuple[str, World, str, Asked]]:
    return [
        ("three days of two definitions: the newest row's one governs the last", WORLD, "crowd",
         {"from": "2026-11-05", "to": "2026-11-07"}),
        ("released, abstained, void, missing and suspended", WORLD, "crowd", LATER),
        ("an abstention, and a slot in conflict", WORLD, "crowd", {"from": "2026-11-05", "to": "2026-11-07",
                                                                   "by": "total", "raw": "1"}),
        ("one label", WORLD, "crowd", {**LATER, "where": "country:FR,DE"}),
        ("two labels of two axes, at 0.99", WORLD, "crowd", {**LATER, "where": "app:blog;country:other,DE",
                                                             "level": "0.99"}),
        ("one member", WORLD, "crowd", {**LATER, "nodes": "wren"}),
        ("two members", WORLD, "crowd", {**LATER, "nodes": "wren,hare"}),
        ("an older definition with an axis that the newest row does not have", WORLD, "trips", {"window": day(0)}),
        ("keys that nobody listed", WORLD, "pages", {"window": day(0)}),
        ("one of these keys", WORLD, "pages", {"window": day(0), "where": "page:/über"}),
        ("nobody said anything", WORLD, "silent", {"window": day(0)}),
        ("under the second charter of a chain", _renewed(), "crowd", LATER),
        ("a member removed", _removed(), "crowd", {"from": "2026-11-05", "to": "2026-11-07"}),
    ]  # fmt: skip


def _accepted(name: str, world: World, metric: str, asked: Asked) -> Json:
    bundle = _bundle(world, metric, asked)
    data = world.known().ask(metric, asked)
    items = [item for author in _parts(bundle)[7] for item in author[2]]
    return {
        "name": name,
        "bundle": bundle.hex(),
        "charter_version": len(world.charters),
        "identity": data["identity"],
        "sha256": hashlib.sha256(canonical_json(data)).hexdigest(),
        "speaking": sum(isinstance(item, bytes) for item in items),
        "others": sum(not isinstance(item, bytes) for item in items),
    }


def _parts(bundle: bytes) -> Any:
    return canonical.decode(bundle, max_bytes=len(bundle))


# -- damage


def _damaged() -> list[tuple[str, bytes, str, str | None]]:
    """One part changed: (name, bundle, the part that is named, the code of the rule)."""
    good = _bundle(WORLD, "crowd", LATER)
    before = _bundle(WORLD, "crowd", {"from": "2026-11-05", "to": "2026-11-07"})
    narrow = _bundle(WORLD, "crowd", {**LATER, "where": "app:blog;country:other,DE", "nodes": "hare,wren"})
    old = _parts(before)
    bodies = SCENE.definitions
    mine, theirs = _place(_parts(good), HARE), _place(_parts(good), WREN)
    changes: list[tuple[str, bytes, Callable[[Any], object], str, str | None]] = [
        ("wire major 2", good, lambda p: p.__setitem__(0, 2), "form", None),
        ("true for the version", good, lambda p: p.__setitem__(0, True), "form", None),
        ("another word", good, lambda p: p.__setitem__(1, "proof"), "form", None),
        ("nine parts", good, lambda p: p.pop(), "form", None),
        ("another federation id", good, lambda p: p.__setitem__(2, digest("x")), "federation id", None),
        ("no charter", good, lambda p: p[3].clear(), "charter", None),
        ("one bit of the charter", good, lambda p: p[3].__setitem__(0, flipped(p[3][0], 60)), "charter", None),
        ("a definition that is no bytes", good, lambda p: p[4].append(7), "definition", None),
        ("a definition nobody can compute", good, lambda p: p[4].append(b"\x80"), "definition", None),
        ("no definition", good, lambda p: p[4].clear(), "entries", None),
        ("without the newest row's definition", before, lambda p: p[4].remove(bodies["crowd, with apps"]), "question",
         None),
        ("a voided slot of no member", good, lambda p: p[8].append([digest("x"), day(2), "over_cap"]), "voided slots",
         None),
        ("a voided slot of no window", good, lambda p: p[8].append([FINCH.id, "2026-11-07", "over_cap"]),
         "voided slots", None),
        ("a voided slot made up", good, lambda p: p[8].append([FINCH.id, day(2), "over_cap"]), "answer", None),
        ("a voided slot left out", before, lambda p: p[8].clear(), "answer", None),
        ("a suspension of no member", good, lambda p: p[9].append([digest("x"), 0, 1]), "suspensions", None),
        ("a suspension before 1970", good, lambda p: p[9].append([FINCH.id, -1, 1]), "suspensions", None),
        ("the suspension left out", good, lambda p: p[9].clear(), "answer", None),
        ("a suspension of hours that a release is of", good, lambda p: p[9].append([HARE.id, 0, COUNTS_FROM * 2]),
         "entries", "suspended"),
        ("an author's part in two parts", good, lambda p: p[7][mine].pop(), "authors", None),
        ("an author twice", good, lambda p: p[7].append(p[7][mine]), "authors", None),
        ("an author left out", good, lambda p: p[7].pop(mine), "answer", None),
        ("one bit of an inception record", good, lambda p: p[7][mine].__setitem__(0, flipped(p[7][mine][0], 90)),
         "inception record", None),
        ("one bit of a key change", good, lambda p: p[7][mine][1].__setitem__(0, flipped(p[7][mine][1][0], 90)),
         "key chain", None),
        ("a key change left out", good, lambda p: p[7][mine][1].clear(), "other summaries", None),
        ("the recover left out", good, lambda p: p[7][theirs][1].clear(), "entries", None),
        ("items in another order", good, lambda p: p[7][theirs][2].reverse(), "entries", None),
        ("an entry twice", good, lambda p: p[7][theirs][2].append(p[7][theirs][2][-1]), "entries", None),
        ("an entry left out", good, lambda p: p[7][theirs][2].pop(), "answer", None),
        ("one bit of the cells", good, lambda p: p[7][theirs][2].__setitem__(0, flipped(p[7][theirs][2][0], -1)),
         "entries", None),
        ("an entry of no bytes", good, lambda p: p[7][theirs][2].append(b""), "entries", None),
        ("an author twice, and an item that is neither bytes nor parts", good, lambda p: p[7].append(
            [*p[7][mine][:2], [7]]), "authors", None),
        ("an item that is neither bytes nor parts", good, lambda p: p[7][theirs][2].append(7), "other summaries", None),
        ("an entry of another window", good, lambda p: p.__setitem__(7, old[7]), "entries", None),
        ("an entry of another metric", before, lambda p: p[7].__setitem__(slice(None), _of_trips()), "entries", None),
        ("an inception record that speaks", good, lambda p: p[7][theirs][2].insert(
            0, WORLD.logs[1].line[0].entry.encode()), "entries", None),
        ("other summaries: an abstention", before, lambda p: p[7][_place(p, HARE)][2].__setitem__(
            -1, _inline(WORLD.logs[0].line[4].entry)), "other summaries", None),
        ("other summaries: one after the last release", before, lambda p: p[7][_place(p, HARE)][2].insert(
            1, _inline(WORLD.logs[0].line[2].entry)), "other summaries", None),
        ("other summaries: one of another epoch", good, lambda p: p[7][mine][2].insert(
            0, _inline(WORLD.logs[0].line[1].entry)), "other summaries", None),
        ("other summaries: one bit of the data", good, lambda p: p[7][mine][2][0].__setitem__(
            2, flipped(p[7][mine][2][0][2], 30)), "other summaries", None),
        ("both of two releases for one slot", before, lambda p: p[7][_place(p, WREN)][2].__setitem__(
            slice(0, 0), [one.entry.encode() for one in WORLD.logs[1].line[1:3]]), "entries", None),
        ("one of two releases for one slot", before, lambda p: p[7][_place(p, WREN)][2].__setitem__(
            slice(0, 0), [WORLD.logs[1].line[1].entry.encode()]), "answer", None),
        ("a question that is no map", good, lambda p: p.__setitem__(5, b"\x90"), "question", None),
        ("one byte of the answer", good, lambda p: p.__setitem__(6, flipped(p[6], -20)), "answer", None),
        ("an answer that is no bytes", good, lambda p: p.__setitem__(6, "{}"), "answer", None),
    ]  # fmt: skip
    questions: list[tuple[str, bytes, Mapping[str, object]]] = [
        ("another metric", good, {"metric": "crowds"}),
        ("a level of its own", good, {"level": "0.9"}),
        ("raw as a number", good, {"raw": 0}),
        ("windows in another order", good, {"windows": [day(3), day(2)]}),
        ("a window twice", good, {"windows": [day(2), day(2)]}),
        ("a window before the catalogue", good, {"windows": [day(-1), day(2)]}),
        ("axes in another order", good, {"by": ["country", "app"]}),
        ("an axis it does not have", good, {"by": ["hour"]}),
        ("members in another order", narrow, {"nodes": _parts(_parts(narrow)[5])["nodes"][::-1]}),
        ("a stranger among the members", narrow, {"nodes": [digest("x")]}),
        ("labels in another order", narrow, {"where": [[b"app", [b"blog"]], [b"country", [b"other", b"DE"]]]}),
        ("dimensions in another order", narrow, {"where": [[b"country", [b"DE", b"other"]], [b"app", [b"blog"]]]}),
        ("a label it does not have", narrow, {"where": [[b"country", [b"AT"]]]}),
        ("a field more", good, {"badges": False}),
    ]
    found = [("a byte too many", good + b"\x00", "form", None), ("nothing", b"", "form", None)]
    found += [(name, _changed(base, change), part, code) for name, base, change, part, code in changes]
    for name, base, fields in questions:
        parts = _parts(base)
        parts[5] = canonical.encode({**_parts(parts[5]), **fields})
        found.append((f"question: {name}", canonical.encode(parts), "question", None))
    return found  # type: ignore[return-value]  # lists of tuples widen


def _changed(bundle: bytes, change: Callable[[Any], object]) -> bytes:
    parts = _parts(bundle)
    change(parts)
    return canonical.encode(parts)


def _place(parts: Any, who: Any) -> int:
    return next(place for place, author in enumerate(parts[7]) if author[0] == who.inception.encode())


def _inline(entry: Entry) -> list[object]:
    return [entry.header, list(entry.signatures), entry.data]


def _of_trips() -> Any:
    return _parts(_bundle(WORLD, "trips", {"window": day(0)}))[7]


def _shown() -> list[tuple[str, bytes, str, str | None]]:
    """2.3, in bundles of answers: what counted, put under charters or beside entries that void it."""
    finch = Writer(SCENE, FINCH)
    finch.born()
    finch.summary("crowd, with apps", day(2), [30, 10, 1, 0, 12, 4, 0, 22], charter_version=2)
    late = finch.copy().summary("crowd, with apps", day(3), [30, 10, 1, 0, 12, 4, 0, 22])
    middle = finch.summary("sold, as people", day(3), [140])
    last = finch.summary("crowd, with apps", day(3), [30, 10, 1, 0, 12, 4, 0, 22], charter_version=2)
    renewed = [SCENE.signed(one).encode() for one in _renewed().charters]
    removed = _removed().charters
    back = SCENE.after(removed[1], members=SCENE.first.members)
    reopened = [SCENE.signed(one).encode() for one in (*removed, back)]
    beyond = Writer(SCENE, FINCH)
    beyond.born()
    beyond.summary("crowd", day(1), [160, 11, 1])  # the entry of the cut
    off = beyond.summary("crowd, with apps", day(2), [30, 10, 1, 0, 12, 4, 0, 22])

    def of(charters: list[bytes], *items: object) -> bytes:
        parts = _parts(_bundle(WORLD, "crowd", LATER))
        parts[3], parts[9] = charters, []
        parts[7] = [[FINCH.inception.encode(), [], list(items)]]
        return canonical.encode(parts)

    first, end = finch.line[1].entry.encode(), last.entry.encode()
    fell = "charter_version_fell"
    return [
        ("other summaries: the charter version of one fell", of(renewed, first, _inline(middle.entry), end),
         "other summaries", fell),
        ("the charter version of an entry fell", of(renewed, first, late.entry.encode()), "entries", fell),
        ("beyond the cut of a removed member", of(reopened[:2], off.entry.encode()), "entries", "cut"),
        ("beyond a cut that was taken back, on no recover", of(reopened, off.entry.encode()), "entries", "cut"),
    ]  # fmt: skip
