"""journey: moves from one label to another. One person adds min(n, K) to at most C (group, from, to) triples.

A person's counted rows run by hour, then sequence, then event key; each row whose label differs from that of the row
before it is a move, counted in the group of the row it leads to. Repeats of one label are no moves, so cells from a
label to itself are empty. L0 = C, Linf = K, Δ₁ = CK, Δ₂² = CK².
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from privacy.dimensions import Dimension, parse_dimensions
from privacy.fields import Field, Place
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
    refused,
)
from privacy.names import parse_name

WORD = "journey"
FROM, TO = "from", "to"


@dataclass(frozen=True, slots=True)
class Journey(Plain):
    """Moves between labels, at most K of a person in each kept (group, from, to)."""

    of: Dimension
    word: str = WORD
    headline: str = "journey"
    amounts: tuple[str, ...] = ("events",)

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return replace(self.of, name=FROM), replace(self.of, name=TO)

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"label": Place(self.of)}

    def units(self, groups: int) -> int:
        return groups * self.of.size**2

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return (Sensitivity(WORD, l0=bounds.max_cells, linf=bounds.max_per_cell, axes=self.axes),)

    def pieces_sql(self, frame: Frame) -> str:
        size = self.of.size
        unit = f"(grp * {size} + before) * {size} + label"
        return f"""\
SELECT person, {unit} AS unit, count(*) AS events FROM (
    SELECT person, grp, label,
      lag(label) OVER (PARTITION BY person ORDER BY at_hour, sequence, event_key) AS before
    FROM {ROWS} WHERE label IS NOT NULL
  ) WHERE before <> label GROUP BY person, {unit}"""

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        return (Add(WORD, "unit", f"least(events, {frame.bounds.max_per_cell})"),)

    def cut_sql(self, frame: Frame) -> str:
        return f"events > {frame.bounds.max_per_cell}"

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        walked = sorted(
            (event for event in events if event.fields["label"] is not None),
            key=lambda event: (*event.at, event.event_key),
        )
        moves: Counter[int] = Counter()
        for one, other in pairwise(walked):
            before, label = one.fields["label"] or 0, other.fields["label"] or 0
            if before != label:
                moves[(other.group * self.of.size + before) * self.of.size + label] += 1
        return {unit: (number,) for unit, number in moves.items()}

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        yield WORD, unit, min(piece[0], frame.bounds.max_per_cell)

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return piece[0] > frame.bounds.max_per_cell

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """The moves by "from > to"."""
        pairs = ((one, other) for one in self.of.labels for other in self.of.labels)
        cells = zip(pairs, blocks[WORD], strict=True)
        return {f"{one} > {other}": cell for (one, other), cell in cells if one != other}


def parse(tree: Mapping[str, object]) -> Journey:
    """`measure: {journey: DIMENSION, values: [...]}`; the dimension is app, action, country or a category."""
    check_keys(tree, WORD, frozenset({"values"}))
    name = parse_name(tree[WORD])
    if name == "hour":
        raise refused("a journey over hours is only the clock", "Name app, action, country or a category")
    (axis,) = parse_dimensions({name: tree["values"]})
    if axis.edges:
        raise refused(f"{name} has edges", "A journey goes between listed values")
    return Journey(axis)
