"""Whether the wall clock may close windows and destroy keys: both are for ever, so a doubtful clock waits.

Doubt: the wall clock moved against the monotonic clock since the process started, or stands before the latest time a
round has seen. Doubt ends by itself when the clock is right again. (Peers' clocks and `murmur clock accept`: with the
mesh and vault issues.)
"""

from __future__ import annotations

from typing import Final

from node.clock import Clock
from node.state.database import StateDatabase

TOLERANCE_MS: Final = 120_000  # larger than any slew by NTP within a tick, smaller than any window


class ClockGuard:
    """Judges the wall clock at each round and keeps the latest time it trusted."""

    def __init__(self, clock: Clock, database: StateDatabase) -> None:
        self._clock = clock
        self._database = database
        self._offset_ms = clock.now_ms() - clock.monotonic_s() * 1000
        marks = database.query("SELECT at_ms FROM clock_mark")
        self._mark_ms: int = marks[0][0] if marks else 0

    @property
    def doubt(self) -> str | None:
        """Why the clock is not trusted now, in words; None when it is."""
        now_ms = self._clock.now_ms()
        moved_ms = abs(now_ms - self._clock.monotonic_s() * 1000 - self._offset_ms)
        if moved_ms > TOLERANCE_MS:
            return f"the wall clock moved {moved_ms / 1000:.0f} s against the monotonic clock since the node started"
        if now_ms < self._mark_ms - TOLERANCE_MS:
            return f"the wall clock stands {(self._mark_ms - now_ms) / 1000:.0f} s before the latest time this node saw"
        return None

    def is_trusted(self) -> bool:
        """Whether there is no doubt; if so, the time is kept as the latest one seen."""
        if self.doubt is not None:
            return False
        now_ms = self._clock.now_ms()
        if now_ms - self._mark_ms > TOLERANCE_MS // 2:  # not at every tick: each mark costs an fsync
            with self._database.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO clock_mark (one, at_ms) VALUES (1, ?)", (now_ms,))
            self._mark_ms = now_ms
        return True
