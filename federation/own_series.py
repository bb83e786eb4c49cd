"""A member beside its own past: did its level change, and is it more exact than its noise allows?

Both alarms exclude nobody. Each has a stated probability of a false alarm that holds in finite samples, by counting in
whole numbers:

**Change point** (false alarm at most `CHANGE_ERROR` for a member and answer). Of n windows with noise of one law let
the last m be *after* and the others *before*. J is how many of the m largest numbers lie after; ties speak against it.
While the member's level does not move, every order of its numbers is as likely as any other, and J is hypergeometric
(n, m, m). The alarm needs, for some m and for largest or smallest, P(J or more) <= CHANGE_ERROR / (2(n − 1)), and one
of the medians before and after at least `TIMES` the other, so that weekdays and slow growth are no alarm. 22 windows
are the fewest with which it can sound; with 90 windows it sounds four windows after a jump.

**Too exact** (false alarm at most `EXACT_ERROR`, whatever the data). A member's releases are paired, newest first: each
with the one before, none in two pairs. N is in how many of the M cells of all pairs the two numbers differ by at most
d units, d the largest whole number with P(|noise − noise'| <= d) <= 1/4 by the law stated. Whatever stands under the
noise, 2d + 1 neighbouring whole numbers hold the difference of two equal draws with probability at most (2d + 1)·Σp²,
so N is at most binomial (M, 1/4), and the alarm needs P(N or more) <= EXACT_ERROR. Σp² <= 1.0001/(2σ√π) for a discrete
Gaussian with σ >= 1, and at most (1 + 1/(4b²))/(4b) for a discrete Laplace. Cells that really change never count; a
member that does not add its noise is found by those that stand still.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from math import comb, isqrt, lcm
from statistics import median
from typing import Final, Literal

from federation.combine import CountedRelease, WindowInput
from privacy.estimates import Estimate

State = Literal["quiet", "alarm", "not_tested"]

CHANGE_ERROR: Final = Fraction(1, 10**4)
TIMES: Final = 2
MOST_WINDOWS: Final = 128  # the newest
FEWEST_WINDOWS: Final = 22  # C(22, 11) >= 2 · 21 · 10⁴; with 21 no order is rare enough
EXACT_ERROR: Final = Fraction(1, 10**6)
FEWEST_CELLS: Final = 10  # 4¹⁰ >= 10⁶
MOST_CELLS: Final = 4096
_QUARTER_OF_GAUSSIAN: Final = Fraction(
    785, 1000
)  # (2d + 1)² <= 0.785σ² makes (2d + 1)·1.0001/(2σ√π) <= 1/4: π/4 = 0.7854


@dataclass(frozen=True, slots=True)
class Change:
    """Where a member's level changed.

    Args:
        place: Index of the first window after.
        before, after: Medians, in the numbers' unit.
    """

    place: int
    before: Fraction
    after: Fraction


@dataclass(frozen=True, slots=True)
class Stillness:
    """How many cells stand still.

    Args:
        small: Differences of at most d.
        cells: All differences looked at.
    """

    small: int
    cells: int

    @property
    def state(self) -> State:
        if self.cells < FEWEST_CELLS:
            return "not_tested"
        return "alarm" if self.small >= rare_from(self.cells) else "quiet"


def change_point(numbers: Sequence[Estimate]) -> tuple[State, Change | None]:
    """Whether a member's level changed: its numbers, oldest window first.

    Only those with the noise of the newest are compared; `place` counts in what is given.
    """
    places = [at for at, one in enumerate(numbers) if _law(one) == _law(numbers[-1])][-MOST_WINDOWS:]
    values = [numbers[at].value for at in places]
    if len(values) < FEWEST_WINDOWS:
        return "not_tested", None
    found = min(_splits(values), default=None)
    if found is None:
        return "quiet", None
    _, split = found
    return "alarm", Change(places[split], median(values[:split]), median(values[split:]))


def stillness(inputs: Sequence[WindowInput], node: bytes) -> Stillness:
    """How a member's cells differ from release to release: those of the newest pairs, in vector order."""
    small = cells = 0
    for d, now, before in _pairs(inputs, node):
        looked_at = min(len(now), MOST_CELLS - cells)
        cells += looked_at
        small += sum(-d <= one - other <= d for one, other in islice(zip(now, before, strict=True), looked_at))
        if cells == MOST_CELLS:
            break
    return Stillness(small, cells)


@lru_cache(maxsize=256)
def rare_from(cells: int) -> int:
    """The smallest N that a binomial (cells, 1/4) reaches with probability <= `EXACT_ERROR`; cells + 1 for none."""
    term = tail = 1  # of 4^cells: C(cells, j)·3^(cells − j), from j = cells down
    reached = cells + 1
    for j in range(cells, 0, -1):
        if tail * EXACT_ERROR.denominator > EXACT_ERROR.numerator * 4**cells:
            break
        reached = j
        term = term * 3 * j // (cells - j + 1)
        tail += term
    return reached


@lru_cache(maxsize=1024)
def still_within(sigma_squared: Fraction, scale: Fraction | None = None) -> int | None:
    """d: how far apart two draws of a noise are with probability at most 1/4; None where the noise is too little.

    Args:
        sigma_squared: Of Gaussian noise, in cells squared.
        scale: b of discrete Laplace noise, in cells; None for Gaussian.
    """
    if scale is not None:
        most = scale / (1 + 1 / (4 * scale**2))
        return (int(most) - 1) // 2 if most >= 1 else None
    square = _QUARTER_OF_GAUSSIAN * sigma_squared
    return (isqrt(int(square)) - 1) // 2 if square >= 1 else None


def _splits(values: Sequence[Fraction]) -> Iterator[tuple[Fraction, int]]:
    """(chance, first place after) of every split that is rare enough and large enough."""
    n = len(values)
    unit = lcm(*(value.denominator for value in values))
    whole = [int(value * unit) for value in values]
    before, after = _medians(whole), _medians(whole[::-1])[::-1]
    large = [split for split in range(1, n) if _is_large(before[split - 1], after[split])]
    for sign in (1, -1) if large else ():
        # Largest first; of equal numbers the earlier one, so that ties speak against the alarm.
        ranked = sorted(range(n), key=lambda at: (-sign * whole[at], at))
        for split in large:
            m = n - split
            above = sum(at >= split for at in ranked[:m])
            if above * n <= m * m:
                continue  # no more than one expects
            chance = _hypergeometric(n, m, above)
            if chance * 2 * (n - 1) <= CHANGE_ERROR:
                yield chance, split


def _medians(values: Sequence[int]) -> list[int]:
    """Twice the median of the first one, two, … values."""
    ranked: list[int] = []
    found = []
    for value in values:
        insort(ranked, value)
        middle = len(ranked) // 2
        found.append(2 * ranked[middle] if len(ranked) % 2 else ranked[middle - 1] + ranked[middle])
    return found


@lru_cache(maxsize=65_536)
def _hypergeometric(n: int, m: int, least: int) -> Fraction:
    """P(at least so many of m drawn are among m marked, of n)."""
    ways = sum(comb(m, j) * comb(n - m, m - j) for j in range(least, m + 1))
    return Fraction(ways, comb(n, m))


def _is_large(before: int, after: int) -> bool:
    low, high = sorted((abs(before), abs(after)))
    return high >= TIMES * low or before * after < 0


def _law(one: Estimate) -> object:
    return one.variance, one.laplace


def _pairs(inputs: Sequence[WindowInput], node: bytes) -> Iterator[tuple[int, Sequence[int], Sequence[int]]]:
    """(d, cells now, cells before) of each block of each pair, newest pair first."""
    spoken: list[tuple[WindowInput, CountedRelease]] = [
        (one, release)
        for one in sorted(inputs, key=lambda one: one.window, reverse=True)
        for release in one.releases
        if release.node == node and release.keys is None  # of discovered keys only lucky noise is seen
    ]
    # Each with the next, none in two pairs: so the noise of all differences is independent.
    for (one, now), (other, before) in zip(spoken[::2], spoken[1::2], strict=False):
        start = since = 0
        for block, earlier in zip(one.layout.blocks, other.layout.blocks, strict=False):
            cells, cells_before = block.cells, earlier.cells
            d = still_within(block.sigma_squared, block.scale)
            if d is not None and (cells, block.sigma_squared, block.scale) == (
                cells_before,
                earlier.sigma_squared,
                earlier.scale,
            ):
                yield d, now.cells[start : start + cells], before.cells[since : since + cells]
            start, since = start + cells, since + cells_before
