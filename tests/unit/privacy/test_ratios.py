"""Fieller's set in all its shapes, differences and their verdicts, closed-form consistency: by hand and by property."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.estimates.consistency import falling, non_negative, partition
from privacy.estimates.differences import difference, difference_of_ratios
from privacy.estimates.numbers import Estimate, total
from privacy.estimates.ratios import RATE, UNBOUNDED, Ratio, ratio, share_of_sum
from privacy.quantiles import normal_quantile

Z = normal_quantile("0.95")
NUMBERS = st.fractions(-1000, 1000, max_denominator=8)
VARIANCES = st.fractions(Fraction(1, 8), 10_000, max_denominator=8)
ESTIMATES = st.builds(Estimate, NUMBERS, VARIANCES)


def noised(value: int, variance: int) -> Estimate:
    return Estimate(Fraction(value), Fraction(variance))


def is_kept(n: Estimate, d: Estimate, r: Fraction) -> bool:
    """Whether the noise leaves the ratio r open, by definition."""
    return bool((n.value - r * d.value) ** 2 <= Z * Z * (n.variance + r * r * d.variance))


def test_a_ratio_of_large_counts_has_the_interval_of_the_delta_method() -> None:
    """100 ± 10 over 1000 ± 10: 0.1 with standard error √(1 + 0.01)/100."""
    found = ratio(noised(100, 100), noised(1000, 100), "0.95")
    assert found.value == Fraction(1, 10)
    assert found.status == "ok"
    assert found.lower is not None
    assert found.upper is not None
    assert float(found.upper - found.lower) == pytest.approx(2 * 1.96 * (1.01**0.5) / 100, rel=1e-3)


@given(ESTIMATES, ESTIMATES)
def test_the_ends_are_where_the_noise_begins_to_rule_out(n: Estimate, d: Estimate) -> None:
    """Bounded: just inside is kept, just outside is not. Unbounded: far values of both signs, or of one, are kept."""
    found = ratio(n, d, "0.95")
    if found.status == "ok":
        assert found.lower is not None
        assert found.upper is not None
        width = max(found.upper - found.lower, Fraction(1, 10**6))
        assert is_kept(n, d, (found.lower + found.upper) / 2)
        assert not is_kept(n, d, found.lower - width / 1000)
        assert not is_kept(n, d, found.upper + width / 1000)
    else:
        assert found.status == "unbounded"
        far = Fraction(10**30)
        assert is_kept(n, d, far) or is_kept(n, d, -far)
        assert d.value**2 <= Z * Z * d.variance


@given(ESTIMATES, ESTIMATES, NUMBERS, st.fractions(Fraction(1, 8), 100))
def test_bounds_cut_the_set_and_never_the_kept_values(n: Estimate, d: Estimate, low: Fraction, width: Fraction) -> None:
    """A value inside the bounds that the noise leaves open lies between the ends; `empty` has none."""
    bounds = (low, low + width)
    found = ratio(n, d, "0.95", bounds)
    for step in range(21):
        r = low + width * step / 20
        if is_kept(n, d, r):
            assert found.status != "empty"
            assert found.lower is not None
            assert found.upper is not None
            slack = Fraction(1, 10**20)
            assert found.lower - slack <= r <= found.upper + slack
    if found.value is not None:
        assert found.lower is not None
        assert found.upper is not None
        assert low <= found.lower <= found.value <= found.upper <= low + width


def test_no_denominator_gives_no_point_and_the_whole_range() -> None:
    nothing = ratio(noised(3, 100), noised(-5, 100), "0.95", RATE)
    assert nothing == Ratio(None, Fraction(0), Fraction(1), "unbounded")
    assert ratio(noised(3, 100), noised(5, 100), "0.95", UNBOUNDED).status == "unbounded"


def test_a_ratio_surely_outside_its_bounds_is_empty() -> None:
    """Noise that puts a rate at 2 ± 0.1: no rate explains it."""
    assert ratio(noised(2000, 100), noised(1000, 100), "0.95", RATE) == Ratio(None, None, None, "empty")


def test_all_but_an_open_interval_says_what_is_left_in_the_bounds() -> None:
    """Denominator perhaps 0, numerator surely not: ratios near 0 are ruled out, so of [0, 1] the upper part is left."""
    found = ratio(noised(100, 25), noised(40, 900), "0.95", (Fraction(0), Fraction(3)))
    assert found.status == "unbounded"
    assert found.lower is not None
    assert 1 < found.lower < 2.5
    assert found.upper == 3
    assert ratio(noised(100, 25), noised(4, 900), "0.95", RATE).status == "empty"


def test_a_share_knows_that_the_part_is_in_the_whole() -> None:
    """All of a count with little noise in the rest: near 1 and never above."""
    part, rest = noised(500, 100), noised(500, 100)
    found = share_of_sum(part, rest, "0.95")
    apart = ratio(part, total((part, rest)), "0.95", RATE)
    assert found.value == apart.value == Fraction(1, 2)
    assert found.lower is not None
    assert found.upper is not None
    assert apart.lower is not None
    assert found.lower > apart.lower  # the shared noise cancels in part
    assert found.lower + found.upper == pytest.approx(1, abs=1e-3)
    exact = share_of_sum(noised(3, 0), noised(1, 0), "0.95")
    assert (exact.lower, exact.value, exact.upper) == (Fraction(3, 4),) * 3


def test_a_difference_is_real_beyond_its_interval_and_noise_within() -> None:
    """σ of the difference is 20: 1.96·20 = 39.2."""
    assert difference(noised(140, 200), noised(100, 200), "0.95").verdict == "real"
    assert difference(noised(139, 200), noised(100, 200), "0.95").verdict == "could_be_noise"
    assert difference(noised(60, 200), noised(100, 200), "0.95").verdict == "real"
    assert difference(noised(140, 200), noised(100, 200), "0.99").verdict == "could_be_noise"
    assert difference(noised(1, 0), noised(1, 0), "0.95").verdict == "could_be_noise"


def test_differences_of_ratios_join_both_intervals() -> None:
    one, other = (ratio(noised(n, 100), noised(1000, 100), "0.95", RATE) for n in (300, 240))
    found = difference_of_ratios(one, other)
    assert found.value == Fraction(6, 100)
    assert found.verdict == "real"
    assert found.lower is not None
    assert float(found.lower) == pytest.approx(0.06 - 1.96 * (0.01**2 * (1.09 + 1.0576)) ** 0.5, abs=1e-3)
    near = ratio(noised(280, 100), noised(1000, 100), "0.95", RATE)
    assert difference_of_ratios(one, near).verdict == "could_be_noise"
    open_ended = ratio(noised(5, 100), noised(6, 100), "0.95", RATE)
    assert difference_of_ratios(one, open_ended).verdict == "could_be_noise"
    assert difference_of_ratios(one, open_ended).lower is None


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_falling_numbers_fall_and_stay_as_they_are_when_they_did(values: list[Fraction]) -> None:
    found = falling(values)
    assert all(high >= low >= 0 for high, low in pairwise(found.values))
    again = falling(found.values)
    assert again.values == found.values
    assert again.status == "as_released"
    assert (found.status == "as_released") == (list(found.values) == values)


@given(st.lists(NUMBERS, max_size=12))
def test_counts_are_not_below_zero(values: list[Fraction]) -> None:
    found = non_negative(values)
    assert all(value >= 0 for value in found.values)
    assert all(new == old for new, old in zip(found.values, values, strict=True) if old >= 0)


@given(st.lists(ESTIMATES, min_size=1, max_size=8), VARIANCES, st.fractions(-3, 3))
def test_a_partition_adds_up_at_least_cost(parts: list[Estimate], variance: Fraction, pull: Fraction) -> None:
    """The parts sum to the whole, and any other way to make them do so moves the numbers further."""
    whole = Estimate(total(parts).value + pull, variance)
    found = partition(parts, whole)
    if found.status == "inconsistent":
        assert found.values == (*(part.value for part in parts), whole.value)
        return
    assert sum(found.values[:-1]) == found.values[-1]

    def cost(values: tuple[Fraction, ...]) -> Fraction:
        both = zip(values, (*parts, whole), strict=True)
        return sum(((value - raw.value) ** 2 / raw.variance for value, raw in both), Fraction(0))

    other = (found.values[0] + 1, *found.values[1:-1], found.values[-1] + 1)
    assert cost(other) > cost(found.values)


def test_a_partition_that_noise_does_not_explain_is_left_alone() -> None:
    found = partition([noised(10, 4), noised(10, 4)], noised(100, 4))
    assert found.status == "inconsistent"
    assert list(found.values) == [10, 10, 100]
