"""Is the noise that came out the noise that was promised? (PRIVACY 7, *check comparisons*)

Every released cell whose bounded truth is known is compared with it once, as it stands on the wire: before sums over
nodes or windows, before suppression, clamping and rounding, on both sides. Of the cells whose truth a node's secret
hides, their sum is compared instead where that is known; each cell's noise still counts once.

Two questions, both must hold:
- *inside*: is (cell − truth)² ≤ 3.8415·σ² as often as the law of the noise says? The probability p is exact: that of
  the discrete Gaussian or discrete Laplace law, not the normal's.
- *z²*: is the mean of ((cell − truth)/σ)² one? Its variance is v/n: v = 2 for Gaussian noise, 5 for Laplace noise,
  2 + 3/k for a sum of k Laplace draws; the mean v where they mix.

The margin is five standard deviations: a right node fails about once in a million checks. With 200 cells or more (500
where all noise is Laplace), noise that is missing, halved or doubled fails; a test shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import exp, isqrt, sqrt
from typing import Final

from node.demo.truth import Truth

CHI_SQUARED_95: Final = Fraction(38415, 10000)  # 95 % of squared standard normals lie below
MARGIN: Final = 5  # standard deviations
LEAST: Final = 200  # comparisons below which the check says nothing, at v = 2; more in proportion for wider laws
GAUSSIAN: Final = "gaussian"
GAUSSIAN_Z2_VARIANCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number that came out, and what it would have been without noise.

    Attributes:
        sigma_squared: The noise's stated σ², of all terms together.
        mechanism: Its law: "gaussian", or "laplace" (or its carrier, "geometric").
        terms: How many draws are summed in it.
    """

    released: int
    truth: int
    sigma_squared: Fraction
    mechanism: str = GAUSSIAN
    terms: int = 1

    @property
    def z2_variance(self) -> float:
        """Variance of ((released − truth)/σ)²."""
        return GAUSSIAN_Z2_VARIANCE + (0.0 if self.mechanism == GAUSSIAN else 3.0 / self.terms)


@dataclass(frozen=True, slots=True)
class Released:
    """One node's release as it went over the wire: its cells and their σ²."""

    metric: str
    window: str
    cells: Sequence[int]
    sigma_squared: Fraction
    mechanism: str = GAUSSIAN
    block: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """The check's outcome.

    Attributes:
        cells: Comparisons made.
        inside: How many lie inside their own 95 % interval.
        level: The share of them that should, by the law of the noise.
        z2: Mean of ((cell − truth)/σ)², which should be 1.
        kept: Bounded over unbounded counts: what the contribution bounds left.
        known: Share of the released cells that have a truth.
        z2_variance: Mean variance of one z² under the laws of the noise.
    """

    cells: int
    inside: int
    level: float
    z2: float
    kept: float
    known: float
    z2_variance: float = GAUSSIAN_Z2_VARIANCE

    @property
    def inside_margin(self) -> float:
        """How far inside/cells may lie from `level`."""
        return MARGIN * sqrt(max(self.level * (1 - self.level), 1e-9) / max(self.cells, 1))

    @property
    def z2_margin(self) -> float:
        """How far `z2` may lie from 1."""
        return MARGIN * sqrt(self.z2_variance / max(self.cells, 1))

    @property
    def is_passed(self) -> bool:
        return not self.faults()

    def faults(self) -> list[str]:
        """What does not hold, in words; nothing when the check passed."""
        share = self.inside / max(self.cells, 1)
        faults = []
        least = round(LEAST * self.z2_variance / GAUSSIAN_Z2_VARIANCE)
        if self.cells < least:
            faults.append(f"only {self.cells} numbers could be compared; {least} are needed")
        if abs(share - self.level) > self.inside_margin:
            faults.append(f"{share:.3f} lie inside their interval; {self.level:.3f} ± {self.inside_margin:.3f} should")
        if abs(self.z2 - 1) > self.z2_margin:
            faults.append(f"the mean of z² is {self.z2:.3f}; it should be 1 ± {self.z2_margin:.3f}")
        if self.known < 0.9:
            faults.append(f"only {self.known:.0%} of the cells have a truth; 90 % should")
        return faults


def compare(releases: Iterable[tuple[str, Released]], truths: Mapping[str, Truth]) -> tuple[list[Comparison], Check]:
    """Compare every release with the truth of its node.

    Args:
        releases: (node name, release).
        truths: By node name.

    Raises:
        KeyError: a release of a metric or window for which that node owes none.
        ValueError: a release with another number of cells than the metric has.
    """
    comparisons: list[Comparison] = []
    cells = known = bounded_sum = unbounded_sum = 0
    for node, release in releases:
        counted = truths[node][release.metric, release.window].block(release.block)
        lost_sum = lost = 0
        for value, truth, unbounded in zip(release.cells, counted.bounded, counted.unbounded, strict=True):
            cells += 1
            if truth is None:
                lost += 1
                lost_sum += value
                continue
            known += 1
            bounded_sum += truth if counted.is_count else 0
            unbounded_sum += unbounded if counted.is_count else 0
            comparisons.append(Comparison(value, truth, release.sigma_squared, release.mechanism))
        if lost and counted.lost_total is not None:
            sigma_squared = lost * release.sigma_squared
            comparisons.append(Comparison(lost_sum, counted.lost_total, sigma_squared, release.mechanism, lost))
    kept = bounded_sum / unbounded_sum if unbounded_sum else 1.0
    return comparisons, judge(comparisons, kept, known / max(cells, 1))


def judge(comparisons: Sequence[Comparison], kept: float = 1.0, known: float = 1.0) -> Check:
    """The check over these comparisons."""
    inside, z2, level, variance = 0, 0.0, 0.0, 0.0
    for one in comparisons:
        squared = (one.released - one.truth) ** 2
        inside += squared <= CHI_SQUARED_95 * one.sigma_squared
        z2 += squared / float(one.sigma_squared)
        variance += one.z2_variance
        if one.mechanism == GAUSSIAN:
            level += probability_inside(one.sigma_squared)
        else:
            level += laplace_probability_inside(one.sigma_squared, one.terms)
    count = max(len(comparisons), 1)
    return Check(len(comparisons), inside, level / count, z2 / count, kept, known, variance / count)


@lru_cache(maxsize=4096)
def probability_inside(sigma_squared: Fraction) -> float:
    """P(X² ≤ 3.8415·σ²) of a discrete Gaussian X with parameter σ²: weights exp(−x²/2σ²) over all integers.

    A sum of n independent ones is, to far more digits than a float has, one with n·σ² as soon as σ² > 1
    (its characteristic function differs by less than exp(−2π²σ²)).
    """
    bound = CHI_SQUARED_95 * sigma_squared
    reach = isqrt(bound.numerator // bound.denominator)
    denominator = 2 * float(sigma_squared)
    end = 12 * (isqrt(int(sigma_squared)) + 1)
    if end > 100_000:  # the sums are then the integrals, to nine digits
        return _normal_inside(reach, sqrt(float(sigma_squared)))
    weights = [exp(-x * x / denominator) for x in range(end + 1)]
    whole = 2 * sum(weights) - 1
    return (2 * sum(weights[: reach + 1]) - 1) / whole


@lru_cache(maxsize=4096)
def laplace_probability_inside(sigma_squared: Fraction, terms: int = 1) -> float:
    """P(S² ≤ 3.8415·σ²) of a sum S of so many equal discrete Laplace draws with σ² in all.

    b is read back from the stated 2b² − 1/6 + 1/(120b²). One draw has a closed form; a sum has the characteristic
    function ((1 − q)²/(1 − 2q cos t + q²))ⁿ, turned back on a grid so wide that what wraps round is below 1e-15.
    """
    bound = CHI_SQUARED_95 * sigma_squared
    reach = isqrt(bound.numerator // bound.denominator)
    middle = float(sigma_squared / terms) + 1 / 6
    b = sqrt((middle + sqrt(middle * middle - 1 / 15)) / 4)
    q = exp(-1 / b)
    if terms == 1:
        return 1 - 2 * q ** (reach + 1) / (1 + q)
    import numpy as np

    size = 1 << (2 * reach + int(80 * b)).bit_length()
    angles = np.arange(size // 2 + 1) * (2 * np.pi / size)
    weights = np.fft.irfft(((1 - q) ** 2 / (1 - 2 * q * np.cos(angles) + q * q)) ** terms, size)
    return float(weights[0] + 2 * weights[1 : reach + 1].sum())


def _normal_inside(reach: int, sigma: float) -> float:
    from math import erf

    return erf((reach + 0.5) / (sigma * sqrt(2)))
