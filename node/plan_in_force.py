"""Which tracking plan is in force, by the clock: a change that alters a stored form waits for the next epoch.

- The plan book says from when on a plan holds, durably; nothing has to happen at that moment, so no restart, kill or
  missed timer moves it.
- Such a plan holds for the events of its hours, whenever they come: a late one of the epoch before is read by the plan
  before, so rows of two stored forms never meet in an epoch.
- A plan is compiled once. Ingest asks at each group of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.clock import Clock, hour_of_ms
from node.group import IntakePlan
from node.state.plans import PlanBook
from node.vault.calendar import AHEAD_HOURS, GRACE_HOURS, HOUR_S
from privacy.plan_changes import Change, alters_stored_form, changes_between
from privacy.tracking_plan import Plan
from privacy.units import EpochLength, Window, epoch_of

_REACH_S: Final = (GRACE_HOURS + AHEAD_HOURS + 1) * HOUR_S  # events are no older and no further ahead


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a plan that was read.

    Args:
        changes: Against the plan in force.
        begins: The epoch it begins with; None where it is in force at once.
        took_back: The epoch that another plan was to begin with, and does not any more.
    """

    changes: Sequence[Change]
    begins: Window | None
    took_back: Window | None = None


class PlanInForce:
    """The plans of a node in time. Reading is safe from any thread; `take` belongs to one."""

    def __init__(self, book: PlanBook, clock: Clock, length: EpochLength) -> None:
        self._book = book
        self._clock = clock
        self._length = length
        self._compiled: tuple[tuple[int, int], IntakePlan] | None = None

    def take(self, plan: Plan, *, is_dry_run: bool = False) -> Taken:
        """Take up a plan: at once, or from the next epoch on where it alters a stored form. Durable on return.

        A dry run only says what would become of it.

        Raises:
            StorageError: the plan in force stays.
        """
        now_ms = self._clock.now_ms()
        now_s = now_ms // 1000
        number = self._book.at(now_s)
        if number is None:
            self._book.adopt(plan, now_s=now_s)
            return Taken((), None)
        changes, waited = changes_between(self._book.plans[number], plan), self.waiting
        if not alters_stored_form(changes):
            if not is_dry_run:
                self._book.adopt(plan, now_s=now_s)
            return Taken(changes, None, waited)
        begins = epoch_of(self._length, hour_of_ms(now_ms)).next
        if is_dry_run:
            return Taken(changes, begins)
        self._book.adopt(plan, now_s=now_s, from_s=begins.start_hour * 3600)
        return Taken(changes, begins)

    @property
    def number(self) -> int:
        """Number of the plan in force now."""
        found = self._book.at(self._clock.now_ms() / 1000)
        if found is None:
            raise RuntimeError("take() comes first")
        return found

    @property
    def plan(self) -> Plan:
        """The plan in force now."""
        return self._book.plans[self.number]

    @property
    def intake(self) -> IntakePlan:
        """The plans that hold for the hours that events may have now, compiled for the way in."""
        now_ms = self._clock.now_ms()
        key = (self._book.version, hour_of_ms(now_ms))  # nothing else changes what holds: plans begin with full hours
        compiled = self._compiled
        if compiled is None or compiled[0] != key:
            compiled = self._compiled = (key, self._compile(now_ms / 1000))
        return compiled[1]

    def _compile(self, now_s: float) -> IntakePlan:
        number, plans = self.number, self._book.plans
        others = []
        for begins_s, ends_s, other in self._book.eras(now_s):
            if ends_s <= now_s:
                begins_s = max(begins_s, ends_s - _REACH_S)  # what is older is history: the present plan reads it
            if other != number and begins_s < now_s + _REACH_S and now_s - _REACH_S < ends_s:
                others.append((begins_s, ends_s, IntakePlan(plans[other], other)))
        return IntakePlan(plans[number], number, others)

    def at_hour(self, hour: int) -> dict[int, Plan]:
        """The plan, by its number, that is in force at the start of an hour to come, or now."""
        number = self._book.at(max(self._clock.now_ms() / 1000, hour * 3600))
        return {} if number is None else {number: self._book.plans[number]}

    @property
    def waiting(self) -> Window | None:
        """The epoch that another plan begins with; None where none waits."""
        found = self._book.next_after(self._clock.now_ms() / 1000)
        return None if found is None else epoch_of(self._length, found[0] // 3600)
