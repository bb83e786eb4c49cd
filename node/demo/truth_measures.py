"""The truth of measures that look at a person's events together: mean, funnel, journey, retention, score.

Written again from the words of specs/metrics.md, the slow and simple way; `node.demo.truth` counts the others. Given
one person's events of one window, each with its group, a measure says what the person adds to every block, without any
bound on groups, and how many units that is. The caller knows what becomes of a person with too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, permutations, product
from typing import Any, Final

from node.demo.reading import Seen, number

_WEEK: Final = 7 * 24
Events = Sequence[tuple[int, Seen]]  # (group, event) of one person
_Part = tuple[str | None, str | None]  # app, action


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of cells with one noise.

    Attributes:
        cells: How many.
        l2_squared: Δ₂² at the stated bounds.
        is_count: Whether its cells count people or events, so that bounded over unbounded says something.
    """

    cells: int
    l2_squared: int
    is_count: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one person adds.

    Attributes:
        blocks: For each block: cell -> value, without the bound on groups.
        units: How many kept units that would take.
        raw: Cell -> value of the headline without any bound.
    """

    blocks: Sequence[Mapping[int, int]]
    units: int
    raw: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """One measure over a metric's groups.

    Attributes:
        blocks: In the order of the vector.
        headline: The block whose cells an answer lists.
        own: Labels of the headline's own axes, innermost last: (name, labels).
        parts: (app, action) that a plan must have, or the node does not answer; None for any.
        values: (part, attribute) that a plan must have.
        outcomes: What a person adds; several where events tie and the node's own hashes decide.
    """

    blocks: tuple[Block, ...]
    headline: int
    own: tuple[tuple[str, tuple[str, ...]], ...]
    parts: tuple[_Part, ...]
    values: tuple[tuple[_Part, str], ...]
    outcomes: Callable[[Events], Sequence[Outcome]]


def parse_kind(
    measure: Mapping[str, Any], source: _Part, groups: int, c: int, k: int, start_of: Callable[[int], int]
) -> Kind | None:
    """The kind that a definition's `measure` names; None for those that `node.demo.truth` counts itself.

    Args:
        groups: How many groups there are.
        c, k: Bounds, C at most the number of units.
        start_of: First hour of the window that an hour lies in.
    """
    for word, make in _KINDS.items():
        if word in measure:
            return make(measure, source, groups, c, k, start_of)
    return None


def _mean(measure: Mapping[str, Any], source: _Part, groups: int, c: int, k: int, _start: Callable[[int], int]) -> Kind:
    name, quantum = measure["mean"], Fraction(measure["quantum"])
    low, high = (int(Fraction(bound) / quantum) for bound in measure["range"])
    per_unit = int(1 / quantum)

    def outcomes(events: Events) -> Sequence[Outcome]:
        values: dict[int, list[int]] = {}
        for group, event in events:
            value = number(event.attributes.get(name))
            if value is not None:
                values.setdefault(group, []).append(min(max(round(value * per_unit), low), high))
        deviation = {
            group: _toward_zero(sum(2 * v - low - high for v in mine) * min(len(mine), k), len(mine))
            for group, mine in values.items()
        }
        counts = {group: len(mine) for group, mine in values.items()}
        return [Outcome([deviation, {group: min(n, k) for group, n in counts.items()}], len(values), counts)]

    blocks = (Block(groups, c * (k * (high - low)) ** 2, is_count=False), Block(groups, c * k * k))
    return Kind(blocks, 1, (), (), ((source, name),), outcomes)


def _funnel(
    measure: Mapping[str, Any], source: _Part, groups: int, c: int, _k: int, _start: Callable[[int], int]
) -> Kind:
    parts = [_part(step, source) for step in measure["funnel"]]

    def outcomes(events: Events) -> Sequence[Outcome]:
        cells: dict[int, int] = {}
        for group in {group for group, _ in events}:
            reached, when = 0, (-1, -1)
            while reached < len(parts):
                at = [
                    (event.hour, event.sequence)
                    for here, event in events
                    if here == group and (event.app, event.action) == parts[reached]
                ]
                later = [moment for moment in at if moment > when]
                if not later:
                    break
                reached, when = reached + 1, min(later)
            if reached:
                cells[group * len(parts) + reached - 1] = 1
        return [Outcome([cells], len(cells), cells)]

    own = (("step", tuple(measure["funnel"])),)
    return Kind((Block(groups * len(parts), c),), 0, own, tuple(parts), (), outcomes)


def _journey(
    measure: Mapping[str, Any], _source: _Part, groups: int, c: int, k: int, _start: Callable[[int], int]
) -> Kind:
    """Over apps only: the demo asks for no other."""
    labels = (*measure["values"], "other")
    places = {label: place for place, label in enumerate(labels)}

    def walk(stops: Sequence[tuple[int, int]]) -> Outcome:
        moves: Counter[int] = Counter()
        for (_, one), (group, other) in pairwise(stops):
            if one != other:
                moves[(group * len(labels) + one) * len(labels) + other] += 1
        return Outcome([{cell: min(count, k) for cell, count in moves.items()}], len(moves), moves)

    def outcomes(events: Events) -> Sequence[Outcome]:
        if len({event.app for _, event in events}) == 1:
            return [Outcome([{}], 0, {})]
        moments: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for group, event in events:
            stop = (group, places.get(event.app, len(labels) - 1))
            moments.setdefault((event.hour, event.sequence), []).append(stop)
        orders = [sorted(set(permutations(moments[moment]))) for moment in sorted(moments)]
        return [walk([stop for part in order for stop in part]) for order in product(*orders)]

    own = (("from", labels), ("to", labels))
    return Kind((Block(groups * len(labels) ** 2, c * k * k),), 0, own, (), (), outcomes)


def _retention(
    measure: Mapping[str, Any], _source: _Part, groups: int, c: int, _k: int, start_of: Callable[[int], int]
) -> Kind:
    """By weeks of a month only."""
    ages, weeks = int(measure["ages"]), 4

    def outcomes(events: Events) -> Sequence[Outcome]:
        active: dict[int, set[int]] = {}
        for group, event in events:
            week = (event.hour - start_of(event.hour)) // _WEEK
            if week < weeks:
                active.setdefault(group, set()).add(week)
        cells = {
            (group * weeks + min(mine)) * ages + week - min(mine): 1
            for group, mine in active.items()
            for week in mine
            if week - min(mine) < ages
        }
        return [Outcome([cells], len(active), cells)]

    own = (("cohort", tuple(str(week + 1) for week in range(weeks))), ("age", tuple(str(age) for age in range(ages))))
    return Kind((Block(groups * weeks * ages, c * ages),), 0, own, (), (), outcomes)


def _score(
    measure: Mapping[str, Any], source: _Part, groups: int, c: int, _k: int, _start: Callable[[int], int]
) -> Kind:
    parts = {name: measure["score"][name] for name in sorted(measure["score"])}
    weights = [int(part["most"]) for part in parts.values()]
    points = [_points(part, source) for part in parts.values()]

    def outcomes(events: Events) -> Sequence[Outcome]:
        grouped: dict[int, list[Seen]] = {}
        for group, event in events:
            grouped.setdefault(group, []).append(event)
        cells = {
            group * len(parts) + place: min(max(of(mine), -most), most)
            for group, mine in grouped.items()
            for place, (of, most) in enumerate(zip(points, weights, strict=True))
        }
        people = dict.fromkeys(grouped, 1)
        return [Outcome([cells, people], len(people), people)]

    needed = tuple(_part(part.get("in") or part["count"], source) for part in parts.values() if "active" not in part)
    values = tuple((_part(part["in"], source), part["value"]) for part in parts.values() if "value" in part)
    blocks = (Block(groups * len(parts), c * sum(weight**2 for weight in weights), is_count=False), Block(groups, c))
    return Kind(blocks, 1, (), needed, values, outcomes)


def _points(part: Mapping[str, str], source: _Part) -> Callable[[Sequence[Seen]], int]:
    """What one component gives for some events, before the clip."""
    points = int(part.get("points", "1"))
    if "active" in part:
        hours = 24 if part["active"] == "day" else 1
        return lambda events: len({event.hour // hours for event in events}) * points
    app, action = _part(part.get("in") or part["count"], source)
    if "count" in part:
        return lambda events: sum(event.app == app and action in (None, event.action) for event in events) * points
    name, quantum = part["value"], float(part["quantum"])

    def mean(events: Sequence[Seen]) -> int:
        mine = [event.attributes.get(name) for event in events if event.app == app and action in (None, event.action)]
        values = [value for sent in mine if (value := number(sent)) is not None]
        return _toward_zero(sum(round(value / quantum) for value in values), len(values)) if values else 0

    return mean


def _part(text: str, source: _Part) -> _Part:
    """`app/action`, or one name: an action where the source fixes the app, else an app."""
    if "/" in text:
        app, action = text.split("/")
        return app, action
    return (source[0], text) if source[0] else (text, None)


def _toward_zero(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


_KINDS: Final[Mapping[str, Callable[..., Kind]]] = {
    "mean": _mean,
    "funnel": _funnel,
    "journey": _journey,
    "retention": _retention,
    "score": _score,
}
