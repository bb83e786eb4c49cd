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
