"""Sums of discrete Laplace draws: the quantiles are those of a law computed in another way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.estimates.laplace_sums import MANY, WHOLE_B, critical, half_width
from privacy.estimates.numbers import (
    Estimate,
    LaplacePart,
    equal_draws,
    half_width_squared,
    laplace_draws,
    privacy_interval,
    total,
    widest_critical,
)
from privacy.mechanisms import variance_of_discrete_laplace
from privacy.quantiles import LEVELS, normal_quantile


def law_of_sum(scales: list[float]) -> NDArray[np.float64]:
    """P(S = −k … k) of a sum of discrete Laplace draws, by convolution of floats."""
    law = np.ones(1)
    for scale in scales:
        reach = int(40 * scale) + 5
        one = np.exp(-np.abs(np.arange(-reach, reach + 1)) / scale)
        law = np.convolve(law, one / one.sum())
    return law


def coverage(law: NDArray[np.float64], width: float) -> float:
    """P(abs(S) <= width)."""
    middle = len(law) // 2
    reach = min(int(width), middle)
    return float(law[middle - reach : middle + reach + 1].sum())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("draws", [1, 2, 3, 8])
@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(4), Fraction(40, 3), Fraction(57)])
def test_the_half_width_is_the_smallest_that_covers_the_level(scale: Fraction, draws: int, level: str) -> None:
    law = law_of_sum([float(scale)] * draws)
    width = half_width(scale, draws, level)
    assert coverage(law, width) >= float(level) - 1e-12
    assert width == 0 or coverage(law, width - 1) < float(level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("draws", [1, 2, 256, 257, 4000])
@pytest.mark.parametrize("scale", [Fraction(1, 20), Fraction(1, 133), Fraction(1, 250_000), Fraction(1, 10**18)])
def test_noise_that_never_strays_has_no_width(scale: Fraction, draws: int, level: str) -> None:
    """q = e^(−1/b) is down to 0 in every number there is; one draw strays with probability 2q/(1 + q)."""
    assert half_width(scale, draws, level) == 0
    found = privacy_interval(laplace(scale, 100, draws), level)
    assert (found.lower, found.upper) == (100, 100)


def test_the_width_is_0_exactly_as_long_as_0_covers_the_level() -> None:
    """Around b where P(X = 0) = (1 − q)/(1 + q) passes 0.95: q = 1/39, b = 0.273."""
    assert half_width(Fraction(272, 1000), 1, "0.95") == 0
    assert half_width(Fraction(274, 1000), 1, "0.95") == 1


@pytest.mark.parametrize("level", LEVELS)
def test_one_draw_has_a_closed_form(level: str) -> None:
    """P(abs(X) > t) = 2q^(t+1)/(1+q), also for b beyond the stretch: there t is right to a thousandth."""
    for scale in (3, 64, 100, 700, 100_000):
        q = np.exp(-1 / scale)
        exact = int(np.ceil(np.log((1 - float(level)) * (1 + q) / 2) / np.log(q))) - 1
        found = half_width(Fraction(scale), 1, level)
        assert found == exact if scale <= WHOLE_B else abs(found - exact) <= 1 + exact / 1000


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("draws", [2, 30, 256])
def test_stretched_widths_cover_the_level(draws: int, level: str) -> None:
    """b = 150 by convolution of its own law, against the width stretched from b = 64: within 3·10⁻⁴."""
    one = np.exp(-np.abs(np.arange(-6000, 6001)) / 150)
    size = 1 << (draws * 3000 + 12_000).bit_length()
    law = np.fft.irfft(
        np.fft.rfft(np.fft.ifftshift(np.pad(one / one.sum(), (size // 2 - 6000, size // 2 - 6001)))) ** draws
    )
    width = half_width(Fraction(150), draws, level)
    covered = law[: width + 1].sum() + law[-width:].sum()
    assert abs(covered - float(level)) < 4e-4 + 2 * law[width]


@pytest.mark.parametrize("level", LEVELS)
def test_many_draws_become_normal_without_a_step(level: str) -> None:
    """At the limit the exact quantile and the normal one differ by less than 2/1000 of it."""
    assert float(critical(MANY, level)) == pytest.approx(float(normal_quantile(level)), rel=2e-3)
    before, after = half_width(Fraction(9), MANY, level), half_width(Fraction(9), MANY + 1, level)
    assert before == pytest.approx(after, rel=6e-3)


@pytest.mark.parametrize("level", LEVELS)
def test_the_critical_value_runs_from_laplace_to_normal(level: str) -> None:
    """Downward at 0.95 and 0.99, upward at 0.80: so the larger of two neighbours covers what lies between."""
    values = [critical(draws, level) for draws in (1, 2, 3, 4, 8, 16, 64, 256)]
    assert values in (sorted(values), sorted(values, reverse=True))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("scales", "sigma"), [([30, 90], 0), ([60], 60), ([20, 20, 150], 40), ([80] * 5, 200)])
def test_mixed_noise_covers_within_a_hundredth(scales: list[int], sigma: int, level: str) -> None:
    """Laplace of several b, with Gaussian: between the level − 0.005 and the level + 0.01."""
    law = law_of_sum([float(scale) for scale in scales])
    if sigma:
        grid = np.arange(-10 * sigma, 10 * sigma + 1)
        normal = np.exp(-(grid**2) / (2 * sigma**2))
        law = np.convolve(law, normal / normal.sum())
    mixed = total(laplace(Fraction(scale)) for scale in scales)
    mixed = Estimate(mixed.value, mixed.variance + sigma**2, mixed.laplace)
    width = float(half_width_squared(mixed, level)) ** 0.5
    assert -0.005 < coverage(law, width) - float(level) < 0.01


def laplace(scale: Fraction, value: int = 0, draws: int = 1) -> Estimate:
    return Estimate(Fraction(value), draws * variance_of_discrete_laplace(scale), laplace_draws([(scale, draws)]))


def test_sums_keep_the_law_and_scaling_keeps_its_exactness() -> None:
    """Two nodes and three cells are five draws of one b; in half units the interval is half as wide."""
    summed = total([laplace(Fraction(10), 7, 2), laplace(Fraction(10), 5, 3)])
    assert summed.laplace == (LaplacePart(Fraction(10), Fraction(1), 5),)
    assert half_width_squared(summed, "0.95") == half_width(Fraction(10), 5, "0.95") ** 2
    assert half_width_squared(summed.times(Fraction(-1, 2)), "0.95") * 4 == half_width_squared(summed, "0.95")
    assert privacy_interval(laplace(Fraction(10), 100), "0.95").upper == 130  # the normal quantile would say 128
    assert (summed - summed).laplace == (LaplacePart(Fraction(10), Fraction(1), 10),)


def test_equal_draws_count_what_the_fourth_cumulant_says() -> None:
    seven = equal_draws(laplace(Fraction(40), draws=7))
    assert seven is not None
    assert float(seven) == pytest.approx(7, rel=1e-3)
    assert equal_draws(Estimate(Fraction(0), Fraction(9))) is None
    wide = total([laplace(Fraction(40)), Estimate(Fraction(0), Fraction(10**9))])
    assert equal_draws(wide) == MANY
    assert widest_critical([laplace(Fraction(40)), wide], "0.95") == critical(1, "0.95")
    assert widest_critical([Estimate(Fraction(0), Fraction(9))], "0.95") == normal_quantile("0.95")
