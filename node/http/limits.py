"""How much one sender may send: a bucket for each key and, for browser keys, one for each address.

- Server keys have a wide bucket: it stops a loop that ran wild, not a busy platform. Browser keys are public, so each
  address behind them has a small bucket of its own.
- An address is held as a keyed hash for an hour at most; the hash key is random, in memory only, and changes hourly.
  At most MAX_ADDRESSES are held; beyond that the one seen longest ago is forgotten.
- A key that sends far more than its habit is told of once an hour (`ingest.unusual`), by its id alone.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import structlog

from node.errors import RejectedInput
from node.senders import Rates

log = structlog.get_logger()

MAX_ADDRESSES: Final = 100_000  # some 20 MB
_HASH_KEY_S: Final = 3600.0
_HABIT_S: Final = 60.0
_UNUSUAL_FACTOR: Final = 10
_UNUSUAL_LEAST: Final = 600  # requests a minute; below this nothing is unusual


class SlowDown(RejectedInput):
    """A bucket is empty; it refills by itself."""

    code = "too_many_requests"
    status = 429

    def __init__(self, which: str, allowance: Allowance) -> None:
        self.retry_after_s = max(1, allowance.reset_s)
        self.allowance = allowance
        super().__init__(
            what="The request is refused",
            why=f"this {which} sends more than {allowance.limit} requests in ten seconds",
            fix=f"Wait {self.retry_after_s} s, and send 25 to 100 events a request",
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a bucket still holds, for the RateLimit headers."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


class _Bucket:
    __slots__ = ("_at_s", "_level", "_rate", "_size")

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate, self._size = rate, max(1.0, 10 * rate)
        self._level, self._at_s = self._size, now_s

    def take(self, now_s: float) -> bool:
        self._level = min(self._size, self._level + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def allowance(self) -> Allowance:
        wait_s = (1 - self._level) / self._rate if self._level < 1 else 0
        return Allowance(int(self._size), int(self._level), math.ceil(wait_s))


@dataclass(slots=True)
class _Habit:
    """Requests a minute, smoothed over some twenty minutes."""

    since_s: float
    count: int = 0
    usual: float = 0.0
    told_s: float = -math.inf

    def take(self, now_s: float) -> bool:
        """Count one; true when the minute that ended was far above the habit and that was not said lately."""
        self.count += 1
        if now_s - self.since_s < _HABIT_S:
            return False
        rate = self.count * _HABIT_S / (now_s - self.since_s)
        is_unusual = self.usual > 0 and rate > max(_UNUSUAL_LEAST, _UNUSUAL_FACTOR * self.usual)
        self.usual = rate if not self.usual else 0.95 * self.usual + 0.05 * rate
        self.since_s, self.count = now_s, 0
        if not is_unusual or now_s - self.told_s < _HASH_KEY_S:
            return False
        self.told_s = now_s
        return True


class Limits:
    """The buckets. Used from the event loop's thread only.

    Args:
        rates: What the buckets let pass.
        monotonic_s: Seconds of a clock that never goes back.
        rng: Random bytes, for the hash key of addresses.
    """

    def __init__(self, rates: Rates, monotonic_s: Callable[[], float], rng: Callable[[int], bytes]) -> None:
        self._rates = rates
        self._monotonic_s = monotonic_s
        self._rng = rng
        self._keys: dict[str, _Bucket] = {}
        self._habits: dict[str, _Habit] = {}
        self._addresses: OrderedDict[bytes, _Bucket] = OrderedDict()  # least lately seen first
        self._hash_key, self._hash_key_until_s = rng(32), monotonic_s() + _HASH_KEY_S
        self.unusual_keys: set[str] = set()

    def take(self, key_id: str, *, is_browser: bool, address: str | None) -> Allowance | None:
        """Use one request of the key, and of the address where one is given.

        Returns what is left of the smallest bucket, for browser keys; None for server keys.

        Raises:
            SlowDown: a bucket is empty.
        """
        now_s = self._monotonic_s()
        self._note_habit(key_id, now_s)
        bucket = self._keys.get(key_id)
        if bucket is None:
            rate = self._rates.browser if is_browser else self._rates.server
            bucket = self._keys[key_id] = _Bucket(rate, now_s)
        if not bucket.take(now_s):
            raise SlowDown("key", bucket.allowance())
        if not is_browser:
            return None
        if address is None:
            return bucket.allowance()
        mine = self._of_address(address, now_s)
        if not mine.take(now_s):
            raise SlowDown("address", mine.allowance())
        return mine.allowance()

    def _of_address(self, address: str, now_s: float) -> _Bucket:
        if now_s >= self._hash_key_until_s:
            self._hash_key, self._hash_key_until_s = self._rng(32), now_s + _HASH_KEY_S
            self._addresses.clear()
        name = blake2b(address.encode("utf-8", "surrogatepass"), digest_size=16, key=self._hash_key).digest()
        bucket = self._addresses.pop(name, None) or _Bucket(self._rates.address, now_s)
        self._addresses[name] = bucket
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return bucket

    def _note_habit(self, key_id: str, now_s: float) -> None:
        habit = self._habits.get(key_id)
        if habit is None:
            habit = self._habits[key_id] = _Habit(now_s)
        if habit.take(now_s):
            self.unusual_keys.add(key_id)
            log.warning("ingest.unusual", key=key_id)
