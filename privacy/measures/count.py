"""count: events. One person adds min(n, K) to at most C groups.

L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privacy.dimensions import Dimension
from privacy.measures.base import Bounds, Sensitivity, check_keys

WORD = "count"


@dataclass(frozen=True, slots=True)
class Count:
    """Events, at most K of a person in each kept group."""

    word: str = WORD
    axes: tuple[Dimension, ...] = ()
    uses_max_per_cell: bool = True

    def sensitivities(self, bounds: Bounds) -> tuple[Sensitivity, ...]:
        return (Sensitivity("count", l0=bounds.max_cells, linf=bounds.max_per_cell),)

    def value_sql(self, bounds: Bounds) -> str:
        return f"least(events, {bounds.max_per_cell})"

    def value(self, events: int, bounds: Bounds) -> int:
        return min(events, bounds.max_per_cell)


def parse(tree: Mapping[str, object]) -> Count:
    """`measure: count`; it has no options."""
    check_keys(tree, WORD, frozenset())
    return Count()
