"""The exact rational samplers of Canonne, Kamath and Steinke: plain loops over integers.

They say what the fast sampler means, and draw what lies beyond its table. Given independent uniform bytes
the law is exact: no float, no cut tail, no table. Their running time depends on the noise drawn, never on
the data, because noise is drawn before the data is read (PRIVACY 4).

Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), exact sampling (specs/privacy.md 9).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from privacy.errors import InvalidParameterError

Rng = Callable[[int], bytes]
"""n -> n independent uniform bytes; the node passes the operating system's."""


def uniform_below(n: int, rng: Rng) -> int:
    """A uniform integer in [0, n), by rejection; n >= 1."""
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    bits = (n - 1).bit_length()
    if bits == 0:
        return 0
    size = (bits + 7) // 8
    excess = 8 * size - bits
    while True:
        value = int.from_bytes(rng(size), "little") >> excess
        if value < n:
            return value


def bernoulli_exp(numerator: int, denominator: int, rng: Rng) -> bool:
    """True with probability exp(−numerator/denominator), for a ratio >= 0."""
    whole, rest = divmod(numerator, denominator)
    # A ratio above 1 is a run of exp(−1) coins and one of the remainder; stop at the first False.
    return all(_bernoulli_exp_below_one(1, 1, rng) for _ in range(whole)) and _bernoulli_exp_below_one(
        rest, denominator, rng
    )


def discrete_laplace(scale: Fraction, rng: Rng) -> int:
    """One draw with P(X = x) proportional to exp(−|x| / scale), scale > 0."""
    if scale <= 0:
        raise _not_positive("scale", scale)
    t, s = scale.numerator, scale.denominator
    while True:
        offset = uniform_below(t, rng)
        if not bernoulli_exp(offset, t, rng):
            continue
        blocks = 0
        while _bernoulli_exp_below_one(1, 1, rng):
            blocks += 1
        size = (offset + t * blocks) // s
        negative = bool(rng(1)[0] & 1)
        if negative and size == 0:
            continue  # zero would come twice
        return -size if negative else size


def discrete_gaussian(sigma_squared: Fraction, rng: Rng) -> int:
    """One draw with P(X = x) proportional to exp(−x² / (2 sigma²)), sigma² > 0."""
    if sigma_squared <= 0:
        raise _not_positive("sigma²", sigma_squared)
    p, q = sigma_squared.numerator, sigma_squared.denominator
    t = isqrt(p // q) + 1
    laplace_scale = Fraction(t)
    while True:
        y = discrete_laplace(laplace_scale, rng)
        # (|y| − sigma²/t)² / (2 sigma²), over the common denominator 2 p q t².
        distance = abs(y) * q * t - p
        if bernoulli_exp(distance * distance, 2 * p * q * t * t, rng):
            return y


def _bernoulli_exp_below_one(numerator: int, denominator: int, rng: Rng) -> bool:
    """True with probability exp(−numerator/denominator), for a ratio in [0, 1]."""
    k = 1
    while uniform_below(denominator * k, rng) < numerator:
        k += 1
    return k % 2 == 1


def _not_positive(name: str, value: Fraction) -> InvalidParameterError:
    return InvalidParameterError(
        what="Noise refused", why=f"{name} is {value}, it must be above 0", fix="State a positive noise scale"
    )
