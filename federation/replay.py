"""Which requests of one peer were seen before: nonces, remembered for a time and bounded in number.

Bounded because a member could fill our memory with good requests; when it is full the member is told `busy`
and waits. Nothing that is not signed by the member gets here.
"""

from __future__ import annotations

from collections import OrderedDict

from federation.errors import Busy, Replay


class NonceMemory:
    """The nonces of one peer, oldest first."""

    __slots__ = ("_keep_ms", "_limit", "_seen")

    def __init__(self, keep_ms: int, limit: int) -> None:
        self._keep_ms = keep_ms
        self._limit = limit
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def remember(self, nonce: bytes, now_ms: int) -> None:
        """Take a nonce that was never seen within the memory.

        Raises:
            Replay: it was.
            Busy: the memory is full of nonces that may not be forgotten yet.
        """
        # Too old to be fresh; or, after a clock was set back, from a time that was never true and is as far away.
        while self._seen and abs(now_ms - next(iter(self._seen.values()))) >= self._keep_ms:
            self._seen.popitem(last=False)
        if nonce in self._seen:
            raise Replay(
                what="Request refused",
                why="its nonce was used before",
                fix="Send a new request; somebody may be repeating old ones",
            )
        if len(self._seen) >= self._limit:
            raise Busy(
                what="Request refused",
                why=f"{self._limit} requests within {self._keep_ms // 60_000} minutes",
                fix="Wait and send fewer, larger requests",
            )
        self._seen[nonce] = now_ms
