"""The rows of PRIVACY 2 for count, people and histogram, by brute force over all neighbours of small tables.

Neighbours differ by all rows of one person. Every table of up to N rows of that person over the units, beside every
small table of another person, is bounded with and without the person; the largest changes found are the stated
sensitivities, no less and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product

import pytest

from privacy.bounding_reference import reference_vector
from privacy.definition import Definition, parse_definition
from privacy.layout import Layout, compile_layout
from privacy.rows import ATTRIBUTE_SLOTS, Row, country_code
from privacy.tracking_plan import parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-02/P1D")
PLAN = parse_plan(
    {
        "plan": "p",
        "apps": {
            "app": {
                "person": "user",
                "consent": "none",
                "actions": {"act": {"size": {"type": "band", "edges": ["0", "5"]}}},
            }
        },
    }
)
COUNTRIES = ("DE", "FR", "US", "ZZ")
SALTS = (bytes(32), bytes([7]) * 32)
MEASURES = ("count", "people", "histogram")


def _compiled(measure: str, max_cells: int, max_per_cell: int) -> tuple[Definition, Layout]:
    tree = {
        "metric": "m",
        "question": "?",
        "from": {"app": "app"},
        "measure": {"histogram": "size", "edges": ["5"]} if measure == "histogram" else measure,
        "by": {"country": ["DE", "FR"]},
        "window": "day",
        "privacy": {
            "max_cells": str(max_cells),
            "rho": "1/400",
            **({} if measure == "people" else {"max_per_cell": str(max_per_cell)}),
        },
    }
    definition = parse_definition(tree)
    return definition, compile_layout(definition, WINDOW)


def _rows(person: int, places: Sequence[tuple[str, int | None]]) -> list[Row]:
    slots = (None,) * (ATTRIBUTE_SLOTS - 1)
    return [
        (person, 0, None, key, WINDOW.start_hour, 0, 0, 0, country_code(country), 0, 1, 1_000_000, size, *slots)
        for key, (country, size) in enumerate(places)
    ]


def _places(measure: str) -> list[tuple[str, int | None]]:
    sizes = (0, 2, None) if measure == "histogram" else (None,)
    countries = COUNTRIES[:2] if measure == "histogram" else COUNTRIES
    return list(product(countries, sizes))


def _changes(measure: str, max_cells: int, max_per_cell: int) -> Iterator[list[int]]:
    """The change of the vector by adding each possible person to each small table."""
    definition, layout = _compiled(measure, max_cells, max_per_cell)
    places = _places(measure)
    others = [(), tuple(places), (places[0],) * 5]
    for count in range(6 if measure == "histogram" else 7):
        for mine in combinations_with_replacement(places, count):
            for other, salt in product(others, SALTS):
                alone = _rows(1, other)
                before = reference_vector(alone, definition, layout, {1: PLAN}, salt)
                after = reference_vector(alone + _rows(2, mine), definition, layout, {1: PLAN}, salt)
                yield [now - then for now, then in zip(after, before, strict=True)]


@pytest.mark.parametrize(
    ("measure", "max_cells", "max_per_cell"),
    [
        (m, c, k)
        for m in MEASURES
        for c, k in ((1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (9, 1))
        if m != "people" or k == 1
    ],
)
def test_no_neighbour_moves_a_vector_further_than_stated(measure: str, max_cells: int, max_per_cell: int) -> None:
    """L0, Linf, Δ₁ and Δ₂² of the block are the largest changes that exist."""
    (block,) = _compiled(measure, max_cells, max_per_cell)[1].blocks
    changes = list(_changes(measure, max_cells, max_per_cell))
    assert max(max(map(abs, change)) for change in changes) == block.linf
    # A person with five or six rows reaches at most that many cells; beyond, the stated bound may stay unreached.
    reach = min(block.l0, len(_places(measure)), 5 if measure == "histogram" else 6)
    assert max(sum(value != 0 for value in change) for change in changes) == reach <= block.l0
    assert max(sum(map(abs, change)) for change in changes) <= block.l1
    assert max(sum(value * value for value in change) for change in changes) <= block.l2_squared
    if block.l0 * block.linf <= 4 and reach == block.l0:
        assert max(sum(map(abs, change)) for change in changes) == block.l1
        assert max(sum(value * value for value in change) for change in changes) == block.l2_squared


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("count", (3, 2, 6, 12)), ("people", (3, 1, 3, 3)), ("histogram", (3, 2, 6, 12))],
)
def test_the_table_of_sensitivities(measure: str, expected: tuple[int, int, int, int]) -> None:
    """C = 3, K = 2: count and histogram C, K, CK, CK²; people C, 1, C, C."""
    (block,) = _compiled(measure, 3, 2)[1].blocks
    assert (block.l0, block.linf, block.l1, block.l2_squared) == expected


@pytest.mark.parametrize(("measure", "cells"), [("count", 4), ("people", 4), ("histogram", 12)])
def test_c_is_at_most_the_number_of_cells(measure: str, cells: int) -> None:
    """max_cells beyond the layout costs no noise."""
    (block,) = _compiled(measure, 500, 1)[1].blocks
    assert block.l0 == cells
