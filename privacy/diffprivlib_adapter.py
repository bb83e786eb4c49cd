"""The one door to diffprivlib: small Laplace noise, private choices, a second opinion on budgets.

Rules:

- **Its randomness is ours.** Mechanisms get a `secrets.SystemRandom` that reads the stream passed in, so bytes in ->
  samples out is a pure function; nothing of numpy's or the operating system's generator is used.
- **Integers only.** `Geometric` is called at value 0, for noise, before any vector is read; a choice takes integer
  utilities below 2⁵². Its float mechanisms (Laplace, Gaussian and their kin) leak through the low bits of their
  results and are banned by a test.
- **A draw it cannot make is made again**: a uniform of exactly 1/2 overflows, with probability 2⁻⁵³.
- diffprivlib, scikit-learn and scipy weigh 157 MB and two seconds: they are imported when a function here is called,
  and the node calls them in a short-lived child process only (node.jobs.workshop).

Source: diffprivlib 0.6.6, mechanisms/geometric.py, mechanisms/exponential.py, accountant.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from privacy.errors import InvalidParameterError, NoiseUnavailable
from privacy.exact_sampling import Rng
from privacy.sampling import keystream, read_exactly

if TYPE_CHECKING:
    from secrets import SystemRandom

EXACT_LIMIT: Final = 2**52  # beyond, binary64 swallows the noise (Geometric at 2⁶⁰ returns multiples of 256)
REDRAWS: Final = 8  # each needs a uniform of probability 2⁻⁵³
_UNIFORM_BITS: Final = 53


def load() -> None:
    """Import diffprivlib now, which takes seconds, and not with the first draw."""
    _mechanisms()


def draw_geometric(scale: Fraction, count: int, key: bytes) -> list[int]:
    """`count` draws of discrete Laplace noise with this b, by diffprivlib's `Geometric` at value 0.

    Args:
        scale: b, exact; its numerator and denominator below 2⁵³. Passed as epsilon and sensitivity, so that one
            correctly rounded division makes the float that the mechanism uses.
        count: How many; >= 0.
        key: 32 bytes, used once: the randomness is the AES-256-CTR stream under it, 7 bytes a draw.

    Raises:
        InvalidParameterError: the scale is no positive Fraction, or too long.
        NoiseUnavailable: eight draws in a row overflowed, or a draw left the exact range.
    """
    if not isinstance(scale, Fraction) or scale <= 0 or max(scale.numerator, scale.denominator) >= 2**53:
        raise _refused(f"b is {scale!r}, expected a Fraction above 0 of integers below 2^53")
    mechanisms = _mechanisms()
    geometric = mechanisms.Geometric(
        epsilon=scale.denominator, sensitivity=scale.numerator, random_state=stream_random(keystream(lambda size: key))
    )
    return [_redrawn(geometric) for _ in range(count)]


def choose(utilities: Sequence[int], epsilon: Fraction, sensitivity: int, key: bytes) -> int:
    """The index of a privately chosen candidate, by `PermuteAndFlip`: pure epsilon-DP, charged epsilon²/2.

    Higher utility is likelier. The result is one node's choice; choices are never summed over nodes.

    Args:
        utilities: One whole number below 2⁵² per candidate; exact, so the result is told only
            once it is charged.
        epsilon: Pure epsilon, exact.
        sensitivity: The most one person key moves any utility; >= 1.
        key: 32 bytes, used once.

    Raises:
        InvalidParameterError: no candidate, a utility out of range, epsilon or sensitivity not above 0.
    """
    if not utilities or any(type(value) is not int or abs(value) >= EXACT_LIMIT for value in utilities):
        raise _refused("utilities are one or more whole numbers below 2^52 in size")
    if not isinstance(epsilon, Fraction) or epsilon <= 0 or type(sensitivity) is not int or sensitivity < 1:
        raise _refused("a choice needs a Fraction epsilon above 0 and a whole sensitivity of at least 1")
    mechanism = _mechanisms().PermuteAndFlip(
        epsilon=float(epsilon),
        sensitivity=sensitivity,
        utility=[float(value - min(utilities)) for value in utilities],
        random_state=stream_random(keystream(lambda size: key)),
    )
    return int(mechanism.randomise())


def conservative_epsilon(spends: Iterable[tuple[Fraction, Fraction, int]], slack: Fraction) -> tuple[float, float]:
    """(ε, δ) of a list of (ε, δ, times) by diffprivlib's `BudgetAccountant`: a second opinion, never the ledger.

    It knows nothing of mechanisms and composes (ε, δ) pairs (Kairouz, Oh, Viswanath 2015), so it says more than was
    spent, five times more for Gaussian noise over a month. An opinion for people: it may be a float.

    Args:
        spends: Each release's own ε and δ, and how often.
        slack: δ that composition itself may use, in (0, 1).
    """
    listed = [(float(epsilon), float(delta)) for epsilon, delta, times in spends for _ in range(times)]
    # `total` of a list is one pass; `spend` would check the whole list at each step.
    total = _diffprivlib().BudgetAccountant().total(spent_budget=listed, slack=float(slack))
    return float(total[0]), float(total[1])


def stream_random(stream: Rng) -> SystemRandom:
    """A `secrets.SystemRandom` over a byte stream: diffprivlib accepts it, and it has no state but the stream's.

    `random()` takes 7 bytes: the low 53 bits of the little-endian word, over 2⁵³.
    """
    # Imported here: the core draws no hidden randomness, and this class must not bring any (only its type counts).
    from secrets import SystemRandom

    class StreamRandom(SystemRandom):
        def random(self) -> float:
            word = int.from_bytes(read_exactly(stream, 7), "little")
            return (word & ((1 << _UNIFORM_BITS) - 1)) * 2.0**-_UNIFORM_BITS

        def getrandbits(self, k: int) -> int:
            size = (k + 7) // 8
            return int.from_bytes(read_exactly(stream, size), "little") >> (8 * size - k)

        def randbytes(self, n: int) -> bytes:
            return read_exactly(stream, n)

    return StreamRandom()


def _redrawn(geometric: Any) -> int:
    for _ in range(REDRAWS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # log(0) at a uniform of exactly 1/2
                draw = geometric.randomise(0)
        except (OverflowError, ValueError):
            continue
        if abs(draw) < EXACT_LIMIT:
            return int(draw)
        break
    raise NoiseUnavailable(
        what="Release stopped",
        why="diffprivlib made no draw in the exact range",
        fix="Nothing was released or charged; report this, it has a probability of 2⁻⁴²⁴",
    )


def _mechanisms() -> Any:  # a module without types
    from diffprivlib import mechanisms

    return mechanisms


def _diffprivlib() -> Any:  # a module without types
    import diffprivlib

    return diffprivlib


def _refused(why: str) -> InvalidParameterError:
    return InvalidParameterError(what="Noise refused", why=why, fix="State exact positive parameters")
