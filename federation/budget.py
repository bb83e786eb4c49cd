"""How much one peer may push to us: three buckets that fill with time, for bytes, requests and entries to verify.

What we ask for ourselves is not counted here; it is bounded by how many sessions run and how much an answer may hold.
A peer whose bucket is empty is told `busy` and when to come again; what it has is fetched by the next comparison.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` flow in for each second, up to `most`."""

    per_s: int
    most: int


class Bucket:
    """One quantity of one peer."""

    __slots__ = ("_at_ms", "_left", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left = float(rate.most)
        self._at_ms: int | None = None

    def wait_ms(self, amount: int, now_ms: int) -> int:
        """Milliseconds until this amount would be there; 0 for now. More than the bucket holds counts as all of it."""
        if self._at_ms is not None:
            passed_s = max(0, now_ms - self._at_ms) / 1000  # a clock set back fills nothing
            self._left = min(float(self._rate.most), self._left + passed_s * self._rate.per_s)
        self._at_ms = now_ms
        missing = min(amount, self._rate.most) - self._left
        return 0 if missing <= 0 else int(missing / self._rate.per_s * 1000) + 1

    def take(self, amount: int) -> None:
        """Spend it; after `wait_ms` said 0."""
        self._left = max(0.0, self._left - amount)


class PushBudget:
    """What one peer may push."""

    __slots__ = ("_buckets",)

    def __init__(self, size: Rate, requests: Rate, entries: Rate) -> None:
        self._buckets = (Bucket(size), Bucket(requests), Bucket(entries))

    def ask(self, size: int, entries: int, now_ms: int) -> int:
        """Spend a push of so many bytes and entries: 0, or, unspent, the milliseconds to wait."""
        amounts = (size, 1, entries)
        wait = max(bucket.wait_ms(amount, now_ms) for bucket, amount in zip(self._buckets, amounts, strict=True))
        if wait == 0:
            for bucket, amount in zip(self._buckets, amounts, strict=True):
                bucket.take(amount)
        return wait
