"""A reverse proxy in front of every node's mesh address, owned by the demo: it carries and keeps every byte.

Each node advertises the relay's port (`mesh.advertise`), so charter, log and peers know no other; what a node sends to
a peer passes here, both ways. The relay understands HTTP just enough to find the bodies, changes nothing, and judges
nothing: `wiretap` does, afterwards. Which link a body belongs to is read from its envelope, not from sockets.

One connection in, one connection out, in the same order; a thread of its own, so that the driver may wait. `alter` is
for tests that want to see a byte flipped in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_HEAD_BYTES: Final = 64 << 10
_CHUNK: Final = b"transfer-encoding: chunked"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that reached the relay on its way to a node, and the answer, if one came back.

    Attributes:
        to: Index of the node whose port was called.
        path: Of the request.
        request: Its body.
        response: The answer's body; None where the node could not be reached.
    """

    to: int
    path: str
    request: bytes
    response: bytes | None

    @property
    def size(self) -> int:
        return len(self.request) + len(self.response or b"")


class Relay:
    """Listens on one port per node and forwards to that node."""

    def __init__(
        self,
        listen_ports: Sequence[int],
        node_ports: Sequence[int],
        host: str = "127.0.0.1",
        alter: Callable[[int, str, bytes], bytes] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            listen_ports: The relay's port of each node.
            node_ports: The node's own port, in the same order.
            host: Loopback address of all of them.
            alter: Given (node index, path, request body), returns the body to pass on; for tests only.
        """
        self._listen_ports = list(listen_ports)
        self._node_ports = list(node_ports)
        self._host = host
        self._alter = alter
        self._exchanges: list[Exchange] = []
        self._open = 0  # requests taken and not yet answered
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="demo-relay", daemon=True)

    def start(self) -> None:
        """Open every port, then serve from the relay's own thread.

        Raises:
            OSError: a port is taken; none stays open then.
        """
        try:
            for index, port in enumerate(self._listen_ports):
                serve = asyncio.start_server(self._handler(index), self._host, port, limit=MAX_HEAD_BYTES)
                self._servers.append(self._loop.run_until_complete(serve))
        except OSError:
            for server in self._servers:
                server.close()
            self._loop.close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """Close ports and connections."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    @property
    def is_quiet(self) -> bool:
        """No request is between being taken and being answered."""
        return self._open == 0

    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything carried so far, in the order in which it ended."""
        return tuple(self._exchanges)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for server in self._servers:
                server.close()
            for task in self._tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
            self._loop.close()

    def _handler(self, index: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._serve(index, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept

    async def _serve(self, index: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry requests of one connection until either side ends it."""
        onward: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (request := await _read_message(reader)) is not None:
                self._open += 1
                try:
                    head, body = request
                    path = head.split(b" ", 2)[1].decode("ascii", "replace")
                    sent = body if self._alter is None else self._alter(index, path, body)
                    answer = None
                    with contextlib.suppress(OSError, EOFError, ValueError):
                        if onward is None:
                            onward = await asyncio.open_connection(self._host, self._node_ports[index])
                        onward[1].write(head + sent)
                        answer = await _read_message(onward[0])
                    self._exchanges.append(Exchange(index, path, body, None if answer is None else answer[1]))
                    if answer is None:
                        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        return
                    writer.write(answer[0] + answer[1])
                finally:
                    self._open -= 1
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # one side hung up; the other is told below
        finally:
            for closing in (writer, *((onward[1],) if onward else ())):
                closing.close()


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """(head with its blank line, body) of the next HTTP message; None where the connection ended before one.

    Raises:
        ValueError: a message whose body has no stated length; the mesh has none.
        EOFError: the connection ended inside one.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    except asyncio.LimitOverrunError as error:
        raise ValueError("the head of a message is too long") from error
    lower = head.lower()
    if _CHUNK in lower:
        raise ValueError("a body without a stated length")
    start = lower.find(b"\r\ncontent-length:")
    if start < 0:
        return head, b""
    length = int(lower[start + 17 : lower.index(b"\r\n", start + 2)])
    return head, await reader.readexactly(length)
