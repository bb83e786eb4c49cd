"""How far the sum of n discrete Laplace draws of one b strays: exact quantiles, in integers.

The sum S of n independent draws with P(x) ∝ q^abs(x), q = exp(−1/b), has the generating function A(z)^−n up to a
constant, A(z) = (1 − qz)(1 − q/z). From z·G′·A = n·q·(z − 1/z)·G its probabilities P(k) obey

    q·(n + k − 1)·P(k − 1) = (1 + q²)·k·P(k) + q·(n − k − 1)·P(k + 1),

and P is the solution that dies out, so the recurrence is run downward from far in the tail, where any start forgets
itself (Miller's method), and scaled to a sum of 1 at the end. All of it in integers; `exp_minus` gives q.

- `half_width(b, n, level)` is the smallest whole t with P(abs(S) <= t) >= level: the interval covers at least `level`.
- Beyond `WHOLE_B` the law is that of a smaller b, stretched: their distance is below 1/(24·WHOLE_B²) = 2·10⁻⁷.
- Beyond `MANY` draws the normal quantile stands: the true coverage then differs by less than 10⁻⁴.
- `critical(n, level)`: the half-width of n draws in standard deviations, for sums whose parts have several b.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, isqrt
from typing import Final

from privacy.noise_table import exp_minus
from privacy.quantiles import normal_quantile, sqrt_half_even

WHOLE_B: Final = 512  # larger b are stretched from this one
MANY: Final = 1024  # more draws than this are normal
_BITS: Final = 192  # of the recurrence
_START: Final = 1 << 64  # what it starts with: the digits of the first steps
_TAIL: Final = 60  # b's beyond the spread of the sum at which it starts: the rest is below e⁻⁴⁰


@lru_cache(maxsize=1024)
def half_width(scale: Fraction, draws: int, level: str) -> int:
    """The smallest whole t such that abs(S) <= t with probability at least `level`; beyond `WHOLE_B`, up to rounding.

    Args:
        scale: b > 0, in cells.
        draws: n >= 1.
        level: One of `privacy.quantiles.LEVELS`.
    """
    if draws > MANY:
        z = normal_quantile(level)
        return ceil(sqrt_half_even(z * z * draws * _variance(scale), Fraction(1, 2**20)))
    if scale > WHOLE_B:
        narrow = half_width(Fraction(WHOLE_B), draws, level) + Fraction(1, 2)
        return ceil(narrow * scale / WHOLE_B - Fraction(1, 2))
    # The unscaled probabilities of 0, 1, …; the level is a share of their two-sided sum.
    masses = _masses(scale, draws)
    wanted = Fraction(level) * (2 * sum(masses) - masses[0])
    covered = masses[0]
    for t, mass in enumerate(masses[1:]):
        if covered >= wanted:
            return t
        covered += 2 * mass
    return len(masses)  # pragma: no cover - the masses reach to e⁻⁴⁰


@lru_cache(maxsize=256)
def critical(draws: int, level: str) -> Fraction:
    """How many standard deviations the sum of this many wide Laplace draws strays at the level, to three digits."""
    if draws > MANY:
        return normal_quantile(level)
    wide = Fraction(128)
    width = half_width(wide, draws, level) + Fraction(1, 2)
    return width / sqrt_half_even(draws * _variance(wide), Fraction(1, 2**20))


def _masses(scale: Fraction, draws: int) -> list[int]:
    """Numbers proportional to P(0), P(1), … up to where nothing is left."""
    ratio, _ = exp_minus(1 / scale, _BITS)
    one = 1 << _BITS
    square = ratio * ratio >> _BITS
    reach = ceil(scale * (_TAIL + 2 * isqrt(2 * draws) + draws // 8)) + 8
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
