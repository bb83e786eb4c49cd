"""Whether the wall clock may close windows and destroy keys: both are for ever, so a doubtful clock waits.

Doubt (specs/vault.md 5.7), in this order:
- the wall clock moved against the monotonic clock, since the process started or since an earlier one of the same boot;
- it stands before the latest time that a round has trusted;
- two peers or more, and no fewer than agree, say that it is wrong. Two, so that no single peer can stop a node; and not
  against a majority, so that two cannot stop one whose other peers agree with it.

Doubt ends by itself when the clock is right again, and when the operator says that it is (`murmur clock accept`): then
what it shows is the new measure, and peers who differ as they do now are not listened to until they change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from node.clock import Clock
from node.state.database import StateDatabase

TOLERANCE_MS: Final = 120_000  # larger than any slew by NTP within a tick, smaller than any window
_ENOUGH_PEERS: Final = 2

Skews = Callable[[], Mapping[bytes, int]]  # peer -> its clock minus ours, in ms, as last seen


class ClockGuard:
    """Judges the wall clock at each round and keeps the latest time it trusted. Safe to use from several threads."""

    def __init__(self, clock: Clock, database: StateDatabase, *, boot: str | None = None, skews: Skews = dict) -> None:
        """Args:
        boot: Names this boot of the machine, where the monotonic clock is the same for every process of it.
        skews: What peers' clocks say; asked at each look.
        """
        self._clock = clock
        self._database = database
        self._boot = boot
        self._skews = skews
        self._lock = threading.Lock()
        self._accepted: dict[bytes, int] = {}  # the skews that the operator overruled
        self._offset_ms = self._present_offset_ms()
        self._mark_ms = 0
        for at_ms, marked_boot, offset_ms in database.query("SELECT at_ms, boot, offset_ms FROM clock_mark"):
            self._mark_ms = at_ms
            if boot is not None and marked_boot == boot and offset_ms is not None:
                self._offset_ms = offset_ms

    @property
    def doubt(self) -> str | None:
        """Why the clock is not trusted now, in words; None when it is."""
        now_ms = self._clock.now_ms()
        moved_ms = abs(self._present_offset_ms() - self._offset_ms)
        if moved_ms > TOLERANCE_MS:
            return f"the wall clock moved {moved_ms / 1000:.0f} s against the monotonic clock since it was trusted"
        if now_ms < self._mark_ms - TOLERANCE_MS:
            return f"the wall clock stands {(self._mark_ms - now_ms) / 1000:.0f} s before the latest time this node saw"
        skews = self._skews()
        others = [skew for peer, skew in skews.items() if abs(skew - self._accepted.get(peer, 0)) > TOLERANCE_MS]
        if len(others) >= max(_ENOUGH_PEERS, len(skews) - len(others)):
            return f"the clocks of {len(others)} of {len(skews)} peers differ from this node's by over two minutes"
        return None

    def is_trusted(self) -> bool:
        """Whether there is no doubt; if so, the time is kept as the latest one seen."""
        with self._lock:
            if self.doubt is not None:
                return False
            if self._clock.now_ms() - self._mark_ms > TOLERANCE_MS // 2:  # not at every tick: each mark costs an fsync
                self._mark()
            return True

    def accept(self) -> str | None:
        """Trust the wall clock as it stands, durably; returns the doubt that ends, None where there was none.

        Raises:
            StorageError: it could not be recorded, and nothing is accepted.
        """
        with self._lock:
            doubt = self.doubt
            before = self._offset_ms
            self._offset_ms = self._present_offset_ms()
            try:
                self._mark()
            except BaseException:
                self._offset_ms = before
                raise
            self._accepted = dict(self._skews())
            return doubt

    def _mark(self) -> None:
        now_ms = self._clock.now_ms()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO clock_mark (one, at_ms, boot, offset_ms) VALUES (1, ?, ?, ?)",
                (now_ms, self._boot, self._offset_ms),
            )
        self._mark_ms = now_ms

    def _present_offset_ms(self) -> int:
        return round(self._clock.now_ms() - self._clock.monotonic_s() * 1000)
