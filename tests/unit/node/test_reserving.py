"""What standing metrics keep in an epoch: each window they will be asked for, and nothing for those that abstain."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from node.jobs.releases import StandingMetric
from node.jobs.reserving import standing_slots
from privacy.definition import parse_definition
from privacy.tracking_plan import parse_plan
from privacy.units import Window
from protocol.ids import DefinitionHash

PLANS = {
    1: parse_plan({"plan": "shop", "apps": {"web": {"person": "user", "consent": "none", "actions": {"buy": {}}}}})
}
NOVEMBER = Window.parse("2026-11-01/P1M")
WEEK = Window.parse("2026-11-02/P1W")
DAY = Window.parse("2026-11-03/P1D")


def metric(name: str, window: str = "day", app: str = "web", since: Window = NOVEMBER, **terms: Any) -> StandingMetric:
    tree = {"metric": name, "question": "How many?", "from": {"app": app}, "measure": "people", "window": window,
            "privacy": {"max_cells": "1", "rho": "1/400"}, **terms}  # fmt: skip
    digest = DefinitionHash(hashlib.sha256(name.encode()).digest())
    return StandingMetric(name, digest, parse_definition(tree), since.start_hour, None)


def kept(metrics: list[StandingMetric], epoch: Window, counts_from: Window = NOVEMBER) -> list[tuple[str, str]]:
    names = {one.hash: one.name for one in metrics}
    slots = standing_slots(metrics, PLANS, counts_from.start_hour, epoch)
    return [(names[definition], window.text) for definition, window, _ in slots]


@pytest.mark.parametrize(("window", "epoch", "count"), [
    ("hour", DAY, 24), ("day", DAY, 1), ("week", DAY, 0), ("month", DAY, 0), ("day", WEEK, 7), ("week", WEEK, 1),
    ("day", NOVEMBER, 30), ("week", NOVEMBER, 0), ("month", NOVEMBER, 1),
])  # fmt: skip
def test_one_reservation_for_each_window_that_lies_in_the_epoch(window: str, epoch: Window, count: int) -> None:
    assert len(kept([metric("m", window)], epoch)) == count


def test_in_catalogue_order_and_from_the_first_window_that_counts() -> None:
    metrics = [metric("b"), metric("a", since=Window.parse("2026-11-05/P1D"))]
    found = kept(metrics, WEEK, counts_from=Window.parse("2026-11-04/P1D"))
    assert found == [("b", f"2026-11-0{day}/P1D") for day in range(4, 9)] + [
        ("a", f"2026-11-0{day}/P1D") for day in range(5, 9)
    ]


def test_a_metric_that_this_node_cannot_answer_keeps_nothing() -> None:
    """It abstains, whatever happens; its room is for others."""
    assert kept([metric("other", app="mobile"), metric("own")], DAY) == [("own", DAY.text)]
