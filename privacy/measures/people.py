"""people: person keys seen at least once. One person adds 1 to at most C groups.

L0 = C, Linf = 1, Δ₁ = C, Δ₂² = C. The kind of key travels with the release: where it is a session, these are
sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privacy.dimensions import Dimension
from privacy.measures.base import Bounds, Sensitivity, check_keys

WORD = "people"


@dataclass(frozen=True, slots=True)
class People:
    """Person keys, each once in every kept group."""

    word: str = WORD
    axes: tuple[Dimension, ...] = ()
    uses_max_per_cell: bool = False

    def sensitivities(self, bounds: Bounds) -> tuple[Sensitivity, ...]:
        return (Sensitivity("people", l0=bounds.max_cells, linf=1),)

    def value_sql(self, bounds: Bounds) -> str:
        return "1"

    def value(self, events: int, bounds: Bounds) -> int:
        return 1


def parse(tree: Mapping[str, object]) -> People:
    """`measure: people`; it has no options."""
    check_keys(tree, WORD, frozenset())
    return People()
