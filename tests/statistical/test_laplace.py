"""Discrete Laplace noise has its stated law, from our table and from diffprivlib: shape, scale, centre, support.

False alarms: 15 checks of honest samplers at α = 1e-9 each, so at most 1.5e-8 a run of this file; the two cross-checks
with other libraries add 1e-9 each.

Power at a million draws (200,000 from diffprivlib): a scale wrong by 1 % moves the second moment by 2 %, whose standard
error is √(5/n): 0.22 % and 0.5 %; the bound is 6.1 of them. The broken samplers at the end show that each fault is
found by the check named beside it. What 53 bits and a logarithm in floats cost diffprivlib's `Geometric` is not
sampled but computed: every boundary of its one uniform is bisected, and the distance to the law is exact.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from secrets import SystemRandom
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from privacy.diffprivlib_adapter import draw_geometric
from privacy.exact_sampling import discrete_laplace
from privacy.mechanisms import eta_of_geometric, variance_of_discrete_laplace
from privacy.noise_table import LAPLACE_REACH
from privacy.release import _noised
from privacy.sampling import draw_gaussian, draw_laplace, keystream
from tests.statistical.test_noise import ALPHA, faults, fresh, laplace_law

TABLE_DRAWS = 1_000_000
GEOMETRIC_DRAWS = 200_000
EXACT_DRAWS = 20_000
B = Fraction(40)


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(21, 2), B, LAPLACE_REACH])
def test_table_draws_follow_the_law(scale: Fraction) -> None:
    repeat, stream = fresh()
    assert faults(draw_laplace(scale, TABLE_DRAWS, stream), laplace_law(scale)) == set(), repeat


@pytest.mark.slow
@pytest.mark.parametrize("scale", [Fraction(21, 2), B])
def test_ten_million_draws_follow_the_law(scale: Fraction) -> None:
    repeat, stream = fresh()
    assert faults(draw_laplace(scale, 10_000_000, stream), laplace_law(scale)) == set(), repeat


def test_draws_beyond_the_table_follow_the_law() -> None:
    """By the exact loops; centre and scale, for at b = 1000 no value repeats often enough for χ²."""
    repeat, stream = fresh()
    draws = draw_laplace(Fraction(1000), EXACT_DRAWS, stream)
    assert faults(draws, laplace_law(Fraction(1000))) - {"shape"} == set(), repeat


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(21, 2), B])
def test_diffprivlib_draws_follow_the_law(scale: Fraction) -> None:
    key = os.urandom(32)
    draws = np.array(draw_geometric(scale, GEOMETRIC_DRAWS, key))
    assert faults(draws, laplace_law(scale)) == set(), f"repeat with key {key.hex()}"


@pytest.mark.slow
def test_ten_million_diffprivlib_draws_follow_the_law() -> None:
    repeat = [os.urandom(32) for _ in range(20)]
    draws = np.concatenate([np.array(draw_geometric(B, 500_000, key)) for key in repeat])
    assert faults(draws, laplace_law(B)) == set(), f"repeat with keys {[key.hex() for key in repeat]}"


def test_the_table_and_diffprivlib_agree() -> None:
    """Two samples of one law: χ² of the two-row table at α."""
    ours = draw_laplace(B, GEOMETRIC_DRAWS, keystream(os.urandom))
    theirs = np.array(draw_geometric(B, GEOMETRIC_DRAWS, os.urandom(32)))
    assert same_law_p(ours, theirs) > ALPHA


def test_the_samplers_and_opendp_agree() -> None:
    """OpenDP samples both laws exactly, by other code: Laplace at b = 40, Gaussian at σ² = 200."""
    prelude = pytest.importorskip("opendp.prelude", reason="OpenDP is in the test extra")
    prelude.enable_features("contrib")
    space = prelude.vector_domain(prelude.atom_domain(T=int)), prelude.l1_distance(T=int)
    laplace = prelude.m.make_laplace(*space, scale=40.0)
    assert same_law_p(draw_laplace(B, 100_000, keystream(os.urandom)), np.array(laplace([0] * 100_000))) > ALPHA
    space = prelude.vector_domain(prelude.atom_domain(T=int)), prelude.l2_distance(T=float)
    gaussian = prelude.m.make_gaussian(*space, scale=math.sqrt(200))
    ours = draw_gaussian(Fraction(200), 100_000, keystream(os.urandom))
    assert same_law_p(ours, np.array(gaussian([0] * 100_000))) > ALPHA


def test_two_laws_are_told_apart() -> None:
    """The comparison above can fail: a scale off by 10 % is found at 200,000 draws."""
    ours = draw_laplace(B, GEOMETRIC_DRAWS, keystream(os.urandom))
    other = draw_laplace(B * Fraction(9, 10), GEOMETRIC_DRAWS, keystream(os.urandom))
    assert same_law_p(ours, other) < ALPHA


def same_law_p(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """p of χ² over values with at least 20 draws in both together; the rest is one bin a side."""
    values, counts = np.unique(np.concatenate([one, other]), return_counts=True)
    often = values[counts >= 20]
    low, high = int(often.min()), int(often.max())
    table = np.array([np.bincount(np.clip(s, low - 1, high + 1) - low + 1, minlength=high - low + 3)
                      for s in (one, other)])  # fmt: skip
    table = table[:, table.sum(axis=0) >= 10]
    return float(stats.chi2_contingency(table)[1])


# ── what 53 bits cost ────────────────────────────────────────────────────────────────────────────────────────


class OneUniform(SystemRandom):
    """A source whose next uniform is the word given, over 2⁵³."""

    word = 0

    def random(self) -> float:
        return self.word * 2.0**-53


def words_of_each_value(scale: Fraction) -> dict[int, int]:
    """How many of the 2⁵³ uniforms give each value of `Geometric`, by bisecting its two monotone halves."""
    from diffprivlib.mechanisms import Geometric

    source = OneUniform()
    mechanism = Geometric(epsilon=scale.denominator, sensitivity=scale.numerator, random_state=source)

    def drawn(word: int) -> int:
        source.word = word
        return int(mechanism.randomise(0))

    counts: dict[int, int] = {}
    middle = 2**52  # a uniform of exactly 1/2 overflows and is drawn again
    for start, end in ((0, middle - 1), (middle + 1, 2**53 - 1)):
        at = start
        while at <= end:
            value = drawn(at)
            low, high = at, end  # the last word that still gives this value lies in [low, high]
            while low < high:
                probe = (low + high + 1) // 2
                low, high = (probe, high) if drawn(probe) == value else (low, probe - 1)
            counts[value] = counts.get(value, 0) + low - at + 1
            at = low + 1
    return counts


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(10), B, Fraction(100, 7)])
def test_the_distance_of_geometric_to_the_law_is_what_is_charged(scale: Fraction) -> None:
    """Exact: Σ|share of the words − probability|/2, the tail that it cannot reach included."""
    counts = words_of_each_value(scale)
    assert sum(counts.values()) == 2**53 - 1
    with mpmath.workprec(200):
        q = mpmath.exp(-mpmath.mpf(scale.denominator) / scale.numerator)
        law = {value: (1 - q) / (1 + q) * q ** abs(value) for value in counts}
        apart = sum(abs(mpmath.mpf(count) / (2**53 - 1) - law[value]) for value, count in counts.items())
        distance = (apart + 1 - sum(law.values())) / 2
        charged = eta_of_geometric(scale)
        assert distance <= mpmath.mpf(charged.numerator) / charged.denominator
        assert distance > mpmath.mpf(2) ** -56, "and it is not nothing: the charge is needed"


def test_the_stated_variance_is_an_upper_bound_and_tight() -> None:
    """2b² − 1/6 + 1/(120b²) against 1/(2 sinh²(1/2b)) at 300 bits; within b⁻⁴/3024 of it."""
    with mpmath.workprec(300):
        for n, d in itertools.product((1, 3, 7, 40, 355, 1024), (1, 2, 9, 113)):
            b = Fraction(n, d)
            true = 1 / (2 * mpmath.sinh(mpmath.mpf(d) / (2 * n)) ** 2)
            square = 2 * b * b - Fraction(1, 6) + 1 / (120 * b * b)
            exact = mpmath.mpf(square.numerator) / square.denominator
            assert 0 < exact - true <= (mpmath.mpf(d) / n) ** 4 / 3024
            stated = variance_of_discrete_laplace(b)
            assert Fraction(0) <= stated - square < Fraction(1, 2**20)
            assert max(stated.numerator, stated.denominator) < 2**53


# ── support ──────────────────────────────────────────────────────────────────────────────────────────────────


VALUES = [0, 1, 2**7 - 1, 2**7, 2**31 - 1, 2**31, 2**52 - 1, 2**52]
SUPPORT_DRAWS = 4000
Add = Callable[[list[int], list[int]], Sequence[int]]


def noise_of(name: str) -> list[int]:
    """Fresh draws of a narrow law, so that its likely values are few."""
    stream = keystream(os.urandom)
    if name == "geometric":
        return draw_geometric(Fraction(2), SUPPORT_DRAWS, os.urandom(32))
    if name == "exact":
        return [discrete_laplace(Fraction(2), stream) for _ in range(SUPPORT_DRAWS)]
    law = draw_laplace(Fraction(2), SUPPORT_DRAWS, stream) if name == "laplace" else None
    drawn: list[int] = (draw_gaussian(Fraction(4), SUPPORT_DRAWS, stream) if law is None else law).tolist()
    return drawn


def missing(name: str, add: Add) -> set[tuple[int, int]]:
    """(true value, noise) of every noise from −4 to 4 that never came out over a true value."""
    found = set()
    for value in VALUES:
        seen = {cell - value for cell in add([value] * SUPPORT_DRAWS, noise_of(name))}
        found |= {(value, noise) for noise in range(-4, 5) if noise not in seen}
    return found


@pytest.mark.parametrize("name", ["laplace", "gaussian", "geometric", "exact"])
def test_every_true_value_has_the_same_support(name: str) -> None:
    """Noise of its own over each true value, added as a release adds it: each likely result comes out over each value.

    The least likely, ±4, has a probability of 0.027 or more: one is missed among 72 with a probability below 10⁻⁴⁴.
    """
    assert missing(name, _noised) == set()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_adding_in_floats_is_caught_by_the_support(kind: type[np.floating[Any]]) -> None:
    """From 2²⁴ on (2¹¹) odd results cannot be: over large values half of the noise never comes out."""
    with np.errstate(over="ignore"):
        lost = missing("laplace", lambda values, draws: [
            int(np.float64(cell)) if np.isfinite(cell) else 0
            for cell in np.array(values).astype(kind) + np.array(draws).astype(kind)
        ])  # fmt: skip
    assert {value for value, _ in lost} >= {2**31 - 1, 2**31, 2**52}
    assert not any(value <= 1 for value, _ in lost)


def test_a_sampler_that_adds_in_floats_is_caught_by_its_support() -> None:
    """Called at the value itself, as its authors mean it, `Geometric` swallows the noise of large values."""
    from diffprivlib.mechanisms import Geometric

    mechanism = Geometric(epsilon=1, sensitivity=40)
    for value, is_whole in ((2**40, True), (2**60, False)):
        noise = {mechanism.randomise(value) - value for _ in range(200)}
        assert ({draw % 2 for draw in noise} == {0, 1}) is is_whole


def test_a_float_mechanism_is_caught_by_its_support() -> None:
    """The leak: some results of `Laplace` for 0 are numbers that 1 can never give (PRIVACY 4; banned in privacy/)."""
    from diffprivlib.mechanisms import Laplace

    mechanism = Laplace(epsilon=1, sensitivity=1)
    off_grid = [sum(mechanism.randomise(value) * 2**53 % 1 != 0 for _ in range(2000)) for value in (0.0, 1.0)]
    assert off_grid[0] > 100
    assert off_grid[1] == 0


# ── broken samplers ──────────────────────────────────────────────────────────────────────────────────────────


def honest(scale: Fraction, count: int) -> NDArray[np.int64]:
    return draw_laplace(scale, count, keystream(os.urandom))


BROKEN: dict[str, tuple[Callable[[int], NDArray[np.int64]], str]] = {
    "scale 10 % too small": (lambda n: honest(B * Fraction(9, 10), n), "scale"),
    "scale 10 % too large": (lambda n: honest(B * Fraction(11, 10), n), "scale"),
    "epsilon for the scale": (lambda n: honest(1 / B, n), "scale"),
    "Gaussian of the same variance": (lambda n: draw_gaussian(2 * B * B, n, keystream(os.urandom)), "shape"),
    "shifted by one": (lambda n: honest(B, n) + 1, "centre"),
    "minus zero counted twice": (lambda n: np.where(np.arange(n) % 80 == 0, 0, honest(B, n)), "shape"),
    "one-sided": (lambda n: np.abs(honest(B, n)), "centre"),
    "tail cut at 4 b": (lambda n: (d := honest(B, 2 * n))[np.abs(d) <= 160][:n], "scale"),
    "rounded from a float of step 2": (lambda n: 2 * honest(B / 2, n), "shape"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sampler_is_caught(name: str) -> None:
    sampler, expected = BROKEN[name]
    assert expected in faults(sampler(GEOMETRIC_DRAWS), laplace_law(B))
