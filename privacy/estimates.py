"""What a noised number says: estimate, privacy interval, whether it is shown; a median of a histogram.

The *privacy interval* is the interval that the noise alone explains: every other error (sampling, late
events, clipping) is outside it. Rules:

- Exact arithmetic throughout: cells are integers, variances Fractions, roots by `isqrt`, quantiles from a
  table; one rounding at the end, half-even, to a stated quantum. Equal inputs give equal answers on any
  machine.
- Sums add estimates and variances: noise of different releases is independent.
- Nothing is clamped at zero here. A negative noised count is what was released.

All of this is post-processing: it spends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from privacy.quantiles import decimal_text, normal_quantile, round_half_even, sqrt_half_even

LEAST_SHOWN: Final = 10
SHOWN_SIGMAS: Final = Fraction(33, 10)
SIGMA_DIGITS: Final = 6

ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A noised number: its value and the variance of the noise in it, both exact.

    Args:
        value: In the measure's unit (cells times their quantum).
        variance: In that unit squared; >= 0.
    """

    value: Fraction
    variance: Fraction

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.variance + other.variance)

    def times(self, factor: Fraction) -> Estimate:
        """The estimate in another unit."""
        return Estimate(self.value * factor, self.variance * factor * factor)

    def sigma(self, digits: int = SIGMA_DIGITS) -> str:
        """√variance as a decimal of fixed digits, rounded half-even."""
        return decimal_text(sqrt_half_even(self.variance, Fraction(1, 10**digits)), digits)


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


def total(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of independent estimates; of none, an exact 0."""
    value, variance = Fraction(0), Fraction(0)
    for one in estimates:
        value += one.value
        variance += one.variance
    return Estimate(value, variance)


def privacy_interval(estimate: Estimate, level: str, quantum: Fraction = ONE) -> Interval:
    """The two-sided interval, at this level, that the noise alone explains.

    Args:
        estimate: The noised number.
        level: "0.80", "0.95" or "0.99".
        quantum: What the three numbers are rounded to.

    Raises:
        InvalidParameterError: another level.
    """
    z = normal_quantile(level)
    width = z * z * estimate.variance
    # value ± √width, each end rounded once: the root is taken on a grid 2⁶⁴ times finer than the quantum.
    fine = sqrt_half_even(width, quantum / 2**64)
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
    return count.value * count.value >= SHOWN_SIGMAS * SHOWN_SIGMAS * count.variance


def is_wide(interval: Interval) -> bool:
    """True when the half-width is more than a quarter of the value: say so beside the number."""
    return 2 * (interval.upper - interval.lower) > abs(interval.estimate)


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """A quantile read from a noised histogram.

    Args:
        value: Linear inside its bin; None when it lies in an open bin or the histogram is too noisy to say.
        lower: Lower edge of the interval; None when it is open to below.
        upper: Upper edge of the interval; None when it is open to above.
        status: "ok", "below_first_edge", "above_last_edge" (the value is in an open bin) or "too_noisy".
    """

    value: Fraction | None
    lower: Fraction | None
    upper: Fraction | None
    status: str


TOO_NOISY: Final = QuantileEstimate(None, None, None, "too_noisy")


def histogram_median(
    bins: Sequence[Estimate], edges: Sequence[Fraction], level: str, quantum: Fraction = ONE
) -> QuantileEstimate:
    """The median of a histogram, with an interval at the level; see `histogram_quantile`."""
    return histogram_quantile(bins, edges, Fraction(1, 2), level, quantum)


def histogram_quantile(
    bins: Sequence[Estimate],
    edges: Sequence[Fraction],
    share: Fraction,
    level: str,
    quantum: Fraction = ONE,
) -> QuantileEstimate:
    """The `share`-quantile of the counted values, with an interval that the noise alone explains.

    The interval joins all bins the noise cannot rule out: bin i is ruled out when, at the level, too many
    values lie below its lower edge or too few below its upper edge. Each edge is judged by
    D = (1 − share)·(below) − share·(above), whose noise variance is known exactly; the quantile's own bin is
    ruled out with probability at most 1 − level. So the ends are edges, and nothing is assumed about how
    values lie inside a bin. The point inside its bin is linear, which is an assumption.

    Args:
        bins: One below the first edge, the half-open bins, one from the last edge: len(edges) + 1.
        edges: Ascending; at least 1.
        share: In (0, 1); 1/2 is the median.
        level: "0.80", "0.95" or "0.99".
        quantum: What the point is rounded to.

    Raises:
        ValueError: numbers of bins and edges do not fit, edges do not ascend, share is out of range.
        InvalidParameterError: another level.
    """
    if len(bins) != len(edges) + 1 or not edges or not 0 < share < 1:
        raise ValueError("a histogram of m edges has m + 1 bins, m >= 1, and share lies in (0, 1)")
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError("edges must ascend")
    z = normal_quantile(level)
    whole = total(bins)
    if whole.value <= 0 or not is_shown(whole):
        return TOO_NOISY
    below, above = Estimate(Fraction(0), Fraction(0)), whole
    leans: list[int] = []  # at each edge: +1 surely past the quantile, -1 surely before it, 0 open
    gaps: list[Fraction] = []
    for one in bins[:-1]:
        below = below + one
        above = Estimate(above.value - one.value, above.variance - one.variance)
        gap = (1 - share) * below.value - share * above.value
        variance = (1 - share) ** 2 * below.variance + share**2 * above.variance
        sure = gap * gap > z * z * variance
        leans.append((1 if gap > 0 else -1) if sure else 0)
        gaps.append(gap)
    kept = [i for i in range(len(bins)) if not (i > 0 and leans[i - 1] > 0) and not (i < len(edges) and leans[i] < 0)]
    if not kept:
        return TOO_NOISY  # noise turned the cumulated counts over: nothing consistent is left
    lower = edges[kept[0] - 1] if kept[0] > 0 else None
    upper = edges[kept[-1]] if kept[-1] < len(edges) else None
    return _point(gaps, bins, edges, lower, upper, quantum)


def _point(
    gaps: Sequence[Fraction],
    bins: Sequence[Estimate],
    edges: Sequence[Fraction],
    lower: Fraction | None,
    upper: Fraction | None,
    quantum: Fraction,
) -> QuantileEstimate:
    """Where the cumulated count, made monotone, crosses the share: linear inside the bin."""
    running = gaps[0]
    monotone = [running := max(running, gap) for gap in gaps]
    at = next((i for i, gap in enumerate(monotone) if gap >= 0), len(edges))
    if at == 0:
        return QuantileEstimate(None, lower, upper, "below_first_edge")
    if at == len(edges):
        return QuantileEstimate(None, lower, upper, "above_last_edge")
    before, after = monotone[at - 1], monotone[at]
    inside = -before / (after - before)
    value = edges[at - 1] + inside * (edges[at] - edges[at - 1])
    # The noise may put the point outside the bins it cannot rule out; it is never shown outside them.
    value = max(value, lower) if lower is not None else value
    value = min(value, upper) if upper is not None else value
    return QuantileEstimate(round_half_even(value, quantum), lower, upper, "ok")
