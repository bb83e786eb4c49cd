"""answers_later.json: questions that answers.json and badges.json leave open (answers.md 6.7, metrics.md 9.8 and 9.9).

Comparing across a change of definition and over no windows, `too_exact` of what `where` leaves, and members withheld in
some windows. A federation of its own, so that the charters of the other files stay as they are.
"""

from __future__ import annotations

from fractions import Fraction

from federation.definitions import definition_bytes
from privacy.units import Window
from protocol.charter import CatalogueRow
from protocol.objects import definition_hash
from specs.vectors.v1.answering import Asked, Known, accepted, label, refused, tree
from specs.vectors.v1.cast import COUNTS_FROM, Json
from specs.vectors.v1.scene import NODES, Scene, Writer, charter_of, day

HOURS = 24
LATER = COUNTS_FROM + 2 * 24
TREES = {
    "still": tree("still", "count", {"country": ["DE", "FR"]}, window="hour", max_cells="1", max_per_cell="1",
                  rho="1/100"),
    "crowd": tree("crowd", "people", {"country": ["DE"]}, max_cells="1"),
    "crowd, with apps": tree("crowd", "people", {"app": ["blog"], "country": ["DE", "FR"]}, max_cells="1"),
    "trips": tree("trips", "count", {"app": ["blog"], "country": ["DE"]}, max_cells="1", max_per_cell="1"),
    "trips, fewer": tree("trips", "count", {"country": ["DE"]}, max_cells="1", max_per_cell="2"),
    "sold": tree("sold", "count", max_cells="1", max_per_cell="1"),
    "sold, as people": tree("sold", "people", max_cells="1"),
    "pages": tree("pages", {"top": "2"}, {"page": {"discover": "true"}}, **{"from": {"app": "blog", "action": "open"}},
                  max_cells="2", max_per_cell="2", delta="1/100000000"),
    "silent": tree("silent", "people", max_cells="1"),
}  # fmt: skip


def _scene() -> Scene:
    bodies = {name: definition_bytes(one) for name, one in TREES.items()}
    rows = []
    for name, body in bodies.items():
        metric, _, is_later = name.partition(", ")
        has_later = any(other.startswith(f"{name}, ") for other in TREES)
        since, until = (LATER, None) if is_later else (COUNTS_FROM, LATER if has_later else None)
        rows.append(CatalogueRow(metric, definition_hash(body), since, until))
    caps = {"day": Fraction(1, 2), "week": Fraction(1, 2), "month": Fraction(1, 2)}
    return Scene(charter_of(rows, caps=caps), bodies)


SCENE = _scene()


def vectors() -> Json:
    entries = [entry for writer in _logs() for entry in writer.line]
    charters = {
        "first": SCENE.first,
        "two organisations demanded": SCENE.after(SCENE.first, min_organisations=2),
    }
    chains = {"all": ["first"], "two": list(charters)}
    known = {name: Known(SCENE, [charters[one] for one in chain], entries) for name, chain in chains.items()}
    return {
        "about": "Comparing across definitions, badges of what where leaves, windows withheld. As answers.json.",
        "nodes": {one.name: one.id.hex() for one in NODES},
        "charters": {name: SCENE.signed(one).encode().hex() for name, one in charters.items()},
        "chains": chains,
        "definitions": {name: body.hex() for name, body in SCENE.definitions.items()},
        "entries": {label(entry): entry.entry.encode().hex() for entry in entries},
        "accepted": [accepted(known[chain], chain, metric, asked) for chain, metric, asked in _asked()],
        "refused": [refused(known["all"], *case) for case in _refusals()],
    }


def _logs() -> list[Writer]:
    hare, wren, finch = (Writer(SCENE, one) for one in NODES)
    for writer in (hare, wren, finch):
        writer.born()
    for hour in range(HOURS):
        window = Window("hour", COUNTS_FROM + hour).text
        far = 400 if hour % 2 else 100
        wren.summary("still", window, [75, far, far + 7, 500 - far])  # DE alone stands still
        hare.summary("still", window, [60 + hour * 31 % 47, 100 + hour * 53 % 61, hour * 17 % 40, hour * 29 % 43])
    for number, writer in enumerate((hare, wren, finch)):
        for place in range(2):
            writer.summary("crowd", day(place), [210 - 9 * number + place, 20, 4])
            writer.summary("trips", day(place), [90 + number, 30, 7, 60, 10 + place, 2])
            writer.summary("sold", day(place), [300 + 7 * number])
        for place in (2, 3):
            writer.summary("crowd, with apps", day(place), [100, 40, 9, 3, 55 + number, 21, 2, 80 + place])
            writer.summary("trips, fewer", day(place), [160 + 3 * number, 41, 5])
            writer.summary("sold, as people", day(place), [150 - number])
    hare.summary("crowd, with apps", day(4), [90, 41, 8, 2, 50, 20, 1, 70])  # alone on that day
    for number, writer in enumerate((hare, wren)):
        writer.summary("crowd, with apps", day(5), [95 - number, 38, 6, 1, 51, 19, 3, 77])
    return [hare, wren, finch]


def _asked() -> list[tuple[str, str, Asked]]:
    fifth = {"from": "2026-11-09", "to": "2026-11-11"}
    one: list[tuple[str, Asked]] = [
        ("silent", {"last": "3", "compare": "previous"}),
        ("crowd", {"from": "2026-11-07", "to": "2026-11-09", "compare": "previous"}),
        ("crowd", {"from": "2026-11-07", "to": "2026-11-09", "compare": "previous", "by": "total"}),
        ("crowd", {"from": "2026-11-07", "to": "2026-11-09", "compare": "previous", "by": "country", "raw": "1"}),
        ("crowd", {"window": day(0)}),
        ("crowd", {"window": day(1), "by": "total", "compare": "previous"}),
        ("trips", {"from": "2026-11-07", "to": "2026-11-09", "compare": "previous"}),
        ("trips", {"window": day(0)}),
        ("still", {"window": day(0), "badges": "1"}),
        ("still", {"window": day(0), "badges": "1", "where": "country:DE"}),
        ("still", {"window": day(0), "badges": "1", "where": "country:FR,other"}),
        ("still", {"window": day(0), "badges": "1", "where": "country:DE", "by": "total"}),
    ]
    two: list[tuple[str, Asked]] = [
        ("crowd", {**fifth, "by": "total"}),
        ("crowd", {"window": day(4), "by": "total"}),
        ("crowd", {"last": "2", "by": "total"}),
        ("crowd", {"window": day(5), "by": "total", "compare": "previous"}),
    ]
    return [("all", *case) for case in one] + [("two", *case) for case in two]


def _refusals() -> list[tuple[str, str, Asked, str]]:
    span = {"from": "2026-11-07", "to": "2026-11-09"}
    return [
        ("compared with what lies before 1970", "crowd", {"window": "1970-01-01/P1D", "compare": "previous"},
         "bad_window"),
        ("compared with another measure", "sold", {**span, "compare": "previous"}, "definition_changed"),
        ("another measure than the newest row's", "sold", {"window": day(0)}, "definition_changed"),
    ]  # fmt: skip
