"""Plans by number: rows stay readable by the plan that coded them."""

from __future__ import annotations

from pathlib import Path

from node.state.database import StateDatabase
from node.state.plans import PlanBook
from privacy.tracking_plan import parse_plan

TREE = {"plan": "shop", "apps": {"b-app": {"person": "user", "consent": "none", "actions": {"buy": {}}}}}


def test_a_plan_keeps_its_number_across_restarts(tmp_path: Path) -> None:
    """Adopting an old plan again gives the old number, a new one the next; order of apps is kept."""
    database = StateDatabase(tmp_path / "state.db")
    first = parse_plan(TREE)
    second = parse_plan(
        {**TREE, "apps": {**TREE["apps"], "a-app": {"person": "user", "consent": "none", "actions": {"see": {}}}}}
    )
    book = PlanBook(database)
    assert [book.adopt(plan, now_s=1) for plan in (first, second, first)] == [1, 2, 1]
    database.close()
    again = PlanBook(StateDatabase(tmp_path / "state.db"))
    assert dict(again.plans) == {1: first, 2: second}
    assert [app.name for app in again.plans[2].apps] == ["b-app", "a-app"]
    assert again.adopt(second, now_s=2) == 2


def test_only_plans_in_force_in_the_span_are_asked(tmp_path: Path) -> None:
    """An old plan that no longer fits a metric must not silence the node for ever; one in force in the span must."""
    book = PlanBook(StateDatabase(tmp_path / "state.db"))
    old, new = parse_plan(TREE), parse_plan({**TREE, "plan": "shop-2"})
    book.adopt(old, now_s=1000)
    book.adopt(new, now_s=2000)
    book.adopt(old, now_s=3000)
    assert list(book.in_force(1100, 1900)) == [1]
    assert list(book.in_force(2100, 2900)) == [2]
    assert list(book.in_force(1900, 2100)) == [1, 2]
    assert list(book.in_force(3100, 9000)) == [1]
    assert list(book.in_force(0, 9000)) == [1, 2]
    assert list(PlanBook(book._database).in_force(2100, 2900)) == [2]


def test_a_plan_from_a_full_hour_on_holds_for_the_hours_from_there(tmp_path: Path) -> None:
    """Whenever their events arrive; what was adopted in between holds by arrival."""
    book, day = PlanBook(StateDatabase(tmp_path / "state.db")), 86_400
    plans = [parse_plan({**TREE, "plan": f"shop-{number}"}) for number in range(1, 5)]
    book.adopt(plans[0], now_s=100)
    book.adopt(plans[1], now_s=day + 70)  # at once
    book.adopt(plans[2], now_s=day + 90, from_s=3 * day)
    assert [number for _, _, number in book.eras(2 * day)] == [2, 3]
    book.adopt(plans[3], now_s=3 * day + 50)  # at once
    assert [number for _, _, number in book.eras(4 * day)] == [2, 4]
    assert list(book.in_force(day - 3600, 3 * day, (day, 2 * day))) == [1, 2]
    assert list(book.in_force(2 * day - 3600, 4 * day, (2 * day, 3 * day))) == [2]  # its late ones came under 3 and 4
    assert list(book.in_force(3 * day - 3600, 5 * day, (3 * day, 4 * day))) == [3, 4]
    assert list(book.in_force(4 * day - 3600, 6 * day, (4 * day, 5 * day))) == [4]
    assert list(book.in_force(0, 9 * day)) == [1, 2, 3, 4]  # history
