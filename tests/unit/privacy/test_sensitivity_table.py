"""The sensitivity table of PRIVACY 2, row by row, by brute force over every person of a small world.

A neighbour differs by all rows of one person, and the vector is the sum over persons (tests/property), so the change a
neighbour makes is that person's own vector. Here every person with up to N rows from a small alphabet is bounded, and
the largest L0, Linf, Δ₁ and Δ₂² found are the stated ones: no less (noise wasted), no more (the promise broken).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, product
from typing import Any

import pytest

from privacy.bounding_reference import reference_vector
from privacy.definition import parse_definition
from privacy.layout import compile_layout
from privacy.rows import ATTRIBUTE_SLOTS, Row, country_code
from privacy.tracking_plan import parse_plan
from privacy.units import Window

ACTIONS = ("see", "try", "buy")
PLAN = parse_plan(
    {
        "plan": "p",
        "apps": {
            "app": {
                "person": "user",
                "consent": "none",
                "actions": {
                    name: {"size": {"type": "number", "quantum": "1", "range": ["-9", "9"]}} for name in ACTIONS
                },
            }
        },
    }
)
DAY, MONTH = Window.parse("2026-11-02/P1D"), Window.parse("2026-11-01/P1M")
LANDS = ("DE", "FR")
SALTS = (bytes(32), bytes([9]) * 32)
WEEK = 7 * 24


@dataclass(frozen=True)
class Case:
    """A measure in a small world: what rows there can be, and the table's bounds of each block."""

    name: str
    measure: Any  # a part of a definition's tree
    bounds: dict[str, str]
    stated: dict[str, tuple[int, int, int, int]]  # block: L0, Linf, Δ₁, Δ₂²
    rows: int
    actions: Sequence[int] = (0,)
    sizes: Sequence[int] = (0,)
    hours: Sequence[int] = (0,)
    sessions: Sequence[int] = (1,)
    lands: Sequence[str] = LANDS
    window: Window = DAY
    extra: dict[str, str] = field(default_factory=dict)


def _c(c: int, k: int | None = None) -> dict[str, str]:
    return {"max_cells": str(c), **({} if k is None else {"max_per_cell": str(k)})}


SUM = {"sum": "size", "range": ["-2", "3"], "quantum": "1"}
MEAN = {"mean": "size", "range": ["-2", "3"], "quantum": "1"}
SCORE = {"score": {"deeds": {"count": "try", "points": "2", "most": "3"},
                   "mood": {"value": "size", "in": "see", "quantum": "1", "most": "2"}}}  # fmt: skip
CASES = (
    Case("count C=2 K=2", "count", _c(2, 2), {"count": (2, 2, 4, 8)}, 4),
    Case("top C=1 K=3", {"top": "1"}, _c(1, 3), {"count": (1, 3, 3, 9)}, 4),
    Case("people C=2", "people", _c(2), {"people": (2, 1, 2, 2)}, 3),
    Case("sum C=2 K=2", SUM, _c(2, 2), {"sum": (2, 6, 12, 72)}, 4, sizes=(-9, 0, 9)),
    Case("sum C=1 K=3, range below zero", {"sum": "size", "range": ["-5", "-1"], "quantum": "1"}, _c(1, 3),
         {"sum": (1, 15, 15, 225)}, 4, sizes=(-9, -2, 9)),
    Case("mean C=2 K=2", MEAN, _c(2, 2), {"deviation": (2, 10, 20, 200), "count": (2, 2, 4, 8)}, 4, sizes=(-9, 1, 9)),
    Case("funnel by epoch C=2", {"funnel": ["see", "buy"], "per": "epoch"}, _c(2), {"funnel": (2, 1, 2, 2)}, 4,
         actions=(0, 2), hours=(0, 5)),
    Case("funnel by session K=2", {"funnel": ["see", "buy"], "per": "session"}, {"max_per_cell": "2"},
         {"funnel": (2, 2, 2, 4)}, 4, actions=(0, 2), hours=(0, 5), sessions=(1, 2, 3), lands=("DE",)),
    Case("funnel by session K=3", {"funnel": ["see", "buy"], "per": "session"}, {"max_per_cell": "3"},
         {"funnel": (3, 3, 3, 9)}, 4, actions=(0, 2), hours=(0, 5), sessions=(1, 2, 3)),
    Case("journey C=2 K=2", {"journey": "action", "values": ["see", "try"]}, _c(2, 2), {"journey": (2, 2, 4, 8)}, 5,
         actions=(0, 1, 2), hours=(0, 1, 2, 3, 4), lands=("DE",)),
    Case("retention C=2 A=3", {"retention": "week", "ages": "3"}, _c(2), {"retention": (6, 1, 6, 6)}, 6,
         hours=(0, WEEK, 2 * WEEK, 3 * WEEK), window=MONTH),
    Case("score C=1", SCORE, _c(1), {"score": (2, 3, 5, 13), "people": (1, 1, 1, 1)}, 4, actions=(0, 1), sizes=(-9, 9)),
    Case("score C=2", SCORE, _c(2), {"score": (4, 3, 10, 26), "people": (2, 1, 2, 2)}, 6, actions=(0, 1), sizes=(9,)),
    Case("clipped people", SUM, _c(1, 1), {"sum": (1, 3, 3, 9), "clipped_people": (1, 1, 1, 1)}, 3, sizes=(-9, 0, 9),
         extra={"clipped_people": "yes"}),
    Case("whole of a count C=2 K=2", "count", _c(2, 2), {"count": (2, 2, 4, 8), "whole": (1, 4, 4, 16)}, 4,
         extra={"whole": "yes"}),
    Case("whole of people C=2", "people", _c(2), {"people": (2, 1, 2, 2), "whole": (1, 2, 2, 4)}, 3,
         extra={"whole": "yes"}),
    Case("whole of a sum C=2 K=2", SUM, _c(2, 2), {"sum": (2, 6, 12, 72), "whole": (1, 12, 12, 144)}, 4,
         sizes=(-9, 0, 9), extra={"whole": "yes"}),
    Case("whole of a journey C=2 K=2", {"journey": "action", "values": ["see", "try"]}, _c(2, 2),
         {"journey": (2, 2, 4, 8), "whole": (1, 4, 4, 16)}, 5, actions=(0, 1, 2), hours=(0, 1, 2, 3, 4), lands=("DE",),
         extra={"whole": "yes"}),
)  # fmt: skip


def _persons(case: Case) -> list[tuple[Row, ...]]:
    """Every person with up to `rows` rows of the alphabet."""
    slots = (None,) * (ATTRIBUTE_SLOTS - 1)
    alphabet = list(product(case.actions, case.sizes, case.hours, case.sessions, case.lands))
    persons = []
    for count in range(case.rows + 1):
        for chosen in combinations_with_replacement(alphabet, count):
            persons.append(
                tuple(
                    (1, 0, session, key, case.window.start_hour + hour, key, 0, action, country_code(land), 0, 1,
                     1_000_000, size, *slots)
                    for key, (action, size, hour, session, land) in enumerate(chosen)
                )
            )  # fmt: skip
    return persons


# Large worlds that another case covers: the same measure with one session less, and the same world with its whole.
COVERED = ("funnel by session K=3", "journey C=2 K=2")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow) if case.name in COVERED else case for case in CASES],
    ids=[case.name for case in CASES],
)
def test_the_largest_changes_that_exist_are_the_stated_ones(case: Case) -> None:
    """L0, Linf, Δ₁ and Δ₂² of every block, each reached and none passed."""
    definition = parse_definition(
        {
            "metric": "m",
            "question": "?",
            "from": {"app": "app"},
            "measure": case.measure,
            "by": {"country": ["DE"]},
            "window": case.window.kind,
            "privacy": {"rho": "1/400", **case.bounds, **case.extra},
        }
    )
    layout = compile_layout(definition, case.window)
    largest = {block.name: (0, 0, 0, 0) for block in layout.blocks}
    for person in _persons(case):
        for salt in SALTS:
            vector = reference_vector(person, definition, layout, {1: PLAN}, salt)
            for block in layout.blocks:
                start = layout.offset(block)
                cells = vector[start : start + block.cells]
                found = (
                    sum(value != 0 for value in cells),
                    max(map(abs, cells)),
                    sum(map(abs, cells)),
                    sum(value * value for value in cells),
                )
                largest[block.name] = tuple(map(max, largest[block.name], found))  # type: ignore[assignment]
    assert largest == case.stated
    assert {block.name: (block.l0, block.linf, block.l1, block.l2_squared) for block in layout.blocks} == case.stated
