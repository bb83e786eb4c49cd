"""What the ingest tests share: one event in each form, a vault in memory, a clock that stands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from node.ingest import Ingest, IntakePlan, Submission
from node.receipt import Receipt
from node.vault.calendar import EpochAccess, Refusal, RefusalCode
from privacy.rows import Row
from privacy.units import Window
from tests.unit.privacy.filter_kit import EPOCH_KEY, HOUR, counting_rng, plan

TIME = "2026-10-24T05:59:59Z"  # in HOUR of the filter kit
ATTRIBUTES: dict[str, Any] = {"industry": "health", "months": 4, "amount": 12.5, "remote": True}

UNIVERSAL: dict[str, Any] = {
    "app": "runway", "action": "calculate", "attributes": ATTRIBUTES, "timestamp": TIME, "geo_hint": "DE",
    "session_id": "s-1", "user_id": "u-1", "event_id": "e-1", "sequence": 4, "consent": ["analytics"],
}  # fmt: skip
ANALYTICS: dict[str, Any] = {
    "event_name": "calculate", "event_category": "runway", "properties": ATTRIBUTES, "timestamp": TIME,
    "context": {"country": "DE"}, "session_id": "s-1", "user_id": "u-1", "event_id": "e-1", "sequence": 4,
    "privacy": {"consent": ["analytics"]},
}  # fmt: skip
DOTTED: dict[str, Any] = {
    "type": "runway.calculate", "data": ATTRIBUTES, "timestamp": TIME, "country": "DE", "session": "s-1",
    "user": "u-1", "id": "e-1", "sequence": 4, "consent": ["analytics"],
}  # fmt: skip
COMPACT: dict[str, Any] = {
    "a": "runway", "n": "calculate", "p": ATTRIBUTES, "t": TIME, "g": "DE", "s": "s-1", "u": "u-1", "i": "e-1", "q": 4,
    "c": ["analytics"],
}  # fmt: skip
FORMS = {"universal": UNIVERSAL, "analytics": ANALYTICS, "dotted": DOTTED, "compact": COMPACT}


def universal(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A universal event that passes the filter, with an id of its own."""
    return {**UNIVERSAL, "event_id": f"e-{number}", **changes}


def body(*events: object) -> bytes:
    return json.dumps(list(events)).encode()


class StandingClock:
    """Five minutes past the hour of the events; monotonic time moves by hand."""

    def __init__(self) -> None:
        self.monotonic = 1000.0

    def now_ms(self) -> int:
        return (HOUR * 3600 + 300) * 1000

    def monotonic_s(self) -> float:
        return self.monotonic


class Gate:
    """A gate that knows whether it is held, and how often it was taken."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.is_held = False
        self.times = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self.is_held = True
        self.times += 1

    def __exit__(self, *_: object) -> None:
        self.is_held = False
        self._lock.release()


class MemoryVault:
    """Keeps rows in a list. Takes HOUR; refuses what it is told to; fails when told to."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.asked_under = 0  # the gate's count at the last admit_hour
        self.rows: list[Row] = []
        self.groups: list[int] = []  # rows of each append
        self.asked: list[tuple[int, int, bool]] = []
        self.refused: dict[int, RefusalCode] = {}
        self.error: Exception | None = None
        self.open = threading.Event()  # append waits for it
        self.open.set()
        self.entered = threading.Event()  # append was called

    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess | Refusal:
        assert self.gate.is_held
        self.asked_under = self.gate.times
        self.asked.append((hour, now_hour, backfill))
        if hour in self.refused:
            return Refusal(self.refused[hour])
        return EpochAccess(Window.containing("day", hour), EPOCH_KEY)

    def append(self, rows_by_epoch: Mapping[Window, Sequence[Row]], plan_slots: int) -> None:
        assert self.gate.is_held
        assert self.gate.times == self.asked_under, "the gate was let go between admit_hour and append"
        self.entered.set()
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        assert plan_slots == plan().slots
        for epoch, rows in rows_by_epoch.items():
            assert all(epoch.contains(row[4]) for row in rows)  # type: ignore[arg-type]
            self.rows += rows
        self.groups.append(sum(map(len, rows_by_epoch.values())))


class Fixture:
    """An Ingest over a MemoryVault, started and stopped with `async with`."""

    def __init__(self, **limits: int) -> None:
        self.vault = MemoryVault()
        self.clock = StandingClock()
        self.fatal: list[BaseException] = []
        self.ingest = Ingest(self.vault, IntakePlan(plan(), 7), self.clock, counting_rng, self.fatal.append, **limits)

    async def __aenter__(self) -> Fixture:
        self.ingest.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.vault.open.set()
        await self.ingest.stop()

    async def send(self, content: bytes, **options: Any) -> Receipt:
        async with asyncio.timeout(10):
            return await self.ingest.submit(Submission(content, **options))
