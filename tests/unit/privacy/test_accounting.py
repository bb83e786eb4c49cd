"""The epsilon a person is told: the figures of PRIVACY 1, an upper bound everywhere, and the spans."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import (
    DEFAULT_CAP_RHO,
    DELTA,
    epsilon_of_rho,
    guarantee_over,
    guarantees,
    most_epochs,
    rho_of_group,
)
from privacy.errors import InvalidParameterError
from privacy.mechanisms import (
    eta_of_draws,
    rho_of_discrete_gaussian,
    sigma_squared_for,
)
from privacy.noise_table import ETA_TABLE, TABLE_REACH
from privacy.units import EpochLength


@pytest.mark.parametrize(
    ("length", "shown"),
    [("day", ["1.0", "6.6", "30.3"]), ("week", ["1.7", "4.4", "15.9"]), ("month", ["3.5", "6.6", "15.7"])],
)
def test_default_caps_give_the_published_epsilons(length: EpochLength, shown: list[str]) -> None:
    """PRIVACY 1: one epoch, 30 and 365 days at δ = 1e-6."""
    told = [f"{g.epsilon:.1f}" for g in guarantees(length, DEFAULT_CAP_RHO[length])]
    assert told == shown


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=100), st.integers(2, 15))
@settings(max_examples=60, deadline=None)
def test_epsilon_is_a_tight_upper_bound(rho: Fraction, digits: int) -> None:
    """Never below the infimum over all orders, found independently at 200 bits, and within 2e-9 of it."""
    delta = Fraction(1, 10**digits)
    with mpmath.workprec(200):
        r, d = mpmath.mpf(rho.numerator) / rho.denominator, mpmath.mpf(10) ** -digits

        def bound(a: mpmath.mpf) -> mpmath.mpf:
            return r * a + mpmath.log(1 / (a * d)) / (a - 1) + mpmath.log1p(-1 / a)

        low, high = mpmath.mpf(1), 1 + mpmath.sqrt(-mpmath.log(d) / r)
        for _ in range(150):
            middle = (low + high) / 2
            before = r * (middle - 1) ** 2 + mpmath.log(middle * d) < 0
            low, high = (middle, high) if before else (low, middle)
        best = max(bound(high), mpmath.mpf(0))
        told = mpmath.mpf(str(epsilon_of_rho(rho, delta)))
        assert best - mpmath.mpf(10) ** -40 <= told <= best + mpmath.mpf(2) / 10**9


def test_epsilon_beats_the_simple_conversion_and_the_mechanism_it_describes() -> None:
    """Below rho + 2 sqrt(rho ln(1/δ)), above the exact epsilon of one Gaussian release (analytic formula)."""
    rho, delta = Fraction(1, 40), 1e-6
    told = float(epsilon_of_rho(rho))
    assert told < float(rho) + 2 * math.sqrt(float(rho) * math.log(1 / delta))
    mu = math.sqrt(2 * float(rho))

    def phi(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    def delta_of(epsilon: float) -> float:
        return phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * phi(-mu / 2 - epsilon / mu)

    assert delta_of(told) < delta  # the true δ at the told ε is smaller: the bound holds
    assert told < 1.1 * next(e / 1000 for e in range(1, 5000) if delta_of(e / 1000) < delta)


def test_nothing_spent_is_epsilon_zero() -> None:
    assert epsilon_of_rho(Fraction(0)) == 0


@pytest.mark.parametrize("rho", [0.025, Fraction(-1), "1/40", Decimal("0.025")])
def test_a_rho_that_is_not_exact_is_refused(rho: object) -> None:
    with pytest.raises(InvalidParameterError):
        epsilon_of_rho(rho)  # type: ignore[arg-type]


@pytest.mark.parametrize("delta", [0.000001, Fraction(0), Fraction(1), 1])
def test_a_delta_outside_0_and_1_is_refused(delta: object) -> None:
    with pytest.raises(InvalidParameterError):
        epsilon_of_rho(Fraction(1, 40), delta)  # type: ignore[arg-type]


def test_spans_touch_the_most_epochs() -> None:
    """PRIVACY 1: day 30/365, week 6/53, month 3/13."""
    assert [most_epochs("day", d) for d in (1, 30, 365)] == [1, 30, 365]
    assert [most_epochs("week", d) for d in (1, 30, 365)] == [1, 6, 53]
    assert [most_epochs("month", d) for d in (1, 30, 365)] == [1, 3, 13]


@pytest.mark.parametrize("days", [1, 2, 7, 8, 9, 28, 29, 30, 31, 32, 60, 365, 366])
def test_spans_by_brute_force(days: int) -> None:
    """Every start of four years, counted day by day."""
    starts = [date(2024, 1, 1) + timedelta(days=i) for i in range(4 * 365 + 1)]
    span = [[start + timedelta(days=i) for i in range(days)] for start in starts]
    assert most_epochs("month", days) == max(len({(d.year, d.month) for d in s}) for s in span)
    assert most_epochs("week", days) == max(len({d.isocalendar()[:2] for d in s}) for s in span)


def test_delta_adds_thresholds_and_the_samplers_share() -> None:
    """(ε, d + Σδ + (1 + e^ε)·Ση): the sampler's part shows only where it matters, and never lowers δ."""
    plain = guarantee_over(30, "day", Fraction(1, 40))
    assert plain.delta == Decimal("0.000001")
    loaded = guarantee_over(30, "day", Fraction(1, 40), thresholds_delta=Fraction(1, 10**8))
    assert loaded.delta == Decimal("0.0000013")
    noisy = guarantee_over(30, "day", Fraction(1, 40), eta=ETA_TABLE * 65_536)
    assert Decimal("0.000001") < noisy.delta <= Decimal("0.00000100001")
    grown = guarantee_over(1, "day", Fraction(1, 40), eta=Fraction(1, 100))
    exact = DELTA + (1 + Fraction(math.exp(float(grown.epsilon)))) / 100
    assert exact <= Fraction(grown.delta) < exact * Fraction(10001, 10000)


def test_epsilon_grows_with_rho() -> None:
    told = [epsilon_of_rho(Fraction(i, 400)) for i in range(0, 400, 7)]
    assert all(a < b for a, b in pairwise(told))


def test_a_group_pays_the_square() -> None:
    assert rho_of_group(Fraction(1, 40), 3) == Fraction(9, 40)


def test_gaussian_rho_and_sigma_are_inverse_and_exact() -> None:
    """A usual metric: rho 1/400 at Δ₂ = 1 is sigma² 200, so sigma 14."""
    assert sigma_squared_for(Fraction(1), Fraction(1, 400)) == 200
    assert rho_of_discrete_gaussian(Fraction(27), sigma_squared_for(Fraction(27), Fraction(1, 7))) == Fraction(1, 7)


@pytest.mark.parametrize(
    ("l2_squared", "sigma_squared"),
    [(1.0, Fraction(1)), (Fraction(1), 0.5), (Fraction(-1), Fraction(1)), (Fraction(1), Fraction(0)), (True, 1)],
)
def test_inexact_or_senseless_noise_parameters_are_refused(l2_squared: object, sigma_squared: object) -> None:
    with pytest.raises(InvalidParameterError):
        rho_of_discrete_gaussian(l2_squared, sigma_squared)  # type: ignore[arg-type]


def test_the_exact_sampler_owes_no_implementation_delta() -> None:
    assert eta_of_draws("gaussian", Fraction(200), 10) == 10 * ETA_TABLE
    assert eta_of_draws("gaussian", TABLE_REACH + 1, 10) == 0
