"""The tracking plans this node has used, by number: stored rows are read with the plan they were coded by."""

from __future__ import annotations

import json
from collections.abc import Mapping

from node.state.database import StateDatabase
from privacy.tracking_plan import Plan, parse_plan


class PlanBook:
    """Plans by number, from 1, and from when on each was in force."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        rows = database.query("SELECT number, tree FROM plans ORDER BY number")
        self._plans: dict[int, Plan] = {number: parse_plan(json.loads(tree)) for number, tree in rows}
        self._adoptions: list[tuple[int, int]] = [
            (adopted_at, number)
            for adopted_at, number in database.query("SELECT adopted_at, plan FROM plan_adoptions ORDER BY rowid")
        ]

    @property
    def plans(self) -> Mapping[int, Plan]:
        """All plans ever adopted."""
        return self._plans

    def in_force(self, from_s: float, until_s: float) -> Mapping[int, Plan]:
        """The plans that rows taken in between these times may be coded by: those in force at some time of the span.

        From the records of adoptions alone, never from rows: whether a node answers must not depend on data. The span
        is widened by a second on each side, since adoptions are recorded in whole seconds.
        """
        ends = [adopted_at for adopted_at, _ in self._adoptions[1:]]
        found = {
            number
            for (adopted_at, number), end in zip(self._adoptions, [*ends, None], strict=True)
            if adopted_at <= until_s + 1 and (end is None or end >= from_s - 1)
        }
        return {number: self._plans[number] for number in sorted(found)}

    def adopt(self, plan: Plan, *, now_s: int) -> int:
        """The plan's number, in force from now on; durable. A plan used before gets its old number back."""
        tree = json.dumps(plan.tree())  # in the plan's own order, which fixes the codes
        known = self._database.query("SELECT number FROM plans WHERE tree = ?", (tree,))
        number = int(known[0][0]) if known else max(self._plans, default=0) + 1
        if self._adoptions and self._adoptions[-1][1] == number:
            return number
        with self._database.transaction() as connection:
            if not known:
                connection.execute("INSERT INTO plans (number, tree) VALUES (?, ?)", (number, tree))
            connection.execute("INSERT INTO plan_adoptions (adopted_at, plan) VALUES (?, ?)", (now_s, number))
        self._plans[number] = plan
        self._adoptions.append((now_s, number))
        return number
