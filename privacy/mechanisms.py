"""Noise mechanisms: what each costs, and the noise scale a cost asks for.

One mechanism so far, the discrete Gaussian. All parameters are Fractions: no rounding stands between a
definition's rho, the sigma² on the wire and the thresholds of the sampler.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from privacy.errors import InvalidParameterError, UnknownMechanism
from privacy.noise_table import ETA_TABLE, TABLE_REACH

GAUSSIAN: Final = "gaussian"
MECHANISMS: Final = frozenset({GAUSSIAN})


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

    Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), Theorem 14.
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


def eta_of_draws(mechanism: str, sigma_squared: Fraction, draws: int) -> Fraction:
    """Total variation distance between what is drawn and the stated law, over `draws` cells, at most.

    The table's 2⁻¹¹³ a draw; nothing for the exact sampler beyond the table's reach. The reported δ takes
    (1 + e^ε) times the sum of these (PRIVACY 5).

    Raises:
        UnknownMechanism: not a mechanism of this version.
    """
    check_mechanism(mechanism)
    return ETA_TABLE * draws if sigma_squared <= TABLE_REACH else Fraction(0)


def check_mechanism(mechanism: str) -> None:
    """Refuse a mechanism this version cannot draw.

    Raises:
        UnknownMechanism: the name is not in `MECHANISMS`.
    """
    if mechanism not in MECHANISMS:
        raise UnknownMechanism(
            what="Noise refused",
            why=f"this version does not know the mechanism {mechanism!r}",
            fix=f"Use one of: {', '.join(sorted(MECHANISMS))}",
        )


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
