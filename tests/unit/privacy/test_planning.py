"""Planning: the price really gives the accuracy and is the cheapest, and the twin is made of public figures only."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from privacy.definition import Definition, parse_definition
from privacy.errors import InvalidParameterError
from privacy.layout import compile_layout
from privacy.measures import MEASURES
from privacy.planning import Accuracy, Yardstick, accuracy_by_size, parse_accuracy, price_for, yardstick
from privacy.sampling import draw_gaussian, keystream
from privacy.twin import Crowd, make_twin
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
    yard = Yardstick(metric)
    price = price_for(yard, parse_accuracy(accuracy), 800, releases)
    assert price.half_width <= price.wanted
    paid = price.definition.epsilon or price.definition.rho
    below = 1 / (1 / paid + 1) if paid <= 1 else paid - 1
    if laplace:
        cheaper = compile_layout(replace(metric, epsilon=below), DAY)
    else:
        cheaper = compile_layout(replace(metric, rho=below), DAY)
    assert below <= Fraction(1, 10**9) or (yard.half_width(cheaper, 800 * releases, releases) or 0) > price.wanted


def test_a_usual_metric_costs_what_the_design_says() -> None:
    """±27.7 on one cell at Δ₂² = 1 is σ = 14.1: ρ = 1/400."""
    tree = {"metric": "people", "question": "How many?", "from": "any", "measure": "people", "window": "day",
            "privacy": {"max_cells": "1", "rho": "1"}}  # fmt: skip
    assert price_for(Yardstick(parse_definition(tree)), parse_accuracy("27.72"), 1).definition.rho == Fraction(1, 400)


def test_an_accuracy_no_price_gives_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="no price"):
        price_for(Yardstick(definition()), Accuracy(Fraction(1, 1000), is_relative=False), 1)


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


# ── every measure ────────────────────────────────────────────────────────────────────────────────────────────

VALUED = {"range": ["-2", "10"], "quantum": "0.5"}
ONE = {"max_cells": "2", "max_per_cell": "3"}
ASKED: dict[str, tuple[object, dict[str, str], str]] = {  # measure, bounds, window
    "count": ("count", ONE, "day"),
    "people": ("people", {"max_cells": "2"}, "day"),
    "top": ({"top": "2"}, ONE, "day"),
    "sum": ({"sum": "size", **VALUED}, ONE, "day"),
    "mean": ({"mean": "size", **VALUED}, ONE, "day"),
    "histogram": ({"histogram": "size", "edges": ["0", "3", "7"]}, ONE, "day"),
    "funnel": ({"funnel": ["x", "y", "z"], "per": "epoch"}, {"max_cells": "2"}, "day"),
    "funnel by session": ({"funnel": ["x", "y"], "per": "session"}, {"max_per_cell": "3"}, "day"),
    "journey": ({"journey": "kind", "values": ["a", "b"]}, ONE, "day"),
    "retention": ({"retention": "week", "ages": "3"}, {"max_cells": "1"}, "month"),
    "score": (
        {"score": {"acts": {"count": "x", "points": "1", "most": "3"},
                   "mood": {"value": "size", "in": "x", "quantum": "0.5", "most": "4"}}},
        {"max_cells": "1"},
        "day",
    ),
}  # fmt: skip
RATIOS = {"mean", "score"}


def asked(name: str, **privacy: str) -> Definition:
    measure, bounds, window = ASKED[name]
    tree: dict[str, Any] = {
        "metric": "asked", "question": "?", "from": {"app": "a"}, "measure": measure, "window": window,
        "by": {"country": ["DE", "FR", "ES"]}, "privacy": {**bounds, **(privacy or {"rho": "1/400"})},
    }  # fmt: skip
    return parse_definition(tree)


def test_no_measure_is_left_out() -> None:
    assert {name.split()[0] for name in ASKED} == set(MEASURES)


@pytest.mark.parametrize("laplace", [False, True], ids=["gaussian", "laplace"])
@pytest.mark.parametrize("accuracy", ["5%", "±30%", "±3"])
@pytest.mark.parametrize("name", ASKED)
def test_every_measure_is_planned_by_a_share_and_by_a_width(name: str, accuracy: str, laplace: bool) -> None:
    """The price gives what was asked, and the next one down does not; ±3 is points or units, of a cell ±3000."""
    accuracy = "±3000" if accuracy == "±3" and name not in RATIOS else accuracy
    metric = asked(name, mechanism="laplace", epsilon="1/10") if laplace else asked(name)
    twin = make_twin(metric, CROWD, rng())
    yard = yardstick(metric, twin)
    releases = 4
    price = price_for(yard, parse_accuracy(accuracy), twin.typical, releases)
    assert 0 < price.half_width <= price.wanted
    paid = price.definition.epsilon or price.definition.rho
    below = 1 / (1 / paid + 1) if paid <= 1 else paid - 1
    changes = {"epsilon": below} if laplace else {"rho": below}
    window = Window.containing(metric.window, DAY.start_hour)
    cheaper = yard.half_width(
        compile_layout(replace(metric, **changes), window),  # type: ignore[arg-type]  # one of two prices
        twin.typical * releases,
        releases,
    )
    assert cheaper is None or cheaper > price.wanted


@pytest.mark.parametrize("name", sorted(RATIOS))
def test_the_planned_width_of_a_ratio_is_that_of_its_releases(name: str) -> None:
    """300 releases at the price: half of the 95 % range of the figure is the planned width, within a quarter."""
    metric = asked(name)
    twin = make_twin(metric, CROWD, rng())
    yard = yardstick(metric, twin)
    price = price_for(yard, parse_accuracy("5%"), twin.typical)
    first, second = price.layout.blocks[:2]
    parts = 2 if name == "score" else 1
    middle = Fraction(4) if name == "mean" else Fraction(0)
    stream = keystream(lambda size: bytes(range(32)))
    above = draw_gaussian(first.sigma_squared, 300 * parts, stream).reshape(300, parts).sum(axis=1)
    below = draw_gaussian(second.sigma_squared, 300, stream)
    true = float((twin.value - middle) * twin.typical)
    found = (true + above * float(first.quantum)) / (twin.typical + below) + float(middle)
    strays = sorted(abs(found - float(twin.value)))[284]
    assert strays == pytest.approx(float(price.half_width), rel=0.25)


def test_a_share_of_nothing_is_refused_with_a_way_out() -> None:
    """A range around 0 has no usual figure; a stated value, or ±N, is as good as for any other."""
    metric = replace(asked("mean"))
    tree_value = Crowd(5000, Fraction(1), Fraction(1), Fraction(0))
    with pytest.raises(InvalidParameterError, match="--value"):
        price_for(yardstick(metric, make_twin(metric, tree_value, rng())), parse_accuracy("5%"), 100)
    stated = replace(tree_value, value=Fraction(-2))
    price = price_for(yardstick(metric, make_twin(metric, stated, rng())), parse_accuracy("5%"), 3000)
    assert price.wanted == Fraction(1, 10)


@pytest.mark.parametrize(("name", "value", "words"), [
    ("count", "1", "counts, and has no values"), ("sum", "11", "outside the range"),
    ("mean", "-3", "outside the range"),
])  # fmt: skip
def test_a_usual_value_that_means_nothing_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        make_twin(asked(name), replace(CROWD, value=Fraction(value)), rng())


def test_a_small_group_has_no_interval_of_its_ratio() -> None:
    """Where the noised denominator could be 0; and the interval narrows with what is counted."""
    rows = accuracy_by_size(Yardstick(asked("mean"), Fraction(5)), compile_layout(asked("mean"), DAY))
    widths = [width for _, width, _ in rows]
    assert widths[0] is None
    known = [width for width in widths if width is not None]
    assert len(known) >= 5
    assert known == sorted(known, reverse=True)


def test_a_scores_twin_says_what_its_components_cut() -> None:
    """Acts are geometric with mean 3 and cut at 3 points; the mood is half of its most."""
    twin = make_twin(asked("score"), CROWD, rng())
    assert 0 < twin.kept < 1
    assert 0 < twin.cut_people < 1
    assert 3 < twin.value < 5
