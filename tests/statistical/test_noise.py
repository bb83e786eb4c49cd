"""The noise has the law that is stated: shape by χ², scale by the second moment, both at α = 1e-9 a check.

False alarms: 31 checks of honest samplers below, so at most 3.1e-8 a run of this file. Draws are fresh; a
failure prints the key that repeats it.

Power: a scale wrong by 10 % moves the second moment by 19 % or more, whose standard error is √(2/n): 0.14 %
at n = 1,000,000 and 1 % at the 20,000 of the exact sampler; the bound is 6.1 of them. A shift by 1 at sigma
14.1 is 32 standard errors of the mean. A tail cut at 2.5 sigma is found at n = 1,000,000; one cut at 4 sigma
holds 6e-5 of the draws and needs the ten million of the slow run. The broken samplers at the end show that
each fault is found by the check named beside it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from privacy.exact_sampling import discrete_gaussian, discrete_laplace
from privacy.noise_table import TABLE_REACH
from privacy.sampling import draw_gaussian, keystream

ALPHA = 1e-9
Z_ALPHA = float(stats.norm.isf(ALPHA / 2))
TABLE_DRAWS = 1_000_000  # ten million in the slow run
EXACT_DRAWS = 20_000
LEAST_EXPECTED = 10  # draws expected in each χ² bin, the usual rule is 5


@dataclass(frozen=True)
class Law:
    """A law on the integers, symmetric around 0: probabilities of 0, 1, … and the exact moments."""

    pmf: NDArray[np.float64]

    @property
    def variance(self) -> float:
        return float(2 * np.sum(self.pmf * np.arange(len(self.pmf)) ** 2.0))

    @property
    def fourth(self) -> float:
        return float(2 * np.sum(self.pmf * np.arange(len(self.pmf)) ** 4.0))


def gaussian_law(sigma_squared: Fraction) -> Law:
    reach = math.ceil(14 * math.sqrt(sigma_squared)) + 2
    weights = np.exp(-(np.arange(reach) ** 2.0) / (2 * float(sigma_squared)))
    return Law(weights / (2 * weights.sum() - weights[0]))


def laplace_law(scale: Fraction) -> Law:
    reach = math.ceil(60 * float(scale)) + 2
    weights = np.exp(-np.arange(reach) / float(scale))
    return Law(weights / (2 * weights.sum() - weights[0]))


def shape_p(draws: NDArray[np.int64], law: Law) -> float:
    """p of a χ² test over signed values, tails merged until each bin expects `LEAST_EXPECTED` draws."""
    expected_one = law.pmf * len(draws)
    edge = int(np.searchsorted(-expected_one, -LEAST_EXPECTED))  # values beyond are one bin a side
    edge = max(edge, 1)
    inner = np.concatenate([expected_one[edge - 1 : 0 : -1], expected_one[:edge]])
    tail = (len(draws) - inner.sum()) / 2
    counts = np.bincount(np.clip(draws, -edge, edge) + edge, minlength=2 * edge + 1).astype(float)
    expected = np.concatenate([[tail], inner, [tail]])
    if tail < LEAST_EXPECTED:  # too thin for bins of their own: join the outermost inner bins
        counts, expected = _joined(counts), _joined(expected)
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(expected) - 1))


def _joined(bins: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(bins) <= 3:
        return bins[1:-1] if len(bins) == 3 else bins
    inner = bins[1:-1].copy()
    inner[0] += bins[0]
    inner[-1] += bins[-1]
    return inner


def scale_z(draws: NDArray[np.int64], law: Law) -> float:
    """Standard errors between the second moment of the draws and the law's."""
    spread = math.sqrt((law.fourth - law.variance**2) / len(draws))
    return (float(np.mean(draws.astype(float) ** 2)) - law.variance) / spread


def centre_z(draws: NDArray[np.int64], law: Law) -> float:
    """Standard errors between the mean of the draws and 0."""
    return float(draws.mean()) / math.sqrt(law.variance / len(draws))


def faults(draws: NDArray[np.int64], law: Law) -> set[str]:
    """The checks that refuse these draws at `ALPHA`."""
    found = set()
    if shape_p(draws, law) < ALPHA:
        found.add("shape")
    if abs(scale_z(draws, law)) > Z_ALPHA:
        found.add("scale")
    if abs(centre_z(draws, law)) > Z_ALPHA:
        found.add("centre")
    return found


def fresh() -> tuple[str, Callable[[int], bytes]]:
    key = os.urandom(32)
    return f"repeat with key {key.hex()}", keystream(lambda size: key)


@pytest.mark.parametrize(
    "sigma_squared",
    [Fraction(1, 2), Fraction(81, 4), Fraction(200), Fraction(800, 3), Fraction(10**6)],
)
def test_table_draws_follow_the_law(sigma_squared: Fraction) -> None:
    repeat, stream = fresh()
    draws = draw_gaussian(sigma_squared, TABLE_DRAWS, stream)
    assert faults(draws, gaussian_law(sigma_squared)) == set(), repeat


@pytest.mark.parametrize("sigma_squared", [Fraction(200)])
def test_exact_draws_follow_the_law(sigma_squared: Fraction) -> None:
    repeat, stream = fresh()
    draws = np.array([discrete_gaussian(sigma_squared, stream) for _ in range(EXACT_DRAWS)])
    assert faults(draws, gaussian_law(sigma_squared)) == set(), repeat


def test_exact_laplace_draws_follow_the_law() -> None:
    repeat, stream = fresh()
    draws = np.array([discrete_laplace(Fraction(21, 2), stream) for _ in range(EXACT_DRAWS)])
    assert faults(draws, laplace_law(Fraction(21, 2))) == set(), repeat


def test_draws_beyond_the_table_follow_the_law() -> None:
    """Centre and scale only: at sigma 4096 no value repeats often enough for χ²."""
    repeat, stream = fresh()
    sigma_squared = 4 * TABLE_REACH
    draws = draw_gaussian(sigma_squared, EXACT_DRAWS, stream)
    assert faults(draws, gaussian_law(sigma_squared)) - {"shape"} == set(), repeat


def test_draws_are_independent_of_their_neighbours() -> None:
    """Lag-1 correlation of values and of sizes within the bound."""
    repeat, stream = fresh()
    draws = draw_gaussian(Fraction(200), TABLE_DRAWS, stream).astype(float)
    for series in (draws, np.abs(draws)):
        assert abs(np.corrcoef(series[:-1], series[1:])[0, 1]) * math.sqrt(len(series)) < Z_ALPHA, repeat


def honest(sigma_squared: Fraction, count: int) -> NDArray[np.int64]:
    return draw_gaussian(sigma_squared, count, keystream(os.urandom))


S = Fraction(200)
BROKEN: dict[str, tuple[Callable[[int], NDArray[np.int64]], str]] = {
    "scale 10 % too small": (lambda n: honest(S * Fraction(81, 100), n), "scale"),
    "scale 10 % too large": (lambda n: honest(S * Fraction(121, 100), n), "scale"),
    "shifted by one": (lambda n: honest(S, n) + 1, "centre"),
    "halved": (lambda n: honest(S, n) // 2, "scale"),
    "switched off": (lambda n: np.zeros(n, dtype=np.int64), "scale"),
    "doubled": (lambda n: 2 * honest(S, n), "shape"),
    "tail cut at 2.5 sigma": (lambda n: _cut(honest(S, 2 * n), 35)[:n], "scale"),
    "never zero": (lambda n: np.where((d := honest(S, n)) == 0, 1, d), "shape"),
    "zero counted with both signs": (lambda n: _zero_twice(honest(S, n)), "shape"),
    "one sign only": (lambda n: np.abs(honest(S, n)), "centre"),
    "even numbers only": (lambda n: 2 * honest(S / 4, n), "shape"),
}


def _cut(draws: NDArray[np.int64], at: int) -> NDArray[np.int64]:
    return draws[np.abs(draws) <= at]


def _zero_twice(draws: NDArray[np.int64]) -> NDArray[np.int64]:
    """A zero for each zero once more: the rejection of minus zero is left out."""
    zeros = int((draws == 0).sum())
    return np.concatenate([np.zeros(zeros, dtype=np.int64), draws[zeros:]])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sampler_is_caught(name: str) -> None:
    """The checks above can fail, and for the right reason."""
    sampler, expected = BROKEN[name]
    found = faults(sampler(TABLE_DRAWS), gaussian_law(S))
    assert expected in found


@pytest.mark.slow
@pytest.mark.parametrize("sigma_squared", [Fraction(81, 4), Fraction(200)])
def test_ten_million_draws_follow_the_law(sigma_squared: Fraction) -> None:
    repeat, stream = fresh()
    draws = draw_gaussian(sigma_squared, 10_000_000, stream)
    assert faults(draws, gaussian_law(sigma_squared)) == set(), repeat
