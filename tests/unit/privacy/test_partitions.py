"""Partition selection: thresholds and the optimal rule, against values computed independently, and by counting."""

from __future__ import annotations

import random
from decimal import Decimal, getcontext
from fractions import Fraction
from math import exp

import pytest

from privacy.errors import InvalidParameterError, UnknownMechanism
from privacy.partitions import fit_keys, is_kept, keep_probability, passes, threshold

MICRO, NANO = Fraction(1, 10**6), Fraction(1, 10**9)


@pytest.mark.parametrize(
    ("cells", "epsilon", "delta", "tau"),
    [(1, 1, MICRO, 15), (1, 1, NANO, 22), (1, Fraction(1, 10), MICRO, 133), (4, 1, MICRO, 60), (4, 1, NANO, 88),
     (4, Fraction(1, 10), MICRO, 582)],
)  # fmt: skip
def test_thresholds_of_laplace_noise(cells: int, epsilon: Fraction, delta: Fraction, tau: int) -> None:
    """The smallest τ with q^(τ−1)/(1+q) <= δ/C, b = C/ε."""
    found = threshold("laplace", cells, delta, sigma_squared=Fraction(0), scale=cells / Fraction(epsilon))
    assert found == tau


@pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(3), Fraction(14), Fraction(100)])
@pytest.mark.parametrize(("cells", "delta"), [(1, MICRO), (4, NANO)])
def test_thresholds_of_gaussian_noise(sigma: Fraction, cells: int, delta: Fraction) -> None:
    """The least integer whose tail, summed term by term, is small enough."""
    getcontext().prec = 50
    two = 2 * Decimal(sigma.numerator) ** 2 / Decimal(sigma.denominator) ** 2
    reach = int(30 * sigma) + 10
    weights = [(-Decimal(x * x) / two).exp() for x in range(reach)]
    whole = 2 * sum(weights) - 1
    each = Decimal(delta.numerator) / delta.denominator / cells
    at, tail = reach, Decimal(0)
    while tail + weights[at - 1] / whole <= each:
        at -= 1
        tail += weights[at] / whole
    assert threshold("gaussian", cells, delta, sigma_squared=sigma**2, scale=None) == at + 1


def test_a_key_of_one_person_shows_no_more_often_than_delta() -> None:
    """20,000 draws at δ = 1/100: at most 1/100, and not far below it; one less would be too often."""
    from privacy.sampling import draw_gaussian, keystream

    delta, sigma_squared = Fraction(1, 100), Fraction(200)
    tau = threshold("gaussian", 1, delta, sigma_squared=sigma_squared, scale=None)
    noised = (1 + draw_gaussian(sigma_squared, 20_000, keystream(random.Random(3).randbytes))).tolist()
    shown = sum(passes(value, tau) for value in noised) / len(noised)
    assert 0.005 < shown < 0.0135  # false alarm below 1e-6 at 20,000 draws


@pytest.mark.parametrize(
    ("cells", "epsilon", "delta", "half", "most", "always"),
    [(1, 1, MICRO, 14, 16, 28), (1, 1, NANO, 21, 22, 41), (1, Fraction(1, 10), MICRO, 109, 125, 218),
     (4, 1, MICRO, 53, 60, 106), (4, 1, NANO, 81, 88, 162)],
)  # fmt: skip
def test_the_optimal_rule(cells: int, epsilon: Fraction, delta: Fraction, half: int, most: int, always: int) -> None:
    """Kept with 50 %, 90 %, always from so many people on (one more where rounding down decides)."""
    probability = keep_probability(Fraction(epsilon), delta, cells)
    least = [next(n for n in range(1000) if probability(n) >= level) for level in (Fraction(1, 2), Fraction(9, 10))]
    assert least == [half, most]
    assert probability(always + 1) == 1
    assert probability(always - 2) < 1


def test_the_optimal_rule_keeps_its_promise() -> None:
    """Every neighbouring pair of counts is (ε, δ)-indistinguishable, both ways, and π(0) = 0."""
    epsilon, delta = Fraction(1, 2), Fraction(1, 1000)
    probability = keep_probability(epsilon, delta, 1)
    assert probability(0) == 0
    for people in range(60):
        before, after = float(probability(people)), float(probability(people + 1))
        assert before <= after <= exp(epsilon) * before + float(delta) + 1e-12
        assert 1 - before <= exp(epsilon) * (1 - after) + float(delta) + 1e-12
    assert probability(10**9) == 1


def test_a_coin_is_drawn_from_the_randomness_given() -> None:
    """0 and 1 are certain; a half is the half of all bytes."""
    assert is_kept(Fraction(1), lambda size: b"\xff" * size)
    assert not is_kept(Fraction(0), lambda size: bytes(size))
    assert is_kept(Fraction(1, 2), lambda size: b"\x7f" + b"\xff" * (size - 1))
    assert not is_kept(Fraction(1, 2), lambda size: b"\x80" + bytes(size - 1))


def test_keys_that_look_like_persons_are_no_candidates() -> None:
    """However many people share them."""
    assert fit_keys(["jazz", "ann@example.org", "folk", "", "a\nb", "folk"]) == ["folk", "jazz"]


@pytest.mark.parametrize(
    ("mechanism", "cells", "delta", "kind"),
    [("gaussian", 1, Fraction(0), InvalidParameterError), ("gaussian", 1, Fraction(1), InvalidParameterError),
     ("gaussian", 0, MICRO, InvalidParameterError), ("gaussian", 1, 1e-6, InvalidParameterError),
     ("uniform", 1, MICRO, UnknownMechanism), ("laplace", 1, MICRO, UnknownMechanism)],
)  # fmt: skip
def test_parameters_that_promise_nothing_are_refused(
    mechanism: str, cells: int, delta: Fraction, kind: type[Exception]
) -> None:
    """A float δ among them, and Laplace noise without its scale."""
    with pytest.raises(kind):
        threshold(mechanism, cells, delta, sigma_squared=Fraction(1), scale=None)
