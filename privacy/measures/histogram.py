"""histogram: events by half-open bins of an attribute. One person adds min(n, K) to at most C (group, bin)
pairs.

L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK². The bin is part of the group: a person whose values scatter over many
bins is cut to C of them, so no value weighs more than another. Medians and quantiles are post-processing
(privacy.estimates).

Bins: below the first edge, [edge, next edge) …, from the last edge, and `none` where the attribute is absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.dimensions import BIN, Dimension, parse_banded
from privacy.fields import Field, Place
from privacy.measures.base import ROWS, Add, Bounds, Event, Frame, Numbers, Piece, Plain, Sensitivity, check_keys

WORD = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram(Plain):
    """Events per bin, at most K of a person in each kept (group, bin)."""

    bins: Dimension
    word: str = WORD
    headline: str = "histogram"
    amounts: tuple[str, ...] = ("events",)

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return (self.bins,)

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"bin": Place(self.bins)}

    def units(self, groups: int) -> int:
        return groups * self.bins.size

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return (Sensitivity(WORD, l0=bounds.max_cells, linf=bounds.max_per_cell, axes=self.axes),)

    def pieces_sql(self, frame: Frame) -> str:
        unit = f"grp * {self.bins.size} + bin"
        return f"SELECT person, {unit} AS unit, count(*) AS events FROM {ROWS} GROUP BY person, {unit}"

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return (Add(WORD, "unit", f"least(events, {frame.bounds.max_per_cell})"),)

    def cut_sql(self, frame: Frame) -> str:
        return f"events > {frame.bounds.max_per_cell}"

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        units = Counter(event.group * self.bins.size + (event.fields["bin"] or 0) for event in events)
        return {unit: (number,) for unit, number in units.items()}

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        yield WORD, unit, min(piece[0], frame.bounds.max_per_cell)

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return piece[0] > frame.bounds.max_per_cell

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """The count in each bin, by label; quantiles: `privacy.estimates.histogram_quantile`."""
        return dict(zip(self.bins.labels, blocks[WORD], strict=True))


def parse(tree: Mapping[str, object]) -> Histogram:
    """`measure: {histogram: ATTRIBUTE, edges: [...]}`."""
    check_keys(tree, WORD, frozenset({"edges"}))
    return Histogram(parse_banded(BIN, tree[WORD], tree["edges"]))
