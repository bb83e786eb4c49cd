"""mean: the mean of a number, from two blocks over the same kept groups.

Block `deviation`: trunc(Σ(2v − a − b) · min(n, K) / n) in half quanta, each v first moved into [a, b]: L0 = C,
Linf = KM with M = b − a in quanta, Δ₁ = CKM, Δ₂² = CK²M². Measured from the middle of the range, a value moves the
block half as far as it moves a sum. Block `count`: min(n, K): L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK².

A reader's mean is (a + b)/2 + deviation / count. Rows without the value are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from privacy.fields import Field
from privacy.measures.base import Add, Bounds, Event, Frame, Numbers, Piece, Plain, Sensitivity, share, truncated
from privacy.measures.sum import Clamped, parse_clamped

WORD = "mean"


@dataclass(frozen=True, slots=True)
class Mean(Plain):
    """Mean of a number, at most K of a person's values in each kept group."""

    of: Clamped
    word: str = WORD
    headline: str = "count"
    amounts: tuple[str, ...] = ("events", "total", "moved")

    @property
    def fields(self) -> Mapping[str, Field]:
        return self.of.fields

    @property
    def middle(self) -> Fraction:
        """(a + b) / 2 in the attribute's unit."""
        return (self.of.low + self.of.high) * self.of.quantum / 2

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        c, k = bounds.max_cells, bounds.max_per_cell
        span = self.of.high - self.of.low
        return (
            Sensitivity("deviation", l0=c, linf=k * span, quantum=self.of.quantum / 2, is_signed=True),
            Sensitivity("count", l0=c, linf=k),
        )

    def pieces_sql(self, frame: Frame) -> str:
        return self.of.pieces_sql()

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        kept = f"least(events, {frame.bounds.max_per_cell})"
        span = self.of.high - self.of.low
        return (
            Add("deviation", "unit", f"(2 * total - events * {span}) * {kept} // events"),
            Add("count", "unit", kept),
        )

    def cut_sql(self, frame: Frame) -> str:
        return f"moved > 0 OR events > {frame.bounds.max_per_cell}"

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        return self.of.pieces(events)

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        events, total, _ = piece
        kept = min(events, frame.bounds.max_per_cell)
        yield "deviation", unit, truncated((2 * total - events * (self.of.high - self.of.low)) * kept, events)
        yield "count", unit, kept

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        events, _, moved = piece
        return moved > 0 or events > frame.bounds.max_per_cell

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        deviation, count = blocks["deviation"][0], blocks["count"][0]
        step = share(deviation, count)
        return {"mean": None if step is None else self.middle + step, "count": count}


def parse(tree: Mapping[str, object]) -> Mean:
    """`measure: {mean: ATTRIBUTE, range: [a, b], quantum: q}`."""
    clamped = parse_clamped(tree, WORD)
    return Mean(replace(clamped, origin=clamped.low))
