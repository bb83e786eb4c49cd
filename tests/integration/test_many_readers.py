"""Readers who are many, slow or gone: everybody else is answered, nothing is a 5xx, and memory stays bounded.

A storm has five kinds of clients: they ask and read; ask without end and never read; listen and never read; ask and
break the connection; stop inside a request's head. Beside it one client asks as a person would. What is asserted of
time has a limit that no load of the machine reaches (a starved request would wait for the storm to end, and the storm
ends only when that client is done).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.integration.small_federation import Federation
from tests.research_kit import small
from tests.unit.node.test_research_surface import SPAN, application

PATIENCE_S = 30.0  # no request waits so long, whatever else the machine does
PIPELINED = 4_000  # requests of one client that reads no answer
MIB = 1 << 20
GROWTH_MIB = 96  # of the node's private memory, by 200 clients; a client's answers alone would be 10 MiB


@dataclass
class Storm:
    """What clients do to one address; `statuses` are those of whoever reads."""

    host: str
    port: int
    path: str
    statuses: Counter[int] = field(default_factory=Counter)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def head(self, path: str | None = None, *, close: bool = False) -> bytes:
        end = "Connection: close\r\n\r\n" if close else "\r\n"
        return f"GET {path or self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{end}".encode()

    async def ask(self) -> float:
        """One request on a connection of its own, read to its end; seconds it took."""
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(self.head(close=True))
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        finally:
            writer.close()
        self.statuses[int(answer[9:12])] += 1
        return time.monotonic() - began

    async def reading(self) -> None:
        """Asks again and again, and reads."""
        while not self.is_over.is_set():
            await self.ask()

    async def pipelining(self) -> None:
        """Asks thousands of times at once and reads nothing."""
        _, writer = await asyncio.open_connection(self.host, self.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport, too
        with suppress(ConnectionError):
            for _ in range(PIPELINED // 100):
                writer.write(self.head() * 100)
                waiting = asyncio.ensure_future(writer.drain())
                await asyncio.wait([waiting, over := asyncio.ensure_future(self.is_over.wait())],
                                   return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
                over.cancel()
                if not waiting.done():
                    waiting.cancel()
                    break
            await self.is_over.wait()
        writer.transport.abort()

    async def listening(self) -> None:
        """Opens the stream of events and reads nothing."""
        _, writer = await asyncio.open_connection(self.host, self.port, limit=1024)
        writer.write(self.head("/v1/live"))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await self.is_over.wait()
        writer.transport.abort()

    async def breaking(self) -> None:
        """Asks, and breaks the connection before the answer, with a reset."""
        while not self.is_over.is_set():
            with suppress(ConnectionError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.write(self.head() * 3)
                end: socket.socket = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await asyncio.sleep(0)
                writer.transport.abort()
            await asyncio.sleep(0.02)

    async def stopping(self) -> None:
        """Begins a request and says no more."""
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self.head()[:40])
        await self.is_over.wait()
        writer.transport.abort()

    @asynccontextmanager
    async def blowing(self, clients: int) -> AsyncIterator[None]:
        """So many clients, a fifth of each kind."""
        kinds: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
            self.reading, self.pipelining, self.listening, self.breaking, self.stopping,
        )  # fmt: skip
        tasks = [asyncio.ensure_future(kinds[place % len(kinds)]()) for place in range(clients)]
        try:
            yield
        finally:
            self.is_over.set()
            ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2 * PATIENCE_S)
        assert [one for one in ended if one is not None] == []


async def _asked_beside(storm: Storm, clients: int, questions: int) -> list[float]:
    """How long each of a person's questions took while the others did as they do."""
    async with storm.blowing(clients):
        while storm.statuses.total() < clients // 5:  # all who read had their first answer: the storm blows
            await asyncio.sleep(0.01)
        return sorted([await storm.ask() for _ in range(questions)])


async def test_a_few_bad_readers_hold_nobody_up(tmp_path: Path) -> None:
    """Twenty-five clients at a server of the research surface."""
    node = small(tmp_path)
    server = TestServer(application(node))
    await server.start_server()
    try:
        storm = Storm(server.host, server.port or 0, f"/v1/insights/calls?{SPAN}&raw=1")
        took = await _asked_beside(storm, 25, 10)
        assert took[-1] < PATIENCE_S
        assert set(storm.statuses) == {200}
        assert await Storm(server.host, server.port or 0, "/v1/metrics").ask() < PATIENCE_S
    finally:
        await server.close()
        await node.close()


@pytest.fixture
def federation(tmp_path: Path) -> Any:
    made = Federation(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_two_hundred_clients_at_once(federation: Federation) -> None:
    """A node as it runs: every question is answered, its memory stays, its connections end with their clients."""
    federation.start("amber")
    federation.play("amber", 40)
    federation.finish("amber")
    deadline = time.monotonic() + 120
    while federation.answer("amber", "events_by_country")["data"]["total"] is None:
        assert time.monotonic() < deadline, "nothing was released"
        time.sleep(0.2)
    node, pid = federation.places["amber"], federation.nodes["amber"].pid
    span = f"from={federation.first}&to={federation.through + timedelta(days=1)}"
    storm = Storm("127.0.0.1", node.port, f"/v1/insights/events_by_country?{span}&raw=1")
    asyncio.run(_warm(storm))
    files, memory = _files(pid), _private_mib(pid)
    took = asyncio.run(_asked_beside(storm, 200, 60))
    grown = _private_mib(pid) - memory
    print(f"200 clients: median {took[30] * 1000:.0f} ms, slowest {took[-1] * 1000:.0f} ms, {grown:.0f} MiB more; "
          f"{storm.statuses.total()} answers; load {os.getloadavg()[0]:.1f}")  # fmt: skip
    assert took[-1] < PATIENCE_S
    assert set(storm.statuses) == {200}
    assert grown < GROWTH_MIB
    deadline = time.monotonic() + 60
    while _files(pid) > files + 20:
        assert time.monotonic() < deadline, "connections of clients that are gone stay open"
        time.sleep(0.2)
    assert federation.nodes["amber"].process.poll() is None


async def _warm(storm: Storm) -> None:
    for _ in range(5):
        await storm.ask()


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _private_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) / 1024
