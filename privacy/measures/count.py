"""count: events. One person adds min(n, K) to at most C groups.

L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK².
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.measures.base import ROWS, Add, Bounds, Event, Frame, Numbers, Piece, Plain, Sensitivity, check_keys

WORD = "count"


@dataclass(frozen=True, slots=True)
class Count(Plain):
    """Events, at most K of a person in each kept group."""

    word: str = WORD
    headline: str = "count"
    amounts: tuple[str, ...] = ("events",)

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return (Sensitivity("count", l0=bounds.max_cells, linf=bounds.max_per_cell),)

    def pieces_sql(self, frame: Frame) -> str:
        return f"SELECT person, grp AS unit, count(*) AS events FROM {ROWS} GROUP BY person, grp"

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return (Add("count", "unit", f"least(events, {frame.bounds.max_per_cell})"),)

    def cut_sql(self, frame: Frame) -> str:
        return f"events > {frame.bounds.max_per_cell}"

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        return {group: (number,) for group, number in Counter(event.group for event in events).items()}

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        yield "count", unit, min(piece[0], frame.bounds.max_per_cell)

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return piece[0] > frame.bounds.max_per_cell

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        return {"count": blocks["count"][0]}


def parse(tree: Mapping[str, object]) -> Count:
    """`measure: count`; it has no options."""
    check_keys(tree, WORD, frozenset())
    return Count()
