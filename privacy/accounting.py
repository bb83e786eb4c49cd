"""From rho on the ledger to the epsilon a person is told: zCDP to (ε, δ), rounded towards safety.

- Costs of releases over one person's rows add up in rho (Bun, Steinke 2016, arXiv 1605.02065, Lemma 1.7).
- ε(ρ, δ) = inf over α > 1 of ρα + ln(1/(αδ))/(α − 1) + ln(1 − 1/α), the tight conversion (Canonne, Kamath,
  Steinke 2020, arXiv 2004.00010, Proposition 12). Any α gives a true bound, so the search for the best one
  needs no proof; the value at the α found is computed with outward rounding and rounded up.
- A person with k keys in one epoch has the protection of k²·ρ (Bun, Steinke 2016, group privacy).
- What the sampler is off by costs (1 + e^ε)·η a draw in δ (PRIVACY 5).

Decimal (libmpdec) instead of float: correctly rounded, the same digits on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from privacy.errors import InvalidParameterError
from privacy.units import EpochLength

DELTA: Final = Fraction(1, 10**6)  # the δ at which ε is told
REPORT_DAYS: Final = (1, 30, 365)
DEFAULT_CAP_RHO: Final[dict[EpochLength, Fraction]] = {
    "day": Fraction(1, 40),
    "week": Fraction(1, 16),
    "month": Fraction(1, 4),
}

_DIGITS: Final = 40
_UP: Final = Context(prec=_DIGITS, rounding=ROUND_CEILING, Emin=-(10**9), Emax=10**9)
_DOWN: Final = Context(prec=_DIGITS, rounding=ROUND_FLOOR, Emin=-(10**9), Emax=10**9)
_SHOWN: Final = Decimal("1e-9")  # epsilon is rounded up to this
_SHOWN_DELTA_DIGITS: Final = 6  # significant digits of a reported delta
_BISECTIONS: Final = 60


@dataclass(frozen=True, slots=True)
class Guarantee:
    """(ε, δ)-differential privacy for one person key, as reported; both rounded up.

    Args:
        days: The span of days the person was active on.
        epochs: The most epochs such a span can touch.
        rho: What those epochs cost together.
        epsilon: ε at `DELTA`.
        delta: `DELTA`, the thresholds' δ and the sampler's share, together.
    """

    days: int
    epochs: int
    rho: Fraction
    epsilon: Decimal
    delta: Decimal


def epsilon_of_rho(rho: Fraction, delta: Fraction = DELTA) -> Decimal:
    """An upper bound, tight to 10⁻⁹, on the ε at which every ρ-zCDP mechanism is (ε, δ)-DP.

    Args:
        rho: Total cost; >= 0, exact.
        delta: In (0, 1), exact.

    Raises:
        InvalidParameterError: a value is out of range or no exact number.

    Source: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), Proposition 12.
    """
    if not isinstance(rho, (int, Fraction)) or rho < 0:
        raise _refused("rho", rho, "an exact number, at least 0")
    if not isinstance(delta, Fraction) or not 0 < delta < 1:
        raise _refused("delta", delta, "an exact number between 0 and 1")
    # Cached behind the checks: Decimal("0.025") equals Fraction(1, 40) and would find its entry.
    return _epsilon(Fraction(rho), delta)


def guarantee_over(
    days: int,
    length: EpochLength,
    rho_per_epoch: Fraction,
    *,
    thresholds_delta: Fraction = Fraction(0),
    eta: Fraction = Fraction(0),
    delta: Fraction = DELTA,
) -> Guarantee:
    """What a person active on every day of a span of `days` is promised, when each epoch costs this much.

    Args:
        days: Length of the span; >= 1.
        length: Length of an epoch.
        rho_per_epoch: The cap (promise) or the most that was charged to an epoch (fact).
        thresholds_delta: δ of partition thresholds per epoch.
        eta: Total variation distance of the drawn noise to its law, per epoch.
        delta: The δ at which ε is computed.

    Source: PRIVACY 5.
    """
    epochs = most_epochs(length, days)
    rho = rho_per_epoch * epochs
    epsilon = epsilon_of_rho(rho, delta)
    whole = delta + epochs * thresholds_delta + (1 + _exp_up(epsilon)) * epochs * eta
    return Guarantee(days, epochs, rho, epsilon, _ratio(whole, Context(_SHOWN_DELTA_DIGITS, ROUND_CEILING)))


def guarantees(
    length: EpochLength,
    rho_per_epoch: Fraction,
    *,
    thresholds_delta: Fraction = Fraction(0),
    eta: Fraction = Fraction(0),
) -> tuple[Guarantee, ...]:
    """The three figures that always stand together: one day (one epoch), 30 days and 365 days."""
    return tuple(
        guarantee_over(days, length, rho_per_epoch, thresholds_delta=thresholds_delta, eta=eta) for days in REPORT_DAYS
    )


def rho_of_group(rho: Fraction, keys: int) -> Fraction:
    """Cost to a human who has `keys` person keys in one epoch: keys² · rho.

    Source: Bun, Steinke 2016 (arXiv 1605.02065), group privacy (specs/privacy.md 9).
    """
    return rho * keys * keys


def most_epochs(length: EpochLength, days: int) -> int:
    """The most epochs of a length that a span of consecutive days can touch; days >= 1.

    Day 30 and 365, week 6 and 53, month 3 and 13 for 30 and 365 days.
    """
    if days < 1:
        raise ValueError(f"days must be at least 1, got {days}")
    if length == "day":
        return days
    if length == "week":
        return (days + 12) // 7  # from a Sunday on
    # A span that begins on the last day of a month touches most; four years hold every pattern of lengths.
    starts = [date(2000 + m // 12, m % 12 + 1, 1) - timedelta(days=1) for m in range(1, 49)]
    return max(_months_touched(start, days) for start in starts)


@lru_cache(maxsize=1024)  # a millisecond each; a report asks for the same few again and again
def _epsilon(rho: Fraction, delta: Fraction) -> Decimal:
    if rho == 0:
        return Decimal(0).quantize(_SHOWN)
    bound = _bound_at(rho, delta, _best_order(rho, delta))
    return max(bound, Decimal(0)).quantize(_SHOWN, context=_UP)


def _months_touched(start: date, days: int) -> int:
    end = start + timedelta(days=days - 1)
    return (end.year - start.year) * 12 + end.month - start.month + 1


def _best_order(rho: Fraction, delta: Fraction) -> Fraction:
    """An α near the best: the root of ρ(α − 1)² = ln(1/(αδ)), where the derivative vanishes."""
    work = Context(prec=28, rounding=ROUND_CEILING, Emin=-(10**9), Emax=10**9)
    ratio, log_delta = _ratio(rho, work), work.ln(_ratio(delta, work))
    low = Decimal(1)
    high = work.add(low, work.sqrt(work.divide(work.minus(log_delta), ratio)))  # ln(αδ) > ln δ beyond 1
    for _ in range(_BISECTIONS):
        middle = work.divide(work.add(low, high), Decimal(2))
        gap = work.subtract(middle, Decimal(1))
        slope = work.add(work.multiply(ratio, work.multiply(gap, gap)), work.add(work.ln(middle), log_delta))
        low, high = (middle, high) if slope < 0 else (low, middle)
    return Fraction(high)


def _bound_at(rho: Fraction, delta: Fraction, order: Fraction) -> Decimal:
    """ρα + ln(1/(αδ))/(α − 1) + ln(1 − 1/α), rounded up at each step."""
    conversion = _UP.divide(_ln_up(1 / (order * delta)), _ratio(order - 1, _DOWN))
    if conversion < 0:  # a negative numerator over a denominator rounded down is rounded down: turn it
        conversion = _UP.divide(_ln_up(1 / (order * delta)), _ratio(order - 1, _UP))
    return _UP.add(_UP.add(_ratio(rho * order, _UP), conversion), _ln_up(1 - 1 / order))


def _ln_up(value: Fraction) -> Decimal:
    """An upper bound on ln(value), value > 0."""
    # Decimal.ln ignores the context's rounding (it is half-even), so one unit in the last place is added.
    return _UP.ln(_ratio(value, _UP)).next_plus(context=_UP)


def _exp_up(value: Decimal) -> Fraction:
    """An upper bound on e^value."""
    return Fraction(_UP.exp(value).next_plus(context=_UP))


def _ratio(value: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _refused(name: str, value: object, expected: str) -> InvalidParameterError:
    return InvalidParameterError(
        what="Accounting refused",
        why=f"{name} is {value!r}, expected {expected}",
        fix='State it as a ratio such as "1/400"',
    )
