"""What came in lately, for the operator: reasons and shapes, never a value. In memory, a fixed number of requests."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Final

from node.receipt import Receipt

MAX_REQUESTS: Final = 200
MAX_UNUSUAL: Final = 50


class Recent:
    """The last requests for events, oldest first. Used from the event loop's thread only."""

    def __init__(self) -> None:
        self._requests: deque[tuple[int, int, str, Receipt | str]] = deque(maxlen=MAX_REQUESTS)
        self._next = 1
        self._unusual: deque[dict[str, Any]] = deque(maxlen=MAX_UNUSUAL)
        self._next_unusual = 1

    def add(self, at_ms: int, key_id: str, outcome: Receipt | str) -> None:
        """Remember one request: its receipt, or the code of the error that it met."""
        self._requests.append((self._next, at_ms, key_id, outcome))
        self._next += 1

    def add_unusual(self, at_ms: int, key_id: str, what: str, requests: int) -> None:
        """Remember that a key, or an address that used it, sent far more than its habit. Which address is not known."""
        self._unusual.append(
            {"number": self._next_unusual, "at_s": at_ms // 1000, "key": key_id, "what": what, "requests": requests}
        )
        self._next_unusual += 1

    def unusual(self) -> list[dict[str, Any]]:
        """Who sent far more than its habit, oldest first: the key, `what` it was, requests within a minute."""
        return list(self._unusual)

    def after(self, number: int) -> list[dict[str, Any]]:
        """The requests behind this number, with what became of them."""
        return [_shown(*request) for request in self._requests if request[0] > number]


def _shown(number: int, at_ms: int, key_id: str, outcome: Receipt | str) -> dict[str, Any]:
    found: dict[str, Any] = {"number": number, "at_s": at_ms // 1000, "key": key_id}
    if isinstance(outcome, str):
        return {**found, "error": outcome}
    rejected = Counter((why.code, why.pointer) for _, why in outcome.rejected)
    return {
        **found,
        "accepted": outcome.accepted,
        "filtered": dict(sorted(outcome.filtered.items())),
        "rejected": [{"code": code, "pointer": pointer, "events": n} for (code, pointer), n in rejected.items()],
    }
