"""The node's clock: the only place in the project that reads the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for claims and windows, monotonic time for waits and deadlines."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00Z by the wall clock."""

    def monotonic_s(self) -> float:
        """Seconds of a clock that never goes back; only differences mean anything."""


class SystemClock:
    """The operating system's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


def hour_of_ms(now_ms: int) -> int:
    """Whole hours since 1970-01-01T00:00Z."""
    return now_ms // 3_600_000
