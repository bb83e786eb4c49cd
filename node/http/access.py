"""Who may read, and how often: `mr_` keys of scope query, so many requests an hour each (DESIGN 7).

- Reads are open where the listener is loopback only, and on the admin socket; elsewhere they need an `mr_` key.
- The allowance is a bucket per key that refills evenly: 1000 requests at once, then one each 3.6 s. It lives in
  memory; a restart fills it.
- `RateLimit-Limit`, `-Remaining` and `-Reset` stand on every answer to a key, refusals too.
- `AccessRecord` is told of every read with a key; the audit log will be one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from node.errors import RejectedInput

REQUESTS_PER_HOUR: Final = 1000
_HOUR_S: Final = 3600.0

ReadGate = Callable[[web.Request], None]
"""Lets a read pass or raises the NodeError that refuses it."""

AccessRecord = Callable[[str, str], None]
"""Told (key id, route) of every read with a key."""


class ReadKeys(Protocol):
    """The node's API keys; `check` raises a NodeError with status 401 or 403."""

    def check(self, secret: str | None, kind: str, scope: str) -> object: ...


class TooManyRequests(RejectedInput):
    """A key has used its allowance; trying again later helps."""

    code = "rate_limited"
    status = 429

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(
            what="The request is refused",
            why=f"this key has used its {limit} requests an hour",
            fix=f"Wait {retry_after_s} s; answers do not change, so keep them (ETag)",
            code=self.code,
        )
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may still do."""

    limit: int
    remaining: int
    reset_s: int


_ALLOWANCE: Final = web.RequestKey("murmur_allowance", Allowance)


class RateLimiter:
    """One bucket per key.

    Args:
        monotonic: Seconds of a clock that never goes back.
        per_hour: Size of the bucket, and what refills in an hour.
    """

    def __init__(self, monotonic: Callable[[], float], per_hour: int = REQUESTS_PER_HOUR) -> None:
        self.per_hour = per_hour
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> Allowance:
        """Use one request of the key.

        Raises:
            TooManyRequests: none is left.
        """
        now = self._monotonic()
        level, at = self._buckets.get(key, (float(self.per_hour), now))
        level = min(float(self.per_hour), level + (now - at) * self.per_hour / _HOUR_S)
        if level < 1:
            self._buckets[key] = level, now
            raise TooManyRequests(self.per_hour, math.ceil((1 - level) * _HOUR_S / self.per_hour))
        self._buckets[key] = level - 1, now
        missing = self.per_hour - (level - 1)
        return Allowance(self.per_hour, int(level - 1), math.ceil(missing * _HOUR_S / self.per_hour))


def read_gate(
    keys: ReadKeys, *, is_open: bool, limiter: RateLimiter | None = None, record: AccessRecord | None = None
) -> ReadGate:
    """The gate of a listener: open on loopback and the admin socket, else for `mr_` keys of scope query."""

    def gate(request: web.Request) -> None:
        if is_open:
            return
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = keys.check(secret.strip() or None if scheme.lower() == "bearer" else None, "read", "query")
        key = str(getattr(token, "id", "key"))
        if record is not None:
            resource = request.match_info.route.resource
            record(key, "unknown" if resource is None else resource.canonical)
        if limiter is not None:
            try:
                request[_ALLOWANCE] = limiter.take(key)
            except TooManyRequests as refused:
                request[_ALLOWANCE] = Allowance(limiter.per_hour, 0, refused.retry_after_s)
                raise

    return gate


async def tell_allowance(request: web.Request, response: web.StreamResponse) -> None:
    """An `on_response_prepare` signal: the RateLimit headers of a request that came with a key."""
    allowance = request.get(_ALLOWANCE)
    if allowance is not None:
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(allowance.remaining)
        response.headers["RateLimit-Reset"] = str(allowance.reset_s)
