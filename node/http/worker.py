"""A door worker: a process that speaks HTTP for the node, and nothing more. Started by `node.http.workers` alone.

It reads requests as the node's own door does and hands each plain one to the node, whose answer it sends. A connection
that asks for anything else goes to the node whole: its socket, and what came on it. No key, plan or row is ever here.
It ends when the node says so, or is gone; whoever waited then gets no answer, and sends again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import cast

from aiohttp import web
from multidict import CIMultiDict

from node.http.channel import Answered, Channel, Forwarded
from node.http.door import Asked, Doors
from node.http.events import AT_THE_DOOR, Take, Tell
from node.http.problems import problem
from node.http.sites import SHUTDOWN_S, room_for_connections
from node.ingest import MAX_WAITING_REQUESTS, RETRY_AFTER_S, IngestBusy


class Passing:
    """Passes connections on to the node, over a socket pair."""

    connections: Sequence[object] = ()

    def __init__(self, to_node: socket.socket) -> None:
        self._to_node = to_node

    def __call__(self) -> asyncio.Protocol:
        return _Passed(self._to_node)


class _Passed(asyncio.Protocol):
    """A connection on its way to the node."""

    def __init__(self, to_node: socket.socket) -> None:
        self._to_node = to_node
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """All that came so far; nothing more is read here."""
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        start = os.memfd_create("murmur")
        try:
            os.write(start, data)  # a file in memory takes all of it
            connection = transport.get_extra_info("socket").fileno()
            socket.send_fds(self._to_node, [b"\0"], [connection, start])
        except OSError:
            pass  # the node is gone, or does not keep up: the client is hung up on
        finally:
            os.close(start)
            transport.abort()  # of this process's hold on it alone, where it was passed


class Worker:
    """Forwards plain requests, and sends what the node answers."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self.is_finishing = asyncio.Event()
        self.channel = Channel(Answered, self._answered, self._lost)
        self._waiting: dict[int, Tell] = {}
        self._last = 0

    def takers(self) -> dict[str, Take]:
        return {path: self._taker(path) for path in AT_THE_DOOR}

    def _taker(self, path: str) -> Take:
        def take(request: Asked, body: bytes, tell: Tell) -> None:
            if self.channel.is_full or len(self._waiting) >= MAX_WAITING_REQUESTS:
                tell(problem(_busy()))
                return
            self._last += 1
            self._waiting[self._last] = tell
            target = request.target.encode("utf-8", "surrogateescape")
            self.channel.send(Forwarded(self._last, path, target, request.remote, list(request.raw_headers), body))

        return take  # type: ignore[return-value]  # the door's own requests are all that come here

    def _answered(self, answer: Answered) -> None:
        if answer.number == 0:
            self.is_finishing.set()
            return
        tell = self._waiting.pop(answer.number)
        if answer.headers is None:
            tell(answer.body)
        else:
            tell(web.Response(status=answer.status, headers=CIMultiDict(answer.headers), body=answer.body))

    def _lost(self) -> None:
        self.is_over.set()
        self.is_finishing.set()


async def serve(listening: int, channel: int, passing: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)  # the node is told, too, and says when
    worker = Worker()
    to_node = socket.socket(fileno=passing)
    to_node.setblocking(False)
    doors = Doors(loop, Passing(to_node), worker.takers(), max_connections=room_for_connections())
    await loop.create_connection(lambda: worker.channel, sock=socket.socket(fileno=channel))
    server = await loop.create_server(doors, sock=socket.socket(fileno=listening))
    await worker.is_finishing.wait()
    server.close()
    await doors.close(0 if worker.is_over.is_set() else SHUTDOWN_S)
    worker.channel.close()


def _busy() -> IngestBusy:
    return IngestBusy(
        what="The events were not taken",
        why="more events are waiting than may be held in memory",
        fix=f"Send them again after {RETRY_AFTER_S} s, same Idempotency-Key",
    )


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(*map(int, sys.argv[1:4])))
