"""The rules that every answer of every test is held to: they are on, and each finds an answer that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from federation.answers import CharterView, answer
from federation.query import parse_query
from tests.answer_rules import RuleBroken, hold
from tests.unit.federation.combining import COUNTRIES, DAY, hash_of, members, row, window_input

CHARTER = CharterView(1, bytes(32))
WHOLE = {**COUNTRIES, "privacy": {"max_cells": "1", "rho": "1/400", "whole": "yes"}}
FUNNEL = {
    **COUNTRIES,
    "from": {"app": "shop"},
    "measure": {"funnel": ["see", "take", "pay"], "per": "epoch"},
    "by": {},
}


def _answer(tree: dict[str, Any], cells: list[int]) -> dict[str, Any]:
    one = row(tree)
    query = parse_query(one.name, [one], {"window": DAY.text, "raw": "1"}, DAY)
    made = window_input(one.definition, DAY, {"addvalue": cells, "harmonie": cells})
    assert made.definition_hash == hash_of(one.definition)
    return answer(query, members(), [made], CHARTER).data


COUNTED = _answer(COUNTRIES, [300, -20, 40, 4])
PARTS = _answer(WHOLE, [300, 200, 40, 4, 550])
STEPS = _answer(FUNNEL, [30, 40, 50])


def _set(*path: str | int) -> Callable[[Any, Any], None]:
    def change(data: Any, value: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("data", "change", "value"),
    [
        (COUNTED, _set("reporting"), "3 of 4"),
        (COUNTED, _set("members", 0, "windows"), 2),
        (COUNTED, _set("cells", 0, "lower"), 700),
        (COUNTED, _set("total", "upper"), 0),
        (COUNTED, _set("cells", 0, "wide"), True),
        (COUNTED, _set("total", "estimate"), 647),
        (COUNTED, _set("hidden", "cells"), 3),
        (COUNTED, _set("cells", 1, "consistent"), -40),
        (COUNTED, _set("cells", 0, "consistent"), 601),
        (COUNTED, _set("consistency", "adjusted"), 0),
        (COUNTED, _set("consistency", "status"), "as_released"),
        (COUNTED, _set("consistency", "rule"), "free"),
        (COUNTED, _set("consistency", "rule"), "partition"),
        (PARTS, _set("whole", "consistent"), 1100),
        (PARTS, _set("consistency", "status"), "inconsistent"),
        (STEPS, _set("figures", 2, "consistent"), "1000"),
        (STEPS, _set("figures", 3, "upper"), "1.2"),
    ],
)  # fmt: skip
def test_an_answer_that_contradicts_itself_is_found(data: dict[str, Any], change: Any, value: Any) -> None:
    hold(data)
    broken = deepcopy(data)
    change(broken, value)
    with pytest.raises(RuleBroken):
        hold(broken)


def test_every_answer_of_a_test_is_held_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the code that makes answers fails whatever test meets it."""
    monkeypatch.setattr("federation.answers.is_wide", lambda interval: True)
    with pytest.raises(RuleBroken):
        _answer(COUNTRIES, [300, -20, 40, 4])
