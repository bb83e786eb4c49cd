"""Partition selection: which keys nobody listed may appear, so that one person's own key shows with probability <= δ.

Two ways, and when to use which:

- **Threshold** (`threshold`, `passes`): a noised people block is released anyway; a key goes out iff its noised count
  is at least τ. A key of one person alone then shows with probability at most δ/C, and the at most C keys of one person
  with at most δ together (union bound). The count stays what was released: nothing more is charged than δ.
- **Optimal rule** (`keep_probability`, `is_kept`): where only presence is released. π(n) is the largest probability of
  keeping a key of n people that (ε, δ) allows; it gains over a threshold when ε is small. `privacy.naming` asks for
  it; no definition does (specs/decisions/0023).

Every bound errs on the side of privacy: tails are computed upward, probabilities of keeping downward. A candidate key
passes the patterns of `privacy.pii` first: a name or a mail address is no key, however many people share it.

What thresholds read is noised counts, never exact ones (PRIVACY 7, mistake 5).

Source: Desfontaines, Voss, Gipson, Mandayam, *Differentially private partition selection* (PoPETs 2022); a key at a
time with ε/C and δ/C. The tests hold both to tables computed apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from privacy.errors import InvalidParameterError, UnknownMechanism
from privacy.mechanisms import GAUSSIAN, GEOMETRIC, LAPLACE
from privacy.pii import looks_personal

MAX_KEY_BYTES: Final = 64  # of one key on the wire, UTF-8
MAX_KEYS: Final = 512  # of one summary; where more pass, those of most noised people

_DIGITS: Final = 60
_MARGIN: Final = Decimal(1) + Decimal(10) ** -50  # covers the rounding of some ten thousand terms of 60 digits
_UP: Final = Context(prec=_DIGITS, rounding=ROUND_CEILING)
_DOWN: Final = Context(prec=_DIGITS, rounding=ROUND_FLOOR)
_COIN_BYTES: Final = 8
_GRID: Final = 1 << (8 * _COIN_BYTES)  # probabilities of keeping are rounded down to multiples of 1/2⁶⁴
_MOST_VARIANCE: Final = 1 << 22
_MOST_SCALE: Final = 1 << 20
_MOST_PEOPLE: Final = 1 << 20  # π reaches 1 long before, for any ε and δ of use


@lru_cache(maxsize=256)
def threshold(
    mechanism: str, max_cells: int, delta: Fraction, *, sigma_squared: Fraction, scale: Fraction | None
) -> int:
    """The least τ such that a person's keys, alone in them, pass with probability at most δ in all.

    Args:
        mechanism: Of the people block (Linf = 1), as on the wire.
        max_cells: C, the most keys of one person; >= 1.
        delta: For the whole release; in (0, 1).
        sigma_squared: Of Gaussian noise; at most 2²².
        scale: b of Laplace noise; at most 2²⁰.

    Raises:
        InvalidParameterError: a parameter out of range. UnknownMechanism: as it says.
    """
    each = _checked(delta, max_cells)
    if sigma_squared > _MOST_VARIANCE or (scale is not None and scale > _MOST_SCALE):
        raise _refused(
            f"the people block has a variance of {float(sigma_squared):.3g}: no key could be seen through that",
            "Raise rho, lower max_cells, or give the block people a larger share",
        )
    if mechanism == GAUSSIAN:
        tail = _gaussian_tails(sigma_squared)
    elif mechanism in (LAPLACE, GEOMETRIC) and scale is not None:
        tail = _laplace_tails(scale)
    else:
        raise UnknownMechanism(
            what="Threshold refused",
            why=f"keys cannot be selected under the noise {mechanism!r}",
            fix="Use gaussian or laplace",
        )
    low, high = 0, 1  # least t with P(X >= t) <= each; the key's own person adds 1
    while tail(high) > each:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tail(middle) > each else (low, middle)
    return high + 1


def passes(noised_people: int, tau: int) -> bool:
    """Whether a key goes out: reads the noised count only."""
    return noised_people >= tau


def people_to_pass(
    tau: int, probability: Fraction, mechanism: str, *, sigma_squared: Fraction, scale: Fraction | None
) -> int:
    """The least number of people with whom a key passes with at least this probability, 1/2 or more.

    Args:
        tau: As `threshold` gives it.
        probability: In [1/2, 1).
        mechanism, sigma_squared, scale: As for `threshold`.
    """
    tail = _gaussian_tails(sigma_squared) if mechanism == GAUSSIAN else _laplace_tails(scale or Fraction(0))
    low, high = 0, 1  # least t >= 0 with P(X <= t) = 1 - P(X >= t + 1) >= probability
    if 1 - tail(1) >= probability:
        return tau
    while 1 - tail(high + 1) < probability:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if 1 - tail(middle + 1) < probability else (low, middle)
    return tau + high  # n - tau >= t, and the noise is symmetric: P(n + X >= tau) = P(X <= n - tau)


def is_fit(key: str) -> bool:
    """Whether a key may be a candidate at all: printable, of 1 to 64 bytes, without the look of personal data."""
    return (
        0 < len(key) <= MAX_KEY_BYTES
        and key.isprintable()
        and len(key.encode()) <= MAX_KEY_BYTES
        and not looks_personal(key)
    )


def fit_keys(candidates: Iterable[str]) -> list[str]:
    """The candidates that are fit, in the order of their UTF-8 bytes; the others are dropped unseen."""
    return sorted({key for key in candidates if is_fit(key)})


def keep_probability(epsilon: Fraction, delta: Fraction, max_cells: int) -> Callable[[int], Fraction]:
    """π of the optimal rule: for a number of people >= 0, the probability to keep their key; never above the optimum.

    Raises:
        InvalidParameterError: epsilon <= 0, delta outside (0, 1), or max_cells < 1.
    """
    each = _checked(delta, max_cells)
    if not epsilon > 0:
        raise _refused(f"epsilon is {epsilon}", "Give an epsilon above 0")
    rise = _fraction(_exp(epsilon / max_cells, _DOWN))  # e^ε, rounded down
    fall = _fraction(_exp(-epsilon / max_cells, _UP))  # e^−ε, rounded up
    known = [Fraction(0)]

    def probability(people: int) -> Fraction:
        if people < 0:
            raise _refused(f"{people} people", "Count from 0")
        while len(known) <= min(people, _MOST_PEOPLE) and known[-1] < 1:
            before = known[-1]
            after = min(rise * before + each, 1 - fall * (1 - before - each), Fraction(1))
            known.append(max(before, Fraction(int(after * _GRID), _GRID)))
        return known[min(people, len(known) - 1)]

    return probability


def is_kept(probability: Fraction, rng: Callable[[int], bytes]) -> bool:
    """One coin of this probability, exact to 2⁻⁶⁴; the randomness is an argument."""
    return int.from_bytes(rng(_COIN_BYTES)) < probability * _GRID


def _gaussian_tails(sigma_squared: Fraction) -> Callable[[int], Fraction]:
    """P(X >= t) of the discrete Gaussian, from above.

    The sum from t on is its terms until they fall below 10⁻⁵⁰ of the first, and a geometric bound on the rest; the
    normaliser is at least every partial sum, and at least 1.
    """
    if not sigma_squared > 0:
        raise _refused(f"sigma squared is {sigma_squared}", "Give the variance of the block's noise")

    def weight(x: int, context: Context) -> Decimal:
        return _exp(-Fraction(x * x) / (2 * sigma_squared), context)

    whole, x = Decimal(1), 1
    while (term := weight(x, _DOWN)) > Decimal(10) ** -40:
        whole, x = _DOWN.add(whole, _DOWN.multiply(2, term)), x + 1
    whole = _DOWN.divide(whole, _MARGIN)

    def tail(t: int) -> Fraction:
        first = weight(t, _UP)
        ratio = _exp(-Fraction(t) / sigma_squared, _UP)  # the next term is at most this share of one
        above, x = Decimal(0), t
        while True:
            term = weight(x, _UP)
            if term < first * Decimal(10) ** -50 or x - t > 4096:
                break
            above, x = _UP.add(above, term), x + 1
        rest = _UP.divide(term, _DOWN.subtract(1, ratio)) if ratio < 1 else Decimal(1)
        return _fraction(_UP.divide(_UP.multiply(_UP.add(above, rest), _MARGIN), whole))

    return tail


def _laplace_tails(scale: Fraction) -> Callable[[int], Fraction]:
    """P(X >= t) = q^t/(1 + q) of discrete Laplace noise, q = e^(−1/b), from above; t >= 1."""
    if not scale > 0:
        raise _refused(f"the scale is {scale}", "Give the b of the block's noise")
    whole = _DOWN.add(1, _exp(-1 / scale, _DOWN))
    return lambda t: _fraction(_UP.multiply(_UP.divide(_exp(-Fraction(t) / scale, _UP), whole), _MARGIN))


def _exp(exponent: Fraction, context: Context) -> Decimal:
    """e^x, rounded as the context says.

    Decimal's exp rounds half-even within one unit of the last place, so the result is moved by two of them.
    """
    near = context.divide(Decimal(exponent.numerator), Decimal(exponent.denominator)).exp(Context(prec=_DIGITS))
    step = Decimal(2) * Decimal(10) ** (2 - _DIGITS)
    return context.multiply(near, 1 + step if context.rounding == ROUND_CEILING else 1 - step)


def _fraction(value: Decimal) -> Fraction:
    return Fraction(*value.as_integer_ratio())


def _checked(delta: Fraction, max_cells: int) -> Fraction:
    """δ for one key: δ/C, which is at most 1 − (1 − δ)^(1/C)."""
    if not isinstance(delta, Fraction) or not 0 < delta < 1:
        raise _refused(f"delta is {delta}", "Give an exact fraction between 0 and 1")
    if max_cells < 1:
        raise _refused(f"max_cells is {max_cells}", "Give the number of keys kept per person, at least 1")
    return delta / max_cells


def _refused(why: str, fix: str) -> InvalidParameterError:
    return InvalidParameterError(what="Partition selection refused", why=why, fix=fix)
