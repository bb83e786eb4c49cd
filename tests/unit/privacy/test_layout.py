"""Layouts: coordinates, noise and refusals follow from the definition and the window alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from privacy.definition import Definition, parse_definition
from privacy.errors import BoundViolated, InvalidWindow
from privacy.layout import MAX_PEOPLE, Layout, compile_layout
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")


def _definition(**parts: Any) -> Definition:
    """Any: parts of a tree."""
    tree = {
        "metric": "m",
        "question": "?",
        "from": {"app": "a"},
        "measure": "count",
        "window": "day",
        "privacy": {"max_cells": "3", "max_per_cell": "2", "rho": "1/400"},
        **parts,
    }
    return parse_definition(tree)


def _layout(**parts: Any) -> Layout:
    return compile_layout(_definition(**parts), DAY)


def test_no_axes_are_one_cell() -> None:
    """Whose key is empty, and in which C is 1."""
    layout = _layout()
    assert layout.cells == 1
    assert layout.key(0) == {}
    assert layout.index({}) == 0
    assert layout.bounds.max_cells == 1


def test_cells_run_row_major_with_bins_innermost() -> None:
    """The coordinates every node computes for itself."""
    layout = _layout(
        by={"country": ["FR", "DE"], "app_kind": ["x"]}, measure={"histogram": "size", "edges": ["0", "2.50"]}
    )
    assert [axis.name for axis in layout.dimensions] == ["app_kind", "country", "bin"]
    assert layout.blocks[0].shape == (3, 4, 4)
    assert layout.cells == 48
    assert [layout.key(i)["bin"] for i in range(4)] == ["< 0", "[0, 2.50)", ">= 2.50", "none"]
    assert layout.key(4) == {"app_kind": "x", "country": "DE", "bin": "< 0"}
    assert layout.key(16) == {"app_kind": "other", "country": "FR", "bin": "< 0"}
    assert layout.key(47) == {"app_kind": "none", "country": "none", "bin": "none"}
    assert list(map(layout.index, layout.keys())) == list(range(48))
    assert list(layout.keys()) == list(map(layout.key, range(48)))


@pytest.mark.parametrize(
    ("source", "by", "labels"),
    [
        ("any", {"app": ["x"]}, ("x", "other")),
        ("any", {"action": ["x", "y"]}, ("x", "y", "other")),
        ("any", {"country": ["DE"]}, ("DE", "other", "none")),
        ("any", {"hour": ["3", "7"]}, ("3", "7")),
        ({"app": "a"}, {"kind": ["x"]}, ("x", "other", "none")),
        ({"app": "a"}, {"size": {"edges": ["-1", "0"]}}, ("< -1", "[-1, 0)", ">= 0", "none")),
    ],
)
def test_implicit_labels(source: object, by: object, labels: tuple[str, ...]) -> None:
    """`other` for what is not listed, `none` for what is absent, neither for time."""
    (axis,) = _layout(**{"from": source}, by=by).dimensions
    assert axis.labels == labels
    assert axis.size == len(labels)


def test_a_window_keeps_only_the_hours_it_contains() -> None:
    """One hour of the day in a window of one hour; all of them in a day or a month."""
    hours = [str(hour) for hour in range(24)]
    definition = _definition(**{"from": "any"}, by={"hour": hours}, window="hour")
    layout = compile_layout(definition, Window.parse("2026-11-01T05/PT1H"))
    assert list(layout.keys()) == [{"hour": "5"}]
    month = _definition(**{"from": "any"}, by={"hour": ["7", "23"]}, window="month")
    assert compile_layout(month, Window.parse("2026-11-01/P1M")).cells == 2


def test_windows_of_one_kind_have_the_same_noise() -> None:
    """What is checked at load for one window holds for every window of the kind."""
    definition = _definition(**{"from": "any"}, by={"hour": [str(hour) for hour in range(24)]}, window="hour")
    layouts = [compile_layout(definition, Window("hour", hour)) for hour in range(498_000, 498_050)]
    noises = {tuple(replace(block, axes=()) for block in layout.blocks) for layout in layouts}
    assert len(noises) == len({(layout.cells, layout.bounds) for layout in layouts}) == 1


def test_another_kind_of_window_is_refused() -> None:
    """A daily metric has no value for an hour."""
    with pytest.raises(InvalidWindow):
        compile_layout(_definition(), Window.parse("2026-11-01T05/PT1H"))


@pytest.mark.parametrize(
    ("measure", "sigma_squared"),
    [("count", Fraction(3 * 4 * 400, 2)), ("people", Fraction(3 * 400, 2))],
)
def test_sigma_squared_is_exact(measure: str, sigma_squared: Fraction) -> None:
    """σ² = Δ₂²/(2ρ); the block spends all of the definition's ρ."""
    privacy = {"max_cells": "3", "rho": "1/400", **({"max_per_cell": "2"} if measure == "count" else {})}
    layout = _layout(measure=measure, by={"country": ["DE", "FR"]}, privacy=privacy)
    (block,) = layout.blocks
    assert block.sigma_squared == sigma_squared
    assert Fraction(block.l2_squared) / (2 * block.sigma_squared) == block.rho == layout.rho == Fraction(1, 400)


def test_a_sparse_result_becomes_a_dense_vector() -> None:
    """Cells without rows are zeros."""
    layout = _layout(by={"country": ["DE"]})
    assert layout.vector([]) == [0, 0, 0]
    assert layout.vector([(2, 5), (0, 1)]) == [1, 0, 5]


@pytest.mark.parametrize(
    "rows",
    [[(3, 1)], [(-1, 1)], [(0, 1), (0, 1)], [(0, -1)], [(0, 2 * MAX_PEOPLE + 1)], [(0, 1.0)], [(0, None)], [(None, 1)]],
)
def test_a_vector_that_does_not_fit_is_refused(rows: Any) -> None:
    """A damaged engine releases nothing; the message holds no value. Any: wrong rows on purpose."""
    with pytest.raises(BoundViolated) as refused:
        _layout(by={"country": ["DE"]}).vector(rows)
    assert str(2 * MAX_PEOPLE + 1) not in str(refused.value)


@pytest.mark.parametrize("key", [{}, {"country": "US"}, {"country": "DE", "app": "x"}, {"land": "DE"}])
def test_an_unknown_key_has_no_cell(key: dict[str, str]) -> None:
    """A KeyError, for the caller to say in its own words."""
    with pytest.raises(KeyError):
        _layout(by={"country": ["DE"]}).index(key)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_cell_outside_the_layout_has_no_key(index: int) -> None:
    """A programmer's mistake."""
    with pytest.raises(IndexError):
        _layout(by={"country": ["DE"]}).key(index)
