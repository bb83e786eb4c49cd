"""The node's clock: the only place in the project that reads the time."""

from __future__ import annotations

import time
from pathlib import Path
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
        return _since_boot_s()


def boot_of(clock: Clock) -> str | None:
    """The name of this boot, when every process of it sees the same monotonic clock; None where nobody can say."""
    if not isinstance(clock, SystemClock):
        return None
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        return None


def _since_boot_s() -> float:
    """Seconds that also pass while the machine sleeps: waking up is no reason to doubt the wall clock."""
    if _SLEEPLESS is None:
        return time.monotonic()
    return time.clock_gettime(_SLEEPLESS)


_SLEEPLESS: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it


def hour_of_ms(now_ms: int) -> int:
    """Whole hours since 1970-01-01T00:00Z."""
    return now_ms // 3_600_000
