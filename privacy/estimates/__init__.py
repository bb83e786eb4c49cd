"""What noised numbers say: sums, intervals, ratios, quantiles, differences, consistency; exact, free post-processing.

One file per noun: `numbers` (estimates, sums, privacy intervals), `laplace_sums` (exact quantiles of sums of Laplace
draws), `ratios` (Fieller), `histograms` (quantiles), `differences` (real or could be noise), `consistency` (closed
forms inside one partition).
"""

from privacy.estimates.histograms import QuantileEstimate, histogram_median, histogram_quantile
from privacy.estimates.numbers import (
    SIGMA_DIGITS,
    Estimate,
    Interval,
    is_shown,
    is_wide,
    privacy_interval,
    total,
)

__all__ = [
    "SIGMA_DIGITS",
    "Estimate",
    "Interval",
    "QuantileEstimate",
    "histogram_median",
    "histogram_quantile",
    "is_shown",
    "is_wide",
    "privacy_interval",
    "total",
]
