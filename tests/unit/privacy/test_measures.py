"""Measures: what is refused when a definition is read, and what a reader computes from their cells."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from privacy.definition import Definition, parse_definition
from privacy.errors import BoundMissing, InvalidDefinition, OverflowPossible, PrivacyError, TooManyCells
from privacy.layout import compile_layout
from privacy.measures.base import truncated
from privacy.units import Window

MONTH = Window.parse("2026-11-01/P1M")


def _tree(**parts: Any) -> dict[str, Any]:
    """A definition over app `a`; Any: parts of a tree."""
    return {
        "metric": "m",
        "question": "?",
        "from": {"app": "a"},
        "measure": "count",
        "window": "day",
        "privacy": {"max_cells": "2", "max_per_cell": "2", "rho": "1/400"},
        **parts,
    }


def _definition(measure: Any, **parts: Any) -> Definition:
    return parse_definition(_tree(measure=measure, **parts))


ONCE = {"max_cells": "1", "rho": "1/400"}
BY_SESSION = {"max_per_cell": "2", "rho": "1/400"}
DEEDS = {"count": "x", "points": "1", "most": "5"}

REFUSED: list[tuple[str, Any, dict[str, Any], type[PrivacyError]]] = [
    ("a sum without a range", {"sum": "v", "quantum": "1"}, {}, BoundMissing),
    ("a sum without a quantum", {"sum": "v", "range": ["0", "1"]}, {}, BoundMissing),
    ("a range of one number", {"sum": "v", "range": ["1"], "quantum": "1"}, {}, BoundMissing),
    ("a range that falls", {"mean": "v", "range": ["2", "1"], "quantum": "1"}, {}, InvalidDefinition),
    ("a range between quanta", {"sum": "v", "range": ["0", "0.5"], "quantum": "1"}, {}, InvalidDefinition),
    ("a quantum of nothing", {"sum": "v", "range": ["0", "1"], "quantum": "0"}, {}, InvalidDefinition),
    ("a sum over all apps", {"sum": "v", "range": ["0", "1"], "quantum": "1"}, {"from": "any"}, InvalidDefinition),
    ("a sum of the country", {"sum": "country", "range": ["0", "1"], "quantum": "1"}, {}, InvalidDefinition),
    ("a sum that could overflow", {"sum": "v", "range": ["0", "8388608"], "quantum": "1"}, {}, OverflowPossible),
    ("a sum without K", {"sum": "v", "range": ["0", "1"], "quantum": "1"}, {"privacy": ONCE}, BoundMissing),
    ("a funnel of one step", {"funnel": ["x"], "per": "epoch"}, {"privacy": ONCE}, InvalidDefinition),
    ("a funnel without per", {"funnel": ["x", "y"]}, {"privacy": ONCE}, BoundMissing),
    ("a funnel per hour", {"funnel": ["x", "y"], "per": "hour"}, {"privacy": ONCE}, InvalidDefinition),
    ("a step twice", {"funnel": ["x", "a/x"], "per": "epoch"}, {"privacy": ONCE}, InvalidDefinition),
    ("a step elsewhere", {"funnel": ["x", "b/y"], "per": "epoch"}, {"privacy": ONCE}, InvalidDefinition),
    ("a step that is an app", {"funnel": ["b", "c"], "per": "epoch"}, {"from": "any", "privacy": ONCE},
     InvalidDefinition),
    ("a funnel by session with C", {"funnel": ["x", "y"], "per": "session"}, {}, InvalidDefinition),
    ("a funnel by session without K", {"funnel": ["x", "y"], "per": "session"}, {"privacy": {"rho": "1/400"}},
     BoundMissing),
    ("a journey without values", {"journey": "action"}, {}, BoundMissing),
    ("a journey over hours", {"journey": "hour", "values": ["1"]}, {}, InvalidDefinition),
    ("a journey over one app", {"journey": "app", "values": ["a"]}, {}, InvalidDefinition),
    ("a journey with a `from` beside it", {"journey": "action", "values": ["x"]}, {"by": {"from": ["x"]}},
     InvalidDefinition),
    ("a journey of too many cells", {"journey": "v", "values": [str(n) for n in range(300)]}, {}, TooManyCells),
    ("retention in a day", {"retention": "week", "ages": "2"}, {"privacy": ONCE}, InvalidDefinition),
    ("weeks of a week", {"retention": "week", "ages": "1"}, {"window": "week", "privacy": ONCE}, InvalidDefinition),
    ("more ages than weeks", {"retention": "week", "ages": "5"}, {"window": "month", "privacy": ONCE},
     InvalidDefinition),
    ("retention without ages", {"retention": "week"}, {"window": "month", "privacy": ONCE}, BoundMissing),
    ("a score of nothing", {"score": {}}, {"privacy": ONCE}, InvalidDefinition),
    ("a component without most", {"score": {"d": {"count": "x", "points": "1"}}}, {"privacy": ONCE}, BoundMissing),
    ("more points than most", {"score": {"d": {**DEEDS, "points": "6"}}}, {"privacy": ONCE}, InvalidDefinition),
    ("a component of two kinds", {"score": {"d": {**DEEDS, "active": "day"}}}, {"privacy": ONCE}, InvalidDefinition),
    ("a component elsewhere", {"score": {"d": {**DEEDS, "count": "b/x"}}}, {"privacy": ONCE}, InvalidDefinition),
    ("a component called score", {"score": {"score": DEEDS}}, {"privacy": ONCE}, InvalidDefinition),
    ("top of nothing", {"top": "3"}, {}, InvalidDefinition),
    ("a bare top", "top", {"by": {"v": ["x"]}}, InvalidDefinition),
    ("shares that do not add up", "count", {"privacy": {**ONCE, "max_per_cell": "1", "shares": {"count": "1/2"}}},
     InvalidDefinition),
    ("shares of other blocks", {"mean": "v", "range": ["0", "1"], "quantum": "1"},
     {"privacy": {**ONCE, "max_per_cell": "1", "shares": {"sum": "1/2", "count": "1/2"}}}, InvalidDefinition),
    ("clipped people, perhaps", "count", {"privacy": {**ONCE, "max_per_cell": "1", "clipped_people": "maybe"}},
     InvalidDefinition),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "parts", "kind"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_measure_that_cannot_be_bounded_is_refused(measure: Any, parts: Any, kind: type[PrivacyError]) -> None:
    """With what, why and what to do."""
    with pytest.raises(kind) as caught:
        _definition(measure, **parts)
    assert type(caught.value) is kind
    assert all((caught.value.what, caught.value.why, caught.value.fix))


def test_shares_split_the_price() -> None:
    """Exactly: σ² = Δ₂²/(2ρ·share)."""
    definition = _definition(
        {"mean": "v", "range": ["0", "2"], "quantum": "1"},
        privacy={"max_cells": "1", "max_per_cell": "1", "rho": "1/100", "shares": {"deviation": "3/4", "count": "1/4"}},
    )
    layout = compile_layout(definition, Window.parse("2026-11-01/P1D"))
    assert [(block.name, block.rho) for block in layout.blocks] == [
        ("deviation", Fraction(3, 400)),
        ("count", Fraction(1, 400)),
    ]
    assert [block.sigma_squared for block in layout.blocks] == [Fraction(4 * 400, 6), Fraction(200)]
    assert layout.blocks[0].quantum == Fraction(1, 2)


def test_a_mean_is_read_from_the_middle_of_its_range() -> None:
    """Deviation in half quanta over count; nothing where the noise left no count."""
    measure = _definition({"mean": "v", "range": ["10", "20"], "quantum": "0.5"}).measure
    cells = {"deviation": [Fraction(-30)], "count": [Fraction(10)]}
    assert measure.numbers(cells) == {"mean": 12, "count": 10}
    assert measure.numbers({**cells, "count": [Fraction(-1)]})["mean"] is None


def test_a_funnel_is_cumulated_after_the_noise() -> None:
    """Who reached step 3 reached 1 and 2."""
    measure = _definition({"funnel": ["x", "y", "z"], "per": "epoch"}, privacy=ONCE).measure
    numbers = measure.numbers({"funnel": [Fraction(50), Fraction(30), Fraction(20)]})
    assert [numbers[f"reached {step}"] for step in "xyz"] == [100, 50, 20]
    assert (numbers["rate y"], numbers["rate z"]) == (Fraction(1, 2), Fraction(2, 5))


def test_retention_is_a_share_of_its_cohort() -> None:
    """Ages that a cohort cannot reach have no number."""
    measure = _definition({"retention": "week", "ages": "3"}, window="month", privacy=ONCE).measure
    cells = [Fraction(n) for n in (40, 20, 10, 30, 15, 6, 20, 5, 0, 8, 0, 0)]
    numbers = measure.numbers({"retention": cells})
    assert numbers["cohort 1 age 2"] == Fraction(1, 4)
    assert numbers["cohort 3 age 1"] == Fraction(1, 4)
    assert "cohort 3 age 2" not in numbers
    assert numbers["cohort 4"] == 8


def test_a_score_is_the_sum_of_its_means() -> None:
    """Components stand in the order of their names."""
    parts = {"b": DEEDS, "a": {"active": "hour", "points": "1", "most": "3"}}
    measure = _definition({"score": parts}, privacy=ONCE).measure
    numbers = measure.numbers({"score": [Fraction(30), Fraction(10)], "people": [Fraction(20)]})
    assert numbers == {"a": Fraction(3, 2), "b": Fraction(1, 2), "score": 2}


def test_windows_of_a_month_have_one_retention_layout() -> None:
    """February and March alike: four whole weeks."""
    definition = _definition({"retention": "week", "ages": "4"}, window="month", privacy=ONCE)
    texts = ("2027-02-01/P1M", "2027-03-01/P1M", "2026-11-01/P1M")
    assert len({compile_layout(definition, Window.parse(text)).blocks for text in texts}) == 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"), [(7, 2, 3), (-7, 2, -3), (-1, 5, 0), (6, -4, -1), (-6, -4, 1), (0, 3, 0)]
)
def test_division_truncates_toward_zero(numerator: int, denominator: int, expected: int) -> None:
    """As SQL does, and Python's // does not."""
    assert truncated(numerator, denominator) == expected
