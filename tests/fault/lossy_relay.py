"""Bad wires on loopback: a TCP relay in front of each node that delays what it carries and hangs up now and then."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import threading
from pathlib import Path

from tests.integration.small_federation import free_ports

HOST = "127.0.0.1"


class LossyRelay:
    """Wires between `count` nodes of this machine.

    Args:
        loss: Probability that a stretch of bytes never arrives; its connection ends with it.
        delay_s: The longest a stretch of bytes takes.
    """

    what = "loopback through a relay"

    def __init__(self, count: int, seed: int, *, loss: float = 0.05, delay_s: float = 0.02) -> None:
        self.count = count
        self._random = random.Random(seed)
        self._loss, self._delay_s = loss, delay_s
        self._base = free_ports(count)
        self._loop = asyncio.new_event_loop()
        self._servers = [
            self._loop.run_until_complete(
                asyncio.start_server(
                    lambda reader, writer, to=to: self._accept(to, reader, writer), HOST, self._port(to)
                )
            )
            for to in range(count)
        ]
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lossy-relay", daemon=True)
        self._thread.start()

    def command(self, _place: int) -> list[str]:
        """What a node's command line begins with."""
        return []

    def environment(self) -> dict[str, str]:
        return {}

    def listen(self, place: int) -> str:
        return f"{HOST}:{self._base + place}"

    def advertise(self, place: int) -> str:
        return f"http://{HOST}:{self._port(place)}"

    def configured(self, _place: int, text: str) -> str:
        """The node's configuration on these wires."""
        return text

    def client(self, place: int) -> http.client.HTTPConnection:
        """A connection to the node past the wires."""
        return http.client.HTTPConnection(HOST, self._base + place, timeout=20)

    def heal(self) -> None:
        self._loss, self._delay_s = 0.0, 0.0

    def close(self) -> None:
        for server in self._servers:
            self._loop.call_soon_threadsafe(server.close)
        for task in list(self._tasks):
            self._loop.call_soon_threadsafe(task.cancel)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _port(self, place: int) -> int:
        return self._base + 10 + place

    async def _accept(self, to: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            onward = await asyncio.open_connection(HOST, self._base + to)
            for source, target in ((reader, onward[1]), (onward[0], writer)):
                task = self._loop.create_task(self._carry(source, target))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return
        writer.close()  # the node is down

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while (part := await source.read(1 << 16)) and self._random.random() >= self._loss:
                if self._delay_s:
                    await asyncio.sleep(self._random.uniform(0, self._delay_s))
                target.write(part)
                await target.drain()
        target.close()


def make_wires(count: int, seed: int, _folder: Path) -> LossyRelay:
    return LossyRelay(count, seed)
