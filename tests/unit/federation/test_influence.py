"""Sums beside the plain one, and when an organisation drives an answer."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import influence
from federation.influence import SHARE, driver, robust
from privacy.estimates import Estimate
from privacy.estimates.numbers import LaplacePart
from privacy.estimates.tails import is_above
from privacy.sampling import draw_gaussian, draw_laplace

LIST = st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=12)


def sized(*values: int) -> list[Fraction]:
    return [Fraction(value) for value in values]


def gaussian(*values: int, variance: int = 200) -> dict[str, Estimate]:
    return {f"org-{number}": Estimate(Fraction(value), Fraction(variance)) for number, value in enumerate(values)}


@pytest.mark.parametrize(
    ("values", "capped", "cap", "trimmed", "left_out"),
    [
        ((100,) * 8, 800, None, 600, 2),
        ((10_000, *(100,) * 7), Fraction(3500, 3), Fraction(1400, 3), 600, 2),  # 2/3 of the others' 700
        ((-10_000, *(100,) * 7), Fraction(700, 3), Fraction(1400, 3), 600, 2),  # its sign stays
        ((9000, 8000, 100, 100, 100), 1500, 600, 8200, 2),  # two cut: twice the others' 300
        ((1, 1, 1), 3, None, 1, 2),
        ((0, 0, 0), 0, None, 0, 2),
        ((7, 0, 0), 0, 0, 0, 2),  # what nobody else supports is cut to nothing
        ((5, 3, 2), 5 * Fraction(2, 3) + 5, 5 * Fraction(2, 3), 3, 2),
        (tuple(range(1, 11)), 55, None, 33, 4),  # ten: two at each end
    ],
)  # fmt: skip
def test_a_sum_capped_and_without_extremes(
    values: tuple[int, ...], capped: Fraction, cap: Fraction | None, trimmed: int, left_out: int
) -> None:
    found = robust(sized(*values))
    assert found is not None
    assert (found.plain, found.capped, found.cap) == (sum(values), capped, cap)
    assert (found.trimmed, found.left_out) == (trimmed, left_out)


def test_two_organisations_have_no_robust_sum() -> None:
    assert robust(sized(1, 2)) is None
    assert driver(gaussian(10**6, 1)) is None


@settings(max_examples=40)
@given(LIST)
def test_nobody_is_more_than_its_share_of_the_capped_sizes(values: list[int]) -> None:
    """And the cap is the largest such: who is below it stays as it is."""
    found = robust(sized(*values))
    assert found is not None
    sizes = [abs(value) for value in values]
    cut = [min(Fraction(size), found.cap) if found.cap is not None else Fraction(size) for size in sizes]
    assert max(cut) <= SHARE * sum(cut)
    if found.cap is None:
        assert found.capped == sum(values)
    else:
        assert max(cut) == SHARE * sum(cut) == found.cap


@settings(max_examples=40)
@given(LIST, st.randoms())
def test_sums_do_not_depend_on_order(values: list[int], shuffler: Random) -> None:
    mixed = list(values)
    shuffler.shuffle(mixed)
    assert robust(sized(*mixed)) == robust(sized(*values))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20), st.integers(0, 10**12))
def test_one_member_moves_the_capped_sum_by_at_most_its_share(others: list[int], lie: int) -> None:
    """Whatever it reports, of the capped sum at most SHARE is its own."""
    found = robust(sized(*others, lie))
    assert found is not None
    own = Fraction(lie) if found.cap is None else min(Fraction(lie), found.cap)
    assert own <= SHARE * found.capped


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((100_000, *(1000,) * 7), "org-0"),
        ((-100_000, *(1000,) * 7), "org-0"),
        ((1000,) * 8, None),
        ((4000, 2000, 2000, 2000), None),  # exactly SHARE
        ((4300, 2000, 2000, 2000), "org-0"),  # beyond noise: 0.6·4300 − 0.4·6000 = 180 > 5.4·12.2
        ((4050, 2000, 2000, 2000), None),  # above SHARE, within noise
        ((30, 0, 0, 0), None),  # noise alone
        ((3000, -2000, -2000, -2000), None),  # sizes count, whatever their signs
    ],
)
def test_who_drives_a_sum_is_named_beyond_noise(values: tuple[int, ...], expected: str | None) -> None:
    assert driver(gaussian(*values)) == expected


def test_an_exact_number_needs_no_margin() -> None:
    assert driver(gaussian(4001, 2000, 2000, 2000, variance=0)) == "org-0"
    assert driver(gaussian(4000, 2000, 2000, 2000, variance=0)) is None


@pytest.mark.parametrize("law", ["gaussian", "laplace"])
def test_the_stated_error_holds_for_the_noise_that_is_drawn(law: str) -> None:
    """At error 1/20 instead of 10⁻⁶ at most one in twenty sums of ten draws passes; broken noise (doubled) passes more.

    20,000 sums from a fixed seed: the bound plus five standard deviations is 0.058.
    """
    rounds, draws, log_error = 20_000, 10, Fraction(2_995_733, 10**6)  # ln 20
    stream = Random(7).randbytes
    if law == "gaussian":
        noise = draw_gaussian(Fraction(200), rounds * draws, stream)
        about = Estimate(Fraction(0), Fraction(200 * draws))
    else:
        noise = draw_laplace(Fraction(10), rounds * draws, stream)
        part = LaplacePart(Fraction(10), Fraction(1), draws)
        about = Estimate(Fraction(0), Fraction(200 * draws), (part,))
    sums = noise.reshape(rounds, draws).sum(axis=1)
    least = next(t for t in range(10_000) if is_above(Estimate(Fraction(t), about.variance, about.laplace), log_error))
    assert (sums >= least).mean() <= 0.05
    assert (2 * sums >= least).mean() > 0.05
    assert least**2 < 36 * about.variance  # a bound, but not an empty one


def test_one_draw_of_laplace_noise_needs_its_own_tail() -> None:
    """b = 10: P(X >= t) = q^t/(1 + q) = 5e-7 at t = 138; the Gaussian bound would be content with 77."""
    part = LaplacePart(Fraction(10), Fraction(1), 1)
    one = [Estimate(Fraction(t), Fraction(200), (part,)) for t in range(400)]
    least = next(t for t, estimate in enumerate(one) if is_above(estimate, influence.LOG_ERROR))
    assert 138 <= least <= 250
