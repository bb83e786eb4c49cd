"""Noised numbers made to agree with what is true of them by construction: closed forms, beside the raw numbers.

Only numbers of one exact partition: the one-hot cells of a funnel, the parts and the whole of one release (or of sums
of releases with equal blocks). Never across metrics: late events and clipping differ there.

| function | truth used | closed form |
|---|---|---|
| `non_negative` | counts are >= 0 | max(0, ·) |
| `falling` | reached(1) >= reached(2) >= … >= 0 | the middle of running minimum and maximum |
| `partition` | the parts add up to the whole | least squares: the gap is shared out by variance |

The status says whether anything was moved. Moved numbers are for reading a table; sums over nodes and windows are made
from raw numbers, for max(0, ·) is biased upward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Literal

from privacy.estimates.numbers import Estimate, half_width_squared, total

Status = Literal["as_released", "adjusted", "inconsistent"]


@dataclass(frozen=True, slots=True)
class Consistent:
    """Numbers that agree.

    Args:
        values: In the order given; of `partition`, the parts and then the whole.
        status: "as_released", "adjusted", or "inconsistent" where the gap is more than noise explains at 0.99: then
            the values are as released.
    """

    values: tuple[Fraction, ...]
    status: Status


def non_negative(values: Sequence[Fraction]) -> Consistent:
    """Counts, none below 0."""
    return _told(values, [max(value, Fraction(0)) for value in values])


def falling(values: Sequence[Fraction]) -> Consistent:
    """Cumulated counts, none above the one before it, none below 0.

    The middle of two falling lines: the running minimum from the front and the running maximum from the back. What
    falls already stays as it is.
    """
    front = list(accumulate(values, min))
    back = list(accumulate(reversed(values), max))[::-1]
    return _told(values, [max((low + high) / 2, Fraction(0)) for low, high in zip(front, back, strict=True)])


def partition(parts: Sequence[Estimate], whole: Estimate) -> Consistent:
    """Parts and their whole, both noised, made to add up at the least cost in Σ(move²/variance).

    With gap = whole − Σ parts and V the sum of all variances, a part moves by its variance·gap/V and the whole by
    −its variance·gap/V.
    """
    summed = total(parts)
    gap = whole - summed
    raw = (*(part.value for part in parts), whole.value)
    if gap.value * gap.value > half_width_squared(gap, "0.99"):
        return Consistent(raw, "inconsistent")
    if not gap.variance:
        return Consistent(raw, "as_released")
    pull = gap.value / gap.variance
    moved = [part.value + part.variance * pull for part in parts]
    return _told(raw, [*moved, whole.value - whole.variance * pull])


def _told(raw: Sequence[Fraction], moved: Sequence[Fraction]) -> Consistent:
    return Consistent(tuple(moved), "as_released" if list(raw) == list(moved) else "adjusted")
