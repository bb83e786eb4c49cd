"""The audit log while the node runs: admin actions, use of keys, access, refusals (PROTOCOL 7, specs/node.md 2).

- What changes something is recorded before it is done (`begun`) and after (`done`, `refused: <code>`): a crash in
  between leaves the first.
- Reads and refusals are counted by (who, what): the first of an hour is recorded at once, how often it happened after
  the hour. So a crash hides no use of a key, only how often, and nobody can fill the disk with refused requests.
- No record holds a person's id, a body, or the values of a question: routes stand as patterns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from node.clock import Clock
from node.errors import StorageError
from node.state.audit import AuditStore

log = structlog.get_logger()

COUNTED_FOR_S: Final = 3600
MAX_COUNTED: Final = 4096  # (who, what) pairs counted at a time; beyond, the oldest are recorded early

Counted = tuple[str, str, str]  # actor, action, outcome


@dataclass(slots=True)
class _Count:
    since_s: int
    further: int = 0


class Audit:
    """Writes the audit log. Safe to use from several threads."""

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[Counted, _Count] = {}

    def record(self, actor: str, action: str, subject: str = "", outcome: str = "done") -> None:
        """One record, durable on return; raises StorageError."""
        self.store.append(at_s=self._now_s(), actor=actor, action=action, subject=subject, outcome=outcome)

    @contextmanager
    def around(self, actor: str, action: str, subject: str = "") -> Iterator[None]:
        """Record that something begins, and how it ended.

        Raises:
            StorageError: the beginning could not be recorded; then the block is not entered.
        """
        self.record(actor, action, subject, "begun")
        try:
            yield
        except BaseException as error:
            self.record(actor, action, subject, f"refused: {getattr(error, 'code', type(error).__name__)}")
            raise
        self.record(actor, action, subject)

    def count(self, actor: str, action: str, outcome: str = "done") -> None:
        """Something that may happen often: at once when it is the first of an hour, else counted.

        A disk that fails is logged and stops nothing here: the request was decided already.
        """
        now_s = self._now_s()
        key = (actor, action, outcome)
        with self._lock:
            self._write_old(now_s)
            known = self._counts.get(key)
            if known is not None:
                known.further += 1
                return
            if len(self._counts) >= MAX_COUNTED:
                oldest = min(self._counts, key=lambda one: self._counts[one].since_s)
                self._write(oldest, self._counts.pop(oldest))
            self._counts[key] = _Count(now_s)
            self._append(key, "")

    def flush(self, *, is_end: bool = False) -> None:
        """Record what was counted in hours that are over; all of it at the end of the process."""
        with self._lock:
            self._write_old(self._now_s() + (COUNTED_FOR_S if is_end else 0))

    def _write_old(self, now_s: int) -> None:
        due = [key for key, count in self._counts.items() if not count.since_s <= now_s < count.since_s + COUNTED_FOR_S]
        for key in due:
            self._write(key, self._counts.pop(key))

    def _write(self, key: Counted, count: _Count) -> None:
        if count.further:
            self._append(key, f"{count.further} more times in the hour from {count.since_s}")

    def _append(self, key: Counted, subject: str) -> None:
        actor, action, outcome = key
        try:
            self.record(actor, action, subject, outcome)
        except StorageError as error:
            log.error("audit.not_written", code=error.code)

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000
