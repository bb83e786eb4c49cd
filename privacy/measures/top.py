"""top: the largest groups, by events. The release is that of `count`; choosing is post-processing of noised cells.

L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK². The values stand in the definition's `by`; keys that nobody listed need
`discover`. Because the noise decides close ranks, a reader shows each cell with its interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.exact import parse_whole
from privacy.measures.base import Add, Bounds, Event, Frame, Numbers, Piece, Plain, Sensitivity, check_keys
from privacy.measures.count import Count

WORD = "top"


@dataclass(frozen=True, slots=True)
class Top(Plain):
    """The `most` largest groups."""

    most: int
    word: str = WORD
    headline: str = "count"
    amounts: tuple[str, ...] = ("events",)

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return Count().sensitivities(bounds, groups)

    def pieces_sql(self, frame: Frame) -> str:
        return Count().pieces_sql(frame)

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return Count().adds_sql(frame)

    def cut_sql(self, frame: Frame) -> str:
        return Count().cut_sql(frame)

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        return Count().pieces(events, frame)

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        return Count().adds(unit, piece, frame)

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return Count().is_cut(piece, frame)

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        return Count().numbers(blocks)

    def ranked(self, cells: Sequence[Fraction], values: Sequence[int]) -> list[int]:
        """The places of the largest cells among `values` (the listed ones), largest first, ties by place."""
        return sorted(values, key=lambda place: (-cells[place], place))[: self.most]


def parse(tree: Mapping[str, object]) -> Top:
    """`measure: {top: "5"}`, over the values of `by`."""
    check_keys(tree, WORD, frozenset())
    return Top(parse_whole(tree[WORD], "top"))
