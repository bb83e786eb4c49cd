"""Exact threshold tables for the discrete Gaussian and the discrete Laplace law, computed with integers only.

A table holds T_k = floor(2¹²⁷ · P(|X| <= k)) for k = 0, 1, …; a uniform 127-bit u gives |X| = the number of
thresholds <= u. Rules:

- **Each T_k is the exact floor.** Every quantity is enclosed between two integers, rounded outward; when
  the two enclosures of a threshold disagree, all is computed again with twice the precision.
- The table ends where the rest of the tail is at most 2⁻¹²⁷, so its length B is the largest possible |X|.
- The drawn law is within (B + 2)/2 · 2⁻¹²⁷ of the true one in total variation: each of the B + 1 values is
  off by less than 2⁻¹²⁷, and the tail by as much. `TABLE_REACH` keeps B below 2¹⁵ − 1, so within η = 2⁻¹¹³
  a draw, which is what the ledger charges (PRIVACY 5).

Left out on purpose: mpmath and floats. Nothing here rounds to nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from privacy.errors import InvalidParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TABLE_BITS: Final = 127  # one sign bit and 127 bits for the size: two 64-bit words a draw at most
TABLE_REACH: Final = Fraction(2**22)  # largest sigma² of a table: sigma 2048, B = 27,2xx < 2^15
LAPLACE_REACH: Final = Fraction(360)  # largest b of a table: B = 127 ln 2 · b = 31,6xx < 2^15
ETA_TABLE: Final = Fraction(1, 2**113)  # total variation distance of one table draw, at most

_TOP: Final = (1 << TABLE_BITS) - 1
_START_BITS: Final = 256
_MAX_BITS: Final = 8192  # reached only if a threshold is an integer to 8,000 bits; none is
_KEPT_TABLES: Final = 32  # at most 0.5 MB each


@dataclass(frozen=True, slots=True)
class NoiseTable:
    """Thresholds of |X|, split into the 63 bits compared first and the 64 bits that settle a tie.

    Args:
        top: T_k >> 64, ascending.
        low: T_k mod 2⁶⁴.
    """

    top: NDArray[np.uint64]
    low: NDArray[np.uint64]

    @property
    def largest(self) -> int:
        """The largest |X| the table can give."""
        return len(self.top)


@lru_cache(maxsize=_KEPT_TABLES)
def gaussian_table(sigma_squared: Fraction) -> NoiseTable:
    """The table of the discrete Gaussian with this sigma², built once per value (about 1 ms at sigma 14).

    Raises:
        InvalidParameterError: sigma² is not positive or lies beyond `TABLE_REACH`.
    """
    if not 0 < sigma_squared <= TABLE_REACH:
        raise InvalidParameterError(
            what="Noise table refused",
            why=f"sigma² is {sigma_squared}, a table reaches from above 0 to {TABLE_REACH}",
            fix="Draw larger noise with the exact sampler",
        )
    return _table(gaussian_thresholds(sigma_squared))


@lru_cache(maxsize=_KEPT_TABLES)
def laplace_table(scale: Fraction) -> NoiseTable:
    """The table of the discrete Laplace law with this b, built once per value (about 10 ms at b = 40).

    Raises:
        InvalidParameterError: b is not positive or lies beyond `LAPLACE_REACH`.
    """
    if not 0 < scale <= LAPLACE_REACH:
        raise InvalidParameterError(
            what="Noise table refused",
            why=f"b is {scale}, a table reaches from above 0 to {LAPLACE_REACH}",
            fix="Draw larger noise with the exact sampler",
        )
    return _table(laplace_thresholds(scale))


def _table(thresholds: list[int]) -> NoiseTable:
    import numpy as np

    word = (1 << 64) - 1
    return NoiseTable(
        np.array([t >> 64 for t in thresholds], dtype=np.uint64),
        np.array([t & word for t in thresholds], dtype=np.uint64),
    )


def gaussian_thresholds(sigma_squared: Fraction) -> list[int]:
    """floor(2¹²⁷ · P(|X| <= k)) for k = 0, 1, … up to the first that is 2¹²⁷ − 1, exact.

    P(X = x) is proportional to exp(−x² / (2 sigma²)) over the integers.
    """
    return _settled(_thresholds, sigma_squared, "sigma²")


def laplace_thresholds(scale: Fraction) -> list[int]:
    """floor(2¹²⁷ · P(|X| <= k)) for k = 0, 1, … up to the first that is 2¹²⁷ − 1, exact.

    P(X = x) is proportional to exp(−|x| / scale) over the integers.
    """
    return _settled(_laplace_thresholds, scale, "b")


def _settled(at: Callable[[Fraction, int], list[int] | None], parameter: Fraction, name: str) -> list[int]:
    bits = _START_BITS
    while bits <= _MAX_BITS:
        thresholds = at(parameter, bits)
        if thresholds is not None:
            return thresholds
        bits *= 2
    raise InvalidParameterError(
        what="Noise table refused",
        why=f"a threshold for {name} = {parameter} is not settled by {_MAX_BITS} bits",
        fix=f"Choose another {name}",
    )


def _laplace_thresholds(scale: Fraction, bits: int) -> list[int] | None:
    """The thresholds, or None when this precision does not settle one of them.

    P(|X| > k) = 2 q^(k+1) / (1 + q) with q = exp(−1/b). Numbers are integers in units of 2^-bits, `_lo` rounded down
    and `_hi` up; T_k = floor(2¹²⁷ − 2¹²⁷·P(|X| > k)), so an upper end of the tail gives the lower end of T_k.
    """
    one = 1 << bits
    ratio_lo, ratio_hi = exp_minus(1 / scale, bits)
    power_lo, power_hi = ratio_lo, ratio_hi  # q^(k+1), first at k = 0
    thresholds: list[int] = []
    while True:
        tail_hi = -(-(power_hi << (TABLE_BITS + 1)) // (one + ratio_lo))
        tail_lo = (power_lo << (TABLE_BITS + 1)) // (one + ratio_hi)
        # T = 2¹²⁷ − ceil(tail): both enclosures agree when the tail's two ends round up to one integer. tail_hi is
        # rounded up already; tail_lo, rounded down, is below its true end unless it was whole, hence the + 1.
        lo = (1 << TABLE_BITS) - tail_hi
        hi = min((1 << TABLE_BITS) - tail_lo - 1, _TOP)  # the tail is above 0 and never a whole number
        if lo != hi:
            return None
        thresholds.append(lo)
        if lo == _TOP:
            return thresholds
        power_lo, power_hi = power_lo * ratio_lo >> bits, _shift_up(power_hi * ratio_hi, bits)


def _thresholds(sigma_squared: Fraction, bits: int) -> list[int] | None:
    """The thresholds, or None when this precision does not settle one of them.

    Weights are w_0 = 1, w_k = 2 exp(−k²/(2 sigma²)); numbers are integers in units of 2^-bits, `_lo` rounded
    down and `_hi` up.
    """
    one = 1 << bits
    ratio_lo, ratio_hi = exp_minus(1 / (2 * sigma_squared), bits)  # term k+1 over term k, first at k = 0
    step_lo, step_hi = ratio_lo * ratio_lo >> bits, _shift_up(ratio_hi * ratio_hi, bits)
    term_lo = term_hi = one
    sums_lo, sums_hi = [one], [one]
    negligible = 1 << 56
    while term_hi > negligible:
        term_lo, term_hi = term_lo * ratio_lo >> bits, _shift_up(term_hi * ratio_hi, bits)
        ratio_lo, ratio_hi = ratio_lo * step_lo >> bits, _shift_up(ratio_hi * step_hi, bits)
        sums_lo.append(sums_lo[-1] + 2 * term_lo)
        sums_hi.append(sums_hi[-1] + 2 * term_hi)
    if ratio_hi >= one:
        return None
    # The ratios fall, so the tail is at most a geometric series.
    tail_hi = -(-2 * term_hi * ratio_hi // (one - ratio_hi))
    total_lo, total_hi = sums_lo[-1], sums_hi[-1] + tail_hi
    thresholds: list[int] = []
    for sum_lo, sum_hi in zip(sums_lo, sums_hi, strict=True):
        lo = (sum_lo << TABLE_BITS) // total_hi
        hi = min((sum_hi << TABLE_BITS) // total_lo, _TOP)  # P(|X| <= k) < 1, always
        if lo != hi:
            return None
        thresholds.append(lo)
        if lo == _TOP:
            return thresholds
    return None


def exp_minus(x: Fraction, bits: int) -> tuple[int, int]:
    """Integers lo <= 2^bits · exp(−x) <= hi, for x >= 0, a few units apart."""
    halvings = max(0, int(2 * x).bit_length())
    guard = halvings + 32
    work = bits + guard
    y = x / (1 << halvings)  # <= 1/2, so the series below alternates and falls
    term, total, terms = 1 << work, 0, 0
    while term:
        total += -term if terms & 1 else term
        terms += 1
        term = term * y.numerator // (y.denominator * terms)
    slack = 2 * terms + 2  # each floored term is off by less than 2, and so is the rest of the series
    lo, hi = max(0, total - slack), min(1 << work, total + slack)
    for _ in range(halvings):
        lo, hi = lo * lo >> work, _shift_up(hi * hi, work)
    return lo >> guard, _shift_up(hi, guard)


def _shift_up(value: int, bits: int) -> int:
    """value / 2^bits, rounded up."""
    return -(-value >> bits)
