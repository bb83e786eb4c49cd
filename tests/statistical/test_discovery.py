"""How often a key of one person alone is shown: never more than δ, by brute force over the law and by counting.

Definitions cap δ at 3.1·10⁻⁷, where nothing can be counted, so the same code is given a large δ here. False alarms: a
count outside 7 standard errors has a probability below 10⁻¹¹; 4 counts, 4·10⁻¹¹ a run. Power: noise of half the
variance, and a threshold one lower, each lie more than 20 standard errors away at these sizes.
"""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import pytest

from privacy.definition import parse_definition
from privacy.discovery import ExactKeys, KeyNoise, release_keys
from privacy.layout import Layout, compile_layout
from privacy.partitions import MAX_KEYS, threshold
from privacy.release import Slot
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")
SLOT = Slot(bytes(32), DAY, b"n" * 32)
STANDARD_ERRORS = 7


def layout_of(max_cells: int, delta: Fraction, mechanism: str = "gaussian") -> Layout:
    """A layout whose δ is larger than any definition may state."""
    price = {"rho": "1/8"} if mechanism == "gaussian" else {"epsilon": "1", "mechanism": "laplace"}
    asked = parse_definition(
        {"metric": "m", "question": "?", "from": {"app": "blog"}, "measure": "people",
         "by": {"page": {"discover": "true"}}, "window": "day",
         "privacy": {"max_cells": str(max_cells), "delta": "1/100000000", **price}}
    )  # fmt: skip
    return compile_layout(replace(asked, delta=delta), DAY)


def weights(layout: Layout) -> dict[int, Decimal]:
    """The law of a cell's noise, term by term, from its formula alone; 40 digits."""
    [block] = layout.blocks
    with localcontext() as context:
        context.prec = 40
        if block.scale is None:
            two = 2 * Decimal(block.sigma_squared.numerator) / block.sigma_squared.denominator
            terms = {x: (-Decimal(x * x) / two).exp() for x in range(-400, 401)}
        else:
            scale = Decimal(block.scale.numerator) / block.scale.denominator
            terms = {x: (-abs(Decimal(x)) / scale).exp() for x in range(-2000, 2001)}
        whole = sum(terms.values())
        return {x: term / whole for x, term in terms.items()}


def pass_probability(layout: Layout, people: int) -> float:
    """P(people + X >= τ), brute force."""
    assert layout.discovery is not None
    tau = layout.discovery.threshold
    return float(sum(term for x, term in weights(layout).items() if people + x >= tau))


def any_passes(layout: Layout, keys: int) -> float:
    """The same that any of so many own keys of one person passes, over all their outcomes."""
    one = pass_probability(layout, 1)
    outcomes = product((True, False), repeat=keys)
    return sum(one ** sum(outcome) * (1 - one) ** (keys - sum(outcome)) for outcome in outcomes if any(outcome))


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("max_cells", [1, 2, 5])
@pytest.mark.parametrize("delta", [Fraction(1, 10), Fraction(1, 1000), Fraction(1, 10**8)])
def test_own_keys_of_one_person_are_shown_with_at_most_delta(mechanism: str, max_cells: int, delta: Fraction) -> None:
    """Exactly, over the law: any of C own keys passes with at most δ; and a threshold one lower would be too low."""
    layout = layout_of(max_cells, delta, mechanism)
    assert layout.discovery is not None
    each = pass_probability(layout, 1)
    assert each <= delta / max_cells
    assert any_passes(layout, max_cells) <= delta
    lower = replace(layout, discovery=replace(layout.discovery, threshold=layout.discovery.threshold - 1))
    assert pass_probability(lower, 1) > delta / max_cells


def shown(layout: Layout, people: int, trials: int, noise: Layout | None = None) -> float:
    """How often keys of so many people are shown, over releases of the node's own code."""
    assert layout.discovery is not None
    size = int(0.8 * MAX_KEYS / pass_probability(layout, people))  # nearly never more than a summary holds
    passed = done = 0
    while done < trials:
        exact = ExactKeys({f"{at:07}": (people,) for at in range(min(size, trials - done))})
        done += len(exact)
        charges = ((DAY.text, 10**9, layout.delta_atto),)
        release = release_keys(SLOT, layout, KeyNoise(noise or layout, os.urandom), exact, charges, "user")
        passed += len(release.keys or ())
    return passed / trials


def is_near(share: float, expected: float, trials: int) -> bool:
    return abs(share - expected) <= STANDARD_ERRORS * (expected * (1 - expected) / trials) ** 0.5


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_a_unique_key_is_shown_as_often_as_the_law_says(mechanism: str) -> None:
    """200,000 keys of one person each at δ = 1/50, through release after release."""
    layout = layout_of(1, Fraction(1, 50), mechanism)
    expected = pass_probability(layout, 1)
    assert expected <= 1 / 50
    assert is_near(shown(layout, 1, 200_000), expected, 200_000)


def test_a_key_of_many_is_shown_as_often_as_the_law_says() -> None:
    layout = layout_of(2, Fraction(1, 10**8))
    assert layout.discovery is not None
    people = layout.discovery.threshold + 1
    assert is_near(shown(layout, people, 20_000), pass_probability(layout, people), 20_000)


def test_noise_of_half_the_variance_and_a_threshold_one_lower_are_caught() -> None:
    """The counting above can fail: 20,000 keys tell both apart."""
    layout = layout_of(1, Fraction(1, 50))
    assert layout.discovery is not None
    expected = pass_probability(layout, 1)
    quiet = replace(layout, blocks=tuple(replace(b, sigma_squared=b.sigma_squared / 2) for b in layout.blocks))
    assert not is_near(shown(layout, 1, 100_000, noise=quiet), expected, 100_000)
    lower = replace(layout, discovery=replace(layout.discovery, threshold=layout.discovery.threshold - 1))
    assert not is_near(shown(lower, 1, 100_000), expected, 100_000)


def test_the_threshold_is_that_of_a_normal_table() -> None:
    """σ² = 800, C = 4, δ = 10⁻⁸: the normal quantile of 2.5·10⁻⁹ is 5.846, and 1 + ⌈5.846 · 28.284 + 1/2⌉ = 167."""
    assert threshold("gaussian", 4, Fraction(1, 10**8), sigma_squared=Fraction(800), scale=None) == 167
