"""The truth, on tables small enough to count by hand."""

from __future__ import annotations

from typing import Any

import pytest

from node.demo.reading import PlanApp, Seen
from node.demo.truth import Metric, count_truth, parse_metric, window_of

DAY = 20_000 * 24  # an hour: 2024-10-04T00Z
WINDOW = "2024-10-04/P1D"
APPS = {
    "shop": PlanApp("user", "none", {"buy": {"kind": {}, "price": {}}}),
    "blog": PlanApp("user", "none", {"read": {}}),
}


def _metric(**changes: Any) -> Metric:
    tree = {"metric": "m", "question": "?", "from": "any", "measure": "people", "window": "day",
            "privacy": {"max_cells": "2", "rho": "1/400"}}  # fmt: skip
    return parse_metric({**tree, **changes})


def _seen(person: str, country: str = "DE", app: str = "shop", hour: int = 9, **attributes: Any) -> Seen:
    return Seen(DAY + hour, person, app, "buy" if app == "shop" else "read", country, attributes)


def _count(metric: Metric, *events: Seen) -> Any:
    return count_truth(events, [metric], APPS, [WINDOW])["m", WINDOW]


def test_a_person_counts_once_in_each_group() -> None:
    metric = _metric(by={"country": ["DE", "FR"]})
    counted = _count(metric, _seen("ann"), _seen("ann"), _seen("ann", "FR"), _seen("bob", "US"), _seen("cid", "ZZ"))
    assert counted.bounded == (1, 1, 1, 1)  # DE, FR, other, none
    assert counted.lost_total is None


def test_who_has_more_groups_than_are_kept_hides_their_truth_but_not_their_sum() -> None:
    metric = _metric(by={"country": ["DE", "FR", "US"]}, privacy={"max_cells": "2", "rho": "1/400"})
    events = [_seen("ann", land) for land in ("DE", "FR", "US")] + [_seen("bob"), _seen("cid", "ZZ")]
    counted = _count(metric, *events)
    assert counted.bounded == (None, None, None, 0, 1)
    assert counted.unbounded == (2, 1, 1, 0, 1)
    assert counted.lost_total == 2 + 1  # two of Ann's three, and Bob


def test_events_are_cut_at_k_and_their_lost_sum_is_unknown() -> None:
    metric = _metric(
        measure="count", by={"app": ["shop"]}, privacy={"max_cells": "1", "max_per_cell": "3", "rho": "1/400"}
    )
    assert _count(metric, *[_seen("ann")] * 5, _seen("bob")).bounded == (4, 0)
    assert _count(metric, *[_seen("ann")] * 5, _seen("bob")).unbounded == (6, 0)
    both = _count(metric, *[_seen("ann")] * 5, _seen("ann", app="blog"))
    assert both.bounded == (None, None)
    assert both.lost_total is None


def test_bins_are_half_open_and_absent_values_have_their_own() -> None:
    metric = _metric(
        **{"from": {"app": "shop", "action": "buy"}}, measure={"histogram": "price", "edges": ["0", "2.5", "10"]},
        by={"kind": ["toy"]}, privacy={"max_cells": "1", "max_per_cell": "1", "rho": "1/400"},
    )  # fmt: skip
    keys = metric.keys()
    assert [key["bin"] for key in keys[:5]] == ["< 0", "[0, 2.5)", "[2.5, 10)", ">= 10", "none"]
    counted = _count(
        metric, _seen("a", kind="toy", price=-1), _seen("b", kind="toy", price=2.5), _seen("c", kind="toy", price=10),
        _seen("d", kind="toy", price="NaN"), _seen("e", kind="car", price=0), _seen("f", kind="x@y.example", price=1),
    )  # fmt: skip
    assert counted.bounded == (*(1, 0, 1, 1, 1), *(0, 1, 0, 0, 0), *(0, 1, 0, 0, 0))  # toy, other, none


def test_hours_of_the_day_and_other_windows() -> None:
    metric = _metric(by={"hour": ["8", "9"]})
    late = Seen(DAY + 24 + 9, "ann", "shop", "buy", "DE", {})
    assert _count(metric, _seen("ann"), _seen("ann", hour=10), late).bounded == (0, 1)


def test_a_plan_without_the_attribute_owes_no_answer() -> None:
    metric = _metric(**{"from": {"app": "shop", "action": "buy"}}, by={"colour": ["red"]})
    assert count_truth([_seen("ann")], [metric], APPS, [WINDOW]) == {}


def test_sigma_follows_from_the_bounds() -> None:
    metric = _metric(
        measure="count", by={"app": ["shop"]}, privacy={"max_cells": "9", "max_per_cell": "3", "rho": "1/400"}
    )
    assert metric.max_cells == 2  # shop and other
    assert metric.sigma_squared == 2 * 9 * 200


@pytest.mark.parametrize(("kind", "window"), [("day", "2024-10-04/P1D"), ("month", "2024-10-01/P1M")])
def test_names_of_windows(kind: str, window: str) -> None:
    assert window_of(kind, DAY + 23) == window
