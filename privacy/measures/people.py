"""people: person keys seen at least once. One person adds 1 to at most C groups.

L0 = C, Linf = 1, Δ₁ = C, Δ₂² = C. The kind of key travels with the release: where it is a session, these are
sessions. Its pieces are those of `count`, so a node computes them once for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.measures.base import Add, Bounds, Event, Frame, Numbers, Piece, Plain, Sensitivity, check_keys
from privacy.measures.count import Count

WORD = "people"


@dataclass(frozen=True, slots=True)
class People(Plain):
    """Person keys, each once in every kept group."""

    word: str = WORD
    headline: str = "people"
    amounts: tuple[str, ...] = ("events",)

    @property
    def uses_max_per_cell(self) -> bool:
        return False

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return (Sensitivity("people", l0=bounds.max_cells, linf=1),)

    def pieces_sql(self, frame: Frame) -> str:
        return Count().pieces_sql(frame)

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return (Add("people", "unit", "1"),)

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        return Count().pieces(events, frame)

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        yield "people", unit, 1

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        return {"people": blocks["people"][0]}


def parse(tree: Mapping[str, object]) -> People:
    """`measure: people`; it has no options."""
    check_keys(tree, WORD, frozenset())
    return People()
