"""Definitions: what is read, and every text that would weaken the guarantee, refused with what, why and what to do."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.definition import parse_definition
from privacy.errors import (
    BoundMissing,
    InvalidDefinition,
    InvalidParameterError,
    OverflowPossible,
    PrivacyError,
    TooManyCells,
    UnknownMeasure,
    UnknownMechanism,
)
from privacy.layout import compile_layout
from privacy.sources import Source
from privacy.units import Window

# Any: the tests reach into the tree to break it.
TREE: dict[str, Any] = {
    "metric": "runway_months",
    "question": "How long a runway do people plan for, by industry?",
    "from": {"app": "runway-calculator", "action": "calculate"},
    "measure": {"histogram": "runway_months", "edges": ["0", "6", "12.5"]},
    "by": {"industry": ["software", "health"]},
    "window": "day",
    "privacy": {"max_cells": "3", "max_per_cell": "2", "rho": "1/400"},
}


def _with(**parts: object) -> dict[str, Any]:
    return {**deepcopy(TREE), **parts}


def _privacy(**parts: object) -> dict[str, Any]:
    return _with(privacy={**TREE["privacy"], **parts})


def _pure(**parts: object) -> dict[str, object]:
    """A `privacy` part whose price is a pure epsilon."""
    return {"max_cells": "3", "max_per_cell": "2", "epsilon": "1/10", **parts}


def _without(key: str, part: str | None = None) -> dict[str, Any]:
    tree = deepcopy(TREE)
    del (tree[part] if part else tree)[key]
    return tree


def test_a_definition_is_read() -> None:
    """Every field, exact."""
    definition = parse_definition(TREE)
    assert definition.source == Source("runway-calculator", "calculate")
    assert definition.measure.word == "histogram"
    assert (definition.max_cells, definition.max_per_cell) == (3, 2)
    assert definition.rho == Fraction(1, 400)
    assert (definition.mechanism, definition.unit, definition.window) == ("gaussian", None, "day")
    assert definition.attributes == ("industry", "runway_months")
    assert definition.measure.axes[0].edges == (0, 6, Fraction(25, 2))


def test_a_pure_price_is_read_and_what_it_costs_is_known() -> None:
    """ε = 1/10 over Δ₁ = CK = 6 is b = 60; its ρ is Δ₂²/(2b²) = 12/7200, exact."""
    definition = parse_definition(_with(privacy=_pure(mechanism="laplace")))
    assert (definition.mechanism, definition.epsilon, definition.rho) == ("laplace", Fraction(1, 10), Fraction(1, 600))
    (block,) = compile_layout(definition, Window.parse("2026-11-01/P1D")).blocks
    assert (block.mechanism, block.scale, block.rho) == ("geometric", 60, Fraction(1, 600))
    assert parse_definition(_privacy(mechanism="laplace")).epsilon is None


def test_axes_stand_in_the_order_of_their_names() -> None:
    """Because the hash does not see the order written."""
    trees = [_with(by=dict(pairs)) for pairs in ([("b", ["x"]), ("a", ["y"])], [("a", ["y"]), ("b", ["x"])])]
    first, second = map(parse_definition, trees)
    assert first == second
    assert [axis.name for axis in first.by] == ["a", "b"]


def test_people_needs_no_events_per_cell() -> None:
    """And refuses to pretend it used them."""
    tree = _with(measure="people", privacy={"max_cells": "3", "rho": "1/400"})
    assert parse_definition(tree).max_per_cell == 1
    tree["privacy"]["max_per_cell"] = "2"
    with pytest.raises(InvalidDefinition):
        parse_definition(tree)


REFUSED: list[tuple[str, object, type[PrivacyError]]] = [
    ("not a mapping", ["metric"], InvalidDefinition),
    ("no name", _without("metric"), InvalidDefinition),
    ("a bad name", _with(metric="Runway Months"), InvalidDefinition),
    ("no question", _without("question"), InvalidDefinition),
    ("an empty question", _with(question=""), InvalidDefinition),
    ("a question with control characters", _with(question="a\x1b[2Jb"), InvalidDefinition),
    ("no source", _without("from"), InvalidDefinition),
    ("an unknown source", _with(**{"from": "all"}), InvalidDefinition),
    ("a source with another key", _with(**{"from": {"app": "a", "acton": "b"}}), InvalidDefinition),
    ("an action without app", _with(**{"from": {"action": "b"}}), InvalidDefinition),
    ("no window", _without("window"), InvalidDefinition),
    ("an unknown window", _with(window="year"), InvalidDefinition),
    ("an unknown key", _with(discover="yes"), InvalidDefinition),
    ("an unknown privacy key", _privacy(seed="1"), InvalidDefinition),
    ("a later key", _privacy(epsilon="1"), InvalidDefinition),
    ("an unknown unit", _with(unit="device"), InvalidDefinition),
    # bounds
    ("no privacy", _without("privacy"), InvalidDefinition),
    ("no C", _without("max_cells", "privacy"), BoundMissing),
    ("no K", _without("max_per_cell", "privacy"), BoundMissing),
    ("no price", _without("rho", "privacy"), BoundMissing),
    ("C of zero", _privacy(max_cells="0"), InvalidParameterError),
    ("C below zero", _privacy(max_cells="-1"), InvalidParameterError),
    ("C as a number", _privacy(max_cells=3), InvalidParameterError),
    ("C without end", _privacy(max_cells="inf"), InvalidParameterError),
    ("K as a decimal", _privacy(max_per_cell="1.0"), InvalidParameterError),
    ("K in other digits", _privacy(max_per_cell="٣"), InvalidParameterError),
    # price
    ("rho as a float", _privacy(rho=0.0025), InvalidParameterError),
    ("rho as a decimal", _privacy(rho="0.0025"), InvalidParameterError),
    ("rho as an exponent", _privacy(rho="1e-3"), InvalidParameterError),
    ("rho of zero", _privacy(rho="0"), InvalidParameterError),
    ("rho of zero parts", _privacy(rho="0/5"), InvalidParameterError),
    ("rho over zero", _privacy(rho="1/0"), InvalidParameterError),
    ("rho below zero", _privacy(rho="-1/400"), InvalidParameterError),
    ("rho not a number", _privacy(rho="nan"), InvalidParameterError),
    ("rho with spaces", _privacy(rho="1 / 400"), InvalidParameterError),
    ("rho absent", _privacy(rho=None), InvalidParameterError),
    # measure and mechanism
    ("a later measure", _with(measure={"variance": "amount"}), UnknownMeasure),
    ("a later measure as a word", _with(measure="variance"), UnknownMeasure),
    ("two measures", _with(measure={"histogram": "x", "people": ""}), InvalidDefinition),
    ("no measure", _with(measure={}), UnknownMeasure),
    ("a measure of another type", _with(measure=["count"]), InvalidDefinition),
    ("options to count", _with(measure={"count": "x"}), InvalidDefinition),
    ("a histogram without edges", _with(measure={"histogram": "x"}), BoundMissing),
    ("a bare histogram", _with(measure="histogram"), InvalidDefinition),
    ("a histogram with options", _with(measure={"histogram": "x", "edges": ["0"], "bins": "3"}), InvalidDefinition),
    ("a seed", _privacy(seed="1"), InvalidDefinition),
    ("a float mechanism", _privacy(mechanism="snapping"), UnknownMechanism),
    ("a carrier as a mechanism", _privacy(mechanism="geometric"), UnknownMechanism),
    ("two prices", _privacy(mechanism="laplace", epsilon="1/10"), InvalidDefinition),
    ("a pure price for Gaussian noise", _with(privacy=_pure(mechanism="gaussian")), InvalidDefinition),
    ("a pure price without a mechanism", _with(privacy=_pure()), InvalidDefinition),
    ("epsilon as a float", _with(privacy=_pure(mechanism="laplace", epsilon=0.1)), InvalidParameterError),
    ("epsilon as a decimal", _with(privacy=_pure(mechanism="laplace", epsilon="0.1")), InvalidParameterError),
    ("epsilon of zero", _with(privacy=_pure(mechanism="laplace", epsilon="0")), InvalidParameterError),
    ("epsilon not a number", _with(privacy=_pure(mechanism="laplace", epsilon="nan")), InvalidParameterError),
    ("a scale no summary states", _privacy(rho="1/9999999999999999"), InvalidParameterError),
    ("an unknown mechanism", _privacy(mechanism=["gaussian"]), UnknownMechanism),
    # edges
    ("no edges", _with(measure={"histogram": "x", "edges": []}), BoundMissing),
    ("edges as text", _with(measure={"histogram": "x", "edges": "0"}), BoundMissing),
    ("edges that fall", _with(measure={"histogram": "x", "edges": ["1", "0"]}), InvalidDefinition),
    ("an edge twice", _with(measure={"histogram": "x", "edges": ["1", "1.0"]}), InvalidDefinition),
    ("an edge that is no number", _with(measure={"histogram": "x", "edges": ["NaN"]}), InvalidParameterError),
    ("an endless edge", _with(measure={"histogram": "x", "edges": ["1e999999"]}), InvalidParameterError),
    # dimensions
    ("an axis without values", _with(by={"industry": []}), BoundMissing),
    ("an axis of text", _with(by={"industry": "software"}), BoundMissing),
    ("a value twice", _with(by={"industry": ["x", "x"]}), InvalidDefinition),
    ("a value that is no text", _with(by={"industry": [1]}), InvalidDefinition),
    ("an empty value", _with(by={"industry": [""]}), InvalidDefinition),
    ("the implicit other", _with(by={"industry": ["x", "other"]}), InvalidDefinition),
    ("the implicit none", _with(by={"country": ["none"]}), InvalidDefinition),
    ("a country in small letters", _with(by={"country": ["de"]}), InvalidDefinition),
    ("the unknown country", _with(by={"country": ["ZZ"]}), InvalidDefinition),
    ("an hour that is none", _with(by={"hour": ["24"]}), InvalidDefinition),
    ("an hour with a zero", _with(by={"hour": ["05"]}), InvalidDefinition),
    ("some hours in windows of one", _with(window="hour", by={"hour": ["5"]}), InvalidDefinition),
    ("edges over a built-in", _with(by={"hour": {"edges": ["5"]}}), InvalidDefinition),
    ("the histogram's own axis", _with(by={"bin": ["x"]}), InvalidDefinition),
    ("an axis of no name", _with(by={"In dustry": ["x"]}), InvalidDefinition),
    ("an axis of no text", _with(by={7: ["x"]}), InvalidDefinition),
    ("an app fixed by from", _with(by={"app": ["x"]}), InvalidDefinition),
    ("an action fixed by from", _with(by={"action": ["x"]}), InvalidDefinition),
    ("an attribute of all apps", _with(**{"from": "any"}, measure="count"), InvalidDefinition),
    ("a histogram of all apps", _with(**{"from": "any"}, by={}), InvalidDefinition),
    ("too many axes", _with(by={f"x{i}": ["x"] for i in range(17)}), InvalidDefinition),
    # size and overflow
    ("too many cells", _with(by={"a": [f"v{i}" for i in range(300)], "b": [f"v{i}" for i in range(60)]}), TooManyCells),
    ("very many cells", _with(by={f"x{i}": [f"v{k}" for k in range(2000)] for i in range(16)}), TooManyCells),
    ("K that overflows", _privacy(max_per_cell=str(2**23)), OverflowPossible),
    ("noise that overflows", _privacy(rho="1/999999999999999999", max_per_cell="1000000"), OverflowPossible),
]


@pytest.mark.parametrize(("tree", "kind"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_definition_is_refused(tree: object, kind: type[PrivacyError]) -> None:
    """By its kind of error, with three parts that end in what to do."""
    with pytest.raises(kind) as refused:
        parse_definition(tree)
    error = refused.value
    assert type(error) is kind
    assert all((error.what, error.why, error.fix))
    assert str(error) == f"{error.what}: {error.why}. {error.fix}."
    if isinstance(tree, dict) and tree.get("metric") == TREE["metric"]:
        assert error.what == "Metric runway_months refused"


def test_the_overflow_rule_is_exact() -> None:
    """Linf·2³⁰ + 64σ ≤ 2⁵³ − 1, to the unit: K = 2²³ − 1 leaves 2³⁰ − 1 for the noise."""
    most = 2**23 - 1
    definition = parse_definition(_privacy(max_cells="1", max_per_cell=str(most), rho="1"))
    # C = 1: 64σ = room exactly when 4096·K²/(2ρ) = room².
    at_the_limit = Fraction(4096 * most**2, 2 * (2**30 - 1) ** 2)
    day = Window.parse("2026-11-01/P1D")
    compile_layout(replace(definition, rho=at_the_limit), day)
    with pytest.raises(OverflowPossible):
        compile_layout(replace(definition, rho=at_the_limit * Fraction(10**30 - 1, 10**30)), day)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["1", "any"])
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@given(key=st.sampled_from(sorted(TREE)), value=_VALUES)
def test_any_tree_parses_or_raises_the_family(key: str, value: object) -> None:
    """Also where only one part is nonsense."""
    for tree in (value, _with(**{key: value}), _privacy(**{"rho": value})):
        try:
            parse_definition(tree)
        except PrivacyError:
            continue
