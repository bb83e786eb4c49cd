"""What the filter's tests share: a plan with every kind of attribute, an event that passes, a fixed epoch."""

from __future__ import annotations

from typing import Any

from privacy.filtering import Event, Filter, Outcome, Signals
from privacy.person_key import Pseudonyms
from privacy.rows import ROW_NAMES
from privacy.tracking_plan import Plan, parse_plan

EPOCH_KEY = bytes(range(32))
HOUR = 498_005  # 2026-10-24T05Z
TIMESTAMP_S = HOUR * 3600 + 59


def counting_rng(size: int) -> bytes:
    """Randomness for tests: every call gives other bytes."""
    counting_rng.calls += 1  # type: ignore[attr-defined]
    return counting_rng.calls.to_bytes(size, "big")  # type: ignore[attr-defined, no-any-return]


counting_rng.calls = 0  # type: ignore[attr-defined]


def plan_tree() -> dict[str, Any]:
    """A plan's tree, fresh each time, for tests to bend."""
    return {
        "plan": "test",
        "purposes": ["analytics", "research"],
        "apps": {
            "runway": {
                "person": "session",
                "consent": "analytics",
                "actions": {
                    "calculate": {
                        "industry": {"type": "category", "values": ["software", "health"]},
                        "months": {"type": "band", "edges": ["0", "0.5", "3", "12"]},
                        "amount": {"type": "number", "quantum": "0.01", "range": ["-5", "500"]},
                        "remote": {"type": "flag"},
                    },
                    "pay": {"amount": {"type": "number", "quantum": "1", "range": ["0", "9"], "required": "yes"}},
                },
            },
            "waves": {"person": "user", "consent": "none", "actions": {"join": {}}},
            "blog": {
                "person": "user",
                "consent": "none",
                "actions": {
                    "open": {
                        "topic": {"type": "category", "values": ["land", "care"]},
                        "slug": {"type": "key", "max_bytes": "20"},
                        "draft": {"type": "flag"},
                        "tag": {"type": "key", "max_bytes": "8", "required": "yes"},
                    }
                },
            },
            "visits": {"person": "address", "consent": "none", "sampling": "1/4", "actions": {"view": ""}},
        },
    }


def plan() -> Plan:
    return parse_plan(plan_tree())


def event(**changes: Any) -> Event:
    """An event that passes the filter, but for the changes."""
    fields: dict[str, Any] = {
        "app": "runway",
        "action": "calculate",
        "attributes": {"industry": "health", "months": 4, "amount": 12.5, "remote": True},
        "timestamp_s": TIMESTAMP_S,
        "session": "session-1",
        "event_id": "event-1",
        "country": "DE",
        "purposes": frozenset({"analytics"}),
    }
    return Event(**{**fields, **changes})


def epoch() -> Pseudonyms:
    return Pseudonyms(EPOCH_KEY, counting_rng)


def filtered(
    one: Event, *, signals: Signals | None = None, position: int = 0, key: str | None = None, tree: Any = None
) -> Outcome:
    """What the filter makes of one event under the plan above, in an epoch that takes everything."""
    chosen = plan() if tree is None else parse_plan(tree)
    return Filter(chosen, 7).apply(one, signals or Signals(), lambda hour: epoch(), position, key)


def row(one: Event, **options: Any) -> dict[str, int | None]:
    """The event's row by column name; fails where there is none."""
    outcome = filtered(one, **options)
    assert isinstance(outcome, tuple), outcome
    return dict(zip(ROW_NAMES, outcome, strict=True))
