"""histogram: events by half-open bins of an attribute. One person adds min(n, K) to at most C (group, bin)
pairs.

L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK². The bin is part of the group: a person whose values scatter over many
bins is cut to C of them, so no value weighs more than another. Medians and quantiles are post-processing
(privacy.estimates).

Bins: below the first edge, [edge, next edge) …, from the last edge, and `none` where the attribute is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privacy.dimensions import BIN, Dimension, parse_banded
from privacy.measures.base import Bounds, Sensitivity, check_keys

WORD = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Events per bin, at most K of a person in each kept (group, bin)."""

    bins: Dimension
    word: str = WORD
    uses_max_per_cell: bool = True

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return (self.bins,)

    def sensitivities(self, bounds: Bounds) -> tuple[Sensitivity, ...]:
        return (Sensitivity("histogram", l0=bounds.max_cells, linf=bounds.max_per_cell),)

    def value_sql(self, bounds: Bounds) -> str:
        return f"least(events, {bounds.max_per_cell})"

    def value(self, events: int, bounds: Bounds) -> int:
        return min(events, bounds.max_per_cell)


def parse(tree: Mapping[str, object]) -> Histogram:
    """`measure: {histogram: ATTRIBUTE, edges: [...]}`."""
    check_keys(tree, WORD, frozenset({"edges"}))
    return Histogram(parse_banded(BIN, tree[WORD], tree["edges"]))
