"""Noised numbers: value, variance and law of the noise; sums; privacy intervals; whether a cell is shown.

The *privacy interval* is the interval that the noise alone explains: every other error (sampling, late events,
clipping) is outside it. Rules:

- Exact arithmetic throughout: cells are integers, variances Fractions, roots by `isqrt`, quantiles from integers; one
  rounding at the end, half-even, to a stated quantum. Equal inputs give equal answers on any machine.
- Sums add estimates, variances and Laplace parts: noise of different cells and releases is independent.
- Half-widths: Gaussian noise, the normal quantile; Laplace noise of one b, the exact law of the sum of its draws
  (`laplace_sums`); anything mixed, the quantile of as many equal Laplace draws as give the same fourth cumulant.
- Nothing is clamped at zero here. A negative noised count is what was released.

All of this is post-processing: it spends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from privacy.estimates.laplace_sums import MANY, critical, half_width
from privacy.mechanisms import variance_of_discrete_laplace
from privacy.quantiles import decimal_text, normal_quantile, round_half_even, sqrt_half_even

LEAST_SHOWN: Final = 10
SHOWN_SIGMAS: Final = Fraction(33, 10)
SHOWN_SIGMAS_SQUARED: Final = SHOWN_SIGMAS**2
SIGMA_DIGITS: Final = 6
ONE: Final = Fraction(1)

FINE: Final = 2**64  # roots are taken on a grid so many times finer than the quantum


@dataclass(frozen=True, slots=True, order=True)
class LaplacePart:
    """Equal discrete Laplace draws within the noise of an estimate.

    Args:
        scale: b of each draw, in cells; > 0.
        step: What one cell is worth, in the estimate's unit; > 0.
        draws: How many were added up; >= 1.
    """

    scale: Fraction
    step: Fraction
    draws: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A noised number: its value and the law of the noise in it, all exact.

    Args:
        value: In the measure's unit (cells times their quantum).
        variance: Of all its noise, in that unit squared; >= 0.
        laplace: The Laplace draws in it, sorted; what `variance` holds beyond them is Gaussian.
    """

    value: Fraction
    variance: Fraction
    laplace: tuple[LaplacePart, ...] = ()

    def __add__(self, other: Estimate) -> Estimate:
        return total((self, other))

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference of two estimates whose noise is independent; for a part of a sum take `total` of the rest."""
        return total((self, other.times(Fraction(-1))))

    def times(self, factor: Fraction) -> Estimate:
        """The estimate in another unit; factor other than 0."""
        parts = tuple(sorted(LaplacePart(part.scale, part.step * abs(factor), part.draws) for part in self.laplace))
        return Estimate(self.value * factor, self.variance * factor * factor, parts)

    def copies(self, number: int) -> Estimate:
        """The sum of so many such numbers, each with noise of its own; number >= 1."""
        parts = tuple(LaplacePart(part.scale, part.step, part.draws * number) for part in self.laplace)
        return Estimate(self.value * number, self.variance * number, parts)

    def sigma(self, digits: int = SIGMA_DIGITS) -> str:
        """√variance as a decimal of fixed digits, rounded half-even."""
        return _sigma_text(self.variance, digits)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its privacy interval, all on one quantum.

    Args:
        estimate: Rounded half-even.
        lower: The exact lower bound, rounded half-even.
        upper: The exact upper bound, rounded half-even.
    """

    estimate: Fraction
    lower: Fraction
    upper: Fraction


def cell_noise(sigma_squared: Fraction, scale: Fraction | None) -> Estimate:
    """The noise of one cell, at value 0, in cells: σ² as stated, and b where it is discrete Laplace."""
    return Estimate(Fraction(0), sigma_squared, () if scale is None else (LaplacePart(scale, ONE, 1),))


def laplace_draws(scales: Iterable[tuple[Fraction, int]]) -> tuple[LaplacePart, ...]:
    """The parts of (b, how many cells of it were added), in cells; none of a b without draws."""
    drawn: Counter[Fraction] = Counter()
    for scale, draws in scales:
        drawn[scale] += draws
    return tuple(LaplacePart(scale, ONE, draws) for scale, draws in sorted(drawn.items()) if draws)


def total(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of independent estimates; of none, an exact 0."""
    value, variance = Fraction(0), Fraction(0)
    drawn: Counter[tuple[Fraction, Fraction]] = Counter()
    for one in estimates:
        value += one.value
        variance += one.variance
        for part in one.laplace:
            drawn[part.scale, part.step] += part.draws
    parts = tuple(LaplacePart(scale, step, draws) for (scale, step), draws in sorted(drawn.items()))
    return Estimate(value, variance, parts)


def half_width_squared(estimate: Estimate, level: str) -> Fraction:
    """The square of how far the noise strays at a level: what stands for z²σ².

    Args:
        estimate: Only its noise is read.
        level: One of `privacy.quantiles.LEVELS`.

    Raises:
        InvalidParameterError: another level.
    """
    z = normal_quantile(level)
    if not estimate.laplace:
        return z * z * estimate.variance
    if len(estimate.laplace) == 1:
        (part,) = estimate.laplace
        if estimate.variance == part.draws * part.step**2 * variance_of_discrete_laplace(part.scale):
            return (half_width(part.scale, part.draws, level) * part.step) ** 2
    draws = equal_draws(estimate)
    assert draws is not None, "it has Laplace parts"
    fewer, more = critical(int(draws), level), critical(int(draws) + 1, level)
    # Between two whole numbers of draws the critical value is taken linear in 1/draws, as the fourth cumulant is.
    part_of_way = (1 / Fraction(int(draws)) - 1 / draws) * int(draws) * (int(draws) + 1)
    return (fewer + (more - fewer) * part_of_way) ** 2 * estimate.variance


def equal_draws(estimate: Estimate) -> Fraction | None:
    """As many equal Laplace draws, in [1, `MANY`], as have the noise's fourth cumulant; None where it is Gaussian.

    n equal draws of variance v/n have the fourth cumulant 3v²/n.
    """
    if not estimate.laplace:
        return None
    fourth = sum(12 * part.draws * (part.scale * part.step) ** 4 for part in estimate.laplace)
    return min(max(Fraction(1), 3 * estimate.variance**2 / fourth), Fraction(MANY))


def widest_critical(estimates: Iterable[Estimate], level: str) -> Fraction:
    """A number of standard deviations that covers, at the level, every weighted sum of independent estimates.

    The fourth cumulant of a weighted sum, over its variance squared, is at most the largest of its parts'; and the
    critical value runs monotone from that of one Laplace draw to the normal one.
    """
    z = normal_quantile(level)
    counts = [draws for one in estimates if (draws := equal_draws(one)) is not None]
    return max(z, critical(int(min(counts)), level)) if counts else z


def privacy_interval(estimate: Estimate, level: str, quantum: Fraction = ONE) -> Interval:
    """The two-sided interval, at this level, that the noise alone explains.

    Args:
        estimate: The noised number.
        level: "0.80", "0.95" or "0.99".
        quantum: What the three numbers are rounded to.

    Raises:
        InvalidParameterError: another level.
    """
    fine = _fine_half_width(estimate.variance, estimate.laplace, level, quantum)
    return Interval(
        round_half_even(estimate.value, quantum),
        round_half_even(estimate.value - fine, quantum),
        round_half_even(estimate.value + fine, quantum),
    )


def is_shown(count: Estimate) -> bool:
    """True when a noised count of people (else events) is at least max(10, 3.3 sigma) (DESIGN 7).

    Presentation, not protection: the rule reads noised numbers only.
    """
    if count.value < LEAST_SHOWN:
        return False
    return count.value * count.value >= SHOWN_SIGMAS_SQUARED * count.variance


def is_wide(interval: Interval) -> bool:
    """True when the half-width is more than a quarter of the value: say so beside the number."""
    return 2 * (interval.upper - interval.lower) > abs(interval.estimate)


@lru_cache(maxsize=4096)  # the cells of one answer share a few laws of noise
def _fine_half_width(variance: Fraction, laplace: tuple[LaplacePart, ...], level: str, quantum: Fraction) -> Fraction:
    """How far the noise strays, on a much finer grid than the quantum: so that value ± it is rounded once."""
    return sqrt_half_even(half_width_squared(Estimate(Fraction(0), variance, laplace), level), quantum / FINE)


@lru_cache(maxsize=4096)
def _sigma_text(variance: Fraction, digits: int) -> str:
    return decimal_text(sqrt_half_even(variance, Fraction(1, 10**digits)), digits)
