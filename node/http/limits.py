"""How much one sender may send: a bucket for each key and, for browser keys, one for each address.

- Server keys have a wide bucket: it stops a loop that ran wild, not a busy platform. Browser keys are public, so each
  address behind them has a small bucket of its own.
- An address is held as a keyed hash for an hour at most; the hash key is random, in memory only, and changes hourly.
  At most MAX_ADDRESSES are held; beyond that the one seen longest ago is forgotten.
- A key, or an address, that sends far more than its habit is told of once an hour (`ingest.unusual`): the key by its
  id, an address by the key it used. An address without a habit yet is held against what addresses here usually send.
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

MAX_ADDRESSES: Final = 100_000  # some 40 MB
_HASH_KEY_S: Final = 3600.0
_HABIT_S: Final = 60.0
_UNUSUAL_FACTOR: Final = 10
_UNUSUAL_LEAST: Final = 600  # requests a minute of a key; below this nothing is unusual
_UNUSUAL_LEAST_OF_ADDRESS: Final = 120
_FIRST_MINUTES: Final = 20  # minutes of addresses to see before one without a habit is held against the others'

Unusual = Callable[[str, str, int], None]  # told: key id, "key" or "address", requests a minute


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
    """Requests a minute, smoothed over some twenty minutes. `least`: no fewer are unusual."""

    since_s: float
    least: int
    count: int = 0
    usual: float = 0.0
    told_s: float = -math.inf

    def take(self, now_s: float, others: _Typical | None = None) -> int | None:
        """Count one. The minute's requests when it ended far above the habit and that was not said lately.

        A minute may also end early: once it is far above the habit, nobody waits for its end.
        """
        self.count += 1
        passed_s = now_s - self.since_s
        usual = self.usual or (others.usual if others is not None else 0.0)
        is_unusual = usual > 0 and self.count > max(self.least, _UNUSUAL_FACTOR * usual) * max(1.0, passed_s / _HABIT_S)
        found = None
        if is_unusual and now_s - self.told_s >= _HASH_KEY_S:
            self.told_s = now_s
            found = self.count
        if passed_s >= _HABIT_S:
            rate = self.count * _HABIT_S / passed_s
            self.usual = rate if not self.usual else 0.95 * self.usual + 0.05 * rate
            self.since_s, self.count = now_s, 0
            if others is not None:
                others.add(rate)
        return found


@dataclass(slots=True)
class _Typical:
    """What addresses here send in a minute, smoothed over some hundred of their minutes."""

    minutes: int = 0
    mean: float = 0.0

    @property
    def usual(self) -> float:
        """Requests a minute; 0 while too little was seen."""
        return self.mean if self.minutes >= _FIRST_MINUTES else 0.0

    def add(self, rate: float) -> None:
        self.minutes += 1
        weight = max(0.01, 1 / self.minutes)
        self.mean = (1 - weight) * self.mean + weight * rate


class _Address:
    """One address, known by its hash alone."""

    __slots__ = ("bucket", "habit")

    def __init__(self, rate: float, now_s: float) -> None:
        self.bucket = _Bucket(rate, now_s)
        self.habit = _Habit(now_s, _UNUSUAL_LEAST_OF_ADDRESS)


class Limits:
    """The buckets. Used from the event loop's thread only.

    Args:
        rates: What the buckets let pass.
        monotonic_s: Seconds of a clock that never goes back.
        rng: Random bytes, for the hash key of addresses.
        unusual: Told of who sends far more than its habit.
    """

    def __init__(
        self,
        rates: Rates,
        monotonic_s: Callable[[], float],
        rng: Callable[[int], bytes],
        unusual: Unusual = lambda _key, _what, _count: None,
    ) -> None:
        self._rates = rates
        self._monotonic_s = monotonic_s
        self._rng = rng
        self._keys: dict[str, _Bucket] = {}
        self._habits: dict[str, _Habit] = {}
        self._unusual = unusual
        self._addresses: OrderedDict[bytes, _Address] = OrderedDict()  # least lately seen first
        self._typical = _Typical()
        self._hash_key, self._hash_key_until_s = rng(32), monotonic_s() + _HASH_KEY_S

    def take(self, key_id: str, *, is_browser: bool, address: str | None) -> Allowance | None:
        """Use one request of the key, and of the address where one is given.

        Returns what is left of the smallest bucket, for browser keys; None for server keys.

        Raises:
            SlowDown: a bucket is empty.
        """
        now_s = self._monotonic_s()
        habit = self._habits.get(key_id)
        if habit is None:
            habit = self._habits[key_id] = _Habit(now_s, _UNUSUAL_LEAST)
        if (count := habit.take(now_s)) is not None:
            self._tell(key_id, "key", count)
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
        if (count := mine.habit.take(now_s, self._typical)) is not None:
            self._tell(key_id, "address", count)
        if not mine.bucket.take(now_s):
            raise SlowDown("address", mine.bucket.allowance())
        return mine.bucket.allowance()

    def _tell(self, key_id: str, what: str, count: int) -> None:
        log.warning("ingest.unusual", key=key_id, what=what)
        self._unusual(key_id, what, count)

    def _of_address(self, address: str, now_s: float) -> _Address:
        if now_s >= self._hash_key_until_s:
            self._hash_key, self._hash_key_until_s = self._rng(32), now_s + _HASH_KEY_S
            self._addresses.clear()
        name = blake2b(address.encode("utf-8", "surrogatepass"), digest_size=16, key=self._hash_key).digest()
        found = self._addresses.pop(name, None) or _Address(self._rates.address, now_s)
        self._addresses[name] = found
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return found
