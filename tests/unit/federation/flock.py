"""Eight platforms and many days of noised releases, for the tests of badges and of `min_organisations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from random import Random
from typing import Any

from federation.combine import BlockNoise, Contributor, CountedRelease, WindowInput
from federation.query import MetricRow, Query, parse_query
from privacy.definition import Definition, parse_definition
from privacy.layout import compile_layout
from privacy.sampling import draw_gaussian
from privacy.units import Window
from tests.unit.federation.combining import hash_of

EIGHT = tuple(f"platform-{number}" for number in range(8))
NODES = {name: bytes([16 + number]) * 32 for number, name in enumerate(EIGHT)}
FIRST = Window.parse("2026-06-01/P1D")
COUNTRIES = ("DE", "FR", "IT", "NO")
SIGMA_SQUARED = Fraction(200)

PEOPLE: dict[str, Any] = {
    "metric": "people", "question": "Where?", "from": "any", "measure": "people", "by": {"country": list(COUNTRIES)},
    "window": "day", "privacy": {"max_cells": "1", "rho": "1/400"},
}  # fmt: skip
CELLS = len(COUNTRIES) + 2  # and other, none
Vector = Sequence[int]


def days(number: int) -> list[Window]:
    found = [FIRST]
    while len(found) < number:
        found.append(found[-1].next)
    return found


def row_of(tree: Mapping[str, Any]) -> MetricRow:
    made = parse_definition(tree)
    return MetricRow(made.metric, hash_of(made), made, FIRST.start_hour)


def members(organisations: Mapping[str, str] | None = None, names: Sequence[str] = EIGHT) -> list[Contributor]:
    of = organisations or {}
    return [Contributor(NODES[name], name, of.get(name, f"{name}-org"), FIRST.start_hour) for name in names]


def inputs_of(made: Definition, table: Mapping[Window, Mapping[str, Vector]]) -> list[WindowInput]:
    """Released vectors by day and platform; already noised."""
    found = []
    for window, vectors in table.items():
        layout = compile_layout(made, window)
        blocks = tuple(BlockNoise(one.cells, one.mechanism, one.quantum, one.sigma_squared) for one in layout.blocks)
        releases = tuple(
            CountedRelease(NODES[name], window, tuple(cells), blocks, "user", _release_id(name, window, cells))
            for name, cells in vectors.items()
        )
        found.append(WindowInput(window, hash_of(made), layout, releases))
    return found


def asked(tree: Mapping[str, Any], table: Mapping[Window, object], **parameters: str) -> Query:
    """A question over all these days."""
    if not {"window", "last", "from_"} & parameters.keys():
        first, last = min(table), max(table)
        parameters |= {"from_": f"{first.start:%Y-%m-%d}", "to": f"{last.end:%Y-%m-%d}"}
    texts = {name.rstrip("_"): text for name, text in parameters.items()}
    return parse_query(str(tree["metric"]), [row_of(tree)], texts, max(table))


def noised(
    truth: Callable[[int, str], Vector], number: int, seed: int, names: Sequence[str] = EIGHT
) -> dict[Window, dict[str, list[int]]]:
    """So many days of what `truth(day, platform)` says, each cell with its own noise of σ² = 200."""
    return {
        window: {name: with_noise(truth(day, name), noise) for name, noise in zip(names, of_day, strict=True)}
        for day, (window, of_day) in enumerate(zip(days(number), _noise(number, len(names), seed), strict=True))
    }


def with_noise(exact: Vector, noise: Vector) -> list[int]:
    return [int(one) + int(other) for one, other in zip(exact, noise, strict=True)]


def _noise(number: int, names: int, seed: int) -> Any:
    return draw_gaussian(SIGMA_SQUARED, number * names * CELLS, Random(seed).randbytes).reshape(number, names, CELLS)


def _release_id(name: str, window: Window, cells: Vector) -> bytes:
    return sha256(repr((name, window.text, tuple(cells))).encode()).digest()
