"""How far the sum of n discrete Laplace draws of one b strays: exact quantiles, in integers.

The sum S of n independent draws with P(x) ∝ q^abs(x), q = exp(−1/b), has the generating function A(z)^−n up to a
constant, A(z) = (1 − qz)(1 − q/z). From z·G′·A = n·q·(z − 1/z)·G its probabilities P(k) obey

    q·(n + k − 1)·P(k − 1) = (1 + q²)·k·P(k) + q·(n − k − 1)·P(k + 1),

and P is the solution that dies out, so the recurrence is run downward from far in the tail, where any start forgets
itself (Miller's method), and scaled to a sum of 1 at the end. All of it in integers; `exp_minus` gives q.

- `half_width(b, n, level)` is the smallest whole t with P(abs(S) <= t) >= level: the interval covers at least `level`.
- Beyond `WHOLE_B` the law is that of a smaller b, stretched: their distance is below 1/(24·WHOLE_B²) = 2·10⁻⁵.
- Beyond `MANY` draws the normal quantile stands: the coverage then differs from the level by less than 4·10⁻⁴.
- Where b is so small that no draw strays, 2nq <= 1 − level, the half-width is 0, and q may be too small for a number.
- `critical(n, level)`: the half-width of n draws in standard deviations, for sums whose parts have several b.

The two limits keep a quantile that was never asked for below some hundredths of a second; each is computed once.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, isqrt
from typing import Final

from privacy.noise_table import exp_minus
from privacy.quantiles import normal_quantile, sqrt_half_even

WHOLE_B: Final = 64  # larger b are stretched from this one
MANY: Final = 256  # more draws than this are normal
_BITS: Final = 192  # of the recurrence
_START: Final = 1 << 64  # what it starts with: the digits of the first steps
_TAIL: Final = 40  # it starts so many b, and seven standard deviations, out: the rest is below e⁻³⁵
_GRID: Final = Fraction(1, 2**20)


@lru_cache(maxsize=1024)
def half_width(scale: Fraction, draws: int, level: str) -> int:
    """The smallest whole t such that abs(S) <= t with probability at least `level`; beyond the limits, up to rounding.

    Args:
        scale: b > 0, in cells.
        draws: n >= 1.
        level: One of `privacy.quantiles.LEVELS`.
    """
    if 2 * draws * exp_minus(1 / scale, _BITS)[1] <= (1 - Fraction(level)) * (1 << _BITS):
        return 0  # P(S = 0) >= P(all draws are 0) >= 1 − 2nq
    if draws > MANY:
        z = normal_quantile(level)
        return ceil(sqrt_half_even(z * z * draws * _variance(scale), _GRID))
    if scale > WHOLE_B:
        return ceil(_smooth_width(draws, level) * scale / WHOLE_B - Fraction(1, 2))
    return _crossing(scale, draws, level)[0]


@lru_cache(maxsize=256)
def critical(draws: int, level: str) -> Fraction:
    """How many standard deviations the sum of this many wide Laplace draws strays at the level, to four digits."""
    if draws > MANY:
        return normal_quantile(level)
    return _smooth_width(draws, level) / sqrt_half_even(draws * _variance(Fraction(WHOLE_B)), _GRID)


def _smooth_width(draws: int, level: str) -> Fraction:
    """The quantile of the law at `WHOLE_B` with each whole number's probability spread evenly around it."""
    t, share = _crossing(Fraction(WHOLE_B), draws, level)
    return t - Fraction(1, 2) + share


def _crossing(scale: Fraction, draws: int, level: str) -> tuple[int, Fraction]:
    """The first whole t at which the level is reached, and which share of t's own probability it takes."""
    masses = _masses(scale, draws)
    wanted = Fraction(level) * (2 * sum(masses) - masses[0])  # unscaled: the level is a share of their two-sided sum
    covered = 0
    for t, mass in enumerate(masses):
        own = mass if t == 0 else 2 * mass
        if covered + own >= wanted:
            return t, Fraction(wanted - covered) / own
        covered += own
    raise AssertionError("the masses reach far beyond any level")  # pragma: no cover


def _masses(scale: Fraction, draws: int) -> list[int]:
    """Numbers proportional to P(0), P(1), … up to where nothing is left."""
    ratio, _ = exp_minus(1 / scale, _BITS)
    one = 1 << _BITS
    square = ratio * ratio >> _BITS
    reach = ceil(scale * (_TAIL + 7 * (isqrt(2 * draws) + 1))) + 8
    above, here = 0, _START
    masses = [0] * (reach + 1)
    masses[reach] = here
    for k in range(reach, 0, -1):
        below = ((one + square) * k * here + ratio * (draws - k - 1) * above) // (ratio * (draws + k - 1))
        above, here = here, below
        masses[k - 1] = below
    return masses


def _variance(scale: Fraction) -> Fraction:
    """2b² − 1/6 + 1/(120b²): an upper bound of the variance of one draw (`privacy.mechanisms`)."""
    return 2 * scale**2 - Fraction(1, 6) + 1 / (120 * scale**2)
