"""The tracking plans this node has used, by number: stored rows are read with the plan they were coded by."""

from __future__ import annotations

import json
from collections.abc import Mapping

from node.state.database import StateDatabase
from privacy.tracking_plan import Plan, parse_plan


class PlanBook:
    """Plans by number, from 1. The last one is in force."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        rows = database.query("SELECT number, tree FROM plans ORDER BY number")
        self._plans: dict[int, Plan] = {number: parse_plan(json.loads(tree)) for number, tree in rows}

    @property
    def plans(self) -> Mapping[int, Plan]:
        """All plans ever adopted."""
        return self._plans

    def adopt(self, plan: Plan, *, now_s: int) -> int:
        """The plan's number; recorded durably when it is new. A plan used before gets its old number back."""
        tree = json.dumps(plan.tree(), ensure_ascii=True)  # in the plan's own order: it fixes the codes
        known = self._database.query("SELECT number FROM plans WHERE tree = ?", (tree,))
        if known:
            return int(known[0][0])
        number = max(self._plans, default=0) + 1
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO plans (number, tree, adopted_at) VALUES (?, ?, ?)", (number, tree, now_s))
        self._plans[number] = plan
        return number
