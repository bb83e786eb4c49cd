"""PermuteAndFlip as a node calls it: the law it should have, and an ε that an attacker cannot exceed.

Draws through `privacy.diffprivlib_adapter` with fresh keys. Shape: χ² at α = 1e-9 for each of two laws. Attack: a lower
confidence bound on ε over neighbouring people, wrong with probability 1e-9. Power: 30,000 draws tell ε = 1 from ε = 4
(factor e^2 and more in a cell of the law), and from the plain maximum, whose bound has no limit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from math import log

import pytest
from scipy import stats  # type: ignore[import-untyped]

from privacy.diffprivlib_adapter import choose
from tests.unit.privacy.test_choosing import law

DRAWS = 15_000
ALPHA = 1e-9
WITHOUT, WITH = [3, 3, 2], [4, 3, 2]  # one person more in the first value
EPSILON = Fraction(1)

Draw = Callable[[list[int]], int]


def honest(utilities: list[int], epsilon: Fraction = EPSILON) -> int:
    return choose(utilities, epsilon, 1, os.urandom(32))


def counts(draw: Draw, utilities: list[int]) -> list[int]:
    found = Counter(draw(utilities) for _ in range(DRAWS))
    return [found[at] for at in range(len(utilities))]


def bound(draw: Draw) -> float:
    """The largest ln(p/q) over outcomes and directions, p from below and q from above (Clopper, Pearson)."""
    one, other = counts(draw, WITH), counts(draw, WITHOUT)
    alpha = ALPHA / (4 * len(one))
    best = 0.0
    for p, q in (*zip(one, other, strict=True), *zip(other, one, strict=True)):
        least = 0.0 if p == 0 else float(stats.beta.ppf(alpha, p, DRAWS - p + 1))
        most = 1.0 if q == DRAWS else float(stats.beta.ppf(1 - alpha, q + 1, DRAWS - q))
        if least > 0:
            best = max(best, log(least / most))
    return best


@pytest.mark.parametrize("utilities", [WITHOUT, [9, 5, 0, 9, 8]])
def test_choices_have_the_law_of_permute_and_flip(utilities: list[int]) -> None:
    expected = [DRAWS * chance for chance in law(utilities, float(EPSILON))]
    assert float(stats.chisquare(counts(honest, utilities), expected).pvalue) > ALPHA


def test_an_attacker_does_not_exceed_epsilon() -> None:
    assert bound(honest) <= float(EPSILON)


def test_faults_are_seen() -> None:
    """A quarter of the noise has another law; the plain maximum shows the person at once."""

    def quiet(utilities: list[int]) -> int:
        return honest(utilities, 4 * EPSILON)

    def largest(utilities: list[int]) -> int:
        return max(range(len(utilities)), key=lambda at: (utilities[at], at))

    expected = [DRAWS * chance for chance in law(WITHOUT, float(EPSILON))]
    assert float(stats.chisquare(counts(quiet, WITHOUT), expected).pvalue) < ALPHA
    assert bound(largest) > 5 * float(EPSILON)
