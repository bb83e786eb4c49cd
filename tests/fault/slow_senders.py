"""Many senders that never finish, a process of its own: `python slow_senders.py HOST PORT COUNT KEY TIMEOUT_S`.

One in two stops inside its request's head, the others inside a body of half a mebibyte; each sends another byte every
two seconds. Prints `ready` once all are connected and began, then a JSON line with what they were told, once all were
cut.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import Counter

HEAD = "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
BODY_BYTES = 512 << 10
TRICKLE_S = 2.0


class Slow(asyncio.Protocol):
    """One connection."""

    def __init__(self, start: bytes, told: Counter[str], cut: asyncio.Queue[None]) -> None:
        self._start, self._told, self._cut = start, told, cut
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self._start)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, error: Exception | None) -> None:
        self._told[self._answer[9:12].decode() or "cut"] += 1
        self._cut.put_nowait(None)

    def trickle(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"a")  # type: ignore[attr-defined]


async def main() -> None:
    host, port, count, key, timeout_s = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
    loop = asyncio.get_running_loop()
    told: Counter[str] = Counter()
    cut: asyncio.Queue[None] = asyncio.Queue()
    head = HEAD.format(key=key).encode()
    starts = (head + b"X-Slow: ", head + b"Content-Length: %d\r\n\r\n" % BODY_BYTES + b"[" + b" " * 1000)
    senders: list[Slow] = []
    for first in range(0, count, 100):
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda n=n: Slow(starts[n % 2], told, cut), host, port)  # type: ignore[misc]
                for n in range(first, min(count, first + 100))
            )
        )
        senders += [sender for _, sender in made]
    print("ready", flush=True)
    end_s = loop.time() + timeout_s
    next_s = loop.time()
    while sum(told.values()) < count and loop.time() < end_s:
        if loop.time() >= next_s:
            next_s += TRICKLE_S
            for place, sender in enumerate(senders):
                sender.trickle()
                if place % 500 == 0:
                    await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    print(json.dumps({**told, "left": count - sum(told.values())}), flush=True)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main())
