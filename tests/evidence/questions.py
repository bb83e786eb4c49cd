"""What the auditor asks of each measure: a definition, and the rows of the person who moves its vector furthest.

A *trial* is a cell of the axes `a` × `b`, and one person lives in each. So one release holds some hundred to 20,000
independent trials side by side, and two releases, with everybody and with nobody, are as many pairs of neighbours.
ρ = 1/2, not the 1/400 of a usual metric: there Δ₂/σ = 1/14, and no fault of a factor of two could exceed the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, Final

from privacy.definition import Definition, parse_definition
from privacy.layout import MAX_CELLS
from privacy.rows import ATTRIBUTE_SLOTS, ROW_NAMES, Row, country_code
from privacy.tracking_plan import Plan, parse_plan
from privacy.units import Window

RHO: Final = "1/2"
DAY: Final = Window.parse("2026-11-02/P1D")
MONTH: Final = Window.parse("2026-11-01/P1M")
ACTIONS: Final = ("act", "order", "pay")
WEEK_HOURS: Final = 7 * 24
_HOURS: Final = ["0", "1", "2"]


@dataclass(frozen=True)
class Step:
    """One event of the script that every person plays in the own trial."""

    action: str = "act"
    hour: int = 0
    size: int | None = None
    kind: str | None = None
    session: int | None = None


@dataclass(frozen=True)
class Question:
    """A measure as it is audited.

    Args:
        measure: As a definition writes it.
        bounds: C and K, and other terms beside ρ.
        script: The person's events, in order; they exceed the bounds.
        own_cells: Cells of one trial, over all blocks.
        by_hour: Whether the hours of the day are groups of their own.
        window: The window released.
        others: Events of further persons in the same trial; person number, then the event.
        most: The largest side of the square of trials.
    """

    measure: object
    bounds: Mapping[str, str]
    script: Sequence[Step]
    own_cells: int
    by_hour: bool = False
    window: Window = DAY
    others: Sequence[tuple[int, Step]] = field(default=())
    most: int = 142

    @property
    def side(self) -> int:
        """Values of each of the two axes; with `other` and `none` the layout stays within its limit."""
        return min(isqrt(MAX_CELLS // self.own_cells) - 2, self.most)

    @property
    def trials(self) -> int:
        """Trials of one release."""
        return self.side**2

    def plan(self) -> Plan:
        labels = [f"v{number}" for number in range(self.side)]
        attributes: dict[str, object] = {
            "a": {"type": "category", "values": labels},
            "b": {"type": "category", "values": labels},
            "size": {"type": "number", "quantum": "1", "range": ["-5", "5"]},
            "kind": {"type": "category", "values": ["x"]},
        }
        app = {"person": "user", "consent": "none", "actions": dict.fromkeys(ACTIONS, attributes)}
        return parse_plan({"plan": "audit", "apps": {"audit": app}})

    def definition(self, **changes: str) -> Definition:
        """The definition at ρ = 1/2, or with other terms."""
        labels = [f"v{number}" for number in range(self.side)]
        by: dict[str, object] = {"a": labels, "b": labels}
        if self.by_hour:
            by["hour"] = _HOURS
        terms: dict[str, Any] = {"rho": RHO, **self.bounds, **changes}
        tree = {
            "metric": "audited",
            "question": "?",
            "from": {"app": "audit"},
            "measure": self.measure,
            "by": by,
            "window": self.window.kind,
            "privacy": terms,
        }
        return parse_definition(tree)

    def rows(self, *, with_persons: bool) -> list[Row]:
        """The rows of all trials, with the person of each or without; the others are always there."""
        found = []
        for trial in range(self.trials):
            first = 1 + trial * 64  # the person has the smallest pseudonym of the trial
            if with_persons:
                found += [self._row(trial, first, at, step) for at, step in enumerate(self.script)]
            found += [self._row(trial, first + number, at, step) for at, (number, step) in enumerate(self.others)]
        return found

    def _row(self, trial: int, person: int, at: int, step: Step) -> Row:
        values: dict[str, int | None] = dict.fromkeys(ROW_NAMES)
        values |= {
            "person": person,
            "person_kind": 0,
            "session": step.session,
            "event_key": trial * 64 + at,  # the n-th event of the person and of the others have one key
            "hour": self.window.start_hour + step.hour,
            "sequence": at,
            "app": 0,
            "action": ACTIONS.index(step.action),
            "country": country_code("DE"),
            "purposes": 0,
            "plan": 1,
            "sampling": 1_000_000,
            "a0": trial // self.side,
            "a1": trial % self.side,
            "a2": step.size,
            "a3": {"x": 0, "y": 1, None: None}[step.kind],
        }
        assert ATTRIBUTE_SLOTS >= 4
        return tuple(values[name] for name in ROW_NAMES)


def every_hour(count: int, **fields: Any) -> tuple[Step, ...]:
    """So many events in each of three hours."""
    return tuple(Step(hour=hour, **fields) for hour in range(3) for _ in range(count))


COUNT: Final = Question("count", {"max_cells": "3", "max_per_cell": "2"}, every_hour(5), 3, by_hour=True)

QUESTIONS: Final[Mapping[str, Question]] = {
    "count": COUNT,
    "count, Laplace": Question(
        "count", {**COUNT.bounds, "mechanism": "laplace"}, COUNT.script, COUNT.own_cells, by_hour=True
    ),
    "people": Question("people", {"max_cells": "3"}, every_hour(2), 3, by_hour=True),
    "top": Question({"top": "2"}, COUNT.bounds, COUNT.script, 3, by_hour=True),
    "sum": Question(
        {"sum": "size", "range": ["-5", "5"], "quantum": "1"}, COUNT.bounds, every_hour(3, size=-5), 3, by_hour=True
    ),
    "mean": Question(
        {"mean": "size", "range": ["-5", "5"], "quantum": "1"},
        {"max_cells": "1", "max_per_cell": "2"},
        [Step(size=5)] * 3,
        2,
    ),
    "histogram": Question(
        {"histogram": "size", "edges": ["0"]}, COUNT.bounds, [Step(size=size) for size in (-1, 1, None) * 3], 3
    ),
    "funnel by epoch": Question(
        {"funnel": list(ACTIONS), "per": "epoch"}, {"max_cells": "1"}, [Step(action) for action in ACTIONS * 2], 3
    ),
    "funnel by session": Question(
        {"funnel": list(ACTIONS), "per": "session"}, {"max_per_cell": "3"}, [Step(session=n) for n in range(5)], 3
    ),
    "journey": Question(
        {"journey": "kind", "values": ["x"]}, COUNT.bounds, [Step(kind=kind) for kind in ("x", "y", None) * 4], 9
    ),
    "retention": Question(
        {"retention": "week", "ages": "2"},
        {"max_cells": "1"},
        [Step(hour=week * WEEK_HOURS) for week in range(4)],
        8,
        window=MONTH,
    ),
    "score": Question(
        {
            "score": {
                "acts": {"count": "act", "points": "1", "most": "3"},
                "mood": {"value": "size", "in": "act", "quantum": "1", "most": "4"},
            }
        },
        {"max_cells": "1"},
        [Step(size=5)] * 6,
        3,
    ),
}
