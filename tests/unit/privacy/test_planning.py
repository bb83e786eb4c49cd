"""Planning: the price really gives the accuracy and is the cheapest, and the twin is made of public figures only."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from privacy.definition import Definition, parse_definition
from privacy.errors import InvalidParameterError
from privacy.layout import compile_layout
from privacy.planning import Accuracy, Crowd, half_width, make_twin, parse_accuracy, price_for
from privacy.sampling import keystream
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")
CROWD = Crowd(5000, Fraction(3, 2), Fraction(3))


def definition(**privacy: str) -> Definition:
    tree: dict[str, Any] = {
        "metric": "tips",
        "question": "What is tipped for?",
        "from": "any",
        "measure": "count",
        "by": {"country": ["DE", "FR", "ES"]},
        "window": "day",
        "privacy": {"max_cells": "2", "max_per_cell": "3", **(privacy or {"rho": "1/400"})},
    }
    return parse_definition(tree)


def rng() -> Any:
    return keystream(lambda size: bytes(range(32)))


@pytest.mark.parametrize(("text", "size", "relative"), [
    ("5%", Fraction(1, 20), True), ("0.5 %", Fraction(1, 200), True), ("±40", Fraction(40), False),
    ("12.5", Fraction(25, 2), False),
])  # fmt: skip
def test_an_accuracy_is_read_exactly(text: str, size: Fraction, relative: bool) -> None:
    assert parse_accuracy(text) == Accuracy(size, relative)


@pytest.mark.parametrize("text", ["", "0", "0%", "-5%", "101%", "nan", "1e3", "five", "5%%"])
def test_no_accuracy_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="Accuracy refused"):
        parse_accuracy(text)


@pytest.mark.parametrize("laplace", [False, True])
@pytest.mark.parametrize(("accuracy", "releases"), [("5%", 1), ("±40", 1), ("±40", 28), ("2", 1), ("±100000", 1)])
def test_the_price_gives_the_accuracy_and_a_lower_one_does_not(laplace: bool, accuracy: str, releases: int) -> None:
    """The cheapest of 1/k and k: the next one down is too wide."""
    metric = definition(mechanism="laplace", epsilon="1/10") if laplace else definition()
    price = price_for(metric, parse_accuracy(accuracy), 800, releases)
    assert price.half_width <= price.wanted
    paid = price.definition.epsilon or price.definition.rho
    below = 1 / (1 / paid + 1) if paid <= 1 else paid - 1
    if laplace:
        cheaper = compile_layout(replace(metric, epsilon=below), DAY)
    else:
        cheaper = compile_layout(replace(metric, rho=below), DAY)
    assert below <= Fraction(1, 10**9) or half_width(cheaper, releases) > price.wanted


def test_a_usual_metric_costs_what_the_design_says() -> None:
    """±27.7 on one cell at Δ₂² = 1 is σ = 14.1: ρ = 1/400."""
    tree = {"metric": "people", "question": "How many?", "from": "any", "measure": "people", "window": "day",
            "privacy": {"max_cells": "1", "rho": "1"}}  # fmt: skip
    assert price_for(parse_definition(tree), parse_accuracy("27.72"), 1).definition.rho == Fraction(1, 400)


def test_an_accuracy_no_price_gives_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="no price"):
        price_for(definition(), Accuracy(Fraction(1, 1000), is_relative=False), 1)


def test_the_twin_shows_what_the_bounds_cut() -> None:
    """Everything is kept where the bounds cut nobody, and less the tighter they are; the same bytes, the same twin."""
    open_bounds = replace(definition(), max_cells=100, max_per_cell=10_000)
    assert make_twin(open_bounds, CROWD, rng()).kept == 1
    assert make_twin(open_bounds, CROWD, rng()).cut_people == 0
    loose, tight = (make_twin(replace(definition(), max_per_cell=k), CROWD, rng()) for k in (6, 1))
    assert 0 < tight.kept < loose.kept < 1
    assert tight.cut_people > loose.cut_people
    assert make_twin(definition(), CROWD, rng()) == make_twin(definition(), CROWD, rng())


def test_the_twin_has_the_figures_it_was_given() -> None:
    """Mean events of a geometric crowd: within 5 % of 3 · 5000 · the groups it touches."""
    twin = make_twin(replace(definition(), max_cells=100, max_per_cell=10_000), CROWD, rng())
    assert sum(twin.sizes) == pytest.approx(5000 * 1.28 * 3, rel=0.1)  # 1.28: a group drawn twice is one
    assert list(twin.sizes) == sorted(twin.sizes, reverse=True)
    assert len(twin.sizes) == 5


def test_of_a_mean_only_an_absolute_accuracy_can_be_planned() -> None:
    """Its first block holds values: ±N is in their unit, and a share of a made-up value means nothing."""
    tree = {"metric": "wage", "question": "What is it?", "from": {"app": "w", "action": "x"},
            "measure": {"mean": "wage", "range": ["0", "25"], "quantum": "0.01"}, "window": "day",
            "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"}}  # fmt: skip
    mean = parse_definition(tree)
    with pytest.raises(InvalidParameterError, match="Give ±N in the measure's unit"):
        price_for(mean, parse_accuracy("5%"), 100)
    price = price_for(mean, parse_accuracy("±300"), 100)
    assert 0 < price.half_width <= 300
