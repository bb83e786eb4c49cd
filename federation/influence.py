"""What one organisation does to a sum: the sum with each capped, without the extremes, and without each.

The headline of an answer is the plain sum; these stand beside it as a badge and exclude nobody. A contribution is what
an organisation's nodes released, added up. With at least `LEAST` organisations:

- **Capped**: each contribution is cut to a size c, its sign kept, where c is the largest at which nobody is more than
  `SHARE` of the sizes left; c = SHARE·R/(1 − m·SHARE), m the number cut and R the sizes of the others.
- **Trimmed**: the sum without the largest and the smallest fifth of the contributions, at least one each.
- **Driven by one**: removing the organisation moves the answer by more than `SHARE` of all sizes, beyond noise. Were
  its true share at most SHARE, the badge would show with probability at most 10⁻⁶ (`privacy.estimates.tails`): for each
  of its two signs, (1 − SHARE)·x − SHARE·Σ|others| has noise of known law and lies at 0 or below; noised sizes of the
  others only lower it. It speaks of size, not of lies: an honest large member has it, too.

Exact arithmetic; equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from privacy.estimates import Estimate, total
from privacy.estimates.tails import is_above

SHARE: Final = Fraction(2, 5)
LEAST: Final = 3  # with two, one is always half
TRIMMED_SHARE: Final = 5  # one in so many at each end
LOG_ERROR: Final = Fraction(14_508_658, 10**6)  # ln(2·10⁶), rounded up: 10⁻⁶ over both signs


@dataclass(frozen=True, slots=True)
class Robust:
    """A sum beside itself.

    Args:
        plain: The sum of all contributions.
        capped: With each cut to `cap`.
        cap: The size, or None where nobody is cut.
        trimmed: Without the extremes.
        left_out: How many contributions that leaves out.
    """

    plain: Fraction
    capped: Fraction
    cap: Fraction | None
    trimmed: Fraction
    left_out: int


def robust(values: Sequence[Fraction]) -> Robust | None:
    """The sums of these contributions; None of fewer than `LEAST`."""
    if len(values) < LEAST:
        return None
    cap = _cap([abs(value) for value in values])
    capped = values if cap is None else [max(-cap, min(cap, value)) for value in values]
    ends = max(1, len(values) // TRIMMED_SHARE)
    return Robust(
        sum(values, Fraction(0)),
        sum(capped, Fraction(0)),
        cap,
        sum(sorted(values)[ends:-ends], Fraction(0)),
        2 * ends,
    )


def share_of(name: str, contributions: Mapping[str, Estimate]) -> Fraction | None:
    """A contribution's size as a share of all sizes; None where all are 0."""
    sizes = sum((abs(one.value) for one in contributions.values()), Fraction(0))
    return abs(contributions[name].value) / sizes if sizes else None


def driver(contributions: Mapping[str, Estimate]) -> str | None:
    """The organisation that the sum is driven by, if one is, beyond noise; there is at most one above `LEAST`."""
    if len(contributions) < LEAST:
        return None
    largest = min(contributions, key=lambda name: (-abs(contributions[name].value), name))
    others = total(_sized(one).times(SHARE) for name, one in contributions.items() if name != largest)
    gap = _sized(contributions[largest]).times(1 - SHARE) - others
    return largest if is_above(gap, LOG_ERROR) else None


def _sized(one: Estimate) -> Estimate:
    """The size of a contribution; its noise is as symmetric as before."""
    return one if one.value >= 0 else one.times(Fraction(-1))


def _cap(sizes: Sequence[Fraction]) -> Fraction | None:
    """Where contributions are cut; None where nobody is above its share."""
    falling = sorted(sizes, reverse=True)
    rest = sum(falling, Fraction(0))
    for cut, size in enumerate(falling):
        cap = SHARE * rest / (1 - cut * SHARE)
        if size <= cap:
            return cap if cut else None
        rest -= size
    raise AssertionError("of three sizes at least one is at most twice the sum of the smallest ones")
