"""Definitions, releases and members for the tests of combine, query and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import sha256

from federation.combine import BlockNoise, Contributor, CountedRelease, Refusal, WindowInput
from federation.query import MetricRow
from privacy.definition import Definition, parse_definition
from privacy.layout import compile_layout
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")
NAMES = ("addvalue", "harmonie", "liberation-system", "liberation-tools")
NODES = {name: bytes([number + 1]) * 32 for number, name in enumerate(NAMES)}

COUNTRIES = {
    "metric": "people_by_country",
    "question": "Where are people?",
    "from": "any",
    "measure": "people",
    "by": {"country": ["DE", "FR"]},
    "window": "day",
    "privacy": {"max_cells": "1", "rho": "1/400"},
}
RUNWAY = {
    "metric": "runway_months",
    "question": "How long a runway?",
    "from": {"app": "runway-calculator", "action": "calculate"},
    "measure": {"histogram": "runway_months", "edges": ["0", "3", "6", "12"]},
    "by": {"industry": ["software", "health"], "remote": ["yes"]},
    "window": "day",
    "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"},
}
HOURS = {
    "metric": "hours",
    "question": "When?",
    "from": "any",
    "measure": "count",
    "by": {"hour": [str(hour) for hour in range(24)]},
    "window": "hour",
    "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"},
}


def definition(tree: Mapping[str, object], **changes: object) -> Definition:
    return parse_definition({**tree, **changes})


def row(tree: Mapping[str, object], from_text: str = "2026-10-01/P1D", **changes: object) -> MetricRow:
    made = definition(tree, **changes)
    return MetricRow(made.metric, hash_of(made), made, Window.parse(from_text).start_hour)


def hash_of(made: Definition) -> bytes:
    return sha256(repr(made).encode()).digest()


def members(names: Sequence[str] = NAMES, counts_from: str = "2026-10-01/P1D") -> tuple[Contributor, ...]:
    start = Window.parse(counts_from).start_hour
    return tuple(Contributor(NODES[name], name, f"{name}-org", start) for name in names)


def window_input(
    made: Definition,
    window: Window,
    vectors: Mapping[str, Sequence[int]],
    *,
    unit: str = "user",
    abstained: Mapping[str, str] | None = None,
    voided: Mapping[str, str] | None = None,
    sampling: Fraction = Fraction(1),
) -> WindowInput:
    layout = compile_layout(made, window)
    blocks = tuple(BlockNoise(b.cells, b.mechanism, b.quantum, b.sigma_squared) for b in layout.blocks)
    return WindowInput(
        window,
        hash_of(made),
        layout,
        tuple(
            CountedRelease(NODES[name], window, tuple(cells), blocks, unit, release_id(name, window), sampling)
            for name, cells in vectors.items()
        ),
        tuple(Refusal(NODES[name], window, reason) for name, reason in (abstained or {}).items()),
        tuple(Refusal(NODES[name], window, reason) for name, reason in (voided or {}).items()),
    )


def release_id(name: str, window: Window) -> bytes:
    return (name[:12] + window.text).encode().ljust(32, b".")
