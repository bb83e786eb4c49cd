"""Quantiles of values counted in a noised histogram: a point, and an interval that assumes nothing inside a bin.

At each edge D = (1 − share)·(below) − share·(above) tells on which side of it the quantile lies; the noise of D is
known exactly. All of it is post-processing: it spends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

from privacy.estimates.numbers import ONE, Estimate, LaplacePart, half_width_squared, is_shown, total
from privacy.quantiles import round_half_even


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
    D = (1 − share)·(below) − share·(above), whose noise is known exactly; the quantile's own bin is
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
    whole = total(bins)
    if whole.value <= 0 or not is_shown(whole):
        return TOO_NOISY
    widths = _edge_widths(tuple((one.variance, one.laplace) for one in bins), share, level)
    # (1 − share)·(below) − share·(above) = below − share·(all)
    gaps = list(accumulate((one.value for one in bins[:-1]), initial=-share * whole.value))[1:]
    leans = [  # at each edge: +1 surely past the quantile, -1 surely before it, 0 open
        (1 if gap > 0 else -1) if gap * gap > width else 0 for gap, width in zip(gaps, widths, strict=True)
    ]
    kept = [i for i in range(len(bins)) if not (i > 0 and leans[i - 1] > 0) and not (i < len(edges) and leans[i] < 0)]
    if not kept:
        return TOO_NOISY  # noise turned the cumulated counts over: nothing consistent is left
    lower = edges[kept[0] - 1] if kept[0] > 0 else None
    upper = edges[kept[-1]] if kept[-1] < len(edges) else None
    return _point(gaps, bins, edges, lower, upper, quantum)


@lru_cache(maxsize=1024)  # the groups of one answer have one noise; so have its shares, five of them
def _edge_widths(
    noises: tuple[tuple[Fraction, tuple[LaplacePart, ...]], ...], share: Fraction, level: str
) -> tuple[Fraction, ...]:
    """For each edge how far, squared, the noise of (1 − share)·(below) − share·(above) strays at the level."""
    cells = [Estimate(Fraction(0), *noise) for noise in noises]
    return tuple(
        half_width_squared(total(cells[:edge]).times(1 - share) - total(cells[edge:]).times(share), level)
        for edge in range(1, len(cells))
    )


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
