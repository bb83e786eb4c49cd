"""Estimates and privacy intervals: exact arithmetic, one rounding, and intervals that cover."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InvalidParameterError
from privacy.estimates import (
    Estimate,
    histogram_median,
    histogram_quantile,
    is_shown,
    is_wide,
    privacy_interval,
    total,
)
from privacy.quantiles import (
    LEVELS,
    NORMAL,
    decimal_text,
    normal_quantile,
    parse_level,
    round_half_even,
    sqrt_half_even,
)
from privacy.sampling import draw_gaussian, keystream

ratios = st.fractions(min_value=0, max_value=10**9)
quanta = st.sampled_from([Fraction(1), Fraction(1, 100), Fraction(5), Fraction(1, 3)])


def noised(*values: int, variance: int = 200) -> list[Estimate]:
    return [Estimate(Fraction(v), Fraction(variance)) for v in values]


@pytest.mark.parametrize("level", LEVELS)
def test_quantiles_are_the_true_ones_rounded_up(level: str) -> None:
    with mpmath.workprec(120):
        true = mpmath.sqrt(2) * mpmath.erfinv(mpmath.mpf(level))
        table = mpmath.mpf(NORMAL[level].numerator) / NORMAL[level].denominator
        assert 0 <= table - true < mpmath.mpf(10) ** -12


@pytest.mark.parametrize(("text", "level"), [("0.8", "0.80"), ("0.95", "0.95"), ("99", "0.99"), ("80%", "0.80")])
def test_levels_by_their_usual_names(text: str, level: str) -> None:
    assert parse_level(text) == level


@pytest.mark.parametrize("text", ["0.9", "", "95.0", "1", "0.955", "nan"])
def test_other_levels_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError):
        normal_quantile(text)


@given(ratios, quanta)
def test_roots_are_rounded_half_even_exactly(square: Fraction, quantum: Fraction) -> None:
    """|√x − r| <= quantum/2, and a tie goes to the even multiple."""
    root = sqrt_half_even(square, quantum)
    multiple = root / quantum
    assert multiple.denominator == 1
    low, high = max(Fraction(0), root - quantum / 2), root + quantum / 2
    assert low * low <= square <= high * high
    if square in (low * low, high * high) and root:
        assert multiple.numerator % 2 == 0


def test_ties_of_roots_go_to_the_even_one() -> None:
    assert [int(sqrt_half_even(Fraction(2 * n + 1, 2) ** 2)) for n in range(6)] == [0, 2, 2, 4, 4, 6]


@given(st.fractions(max_denominator=10**6), quanta)
def test_values_are_rounded_half_even(value: Fraction, quantum: Fraction) -> None:
    rounded = round_half_even(value, quantum)
    assert abs(rounded - value) <= quantum / 2
    assert (rounded / quantum).denominator == 1
    if abs(rounded - value) == quantum / 2:
        assert (rounded / quantum).numerator % 2 == 0


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(Fraction(1, 8), 2, "0.12"), (Fraction(-1, 1000), 2, "0.00"), (Fraction(-3, 2), 1, "-1.5"), (Fraction(7), 0, "7")],
)
def test_decimals_have_fixed_digits(value: Fraction, digits: int, text: str) -> None:
    assert decimal_text(value, digits) == text


def test_interval_of_a_usual_count() -> None:
    """sigma² 200: 1.96 sigma is 27.7, so 100 is 72 to 128; four nodes together twice as wide."""
    one = privacy_interval(noised(100)[0], "0.95")
    assert (one.estimate, one.lower, one.upper) == (100, 72, 128)
    four = privacy_interval(total(noised(100, 50, -20, 30)), "0.95")
    assert (four.estimate, four.lower, four.upper) == (160, 105, 215)


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), ratios), max_size=8), st.randoms())
def test_sums_do_not_depend_on_order(parts: list[tuple[int, Fraction]], shuffler: object) -> None:
    estimates = [Estimate(Fraction(v), s) for v, s in parts]
    shuffled = list(estimates)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert total(estimates) == total(shuffled)


@given(st.integers(-(10**9), 10**9), ratios, quanta)
def test_intervals_nest_by_level_and_hold_the_estimate(value: int, variance: Fraction, quantum: Fraction) -> None:
    estimate = Estimate(Fraction(value), variance)
    by_level = [privacy_interval(estimate, level, quantum) for level in LEVELS]
    for narrow, wide in pairwise(by_level):
        assert wide.lower <= narrow.lower <= narrow.estimate <= narrow.upper <= wide.upper


def test_units_scale_value_and_variance() -> None:
    cents = Estimate(Fraction(12345), Fraction(200)).times(Fraction(1, 100))
    assert cents == Estimate(Fraction(12345, 100), Fraction(200, 10_000))
    assert cents.sigma(4) == "0.1414"


def test_coverage_is_what_the_level_says() -> None:
    """40,000 draws at sigma 14.1: 0.948 of them inside (integers' steps), within 5 standard errors."""
    draws = draw_gaussian(Fraction(200), 40_000, keystream(lambda n: bytes(range(32)))).tolist()
    z = normal_quantile("0.95")
    inside = sum(d * d <= z * z * 200 for d in draws) / len(draws)
    assert abs(inside - 0.9484) < 5 * math.sqrt(0.05 * 0.95 / len(draws))


@pytest.mark.parametrize(
    ("value", "variance", "shown"),
    [
        (9, 0, False),
        (10, 0, True),
        (46, 200, False),
        (47, 200, True),
        (-50, 1, False),
        (93, 800, False),
        (94, 800, True),
    ],
)
def test_cells_are_shown_from_ten_and_three_sigma(value: int, variance: int, shown: bool) -> None:
    """3.3 · √200 = 46.7; the sum of four such cells needs 93.4."""
    assert is_shown(Estimate(Fraction(value), Fraction(variance))) is shown


def test_wide_is_said_from_a_quarter() -> None:
    assert is_wide(privacy_interval(noised(100)[0], "0.95"))
    assert not is_wide(privacy_interval(noised(1000)[0], "0.95"))


EDGES = [Fraction(e) for e in (0, 10, 20, 30)]


def test_median_is_linear_inside_its_bin() -> None:
    """Noiseless counts 0 | 100 | 200 | 100 | 0: half of 400 is reached in the middle of [10, 20)."""
    median = histogram_median(noised(0, 100, 200, 100, 0, variance=0), EDGES, "0.95")
    assert (median.value, median.lower, median.upper, median.status) == (15, 10, 20, "ok")


def test_noise_widens_the_median_to_the_bins_it_cannot_rule_out() -> None:
    """Half is reached near the edge 20: with noise the next bin may hold it too."""
    sharp = histogram_median(noised(0, 100, 105, 200, 0, variance=0), EDGES, "0.95", Fraction(1, 10))
    assert (sharp.lower, sharp.upper) == (10, 20)
    loose = histogram_median(noised(0, 100, 105, 200, 0), EDGES, "0.95", Fraction(1, 10))
    assert (loose.lower, loose.upper) == (10, 30)


def test_median_in_an_open_bin_is_said_in_words() -> None:
    below = histogram_median(noised(900, 50, 0, 0, 0), EDGES, "0.95")
    above = histogram_median(noised(0, 0, 50, 0, 900), EDGES, "0.95")
    assert (below.value, below.lower, below.upper, below.status) == (None, None, 0, "below_first_edge")
    assert (above.value, above.lower, above.upper, above.status) == (None, 30, None, "above_last_edge")


@pytest.mark.parametrize("counts", [(0, 0, 0, 0, 0), (5, -3, 4, 2, 1), (-100, -50, 0, 0, 10)])
def test_a_histogram_of_noise_has_no_median(counts: tuple[int, ...]) -> None:
    assert histogram_median(noised(*counts), EDGES, "0.95").status == "too_noisy"


def test_quartiles() -> None:
    low = histogram_quantile(noised(0, 100, 100, 100, 0, variance=0), EDGES, Fraction(1, 4), "0.95", Fraction(1, 2))
    assert (low.value, low.lower, low.upper) == (Fraction(15, 2), 0, 10)


@given(
    st.lists(st.integers(0, 500), min_size=5, max_size=5).filter(lambda c: sum(c) >= 100),
    st.binary(min_size=32, max_size=32),
)
def test_median_interval_is_in_order_and_holds_the_point(counts: list[int], key: bytes) -> None:
    draws = draw_gaussian(Fraction(200), 5, keystream(lambda n: key)).tolist()
    median = histogram_median(noised(*(c + d for c, d in zip(counts, draws, strict=True))), EDGES, "0.95")
    if median.lower is not None and median.upper is not None:
        assert median.lower < median.upper
    if median.value is not None:
        assert median.lower is None or median.lower <= median.value
        assert median.upper is None or median.value <= median.upper


def test_median_interval_covers_the_true_bin() -> None:
    """2,000 noisy releases of one histogram: the true median's bin is kept at least as often as claimed.

    The claim is 0.95; the bound below is 5 standard errors under it.
    """
    true, runs, kept = [40, 120, 90, 130, 20], 2000, 0  # the median lies in [10, 20)
    draws = draw_gaussian(Fraction(200), 5 * runs, keystream(lambda n: bytes(range(32)))).tolist()
    for run in range(runs):
        cells = [c + d for c, d in zip(true, draws[5 * run : 5 * run + 5], strict=True)]
        median = histogram_median(noised(*cells), EDGES, "0.95")
        covers_left = median.lower is None or median.lower <= 10
        covers_right = median.upper is None or median.upper >= 20
        kept += covers_left and covers_right and median.status != "too_noisy"
    assert kept / runs > 0.95 - 5 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize(
    ("bins", "edges", "share"),
    [(4, EDGES, Fraction(1, 2)), (5, EDGES[::-1], Fraction(1, 2)), (1, [], Fraction(1, 2)), (5, EDGES, Fraction(1))],
)
def test_histograms_that_do_not_fit_are_a_programmers_mistake(
    bins: int, edges: list[Fraction], share: Fraction
) -> None:
    with pytest.raises(ValueError):
        histogram_quantile(noised(*([100] * bins)), edges, share, "0.95")
