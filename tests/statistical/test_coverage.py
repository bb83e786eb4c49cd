"""Each kind of interval holds the true number as often as its level says, over fresh noise of the real sampler.

False alarms: a check is an exact binomial test at α = 1e-9; 28 honest checks below, so at most 2.8e-8 a run; the two of
consistency are bounds at five standard deviations, 10⁻⁶ each.

Power: with 400 trials at 0.95 the bound lies at 351 hits or so. An interval made for half the noise holds the truth in
67 % of trials, 269 ± 9: missed with a probability below 1e-15 (`test_an_interval_for_half_the_noise_is_caught` does it
for each kind). The slow run has 10,000 trials and bounds kinds that promise no more than the level from above, too: a
width wrong by 10 % is then caught.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest
from scipy import stats  # type: ignore[import-untyped]

from privacy.estimates import Estimate, histogram_quantile, privacy_interval, total
from privacy.estimates.consistency import falling, partition
from privacy.estimates.differences import Difference, difference, difference_of_ratios
from privacy.estimates.numbers import laplace_draws
from privacy.estimates.ratios import RATE, Ratio, ratio, share_of_sum
from privacy.mechanisms import variance_of_discrete_laplace
from privacy.sampling import draw_gaussian, draw_laplace, keystream

ALPHA = 1e-9
TRIALS = 400
SLOW_TRIALS = 10_000
LEVEL = "0.95"
S = Fraction(200)  # σ² of a usual cell
B = Fraction(10)  # b of a usual Laplace cell

Trial = Callable[["Noise"], bool]


@dataclass
class Noise:
    """Noised numbers of the real sampler; `claim` is what they say of their variance, as a share of the truth."""

    claim: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        self._stream = keystream(os.urandom)
        self._gaussian: Iterator[int] = iter(())
        self._laplace: Iterator[int] = iter(())

    def gaussian(self, true: int, cells: int = 1) -> Estimate:
        """A sum of cells with discrete Gaussian noise."""
        drawn = sum(self._next_gaussian() for _ in range(cells))
        return Estimate(Fraction(true + drawn), self.claim * S * cells)

    def laplace(self, true: int, cells: int = 1) -> Estimate:
        """A sum of cells with discrete Laplace noise."""
        drawn = sum(self._next_laplace() for _ in range(cells))
        if self.claim != 1:  # a wrong claim speaks of a smaller b
            narrow = B / 2
            return Estimate(
                Fraction(true + drawn),
                cells * variance_of_discrete_laplace(narrow),
                laplace_draws([(narrow, cells)]),
            )
        return Estimate(Fraction(true + drawn), cells * variance_of_discrete_laplace(B), laplace_draws([(B, cells)]))

    def _next_gaussian(self) -> int:
        drawn = next(self._gaussian, None)
        if drawn is None:
            self._gaussian = iter(draw_gaussian(S, 4096, self._stream).tolist())
            drawn = next(self._gaussian)
        return drawn

    def _next_laplace(self) -> int:
        drawn = next(self._laplace, None)
        if drawn is None:
            self._laplace = iter(draw_laplace(B, 4096, self._stream).tolist())
            drawn = next(self._laplace)
        return drawn


def holds(estimate: Estimate, true: int) -> bool:
    found = privacy_interval(estimate, LEVEL)
    return found.lower <= true <= found.upper


def holds_ratio(found: Ratio, true: Fraction) -> bool:
    low = found.lower is None or found.lower <= true
    high = found.upper is None or true <= found.upper
    return found.status != "empty" and low and high


def mean_of(noise: Noise) -> Ratio:
    """A mean as the measure makes it: a signed sum over a count; 300 over 1000 here."""
    return ratio(noise.gaussian(300, 4), noise.gaussian(1000, 4), LEVEL)


def quantile_holds(share: Fraction, low: int, high: int, law: str = "gaussian") -> Trial:
    """Whether the interval of a quantile holds its bin, [low, high): counts 100, 200, 150, 50 over edges 0, 10, 20."""

    def trial(noise: Noise) -> bool:
        bins = [getattr(noise, law)(true, 3) for true in (100, 200, 150, 50)]
        found = histogram_quantile(bins, [Fraction(0), Fraction(10), Fraction(20)], share, LEVEL)
        if found.status == "too_noisy":
            return False
        return (found.lower is None or found.lower <= low) and (found.upper is None or found.upper >= high)

    return trial


def edge_holds(noise: Noise) -> bool:
    """A quantile exactly at an edge: 300 of 500 lie below 10, the p60; either bin beside it is right."""
    bins = [noise.gaussian(true, 3) for true in (100, 200, 150, 50)]
    found = histogram_quantile(bins, [Fraction(0), Fraction(10), Fraction(20)], Fraction(3, 5), LEVEL)
    return (found.lower is None or found.lower <= 10) and (found.upper is None or found.upper >= 10)


def holds_difference(found: Difference, true: Fraction) -> bool:
    low = found.lower is None or found.lower <= true
    return low and (found.upper is None or true <= found.upper)


def score_of(noise: Noise) -> Ratio:
    """A score as the measure makes it: four components' points over people; 3.5 of 500 here."""
    points = total(noise.gaussian(true) for true in (1000, 450, 250, 50))
    return ratio(points, noise.gaussian(500), LEVEL, (Fraction(-10), Fraction(10)))


EXACT: dict[str, Trial] = {  # these cover the level, no more than rounding makes of it
    "sum of Gaussian cells over nodes and windows": lambda noise: holds(noise.gaussian(500, 12), 500),
    "sum of Laplace cells over nodes and windows": lambda noise: holds(noise.laplace(500, 12), 500),
    "one Laplace cell": lambda noise: holds(noise.laplace(70), 70),
    "Gaussian and Laplace together": lambda noise: holds(total([noise.gaussian(9), noise.laplace(8, 2)]), 17),
    "mean, by Fieller": lambda noise: holds_ratio(mean_of(noise), Fraction(3, 10)),
    "ratio whose denominator may be 0": lambda noise: holds_ratio(
        ratio(noise.gaussian(20), noise.gaussian(40), LEVEL), Fraction(1, 2)
    ),
    "rate of a funnel step, part of its whole": lambda noise: holds_ratio(
        share_of_sum(noise.gaussian(120, 2), noise.gaussian(280, 3), LEVEL), Fraction(3, 10)
    ),
    "no difference between two windows": lambda noise: (
        difference(noise.gaussian(300, 4), noise.gaussian(300, 4), LEVEL).verdict == "could_be_noise"
    ),
    "no difference between two means": lambda noise: (
        difference_of_ratios(mean_of(noise), mean_of(noise)).verdict == "could_be_noise"
    ),
}
EXACT |= {
    "difference between two cells that differ": lambda noise: holds_difference(
        difference(noise.gaussian(300, 2), noise.gaussian(180, 3), LEVEL), Fraction(120)
    ),
    "difference between a Laplace cell and a Gaussian one": lambda noise: holds_difference(
        difference(noise.laplace(90), noise.gaussian(70), LEVEL), Fraction(20)
    ),
    "difference between two windows of Laplace cells": lambda noise: holds_difference(
        difference(noise.laplace(90, 4), noise.laplace(150, 4), LEVEL), Fraction(-60)
    ),
    "difference between two rates": lambda noise: holds_difference(
        difference_of_ratios(
            share_of_sum(noise.gaussian(120, 2), noise.gaussian(280, 3), LEVEL),
            share_of_sum(noise.gaussian(160, 2), noise.gaussian(240, 3), LEVEL),
        ),
        Fraction(-1, 10),
    ),
    "score per person, over people": lambda noise: holds_ratio(score_of(noise), Fraction(7, 2)),
    "retention, a part over the size of its cohort": lambda noise: holds_ratio(
        ratio(noise.gaussian(90), noise.gaussian(300), LEVEL, RATE), Fraction(3, 10)
    ),
}
AT_LEAST: dict[str, Trial] = {  # these cover more than the level, by what they do not assume
    "rate of Laplace cells": lambda noise: holds_ratio(
        share_of_sum(noise.laplace(120, 2), noise.laplace(280, 3), LEVEL), Fraction(3, 10)
    ),
    "rate at its bound": lambda noise: holds_ratio(
        share_of_sum(noise.gaussian(400), noise.gaussian(0), LEVEL, RATE), Fraction(1)
    ),
    "mean of Laplace blocks": lambda noise: holds_ratio(
        ratio(noise.laplace(300, 4), noise.laplace(1000, 4), LEVEL), Fraction(3, 10)
    ),
    "median of a histogram": quantile_holds(Fraction(1, 2), 0, 10),
    "p10 of a histogram, below its first edge": quantile_holds(Fraction(1, 10), -100, 0),
    "p90 of a histogram, above its last edge": quantile_holds(Fraction(19, 20), 20, 100),
    "p75 of a histogram, by Laplace noise": quantile_holds(Fraction(3, 4), 10, 20, "laplace"),
    "quantile at an edge of its histogram": edge_holds,
}
KINDS = {**EXACT, **AT_LEAST}
# Their bins are wide: half the noise still finds the right one. Narrow ones: test_a_quantile_between_narrow_bins_…
HARD_TO_SPOIL = {kind for kind in AT_LEAST if "histogram" in kind}


def hits(trial: Trial, trials: int, claim: Fraction = Fraction(1)) -> int:
    noise = Noise(claim)
    return sum(trial(noise) for _ in range(trials))


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_holds_the_truth_at_its_level(kind: str) -> None:
    assert stats.binom.cdf(hits(KINDS[kind], TRIALS), TRIALS, float(LEVEL)) > ALPHA


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - HARD_TO_SPOIL))
def test_an_interval_for_half_the_noise_is_caught(kind: str) -> None:
    assert stats.binom.cdf(hits(KINDS[kind], TRIALS, Fraction(1, 4)), TRIALS, float(LEVEL)) < ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_intervals_hold_the_truth_at_their_level(kind: str) -> None:
    found = hits(KINDS[kind], SLOW_TRIALS)
    assert stats.binom.cdf(found, SLOW_TRIALS, float(LEVEL)) > ALPHA
    if kind in EXACT:  # steps of whole numbers and the square-and-add method may add two hundredths
        assert stats.binom.sf(found, SLOW_TRIALS, float(LEVEL) + 0.015) > ALPHA


# ── quantiles, where a wrong noise shows ────────────────────────────────────────────────────────────────────


def narrow_holds(noise: Noise) -> bool:
    """100 bins of 10 values each, less than the noise: the median lies at edge 49, between two of them."""
    bins = [noise.gaussian(10) for _ in range(100)]
    found = histogram_quantile(bins, [Fraction(edge) for edge in range(99)], Fraction(1, 2), LEVEL)
    if found.status == "too_noisy":
        return True  # it says that it does not know
    return (found.lower is None or found.lower <= 49) and (found.upper is None or found.upper >= 49)


def test_a_quantile_between_narrow_bins_is_caught() -> None:
    """Where bins are narrower than the noise, an interval made for a quarter of σ rules out the right ones."""
    assert stats.binom.cdf(hits(narrow_holds, TRIALS), TRIALS, float(LEVEL)) > ALPHA
    assert stats.binom.cdf(hits(narrow_holds, TRIALS, Fraction(1, 16)), TRIALS, float(LEVEL)) < ALPHA


# ── real, or could be noise ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("law", ["gaussian", "laplace"])
def test_a_difference_of_ten_sigmas_is_real_and_one_of_none_is_not(law: str) -> None:
    """Power: a gap of 10σ is missed with a probability below 10⁻⁹; of equal numbers one in twenty is called real."""
    noise = Noise()
    draw = getattr(noise, law)
    far = [difference(draw(1200), draw(1000), LEVEL).verdict for _ in range(TRIALS)]  # σ of a difference is 20
    assert set(far) == {"real"}
    same = sum(difference(draw(1000), draw(1000), LEVEL).verdict == "real" for _ in range(TRIALS))
    assert stats.binom.sf(same - 1, TRIALS, 1 - float(LEVEL)) > ALPHA


# ── consistency ─────────────────────────────────────────────────────────────────────────────────────────────


def squared(values: Iterable[Fraction], truths: Iterable[int]) -> float:
    return float(sum((value - true) ** 2 for value, true in zip(values, truths, strict=True)))


def test_falling_numbers_are_no_further_from_the_truth() -> None:
    """Over 400 funnels of near equal steps the squared error falls by a fifth at least; what falls already stays."""
    noise, truths = Noise(), (310, 300, 295, 290, 100)
    raw = made = 0.0
    for _ in range(TRIALS):
        values = [noise.gaussian(true).value for true in truths]
        found = falling(values)
        assert list(found.values) == sorted(found.values, reverse=True)
        assert (found.status == "as_released") == (values == sorted(values, reverse=True))
        raw, made = raw + squared(values, truths), made + squared(found.values, truths)
    assert made < 0.8 * raw


def test_a_partition_is_as_near_as_its_noise_allows() -> None:
    """Least squares: the whole's variance falls from V to V·W/(V + W), W that of the parts' sum; else it is refused."""
    noise, truths = Noise(), (50, 400, 20, 30)
    errors = []
    for _ in range(TRIALS):
        parts, whole = [noise.gaussian(true) for true in truths], noise.gaussian(500)
        found = partition(parts, whole)
        if found.status == "inconsistent":
            continue
        assert sum(found.values[:-1]) == found.values[-1]
        errors.append(float(found.values[-1] - 500) ** 2)
    expected = float(S * 4 / 5)
    # The mean of n squares strays by √(2/n) of it: five of them.
    assert abs(sum(errors) / len(errors) / expected - 1) < 5 * (2 / len(errors)) ** 0.5
    far = partition([noise.gaussian(true) for true in truths], noise.gaussian(900))
    assert far.status == "inconsistent"
    assert TRIALS - len(errors) < 5 + 5 * (TRIALS * 0.01) ** 0.5, "of true partitions one in a hundred is refused"
