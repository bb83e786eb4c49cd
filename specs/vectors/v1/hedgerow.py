"""The federation that is judged: three nodes, one catalogue, and the form of a case (judging.py, lines.py).

The states and heads of cases are written by hand; nothing here asks the code that judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from federation.definitions import definition_bytes
from protocol.charter import CatalogueRow, Charter, Cut
from protocol.entries import ParsedEntry
from protocol.ids import EntryId
from protocol.objects import definition_hash
from specs.vectors.v1.cast import COUNTS_FROM, HARE, WREN, Json, digest, key
from specs.vectors.v1.scene import Writer, day, scene_of

COUNTED, OPAQUE, WAITING = "counted", "opaque", "waiting"
Head = tuple[int, int, ParsedEntry | None, tuple[int, int] | None]


def tree(name: str, **changes: object) -> Json:
    """A count by country: cells DE, FR, other, none."""
    return {
        "metric": name,
        "question": f"How many {name}?",
        "from": "any",
        "measure": "count",
        "by": {"country": ["DE", "FR"]},
        "window": "day",
        "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"},
        **changes,
    }


PAGES = tree(
    "pages", measure="people", by={"page": {"discover": "true"}}, **{"from": {"app": "blog", "action": "open"}},
    privacy={"max_cells": "4", "rho": "1/400", "delta": "1/100000000"},
)  # fmt: skip
TREES = (
    tree("calls"),
    tree("visits"),
    tree("dear", privacy={"max_cells": "1", "max_per_cell": "1", "rho": "1/50"}),
    tree("hourly", window="hour"),
    tree("tips", unit="session"),
    tree("monthly", window="month"),
    tree("tomorrow", measure="entropy"),
    tree("ended"),
    PAGES,
)
ENDED = CatalogueRow("ended", definition_hash(definition_bytes(TREES[7])), COUNTS_FROM - 24, COUNTS_FROM + 24 * 10 + 12)
SCENE = scene_of(TREES, [ENDED])


@dataclass(slots=True)
class Case:
    """One log or several, and what each entry is worth."""

    name: str
    charters: Sequence[str] = ("first",)
    lacks: Sequence[str] = ()
    states: list[tuple[ParsedEntry, str]] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)

    def say(self, state: str, *entries: ParsedEntry) -> None:
        self.states += [(entry, state) for entry in entries]

    def head(self, writer: Writer) -> None:
        """The log stands as its writer wrote it."""
        last = writer.line[-1]
        self.heads[writer.who.name] = (last.header.generation, last.header.seq, last, None)

    def frozen(self, writer: Writer, seq: int, generation: int) -> None:
        """The log stands below `seq`, and is frozen there."""
        last = writer.line[seq - 1]
        self.heads[writer.who.name] = (last.header.generation, seq - 1, last, (generation, seq))


def written(about: str, cases: Sequence[Case]) -> Json:
    """A file of cases, with the charters, definitions and entries that they name."""
    table: dict[str, str] = {}
    made = [_written(case, table) for case in cases]
    used = {name for case in cases for name in case.charters}
    return {
        "about": about,
        "federation": SCENE.federation.hex(),
        "nodes": {one.name: one.id.hex() for one in (HARE, WREN)},
        "charters": {name: SCENE.signed(one).encode().hex() for name, one in charters().items() if name in used},
        "definitions": {name: body.hex() for name, body in SCENE.definitions.items()},
        "entries": table,
        "cases": made,
    }


def void(reason: str) -> str:
    return f"void: {reason}"


def label(entry: ParsedEntry) -> str:
    """A name for an entry that says where it stands; eight digits of its id make it the only one."""
    header = entry.header
    who = next(one.name for one in (HARE, WREN) if one.id == header.author)
    return f"{who} {header.generation}.{header.seq} {header.kind} {entry.id.hex()[:8]}"


def _written(case: Case, table: dict[str, str]) -> Json:
    for entry, _ in case.states:
        table[label(entry)] = entry.entry.encode().hex()
    found: Json = {"name": case.name, "charters": list(case.charters)}
    if case.lacks:
        found["lacks"] = list(case.lacks)
    found["states"] = {label(entry): state for entry, state in case.states}
    found["heads"] = {
        name: [generation, seq, None if last is None else label(last), frozen and list(frozen)]
        for name, (generation, seq, last, frozen) in case.heads.items()
    }
    return found


FIRST = SCENE.first
CROWD = 20_000_000  # people; a tenth of one would pay for δ = 10⁻⁸


def hare() -> Writer:
    writer = Writer(SCENE, HARE)
    writer.born()
    return writer


def stem() -> Writer:
    """Inception and two good summaries: what the forks and cuts below stand on."""
    writer = hare()
    writer.summary("calls", day(0))
    writer.summary("calls", day(1))
    return writer


def charters() -> dict[str, Charter]:
    last = stem().line[1]
    removed = SCENE.after(FIRST, members=SCENE.member_with(HARE, cut=Cut(0, 1, last.id)))
    return {
        "first": FIRST,
        "renewed": SCENE.after(FIRST),
        "day cap doubled": SCENE.after(FIRST, caps={**FIRST.caps, "day": Fraction(1, 20)}),
        "hare removed at seq 1": removed,
        "hare removed at a lost entry": SCENE.after(
            FIRST, members=SCENE.member_with(HARE, cut=Cut(0, 1, EntryId(digest("lost"))))
        ),
        "hare back": SCENE.after(removed, members=FIRST.members),
        "new root for hare": SCENE.after(FIRST, members=SCENE.member_with(HARE, root=key("hare new root").public_key)),
        "wren declares 20 million": SCENE.after(FIRST, members=SCENE.member_with(WREN, population=CROWD)),
        "private endpoints allowed": SCENE.after(FIRST, allow_private=True),
    }
