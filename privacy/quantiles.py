"""Two-sided quantiles of the standard normal law as exact rationals, and exact roots.

The interval of a sum of discrete Gaussian noise uses the normal quantile: from sigma 4 on the two laws give
the same coverage to three digits (PRIVACY 7: 0.943 at sigma 4.5, from the integers' steps). Each quantile
is the true value rounded up at the twelfth decimal, so that an interval is never too narrow for rounding.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import Final

from privacy.errors import InvalidParameterError

LEVELS: Final = ("0.80", "0.95", "0.99")
DEFAULT_LEVEL: Final = "0.95"

NORMAL: Final[dict[str, Fraction]] = {
    "0.80": Fraction(1_281_551_565_545, 10**12),
    "0.95": Fraction(1_959_963_984_541, 10**12),
    "0.99": Fraction(2_575_829_303_549, 10**12),
}


def normal_quantile(level: str) -> Fraction:
    """z with P(|Z| <= z) = level, for one of `LEVELS` ("0.8" and "0.80" are one level).

    Raises:
        InvalidParameterError: any other level.
    """
    try:
        return NORMAL[parse_level(level)]
    except KeyError:  # pragma: no cover - parse_level gives only keys
        raise AssertionError(level) from None


def parse_level(text: str) -> str:
    """The level a text names, as it stands in `LEVELS`.

    Raises:
        InvalidParameterError: not one of them.
    """
    for level in LEVELS:
        if text in (level, level.rstrip("0"), level[2:], level[2:] + "%"):
            return level
    raise InvalidParameterError(
        what="Level refused",
        why=f"{text[:16]!a} is not one of {', '.join(LEVELS)}",
        fix="Ask for one of these levels",
    )


def round_half_even(value: Fraction, quantum: Fraction = Fraction(1)) -> Fraction:
    """The multiple of the quantum nearest to value; of two equally near, the even one.

    Raises:
        ValueError: quantum <= 0.
    """
    size = value.denominator * quantum.numerator
    if size <= 0:
        raise ValueError("quantum must be above 0")
    whole, rest = divmod(value.numerator * quantum.denominator, size)  # in integers: an answer rounds every cell thrice
    if 2 * rest > size or (2 * rest == size and whole % 2):
        whole += 1
    return Fraction(whole * quantum.numerator, quantum.denominator)


@lru_cache(maxsize=4096)  # the cells of one answer share a few variances
def sqrt_half_even(square: Fraction, quantum: Fraction = Fraction(1)) -> Fraction:
    """√square rounded half-even to a multiple of the quantum, exact: no float, only `isqrt`.

    Raises:
        ValueError: square < 0 or quantum <= 0.
    """
    if square < 0 or quantum <= 0:
        raise ValueError("square must be at least 0 and quantum above 0")
    scaled = square / (quantum * quantum)
    doubled = isqrt(4 * scaled.numerator // scaled.denominator)  # floor of twice the root
    whole, half = divmod(doubled, 2)
    if not half:
        return whole * quantum
    if doubled * doubled == 4 * scaled:  # exactly in the middle
        return (whole + whole % 2) * quantum
    return (whole + 1) * quantum


def decimal_text(value: Fraction, digits: int) -> str:
    """value as a decimal with exactly this many digits after the point, rounded half-even; "-0" never."""
    scaled = round(value * 10**digits)
    sign, size = ("-" if scaled < 0 else ""), abs(scaled)
    whole, rest = divmod(size, 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"
