"""Is a difference real, or could it be noise? One rule, for numbers and for ratios.

**Rule**: a difference is `real` when its privacy interval at the level does not contain 0, else it `could_be_noise`.
So of comparisons between equal true numbers a share of 1 − level is called real: one in twenty at 0.95. The rule speaks
of one comparison; who looks at many asks for a higher level. Noise only: that people differ from day to day is no part
of it.

For ratios the interval is made from the two Fieller intervals [l, u] around x by the square-and-add method: x₁ − x₂ −
√((x₁ − l₁)² + (u₂ − x₂)²) and the same above. A ratio without two ends leaves the difference open: `could_be_noise`.

Source: Zou, Donner 2008, "Construction of confidence limits about effect measures", Statist. Med. 27, 1693-1702.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from privacy.estimates.numbers import FINE, Estimate, half_width_squared
from privacy.estimates.ratios import Ratio
from privacy.quantiles import sqrt_half_even

Verdict = Literal["real", "could_be_noise"]
_GRID: Final = Fraction(1, 10**6 * FINE)


@dataclass(frozen=True, slots=True)
class Difference:
    """One number less another, unrounded; None where an end is open.

    Args:
        value: The difference; None where one of the two has no point.
        lower, upper: Ends of its privacy interval.
        verdict: "real" or "could_be_noise".
    """

    value: Fraction | None
    lower: Fraction | None
    upper: Fraction | None
    verdict: Verdict


def difference(one: Estimate, other: Estimate, level: str) -> Difference:
    """one − other, of independent noise: two cells, two windows, two nodes.

    Raises:
        InvalidParameterError: a level that is not one of `privacy.quantiles.LEVELS`.
    """
    gap = one - other
    width = half_width_squared(gap, level)
    fine = sqrt_half_even(width, _GRID)
    is_real = gap.value * gap.value > width
    return Difference(gap.value, gap.value - fine, gap.value + fine, "real" if is_real else "could_be_noise")


def difference_of_ratios(one: Ratio, other: Ratio) -> Difference:
    """one − other, of independent noise, at the level of both; both have status `ok` or the ends stay open."""
    if one.value is None or other.value is None:
        return Difference(None, None, None, "could_be_noise")
    value = one.value - other.value
    if one.status != "ok" or other.status != "ok":
        return Difference(value, None, None, "could_be_noise")
    lower = value - _joined(_gap(one.value, one.lower), _gap(other.upper, other.value))
    upper = value + _joined(_gap(one.upper, one.value), _gap(other.value, other.lower))
    return Difference(value, lower, upper, "real" if lower > 0 or upper < 0 else "could_be_noise")


def _gap(high: Fraction | None, low: Fraction | None) -> Fraction:
    assert high is not None, "a ratio of status ok has both ends"
    assert low is not None, "a ratio of status ok has both ends"
    return high - low


def _joined(one: Fraction, other: Fraction) -> Fraction:
    return sqrt_half_even(one * one + other * other, _GRID)
