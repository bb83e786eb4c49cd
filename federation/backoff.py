"""How long to leave a peer alone after failures: 0.5 s, doubling to 5 minutes, forgotten at its first word."""

from __future__ import annotations


class Backoff:
    """The pause of one peer; times in milliseconds."""

    __slots__ = ("_failures", "_first_ms", "most_ms", "until_ms")

    def __init__(self, first_ms: int, most_ms: int) -> None:
        self._first_ms = first_ms
        self.most_ms = most_ms
        self._failures = 0
        self.until_ms = 0

    def failed(self, now_ms: int) -> None:
        """One more failure in a row: the pause starts now and is twice the last one."""
        pause = min(self._first_ms << min(self._failures, 30), self.most_ms)
        self._failures += 1
        self.until_ms = now_ms + pause

    def reset(self) -> None:
        """The peer spoke, and its words were authentic."""
        self._failures = 0
        self.until_ms = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures
