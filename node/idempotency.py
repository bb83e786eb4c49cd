"""The memory of Idempotency-Keys: ten minutes, in this process only, of fixed size.

It exists to tell a sender what happened: a key with another body is a mistake (409), a repeat is named
`duplicate`. That an event counts once does not rest on it, but on the event keys of the stored rows; after
ten minutes, a restart or an eviction those alone decide (DESIGN 4).

Keys and bodies are remembered as hashes under a key of this process.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from node.clock import Clock
from node.errors import RejectedInput
from node.receipt import Receipt

MEMORY_S: Final = 600
MAX_WEIGHT: Final = 200_000  # requests remembered plus rejections in their receipts; some 30 MB at most
_KEY_BYTES: Final = 32


class IdempotencyKeyReused(RejectedInput):
    """One Idempotency-Key with two bodies: one of them is a mistake, and only the sender knows which."""

    code = "idempotency_key_reused"
    status = 409


@dataclass(slots=True)
class _Entry:
    body_hash: bytes
    expires_s: float
    receipt: asyncio.Task[Receipt]
    weight: int = 1


class IdempotencyMemory:
    """Remembers requests by key. Used from the event loop's thread only.

    Args:
        clock: For the ten minutes; monotonic time only.
        rng: Random bytes, for this process's hash key.
    """

    def __init__(self, clock: Clock, rng: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._hash_key = rng(_KEY_BYTES)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()  # oldest first
        self._weight = 0

    async def once(
        self, owner: str, key: str, body: bytes, run: Callable[[], Awaitable[Receipt]]
    ) -> tuple[Receipt, bool]:
        """Run the request unless it ran lately; a repeat waits for the first one's receipt.

        Args:
            owner: Id of the API key: two senders may use one Idempotency-Key.
            key: The Idempotency-Key.
            body: The request's bytes.
            run: What takes the request in. Where it raises, nothing is remembered, and the sender may retry.

        Returns:
            The receipt, and whether this was a repeat.

        Raises:
            IdempotencyKeyReused: the key came lately with another body.
        """
        self._forget_old()
        name = self._hash(owner.encode() + b"\0" + key.encode("utf-8", "surrogatepass"))
        body_hash = self._hash(body)
        entry = self._entries.get(name)
        if entry is not None:
            if entry.body_hash != body_hash:
                raise IdempotencyKeyReused(
                    what="The request is refused",
                    why="its Idempotency-Key came within ten minutes with another body",
                    fix="Use a new key for new events, and the same body for a repeat",
                )
            return await asyncio.shield(entry.receipt), True
        task = asyncio.ensure_future(_task_of(run))
        entry = self._entries[name] = _Entry(body_hash, self._clock.monotonic_s() + MEMORY_S, task)
        self._weight += entry.weight
        task.add_done_callback(lambda done: self._settle(name, entry, done))
        return await asyncio.shield(task), False

    def _settle(self, name: bytes, entry: _Entry, done: asyncio.Task[Receipt]) -> None:
        if self._entries.get(name) is not entry:
            return
        if done.cancelled() or done.exception() is not None:
            self._drop(name)
            return
        grown = len(done.result().rejected)
        entry.weight += grown
        self._weight += grown
        while self._weight > MAX_WEIGHT and self._entries:
            self._drop(next(iter(self._entries)))

    def _forget_old(self) -> None:
        now = self._clock.monotonic_s()
        while self._entries:
            name, entry = next(iter(self._entries.items()))
            if entry.expires_s > now:
                return
            self._drop(name)

    def _drop(self, name: bytes) -> None:
        self._weight -= self._entries.pop(name).weight

    def _hash(self, data: bytes) -> bytes:
        return blake2b(data, digest_size=16, key=self._hash_key).digest()


async def _task_of(run: Callable[[], Awaitable[Receipt]]) -> Receipt:
    return await run()
