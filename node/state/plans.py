"""The tracking plans this node has used, by number: stored rows are read with the plan they were coded by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from node.state.database import StateDatabase
from privacy.tracking_plan import Plan, parse_plan

HOUR_S: Final = 3600


class PlanBook:
    """Plans by number, from 1, and from when on each was, is, or will be in force. Any thread may read."""

    def __init__(self, database: StateDatabase) -> None:
        self._database, self._version = database, 0
        rows = database.query("SELECT number, tree FROM plans ORDER BY number")
        self._plans: dict[int, Plan] = {number: parse_plan(json.loads(tree)) for number, tree in rows}
        self._adoptions: list[tuple[int, int]] = [
            (adopted_at, number)
            for adopted_at, number in database.query("SELECT adopted_at, plan FROM plan_adoptions ORDER BY rowid")
        ]

    @property
    def version(self) -> int:
        """Another number after each adoption."""
        return self._version

    @property
    def plans(self) -> Mapping[int, Plan]:
        """All plans ever adopted."""
        return self._plans

    def at(self, time_s: float) -> int | None:
        """Number of the plan that is in force at this time; None before any was adopted."""
        numbers = [number for adopted_at, number in self._adoptions if adopted_at <= time_s]
        return numbers[-1] if numbers else self._adoptions[0][1] if self._adoptions else None

    def next_after(self, time_s: float) -> tuple[int, int] | None:
        """(from when on, number) of the plan that waits; None where none does."""
        return next((adoption for adoption in self._adoptions if adoption[0] > time_s), None)

    def eras(self, now_s: float) -> list[tuple[float, float, int]]:
        """(from, until, number): which plan holds for events of which hours, as seen now.

        A plan adopted from a full hour on holds for the hours from there, whenever their events arrive; any other for
        all hours of its era, from the moment it was adopted.
        """
        found = []
        for begins_s, ends_s, adoptions in self._eras():
            taken = [number for adopted_at, number in adoptions if adopted_at <= now_s]
            found.append((begins_s, ends_s, taken[-1] if taken else adoptions[0][1]))
        return found

    def in_force(self, from_s: float, until_s: float, hours_s: tuple[float, float] | None = None) -> Mapping[int, Plan]:
        """The plans that rows taken in between these times may be coded by: those in force at some time of the span.

        From the records of adoptions alone, never from rows: whether a node answers must not depend on data. The span
        is widened by a second on each side, since adoptions are recorded in whole seconds.

        Args:
            hours_s: Of which hours the rows are, as unix seconds; None for any hour, as history has them.
        """
        if hours_s is None:
            return self._of(self._adoptions, from_s, until_s)
        found: dict[int, Plan] = {}
        for begins_s, ends_s, adoptions in self._eras():
            if begins_s < hours_s[1] and hours_s[0] < ends_s:
                found |= self._of(((-inf, adoptions[0][1]), *adoptions[1:]), from_s, until_s)
        return dict(sorted(found.items()))

    def _of(self, adoptions: Sequence[tuple[float, int]], from_s: float, until_s: float) -> Mapping[int, Plan]:
        ends = [adopted_at for adopted_at, _ in adoptions[1:]]
        found = {
            number
            for (adopted_at, number), end in zip(adoptions, [*ends, None], strict=True)
            if adopted_at <= until_s + 1 and (end is None or end >= from_s - 1)
        }
        return {number: self._plans[number] for number in sorted(found)}

    def _eras(self) -> list[tuple[float, float, list[tuple[int, int]]]]:
        """(from, until, adoptions): the adoptions cut where one begins with a full hour."""
        found: list[tuple[float, float, list[tuple[int, int]]]] = []
        for adopted_at, number in self._adoptions:
            if not found:
                found.append((-inf, inf, [(adopted_at, number)]))
            elif adopted_at % HOUR_S == 0:
                found[-1] = (found[-1][0], adopted_at, found[-1][2])
                found.append((adopted_at, inf, [(adopted_at, number)]))
            else:
                found[-1][2].append((adopted_at, number))
        return found

    def adopt(self, plan: Plan, *, now_s: int, from_s: int | None = None) -> int:
        """The plan's number, in force from `from_s` on (None: from now on); durable. A plan used before has its old
        number. What was to come into force later no longer is."""
        from_s = max(now_s, now_s if from_s is None else from_s)
        tree = json.dumps(plan.tree())  # in the plan's own order, which fixes the codes
        known = self._database.query("SELECT number FROM plans WHERE tree = ?", (tree,))
        number = int(known[0][0]) if known else max(self._plans, default=0) + 1
        past = [adoption for adoption in self._adoptions if adoption[0] <= now_s]
        is_new = not past or past[-1][1] != number
        if is_new or len(past) != len(self._adoptions):
            with self._database.transaction() as connection:
                if not known:
                    connection.execute("INSERT INTO plans (number, tree) VALUES (?, ?)", (number, tree))
                connection.execute("DELETE FROM plan_adoptions WHERE adopted_at > ?", (now_s,))
                if is_new:
                    connection.execute("INSERT INTO plan_adoptions (adopted_at, plan) VALUES (?, ?)", (from_s, number))
            self._plans[number] = plan
            self._adoptions = [*past, (from_s, number)] if is_new else past
            self._version += 1
        return number
