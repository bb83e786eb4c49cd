"""Noise mechanisms: what each costs, and the noise scale a cost asks for.

| in a definition | law on each cell, over the integers | price of a block |
|---|---|---|
| `gaussian` | P(X = x) ∝ exp(−x²/(2σ²)) | ρ = Δ₂²/(2σ²), exact |
| `laplace` | P(X = x) ∝ exp(−abs(x)/b) | pure ε = Δ₁/b; ρ = Δ₂²/(2b²), exact |

A Laplace block is drawn by one of two carriers, named on the wire because their draws are not equally near to the
law: `geometric`, diffprivlib's mechanism, where the block is small, else `laplace`, our table. Which one follows
from the definition alone.

All parameters are Fractions: no rounding stands between a definition's price, the σ² on the wire and the sampler.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt
from typing import Final

from privacy.errors import InvalidParameterError, UnknownMechanism
from privacy.noise_table import ETA_TABLE, LAPLACE_REACH, TABLE_REACH

GAUSSIAN: Final = "gaussian"
LAPLACE: Final = "laplace"
GEOMETRIC: Final = "geometric"
MECHANISMS: Final = frozenset({GAUSSIAN, LAPLACE})  # what a definition may ask for
CARRIERS: Final = frozenset({GAUSSIAN, LAPLACE, GEOMETRIC})  # what a block on the wire may name
SPOKEN: Final = {GAUSSIAN: "gaussian", LAPLACE: "laplace", GEOMETRIC: "laplace (diffprivlib Geometric)"}

GEOMETRIC_CELLS: Final = 256  # the most cells of a block that diffprivlib carries: about a millisecond
GEOMETRIC_SCALE: Final = Fraction(1024)  # the largest b it carries; its distance to the law grows with b
SCALE_GRID: Final = 1024  # b made from a rho is rounded up to a multiple of 1/1024
_MAX_INTEGER: Final = 2**53 - 1  # of a ratio on the wire (PROTOCOL 3)
_VARIANCE_GRIDS: Final = (2**20, 1)  # what a σ² that no two wire integers hold is rounded up to


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """The noise of one block.

    Args:
        mechanism: Law and carrier, as on the wire.
        sigma_squared: Stated variance parameter, in cells squared; for Laplace an upper bound of the variance.
        scale: b of discrete Laplace noise; None for Gaussian.
        rho: What it costs in zCDP, exact.
        epsilon: What it costs in pure DP, exact; None for Gaussian, which has no such price.
    """

    mechanism: str
    sigma_squared: Fraction
    scale: Fraction | None
    rho: Fraction
    epsilon: Fraction | None


def noise_for(
    mechanism: str,
    l1: Fraction,
    l2_squared: Fraction,
    cells: int,
    *,
    rho: Fraction | None = None,
    epsilon: Fraction | None = None,
) -> NoiseScale:
    """The noise that a block of these sensitivities gets for a price in rho or in epsilon; give one of them.

    Args:
        mechanism: As a definition names it.
        l1, l2_squared: Δ₁ and Δ₂² of the block, > 0.
        cells: How many cells it has; decides the carrier of Laplace noise.
        rho: zCDP. For Laplace b = √(Δ₂²/(2 rho)), rounded up to a multiple of 1/1024, so it may cost a little less.
        epsilon: Pure DP, Laplace only: b = Δ₁/epsilon, exact.

    Raises:
        InvalidParameterError: a price or sensitivity is no exact number above 0, or both or none are given.
        UnknownMechanism: as it says.
    """
    if mechanism not in MECHANISMS:
        raise _unknown(mechanism, MECHANISMS)
    if (rho is None) == (epsilon is None) or (mechanism == GAUSSIAN and rho is None):
        raise InvalidParameterError(
            what="Noise parameter refused",
            why="the price of a block is one rho, or one epsilon for Laplace noise",
            fix="Give exactly one of them",
        )
    if mechanism == GAUSSIAN:
        assert rho is not None
        return NoiseScale(GAUSSIAN, sigma_squared_for(l2_squared, rho), None, rho, None)
    scale = laplace_scale_for_rho(l2_squared, rho) if rho is not None else laplace_scale_for_epsilon(l1, epsilon)
    carrier = GEOMETRIC if cells <= GEOMETRIC_CELLS and scale <= GEOMETRIC_SCALE else LAPLACE
    return NoiseScale(
        carrier,
        variance_of_discrete_laplace(scale),
        scale,
        rho_of_discrete_laplace(l2_squared, scale),
        epsilon_of_discrete_laplace(l1, scale),
    )


def laplace_scale_for_epsilon(l1: Fraction, epsilon: Fraction | None) -> Fraction:
    """b = Δ₁/epsilon, exact.

    Raises:
        InvalidParameterError: a value is no exact number above 0.
    """
    _exact("l1", l1)
    _exact("epsilon", epsilon)
    assert epsilon is not None
    return Fraction(l1) / Fraction(epsilon)


def laplace_scale_for_rho(l2_squared: Fraction, rho: Fraction) -> Fraction:
    """The smallest multiple b of 1/1024 with Δ₂²/(2b²) <= rho.

    Raises:
        InvalidParameterError: a value is no exact number above 0.
    """
    _exact("l2_squared", l2_squared)
    _exact("rho", rho)
    square = Fraction(l2_squared) / (2 * Fraction(rho)) * SCALE_GRID**2
    whole = isqrt(ceil(square) - 1) + 1 if square > 0 else 0  # the root of a whole number, rounded up
    return Fraction(whole, SCALE_GRID)


def rho_of_discrete_laplace(l2_squared: Fraction, scale: Fraction) -> Fraction:
    """Privacy cost, in rho (zCDP), of adding discrete Laplace noise of this b once to a vector of counts.

    A cell that moves by k is (k/b)-DP, hence k²/(2b²)-zCDP, and cells add up.

    Args:
        l2_squared: Δ₂²; >= 0.
        scale: b, in cells; > 0.

    Raises:
        InvalidParameterError: a value is no exact number, scale <= 0 or l2_squared < 0.

    Source: Bun, Steinke 2016 (arXiv 1605.02065), Proposition 1.4 and Lemma 1.7.
    """
    _exact("l2_squared", l2_squared, at_least_zero=True)
    _exact("scale", scale)
    return Fraction(l2_squared) / (2 * Fraction(scale) ** 2)


def epsilon_of_discrete_laplace(l1: Fraction, scale: Fraction) -> Fraction:
    """Pure epsilon of adding discrete Laplace noise of this b once: Δ₁/b, exact.

    Raises:
        InvalidParameterError: a value is no exact number, scale <= 0 or l1 < 0.

    Source: Ghosh, Roughgarden, Sundararajan 2009 (arXiv 0811.2841); one cell of sensitivity 1 there.
    """
    _exact("l1", l1, at_least_zero=True)
    _exact("scale", scale)
    return Fraction(l1) / Fraction(scale)


def rho_of_pure(epsilon: Fraction) -> Fraction:
    """What a pure epsilon costs on a ledger of rho: epsilon²/2; a private choice (PermuteAndFlip) is charged so.

    Raises:
        InvalidParameterError: epsilon is no exact number above 0.

    Source: Bun, Steinke 2016 (arXiv 1605.02065), Proposition 1.4.
    """
    _exact("epsilon", epsilon)
    return Fraction(epsilon) ** 2 / 2


def variance_of_discrete_laplace(scale: Fraction) -> Fraction:
    """A rational upper bound on the variance, tight to b⁻⁴/3024: 2b² − 1/6 + 1/(120b²).

    The variance is 1/(2 sinh²(y)) with y = 1/(2b), and csch²(y) = 1/y² − 2 Σ (1 − u)/(a(1 + u)²) over n >= 1 with
    a = π²n², u = y²/a. Since (1 − u)/(1 + u)² >= 1 − 3u for every u >= 0, csch²(y) <= 1/y² − 2Σ1/a + 6y²Σ1/a² =
    1/y² − 1/3 + y²/15: for every b > 0 the value is a bound. Where two integers of the wire do not hold it, it is
    rounded up to a multiple of 2⁻²⁰, else to a whole number.

    Raises:
        InvalidParameterError: scale is no exact number above 0.
    """
    _exact("scale", scale)
    square = Fraction(scale) ** 2
    bound = 2 * square - Fraction(1, 6) + 1 / (120 * square)
    rounded = (Fraction(ceil(bound * grid), grid) for grid in _VARIANCE_GRIDS)
    return next((value for value in (bound, *rounded) if _fits_wire(value)), Fraction(ceil(bound)))


def check_statable(sigma_squared: Fraction, scale: Fraction | None) -> None:
    """Refuse noise whose parameters no summary can state exactly.

    Raises:
        InvalidParameterError: σ² or b is no ratio of two integers up to 2⁵³ − 1.
    """
    for value in (sigma_squared, scale):
        if value is not None and not _fits_wire(value):
            raise InvalidParameterError(
                what="Noise parameter refused",
                why=f"a summary states ratios of two integers up to 2^53 − 1; the noise scale {value} is none",
                fix="Use a simpler ratio for the price, or lower the bounds",
            )


def rho_of_discrete_gaussian(l2_squared: Fraction, sigma_squared: Fraction) -> Fraction:
    """Privacy cost, in rho (zCDP), of adding discrete Gaussian noise once to a vector of counts.

    Args:
        l2_squared: Square of the most one privacy unit can move the vector, Δ₂²; >= 0. Squares keep the
            value exact: the root is seldom rational.
        sigma_squared: Square of the noise scale, in cells squared; > 0.

    Returns:
        l2_squared / (2 · sigma_squared), exact. Costs of several releases add up.

    Raises:
        InvalidParameterError: a value is no exact number, sigma_squared <= 0 or l2_squared < 0.

    Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), zCDP of discrete Gaussian noise (specs/privacy.md 9).
    """
    _exact("l2_squared", l2_squared, at_least_zero=True)
    _exact("sigma_squared", sigma_squared)
    return Fraction(l2_squared) / (2 * Fraction(sigma_squared))


def sigma_squared_for(l2_squared: Fraction, rho: Fraction) -> Fraction:
    """The sigma² at which discrete Gaussian noise costs exactly rho: Δ₂² / (2 rho); the inverse of the above.

    Raises:
        InvalidParameterError: a value is no exact number, rho <= 0 or l2_squared <= 0.
    """
    _exact("l2_squared", l2_squared)
    _exact("rho", rho)
    return Fraction(l2_squared) / (2 * Fraction(rho))


def eta_of_draws(mechanism: str, sigma_squared: Fraction, draws: int, scale: Fraction | None = None) -> Fraction:
    """Total variation distance between what is drawn and the stated law, over `draws` cells, at most.

    The table's 2⁻¹¹³ a draw; nothing for the exact samplers beyond a table's reach; for `geometric` see
    `eta_of_geometric`, which has its own line in the reported δ (PRIVACY 5).

    Raises:
        UnknownMechanism: not a mechanism of this version.
    """
    check_mechanism(mechanism)
    if mechanism == GAUSSIAN:
        return ETA_TABLE * draws if sigma_squared <= TABLE_REACH else Fraction(0)
    assert scale is not None, "Laplace noise has a scale"
    if mechanism == GEOMETRIC:
        return eta_of_geometric(scale) * draws
    return ETA_TABLE * draws if scale <= LAPLACE_REACH else Fraction(0)


def eta_of_geometric(scale: Fraction) -> Fraction:
    """Total variation distance of one `Geometric` draw of diffprivlib to discrete Laplace of this b, at most.

    Its one uniform has 53 bits, so each of the at most 2·37b + 3 values that it can give is off by less than 2⁻⁵³ on
    either side, and it finds a value by a logarithm in binary64, whose error moves a boundary by a few steps of the
    last place. Measured exactly, by bisecting every boundary (tests/statistical/test_laplace.py): 2⁻⁵⁰ at b = 1/2,
    2⁻⁴⁶ at b = 10, 2⁻⁴⁴ at b = 40; this is five to twenty times that. PRIVACY 5 has 2⁻⁵² a draw, which is too little
    (specs/decisions/0020).
    """
    return Fraction(74 * ceil(scale) + 74, 2**53)


def check_mechanism(mechanism: str) -> None:
    """Refuse a mechanism this version cannot draw.

    Raises:
        UnknownMechanism: the name is not in `CARRIERS`.
    """
    if mechanism not in CARRIERS:
        raise _unknown(mechanism, CARRIERS)


def _unknown(mechanism: object, known: frozenset[str]) -> UnknownMechanism:
    return UnknownMechanism(
        what="Noise refused",
        why=f"this version does not know the mechanism {mechanism!r}",
        fix=f"Use one of: {', '.join(sorted(known))}",
    )


def _fits_wire(value: Fraction) -> bool:
    return value.numerator <= _MAX_INTEGER and value.denominator <= _MAX_INTEGER


def _exact(name: str, value: object, *, at_least_zero: bool = False) -> None:
    """Refuse floats, bools and what is not positive (or not >= 0): a float never decides a guarantee."""
    exact = isinstance(value, Fraction) or (isinstance(value, int) and not isinstance(value, bool))
    if not exact:
        raise InvalidParameterError(
            what="Noise parameter refused",
            why=f"{name} is {value!r}, expected an exact number (an integer or a ratio)",
            fix='Write it as an integer or a ratio, such as "1/400"',
        )
    assert isinstance(value, (int, Fraction))
    if value < 0 or (value == 0 and not at_least_zero):
        raise InvalidParameterError(
            what="Noise parameter refused",
            why=f"{name} is {value}, it must be {'at least' if at_least_zero else 'above'} 0",
            fix=f"State a {'non-negative' if at_least_zero else 'positive'} {name}",
        )
