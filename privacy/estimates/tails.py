"""Is a noised number above 0 beyond what noise explains, at an error far below the levels of an interval?

Alarms name somebody, so they need probabilities such as 10⁻⁶, where the normal quantile is no bound for Laplace noise.
Here is one for every law we add, by the moment generating function (Chernoff): for λ > 0,

    P(noise >= t) <= exp(A·λ² − λ·t),   A = Gaussian variance/2 + 2·ln2 · Σ draws·(b·step)²,   λ <= 7/(10·max b·step)

- a discrete Gaussian is subgaussian with its σ²: E e^{λX} <= e^{λ²σ²/2};
- a discrete Laplace has E e^{λX} = 1/(1 − (cosh λ − 1)/(cosh(1/b) − 1)) <= 1/(1 − λ²b²), since (cosh x − 1)/x² rises,
  and 1/(1 − x) <= e^{2·ln2·x} for x <= 1/2.

Of `variance` the Laplace draws explain at least 2b² − 1/6 each; the rest counts as Gaussian. All of it is exact.

Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), for the discrete Gaussian.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from privacy.estimates.numbers import Estimate

TWO_LN_2: Final = Fraction(1_386_295, 10**6)  # 1.3862944, rounded up
_LEAST_PART: Final = Fraction(7, 10)  # λB: its square is at most 1/2


def is_above(gap: Estimate, log_error: Fraction) -> bool:
    """True when the value lies above 0 by more than its noise reaches but with probability e^-log_error.

    Args:
        gap: What is 0 or below where nothing is wrong.
        log_error: −ln of the probability; > 0, rounded up.
    """
    if gap.value <= 0:
        return False
    widest = max((part.scale * part.step for part in gap.laplace), default=Fraction(0))
    drawn = sum((part.draws * (part.scale * part.step) ** 2 for part in gap.laplace), Fraction(0))
    explained = sum(
        (part.draws * part.step**2 * max(Fraction(0), 2 * part.scale**2 - Fraction(1, 6)) for part in gap.laplace),
        Fraction(0),
    )
    a = max(Fraction(0), gap.variance - explained) / 2 + TWO_LN_2 * drawn
    if log_error * widest * widest <= _LEAST_PART**2 * a:  # the best λ, √(log_error/A), is small enough
        return gap.value * gap.value > 4 * a * log_error
    slope = _LEAST_PART / widest
    return gap.value > a * slope + log_error / slope
