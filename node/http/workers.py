"""The node's side of its door workers: starts them, answers what they forward, takes the connections they pass on.

Rules:
- Each worker has a listening socket of its own on the shared address (SO_REUSEPORT), which the node holds as well:
  while a worker that died is started again, the system keeps what knocks there.
- What a worker forwards goes the way of a request at the node's own door: the same keys, limits, queue, durable answer.
  So a worker that is killed loses only answers that were on their way, as a broken connection does.
- When the node is killed, its workers see the channel end, and end.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import structlog
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from node.config import Address
from node.http.channel import FINISH, Answered, Channel, Forwarded
from node.http.door import Asked, Others
from node.http.events import Take

log = structlog.get_logger()

RESTART_S: Final = 1.0
_ROOT: Final = Path(__file__).parents[2]
MAX_PASSED_BYTES: Final = 4 << 20  # what a connection brings along: at most a head and part of a body


class Workers:
    """The door workers of one address. Used from the event loop's thread only.

    Args:
        others: aiohttp's server, which takes passed connections.
        takers: What answers plain requests.
    """

    def __init__(self, others: Others, takers: Mapping[str, Take]) -> None:
        self._others, self._takers = others, takers
        self._workers: list[_Worker] = []

    async def start(self, count: int, address: Address, backlog: int) -> None:
        """Start so many; each listens at once. OSError where the address cannot be had."""
        for _ in range(count):
            worker = _Worker(_listening(address, backlog), self._others, self._takers)
            self._workers.append(worker)
            await worker.start()

    def state(self) -> dict[str, int]:
        """For `murmur status`."""
        return {
            "running": sum(worker.is_running for worker in self._workers),
            "restarts": sum(worker.restarts for worker in self._workers),
        }

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers if worker.is_running]

    async def close(self, timeout_s: float) -> None:
        """Let them finish what is at work, so long; then end them."""
        await asyncio.gather(*(worker.close(timeout_s) for worker in self._workers))
        self._workers.clear()


class _Worker:
    """One process, started again whenever it dies."""

    def __init__(self, listening: socket.socket, others: Others, takers: Mapping[str, Take]) -> None:
        self.restarts = 0
        self._listening, self._others, self._takers = listening, others, takers
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._passed: socket.socket | None = None
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        mine, its = socket.socketpair()
        passed, passing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its, passing:
            given = (self._listening.fileno(), its.fileno(), passing.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node.http.worker", *map(str, given)],
                stdin=subprocess.DEVNULL,
                cwd=_ROOT,
                pass_fds=given,
                start_new_session=True,  # Ctrl-C is the node's to hear
            )
        mine.setblocking(False)
        passed.setblocking(False)
        self._passed = passed
        channel = self._channel = Channel(Forwarded, self._take, self._lost)
        await loop.create_connection(lambda: channel, sock=mine)
        loop.add_reader(passed.fileno(), self._receive)

    async def close(self, timeout_s: float) -> None:
        self._is_closing = True
        loop = asyncio.get_running_loop()
        if self._channel is not None:
            self._channel.send(FINISH)
        end_s = loop.time() + timeout_s + 1
        while self.is_running and loop.time() < end_s:
            await asyncio.sleep(0.02)
        if self._process is not None and self.is_running:
            self._process.kill()
        if self._process is not None:
            self._process.wait()
        self._let_go()
        self._listening.close()

    def _take(self, forwarded: Forwarded) -> None:
        """Answer one request, over the channel it came by."""
        channel = self._channel
        if channel is None:
            return

        def tell(answer: web.Response | bytes) -> None:
            channel.send(_answered(forwarded.number, answer))

        headers = CIMultiDictProxy(CIMultiDict([(_text(name), _text(value)) for name, value in forwarded.headers]))
        self._takers[forwarded.path](Asked(_text(forwarded.target), headers, forwarded.remote), forwarded.body, tell)

    def _receive(self) -> None:
        """Connections that the worker passed on."""
        passed = self._passed
        while passed is not None:
            try:
                message, descriptors, _, _ = socket.recv_fds(passed, 1, 2)
            except OSError:  # none now
                return
            if not message or len(descriptors) != 2:
                asyncio.get_running_loop().remove_reader(passed.fileno())  # it is gone
                for descriptor in descriptors:
                    os.close(descriptor)
                return
            connection, start = descriptors
            rest = os.pread(start, MAX_PASSED_BYTES, 0)
            os.close(start)
            task = asyncio.get_running_loop().create_task(self._go_on(socket.socket(fileno=connection), rest))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _go_on(self, connection: socket.socket, rest: bytes) -> None:
        connection.setblocking(False)
        with suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(lambda: _Resumed(self._others, rest), connection)

    def _lost(self) -> None:
        if self._is_closing:
            return
        self._let_go()
        self.restarts += 1
        log.error("worker.lost", restarts=self.restarts)
        asyncio.get_running_loop().call_later(RESTART_S, self._restart)

    def _restart(self) -> None:
        if self._is_closing:
            return
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        task = asyncio.get_running_loop().create_task(self.start())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _let_go(self) -> None:
        if self._passed is not None:
            asyncio.get_running_loop().remove_reader(self._passed.fileno())
            self._passed.close()
            self._passed = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class _Resumed(asyncio.Protocol):
    """A passed connection, which aiohttp takes up where the worker left it."""

    def __init__(self, others: Others, rest: bytes) -> None:
        self._others, self._rest = others, rest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        handler = self._others()
        cast("asyncio.Transport", transport).set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(self._rest)


def _answered(number: int, answer: web.Response | bytes) -> Answered:
    if isinstance(answer, bytes):
        return Answered(number, 202, None, answer)
    body = answer.body if isinstance(answer.body, bytes) else b""
    named = (
        (str(name), value) for name, value in answer.headers.items()
    )  # plain texts: aiohttp's are of a kind of its own
    headers = [(name, value) for name, value in named if name not in ("Content-Length", "Date")]
    return Answered(number, answer.status, headers, body)


def _text(data: bytes) -> str:
    """As aiohttp's parser reads what stands in a head."""
    return data.decode("utf-8", "surrogateescape")


def _listening(address: Address, backlog: int) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(place[:2], family=family, backlog=backlog, reuse_port=True)
