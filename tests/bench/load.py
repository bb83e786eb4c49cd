"""The load of the ingest benchmark, a process of its own: keep so many connections busy for so many seconds.

    python tests/bench/load.py HOST PORT BODIES CONNECTIONS SECONDS KEY

BODIES is a file of request bodies, each behind its length in four bytes. Prints one JSON line: requests answered with
2xx, other answers, and latencies in milliseconds. Requests are prepared whole, so that sending costs next to nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path


def requests_of(path: Path, key: str) -> list[bytes]:
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 4 + size]
        at += 4 + size
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {size}\r\n"
        found.append(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    return found


class Sender(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: list[bytes], start: int, step: int) -> None:
        self.requests, self.next, self.step = requests, start, step
        self.latencies: list[float] = []
        self.refused = 0
        self.is_over = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.requests[self.next % len(self.requests)])  # type: ignore[attr-defined]
        self.next += self.step

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self.buffer.lower().index(b"content-length:") + 15
        size = int(self.buffer[at : self.buffer.index(b"\r", at)])
        if len(self.buffer) < end + 4 + size:
            return
        if self.buffer[9:10] == b"2":
            self.latencies.append(time.perf_counter() - self.sent)
        else:
            self.refused += 1
        self.buffer = b""
        if not self.is_over:
            self.send()


async def main() -> None:
    host, port, path, connections, seconds, key = sys.argv[1:]
    requests = requests_of(Path(path), key)
    loop = asyncio.get_running_loop()
    senders = []
    for number in range(int(connections)):
        _, sender = await loop.create_connection(
            lambda number=number: Sender(requests, number, int(connections)),  # type: ignore[misc]
            host,
            int(port),
        )
        senders.append(sender)
    await asyncio.sleep(float(seconds))
    for sender in senders:
        sender.is_over = True
    await asyncio.sleep(0.3)
    latencies = sorted(1000 * latency for sender in senders for latency in sender.latencies)
    count = len(latencies)
    print(
        json.dumps(
            {
                "answered": count,
                "refused": sum(sender.refused for sender in senders),
                "p50_ms": latencies[count // 2] if count else None,
                "p99_ms": latencies[count * 99 // 100] if count else None,
            }
        )
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
