"""Ratios of noised numbers with Fieller's interval: exact, closed form, honest where the denominator may be 0.

The set of ratios r that the noise does not rule out is {r: (N − rD)² <= c²·Var(N − rD)}, c the critical value. With
N and D of covariance k it is where a·r² − 2h·r + g <= 0, for

    a = D² − c²·Var D,   h = N·D − c²·k,   g = N² − c²·Var N.

- a > 0: D is surely not 0; the set is an interval around N/D, status `ok`.
- a <= 0: D might be 0; the set is the whole line, or all but an open interval: status `unbounded`. Where the measure
  bounds the ratio (a rate lies in [0, 1], a mean in its range), the ends given are those of what is left in there,
  joined to one interval.
- Nothing is left inside the bounds: status `empty`. That happens to a true ratio at a bound, at most as often as the
  level allows for.

A point is given only where the noised denominator is above 0, and is moved into the bounds.

Source: Fieller 1954, "Some problems in interval estimation", J. R. Stat. Soc. B 16, 175-185.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from privacy.estimates.numbers import FINE, Estimate, total, widest_critical
from privacy.quantiles import sqrt_half_even

Status = Literal["ok", "unbounded", "empty"]
Bounds = tuple[Fraction | None, Fraction | None]
UNBOUNDED: Final[Bounds] = (None, None)
RATE: Final[Bounds] = (Fraction(0), Fraction(1))
_GRID: Final = Fraction(1, 10**6 * FINE)  # of the roots; they are rounded once more when they are shown


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio, unrounded.

    Args:
        value: The point; None where there is none.
        lower: Lower end; None when open, or `empty`.
        upper: Upper end; None when open, or `empty`.
        status: See the module.
    """

    value: Fraction | None
    lower: Fraction | None
    upper: Fraction | None
    status: Status

    def plus(self, shift: Fraction) -> Ratio:
        """The ratio moved by an exact number."""
        value, lower, upper = (None if one is None else one + shift for one in (self.value, self.lower, self.upper))
        return Ratio(value, lower, upper, self.status)


def ratio(numerator: Estimate, denominator: Estimate, level: str, bounds: Bounds = UNBOUNDED) -> Ratio:
    """numerator / denominator, whose noises are independent.

    Args:
        numerator, denominator: Noised numbers.
        level: One of `privacy.quantiles.LEVELS`.
        bounds: Where the true ratio lies by definition; None for an open side.

    Raises:
        InvalidParameterError: another level.
    """
    c = widest_critical((numerator, denominator), level)
    return _fieller(numerator, denominator, Fraction(0), c * c, bounds)


def share_of_sum(part: Estimate, rest: Estimate, level: str, bounds: Bounds = RATE) -> Ratio:
    """part / (part + rest), part and rest of independent noise: a rate of a funnel, a share of a partition."""
    c = widest_critical((part, rest), level)
    return _fieller(part, total((part, rest)), part.variance, c * c, bounds)


def _fieller(n: Estimate, d: Estimate, covariance: Fraction, c_squared: Fraction, bounds: Bounds) -> Ratio:
    a = d.value**2 - c_squared * d.variance
    h = n.value * d.value - c_squared * covariance
    g = n.value**2 - c_squared * n.variance
    point = _moved_into(n.value / d.value, bounds) if d.value > 0 else None
    discriminant = h * h - a * g
    if a > 0:
        root = sqrt_half_even(max(discriminant, Fraction(0)), a * _GRID)
        low, high = (h - root) / a, (h + root) / a
        return _clipped(point, low, high, bounds, "ok")
    if a == 0 or discriminant < 0:
        return _half_line(point, h, g, bounds) if a == 0 and h else Ratio(point, *bounds, "unbounded")
    root = sqrt_half_even(discriminant, -a * _GRID)
    left, right = (h + root) / a, (h - root) / a  # a < 0: the set is r <= left or r >= right
    lower, upper = bounds
    has_left = lower is None or lower <= left
    has_right = upper is None or upper >= right
    if not has_left and not has_right:
        return Ratio(None, None, None, "empty")
    return _clipped(point, None if has_left else right, None if has_right else left, bounds, "unbounded")


def _half_line(point: Fraction | None, h: Fraction, g: Fraction, bounds: Bounds) -> Ratio:
    """a = 0: the set is 2h·r >= g."""
    edge = g / (2 * h)
    return _clipped(point, edge if h > 0 else None, None if h > 0 else edge, bounds, "unbounded")


def _clipped(
    point: Fraction | None, low: Fraction | None, high: Fraction | None, bounds: Bounds, status: Status
) -> Ratio:
    lower, upper = bounds
    if (low is not None and upper is not None and low > upper) or (
        high is not None and lower is not None and high < lower
    ):
        return Ratio(None, None, None, "empty")
    low = lower if low is None or (lower is not None and low < lower) else low
    high = upper if high is None or (upper is not None and high > upper) else high
    if point is not None:
        point = _moved_into(point, (low, high))  # outside the ends only where the noise turned the sign of a
    return Ratio(point, low, high, status)


def _moved_into(value: Fraction, bounds: Bounds) -> Fraction:
    lower, upper = bounds
    value = value if lower is None else max(value, lower)
    return value if upper is None else min(value, upper)
