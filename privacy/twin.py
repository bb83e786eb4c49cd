"""The synthetic twin: a made-up crowd of public figures, and what a definition's bounds make of it.

Rules:

- It is made of figures that somebody states (how many people, how many groups each touches, how many events in each,
  the usual value of one) and of the definition. No row of anybody is read.
- Groups a person and events a group are geometric, group k is 1/k as usual as the first (Zipf). Of a funnel's steps and
  of a cohort's ages each next one is reached by half. A value is the stated one, or the middle of its range; a
  component of a score takes as many events as a group has, and of a value half of its `most`.
- Draws come from the bytes passed in; the same bytes, the same twin.

It is a forecast for such a crowd. A real crowd is heavier in its tails; a cell `clipped_people`, which is paid for,
measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, Final

from privacy.definition import Definition
from privacy.errors import InvalidParameterError
from privacy.exact_sampling import Rng
from privacy.measures.base import Measure
from privacy.measures.funnel import Funnel
from privacy.measures.mean import Mean
from privacy.measures.retention import Retention
from privacy.measures.score import Score
from privacy.measures.sum import Clamped, Sum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TWIN_PEOPLE: Final = 20_000  # made up at most; figures are scaled to the crowd stated


@dataclass(frozen=True, slots=True)
class Crowd:
    """Public figures of one node's people in one window.

    Args:
        people: Active people, >= 1.
        groups: Mean number of kept units (groups, bins, pairs) a person touches, >= 1.
        events: Mean number of events of a person in one of them, >= 1.
        value: Usual value of one event, for sum and mean; None for the middle of the range.
        keys: How many keys there are, where they are discovered; >= 1.
    """

    people: int
    groups: Fraction
    events: Fraction
    value: Fraction | None = None
    keys: int = 100


@dataclass(frozen=True, slots=True)
class Twin:
    """What the definition's bounds make of a crowd.

    Args:
        kept: Share of the events, appearances or points that the bounds keep.
        cut_people: Share of the people of whom something is cut.
        sizes: How much each cell counts after bounding, largest first, scaled to the crowd: events, people, values.
        value: What one of them is worth: 1 for counts; of a sum and a mean the usual value, of a score the mean score.
    """

    kept: Fraction
    cut_people: Fraction
    sizes: tuple[int, ...]
    value: Fraction = Fraction(1)

    @property
    def typical(self) -> int:
        """The middle one of the cells that hold anything; at least 1."""
        held = [size for size in self.sizes if size]
        return held[len(held) // 2] if held else 1


def make_twin(definition: Definition, crowd: Crowd, rng: Rng) -> Twin:
    """The twin of a crowd under the definition's bounds.

    Args:
        definition: Its bounds and number of units count; its price does not.
        crowd: Public figures.
        rng: Bytes that decide the draws.

    Raises:
        InvalidParameterError: a usual value that the measure has no use for, or outside its range.
    """
    import numpy as np

    measure = definition.measure
    value = _usual_value(measure, crowd.value)
    groups = crowd.keys if definition.discovers else prod(axis.size for axis in definition.by)
    units = max(measure.units(groups), 1)
    people = min(crowd.people, TWIN_PEOPLE)
    touched = np.minimum(_geometric(crowd.groups, people, rng), units)
    owner = np.repeat(np.arange(people), touched)
    weights = np.cumsum(1 / np.arange(1, units + 1))
    unit = np.searchsorted(weights, _uniform(len(owner), rng) * weights[-1])
    pairs = np.unique(owner * units + np.minimum(unit, units - 1))  # a group drawn twice is one
    owner, unit = pairs // units, pairs % units
    counts = measure.uses_max_per_cell
    events = _geometric(crowd.events, len(pairs), rng) if counts else np.ones(len(pairs), dtype=np.int64)
    # A random order inside each person stands for the salted hash; the first C are kept.
    order = np.lexsort((_uniform(len(pairs), rng), owner))
    place = np.empty(len(pairs), dtype=np.int64)
    place[order] = np.arange(len(pairs)) - np.searchsorted(owner, owner[order])
    is_kept = place < definition.max_cells if measure.uses_max_cells else np.ones(len(pairs), dtype=bool)
    bounded = np.where(is_kept, np.minimum(events, definition.max_per_cell) if counts else events, 0)
    cells = np.bincount(unit, weights=bounded, minlength=units)
    scaled = sorted((int(size) for size in _spread(measure, cells * crowd.people / people)), reverse=True)
    made, kept, is_cut = events, bounded, bounded < events
    if isinstance(measure, Score):
        made, kept = _points(measure, crowd.events, is_kept, rng)
        is_cut, value = kept < made, Fraction(int(kept.sum()), max(int(is_kept.sum()), 1))
    cut = Fraction(len(np.unique(owner[is_cut])), people)
    return Twin(Fraction(int(kept.sum()), max(int(made.sum()), 1)), cut, tuple(scaled), value)


def _usual_value(measure: Measure, stated: Fraction | None) -> Fraction:
    """What one counted thing is worth, in the measure's unit."""
    if not isinstance(measure, Sum | Mean):
        if stated is not None:
            raise _no_value(f"{measure.word} counts, and has no values", "Leave --value out")
        return Fraction(1)
    of: Clamped = measure.of
    low, high = of.low * of.quantum, of.high * of.quantum
    if stated is not None and not low <= stated <= high:
        raise _no_value(
            f"{stated} lies outside the range from {low} to {high}", "State a value that the bounds leave as it is"
        )
    return (low + high) / 2 if stated is None else stated


def _no_value(why: str, fix: str) -> InvalidParameterError:
    return InvalidParameterError(what="Usual value refused", why=why, fix=fix)


def _spread(measure: Measure, cells: Iterable[float]) -> Iterator[float]:
    """The cells of a measure whose units have several: of each next step, and age, half."""
    for size in cells:
        match measure:
            case Funnel():
                last = len(measure.steps) - 1
                yield from (size / 2 ** (min(step, last - 1) + 1) if last else size for step in range(last + 1))
            case Retention():
                yield from (
                    size / measure.periods / 2**age
                    for cohort in range(measure.periods)
                    for age in range(min(measure.ages, measure.periods - cohort))
                )
            case _:
                yield size


def _points(
    measure: Score, events: Fraction, is_kept: NDArray[np.bool_], rng: Rng
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points of each (person, group) before and after the bounds."""
    import numpy as np

    made = np.zeros(len(is_kept), dtype=np.int64)
    kept = np.zeros(len(is_kept), dtype=np.int64)
    for one in measure.components:
        if one.kind == "value":
            mine = np.full(len(is_kept), max(one.most // 2, 1), dtype=np.int64)
        else:
            mine = _geometric(events, len(is_kept), rng) * one.points
        made += mine
        kept += np.where(is_kept, np.minimum(mine, one.most), 0)
    return made, kept


def _uniform(count: int, rng: Rng) -> NDArray[np.float64]:
    import numpy as np

    return (np.frombuffer(rng(8 * count), dtype="<u8") >> np.uint64(11)).astype(np.float64) / 2**53


def _geometric(mean: Fraction, count: int, rng: Rng) -> NDArray[np.int64]:
    """1, 2, … with this mean, >= 1."""
    import numpy as np

    if mean <= 1:
        return np.ones(count, dtype=np.int64)
    stay = 1 - 1 / float(mean)
    drawn = 1 + np.floor(np.log1p(-_uniform(count, rng)) / np.log(stay))
    sizes: NDArray[np.int64] = np.minimum(drawn, ceil(1000 * mean)).astype(np.int64)
    return sizes
