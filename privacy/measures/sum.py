"""sum: the sum of a number. One person adds trunc(S · min(n, K) / n) quanta to at most C groups.

Each value is first moved into [a, b]; S is the sum of a person's n values in a group, so that with more than K events
their mean counts K times. With M = max(abs a, abs b) in quanta: L0 = C, Linf = KM, Δ₁ = CKM, Δ₂² = CK²M².

Rows without the value are not counted. Division truncates toward zero, after the multiplication.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.fields import Field, Quanta
from privacy.measures.base import (
    ROWS,
    Add,
    Bounds,
    Event,
    Frame,
    Numbers,
    Piece,
    Plain,
    Sensitivity,
    check_keys,
    parse_range,
    truncated,
)
from privacy.names import parse_name

WORD = "sum"


@dataclass(frozen=True, slots=True)
class Clamped:
    """A number clamped to [low, high] quanta, and its pieces: events, their sum, and how many were moved.

    Args:
        attribute, quantum, low, high: As stated; bounds in quanta.
        origin: What values are measured from in the sum, so that it stays small: a clamped value less this fits 2²³,
            because a block's Linf·2³⁰ fits 2⁵³; sums of them fit a BIGINT however many rows there are.
    """

    attribute: str
    quantum: Fraction
    low: int
    high: int
    origin: int = 0

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"value": Quanta(self.attribute, self.quantum)}

    def pieces_sql(self) -> str:
        clamped = f"least(greatest(value, {self.low}), {self.high})"
        from_origin = f"{clamped} - ({self.origin})" if self.origin else clamped
        return f"""\
SELECT person, grp AS unit, count(*) AS events, CAST(sum(CAST({from_origin} AS INTEGER)) AS BIGINT) AS total,
    count(*) FILTER (WHERE value NOT BETWEEN {self.low} AND {self.high}) AS moved
  FROM {ROWS} WHERE value IS NOT NULL GROUP BY person, grp"""

    def pieces(self, events: Sequence[Event]) -> Mapping[int, Piece]:
        values: dict[int, list[int]] = {}
        for event in events:
            value = event.fields["value"]
            if value is not None:
                values.setdefault(event.group, []).append(value)
        return {
            group: (
                len(mine),
                sum(min(max(value, self.low), self.high) - self.origin for value in mine),
                sum(not self.low <= value <= self.high for value in mine),
            )
            for group, mine in values.items()
        }


@dataclass(frozen=True, slots=True)
class Sum(Plain):
    """Sum of a number, at most K of a person's values in each kept group."""

    of: Clamped
    word: str = WORD
    headline: str = "sum"
    amounts: tuple[str, ...] = ("events", "total", "moved")

    @property
    def fields(self) -> Mapping[str, Field]:
        return self.of.fields

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        most = max(abs(self.of.low), abs(self.of.high))
        linf = bounds.max_per_cell * most
        return (Sensitivity(WORD, l0=bounds.max_cells, linf=linf, quantum=self.of.quantum, is_signed=self.of.low < 0),)

    def pieces_sql(self, frame: Frame) -> str:
        return self.of.pieces_sql()

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return (Add(WORD, "unit", f"total * least(events, {frame.bounds.max_per_cell}) // events"),)

    def cut_sql(self, frame: Frame) -> str:
        return f"moved > 0 OR events > {frame.bounds.max_per_cell}"

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        return self.of.pieces(events)

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        events, total, _ = piece
        yield WORD, unit, truncated(total * min(events, frame.bounds.max_per_cell), events)

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        events, _, moved = piece
        return moved > 0 or events > frame.bounds.max_per_cell

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        return {"sum": blocks[WORD][0]}


def parse_clamped(tree: Mapping[str, object], word: str) -> Clamped:
    """The number of a measure with `quantum` and `range`."""
    check_keys(tree, word, frozenset({"quantum", "range"}))
    return Clamped(parse_name(tree[word]), *parse_range(tree, word))


def parse(tree: Mapping[str, object]) -> Sum:
    """`measure: {sum: ATTRIBUTE, range: [a, b], quantum: q}`."""
    return Sum(parse_clamped(tree, WORD))
