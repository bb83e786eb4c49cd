"""badges.json: badges beside answers, and answers of several organisations only (metrics.md 9.8, 9.9)."""

from __future__ import annotations

from collections.abc import Mapping

from federation.definitions import definition_bytes
from privacy.units import Window
from protocol.charter import CatalogueRow
from protocol.objects import definition_hash
from specs.vectors.v1.answering import Known, accepted, label, refused, tree
from specs.vectors.v1.cast import COUNTS_FROM, Json
from specs.vectors.v1.scene import NODES, Scene, Writer, charter_of, day

TREES = {
    "people": tree("people", "people", {"country": ["DE"]}, max_cells="1"),
    "steady": tree("steady", "count", window="hour", max_cells="1", max_per_cell="1"),
    "quiet": tree("quiet", "people", max_cells="1", epsilon="1/2", mechanism="laplace"),
    "pages": tree("pages", "people", {"page": {"discover": "true"}}, **{"from": {"app": "blog", "action": "open"}},
                  max_cells="2", delta="1/100000000"),
}  # fmt: skip
HOURS = 24


def _scene() -> Scene:
    bodies = {name: definition_bytes(one) for name, one in TREES.items()}
    rows = [CatalogueRow(name, definition_hash(body), COUNTS_FROM) for name, body in bodies.items()]
    caps = {"day": charter_of(rows).caps["month"], "week": charter_of(rows).caps["month"]}
    return Scene(charter_of(rows, caps={**charter_of(rows).caps, **caps}), bodies)


SCENE = _scene()
Asked = Mapping[str, str]


def vectors() -> Json:
    entries = [entry for writer in _logs() for entry in writer.line]
    charters = {
        "first": SCENE.first,
        "two organisations demanded": SCENE.after(SCENE.first, min_organisations=2),
    }
    chains = {"all": ["first"], "two": list(charters)}
    known = {name: Known(SCENE, [charters[one] for one in chain], entries) for name, chain in chains.items()}
    return {
        "about": "Badges, and answers of few organisations: metrics.md 9.8 and 9.9. As answers.json.",
        "nodes": {one.name: one.id.hex() for one in NODES},
        "charters": {name: SCENE.signed(one).encode().hex() for name, one in charters.items()},
        "chains": chains,
        "definitions": {name: body.hex() for name, body in SCENE.definitions.items()},
        "entries": {label(entry): entry.entry.encode().hex() for entry in entries},
        "accepted": [accepted(known[chain], chain, metric, asked) for chain, metric, asked in _asked()],
        "refused": [
            {**refused(known["two"], "members chosen where several organisations are demanded", "people",
                       {"window": day(0), "nodes": "hare"}, "too_few_organisations"), "chain": "two"}
        ],
    }  # fmt: skip


def _logs() -> list[Writer]:
    hare, wren, finch = (Writer(SCENE, one) for one in NODES)
    tau = SCENE.demand("pages").threshold
    assert tau is not None
    for number, writer in enumerate((hare, wren, finch)):
        writer.born()
        writer.summary("people", day(0), [3_000 if number == 0 else 150 + 20 * number, 30, 4 - 9 * number])
        writer.summary("quiet", day(0), [(120, 110, 900)[number]])
        if number < 2:
            writer.summary("people", day(1), [200 - 11 * number, 25, 3])
    finch.summary("people", day(2), [170, 20, 1])
    hare.summary("pages", day(0), [tau + 300, tau + 4], keys=["/", "/hare"])
    wren.summary("pages", day(0), [tau + 200, tau + 90], keys=["/", "/wren"])
    for hour in range(HOURS):
        window = Window("hour", COUNTS_FROM + hour).text
        rising = 40 + (hour * 7) % 23 + (0 if hour < 12 else 160)  # from noon on three times as much
        hare.summary("steady", window, [rising])
        wren.summary("steady", window, [75])  # no noise draws the same number for a day
    return [hare, wren, finch]


def _asked() -> list[tuple[str, str, Asked]]:
    one: list[tuple[str, Asked]] = [
        ("people", {"window": day(0), "badges": "1"}),
        ("people", {"window": day(0), "badges": "1", "raw": "1", "by": "total"}),
        ("people", {"window": day(1), "badges": "1"}),
        ("people", {"window": day(3), "badges": "1"}),
        ("steady", {"window": day(0), "badges": "1"}),
        ("quiet", {"window": day(0), "badges": "1"}),
        ("pages", {"window": day(0), "badges": "1"}),
    ]
    two: list[tuple[str, Asked]] = [
        ("people", {"window": day(0)}),
        ("people", {"window": day(0), "badges": "1"}),
        ("people", {"from": "2026-11-05", "to": "2026-11-09", "raw": "1"}),
        ("people", {"window": day(1), "compare": "previous"}),
        ("people", {"window": day(2)}),
        ("pages", {"window": day(0)}),
    ]
    return [("all", *case) for case in one] + [("two", *case) for case in two]
