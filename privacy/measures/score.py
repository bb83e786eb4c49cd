"""score: a score per person from several components, with its breakdown.

Each component gives a person, in each kept group, whole points clipped to [−w, w], w its `most`:

| component | points |
|---|---|
| `{count: PART, points: p, most: w}` | p for each event of the part |
| `{active: hour or day, points: p, most: w}` | p for each hour or day with activity |
| `{value: ATTRIBUTE, in: PART, quantum: q, most: w}` | trunc(sum / number) of the value, in quanta |

A part is `app/action`, `app`, or, where `from` fixes the app, `action`. Block `score` has one cell a component:
L0 = C · components, Linf = max w, Δ₁ = CΣw, Δ₂² = CΣw². Block `people` counts everybody active in the source: L0 = C,
Linf = 1. The mean of a component is its cell over people; the score is their sum: post-processing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Self

from privacy.dimensions import Dimension, fixed_axis
from privacy.exact import parse_decimal, parse_whole
from privacy.fields import Field, Mark, Quanta
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
    share,
    truncated,
)
from privacy.names import parse_name
from privacy.sources import Source, parse_part, within
from privacy.units import HOURS_PER_DAY

WORD = "score"
_ACTIVE: Final = {"hour": 1, "day": HOURS_PER_DAY}
_MAX_COMPONENTS: Final = 16


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a score.

    Args:
        name: Its label.
        kind: "count", "active" or "value".
        part: The rows it reads.
        most: w >= 1, in points.
        points: Of one event, hour or day; 1 for a value.
        hours: Length of an active period; 0 for the others.
        attribute, quantum: Of a value.
    """

    name: str
    kind: str
    part: Source
    most: int
    points: int = 1
    hours: int = 0
    attribute: str = ""
    quantum: Fraction = Fraction(1)

    @property
    def field(self) -> Field:
        return Quanta(self.attribute, self.quantum, self.part) if self.kind == "value" else Mark(self.part)

    def sql(self, column: str) -> str:
        """Its points before the clip, over one person's rows of one group."""
        if self.kind == "count":
            return f"count({column}) * {self.points}"
        if self.kind == "active":
            return f"count(DISTINCT CASE WHEN {column} = 1 THEN at_hour // {self.hours} END) * {self.points}"
        return f"coalesce(sum({column}) // count({column}), 0)"

    def value(self, events: Sequence[Event], column: str) -> int:
        found = [event for event in events if event.fields[column] is not None]
        if self.kind == "count":
            return len(found) * self.points
        if self.kind == "active":
            return len({event.hour // self.hours for event in found}) * self.points
        return truncated(sum(event.fields[column] or 0 for event in found), len(found)) if found else 0


@dataclass(frozen=True, slots=True)
class Score(Plain):
    """Components per person and group, each clipped, and the people they are of."""

    components: tuple[Component, ...]
    word: str = WORD
    headline: str = "people"

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return (fixed_axis("component", tuple(component.name for component in self.components)),)

    @property
    def uses_max_per_cell(self) -> bool:
        return False

    @property
    def amounts(self) -> tuple[str, ...]:
        return tuple(f"points{number}" for number in range(len(self.components)))

    @property
    def fields(self) -> Mapping[str, Field]:
        return {f"part{number}": component.field for number, component in enumerate(self.components)}

    def check(self, source: Source, window: str) -> Self:
        return replace(
            self,
            components=tuple(
                replace(one, part=source if one.part == Source() else within(one.part, source))
                for one in self.components
            ),
        )

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        c, weights = bounds.max_cells, [component.most for component in self.components]
        return (
            Sensitivity(
                WORD, c * len(weights), max(weights), l1=c * sum(weights),
                l2_squared=c * sum(weight**2 for weight in weights), axes=self.axes, is_signed=True,
            ),
            Sensitivity("people", l0=c, linf=1),
        )  # fmt: skip

    def pieces_sql(self, frame: Frame) -> str:
        points = ", ".join(
            f"{component.sql(f'part{number}')} AS points{number}" for number, component in enumerate(self.components)
        )
        return f"SELECT person, grp AS unit, {points} FROM {ROWS} GROUP BY person, grp"

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        size = len(self.components)
        return (
            *(
                Add(WORD, f"unit * {size} + {number}", f"least(greatest(points{number}, {-one.most}), {one.most})")
                for number, one in enumerate(self.components)
            ),
            Add("people", "unit", "1"),
        )

    def cut_sql(self, frame: Frame) -> str:
        return " OR ".join(f"abs(points{number}) > {one.most}" for number, one in enumerate(self.components))

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        groups = {event.group for event in events}
        return {
            group: tuple(
                component.value([event for event in events if event.group == group], f"part{number}")
                for number, component in enumerate(self.components)
            )
            for group in groups
        }

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        for number, (component, points) in enumerate(zip(self.components, piece, strict=True)):
            yield WORD, unit * len(piece) + number, min(max(points, -component.most), component.most)
        yield "people", unit, 1

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return any(abs(points) > one.most for points, one in zip(piece, self.components, strict=True))

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """The mean of each component and of their sum, `score`."""
        people = blocks["people"][0]
        numbers = {one.name: share(cell, people) for one, cell in zip(self.components, blocks[WORD], strict=True)}
        numbers["score"] = share(sum(blocks[WORD], Fraction(0)), people)
        return numbers


def parse(tree: Mapping[str, object]) -> Score:
    """`measure: {score: {NAME: COMPONENT, ...}}`; components run in the order of their names, as axes do."""
    check_keys(tree, WORD, frozenset())
    parts = tree[WORD]
    if not isinstance(parts, Mapping) or not 1 <= len(parts) <= _MAX_COMPONENTS:
        raise refused(f"the score has no components, 1 to {_MAX_COMPONENTS}", "Write score: {NAME: {count: PART, ...}}")
    return Score(tuple(_parse_component(name, parts[name]) for name in sorted(parts, key=str)))


def _parse_component(name: object, tree: object) -> Component:
    name = parse_name(name, "a component")
    kinds = [kind for kind in ("count", "active", "value") if isinstance(tree, Mapping) and kind in tree]
    if not isinstance(tree, Mapping) or len(kinds) != 1 or name == WORD:
        raise refused(f"component {name} is none of count, active, value", "Write {count: PART, points: p, most: w}")
    (kind,) = kinds
    where = f"component {name}"
    if kind == "value":
        check_keys(tree, kind, frozenset({"in", "quantum", "most"}))
        quantum = parse_decimal(tree["quantum"], f"the quantum of {name}")
        if quantum <= 0:
            raise refused(f"the quantum of {name} is not above 0", 'Write quantum: "1"')
        part = parse_part(tree["in"], where)
        most = parse_whole(tree["most"], f"most of {name}")
        return Component(name, kind, part, most, attribute=parse_name(tree[kind]), quantum=quantum)
    check_keys(tree, kind, frozenset({"points", "most"}))
    points, most = parse_whole(tree["points"], f"points of {name}"), parse_whole(tree["most"], f"most of {name}")
    if points > most:
        raise refused(
            f"one {kind} of {name} gives {points} points, more than its most {most}", "Raise most, or lower points"
        )
    if kind == "count":
        return Component(name, kind, parse_part(tree[kind], where), most, points)
    if tree[kind] not in _ACTIVE:
        raise refused(f"{where} counts neither active hours nor days", "Write active: hour, or active: day")
    return Component(name, kind, Source(), most, points, _ACTIVE[str(tree[kind])])
