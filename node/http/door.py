"""The door: the first to see what a connection sends, on every listener of the node.

It waits until a request's head is whole. A plain POST to one of the few paths that take events is answered right here,
once its body is whole, too, without a task, a router or a stream: that is most of what a node does. Any other request
is handed over to aiohttp with every byte that came, and the connection with it, for good.

Rules:
- The door decides nothing about a request that aiohttp would decide otherwise. It only finds out whether all of it is
  there; then aiohttp's own parser reads it, and what that does not take as one plain request goes to aiohttp.
- Who sends slowly holds a socket and the bytes sent, never a task: a head has `HEAD_S`, a body `BODY_S`, a client that
  does not read its answers `BODY_S`. Then it is told so (408) and cut.
- Bytes that wait for the rest of their requests are counted over all connections and bounded; beyond that the sender is
  asked to come back (503). So are connections: beyond the bound, the one that has been longest without a whole
  head makes room.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from math import inf
from typing import Final, Protocol, cast

import structlog
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy
from yarl import URL

from node.errors import NodeError, RejectedInput
from node.http.events import Take
from node.http.forms.body import MAX_BODY_BYTES
from node.http.problems import problem

log = structlog.get_logger()

HEAD_S: Final = 15.0  # from the connection, or the first byte of a later request, to the end of the head
BODY_S: Final = 30.0  # from there to the end of the body
IDLE_S: Final = 180.0  # between two requests; longer than proxies keep a connection, so that they hang up first
SWEEP_S: Final = 0.5
MAX_HEAD_BYTES: Final = 16 << 10  # a longer one goes to aiohttp, which has its own limits
MAX_PARTIAL_BYTES: Final = 64 << 20  # of requests that are not whole yet, over all connections
MAX_CONNECTIONS: Final = 16_384
MAX_AT_ONCE: Final = 32  # requests sent ahead on one connection that are answered in one turn of the loop
RETRY_AFTER_S: Final = 5

_HEAD_END: Final = b"\r\n\r\n"
_PARSER_BYTES: Final = 4 << 20  # more than any request: the parser's stream never asks to pause
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,7})[ \t]*\r\n", re.IGNORECASE)
_NOT_PLAIN: Final = re.compile(rb"\r\n(?:expect|transfer-encoding|upgrade)[ \t]*:", re.IGNORECASE)


RawHeaders = Sequence[tuple[bytes, bytes]]


class TooSlow(RejectedInput):
    """A request that did not arrive in time."""

    status = 408


class TooManySenders(NodeError):
    """The node holds as many connections or unfinished requests as it may; the sender may try again."""

    code = "ingest_busy"
    status = 503
    retry_after_s = RETRY_AFTER_S


class Asked:
    """A request at the door: what `node.http.events` looks at."""

    __slots__ = ("headers", "query_string", "raw_headers", "remote", "target")

    def __init__(
        self, target: str, headers: CIMultiDictProxy[str], remote: str | None, raw_headers: RawHeaders = ()
    ) -> None:
        self.target, self.headers, self.remote, self.raw_headers = target, headers, remote, raw_headers
        self.query_string = target.partition("?")[2]

    @property
    def query(self) -> Mapping[str, str]:
        return URL(self.target, encoded=True).query


class Others(Protocol):
    """Who takes the connections that are handed over; aiohttp's server does."""

    @property
    def connections(self) -> Sequence[object]: ...
    def __call__(self) -> asyncio.Protocol: ...


class Doors:
    """All connections of one listener. Used from the event loop's thread only.

    Args:
        loop: The running loop.
        others: Takes the connections that are handed over.
        takers: For each path, what answers a plain POST to it.
        max_connections: How many there may be at once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        others: Others,
        takers: Mapping[str, Take],
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_partial_bytes: int = MAX_PARTIAL_BYTES,
        head_s: float = HEAD_S,
        body_s: float = BODY_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.takers = takers
        self.starts = tuple(f"POST {path}{end}".encode() for path in takers for end in (" HTTP/1.1\r\n", "?"))
        self.head_s, self.body_s, self.idle_s = head_s, body_s, idle_s
        self.partial_bytes = 0
        self._loop, self._others = loop, others
        self._max_connections, self._max_partial_bytes = max_connections, max_partial_bytes
        self._open: dict[Door, None] = {}  # every one that was not handed over; oldest first
        self._strangers: dict[Door, None] = {}  # those of them that never sent a whole head; oldest first
        self._handed_over = 0
        self._is_closing = False
        self._parser = self._fresh_parser()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep)

    def __call__(self) -> Door:
        return Door(self)

    @property
    def now_s(self) -> float:
        return self._loop.time()

    def enter(self, door: Door) -> bool:
        """Let a new connection in; false where there is no room for it."""
        if self._is_closing:
            return False
        if len(self._open) + self._handed_over >= self._max_connections:
            if not self._strangers:
                return False
            next(iter(self._strangers)).turn_away(_busy())
        self._open[door] = None
        self._strangers[door] = None
        return True

    def later(self, call: Callable[[], None]) -> None:
        self._loop.call_soon(call)

    def greet(self, door: Door) -> None:
        """It has sent a whole head."""
        self._strangers.pop(door, None)

    def leave(self, door: Door) -> None:
        self._open.pop(door, None)
        self._strangers.pop(door, None)

    def hand_over(self, door: Door) -> asyncio.Protocol:
        """From now on the connection is aiohttp's, whose protocol for it this returns."""
        self.leave(door)
        self._handed_over += 1
        return self._others()

    def hold(self, size: int) -> bool:
        """Count bytes that wait for the rest of their request; false where they are too many."""
        if self.partial_bytes + size > self._max_partial_bytes:
            return False
        self.partial_bytes += size
        return True

    def whole(self, data: bytes) -> tuple[Take, RawRequestMessage, bytes] | None:
        """What these bytes are, where they are one whole plain request for one of the paths; else None."""
        end = data.find(_HEAD_END)
        if end < 0 or self.length_of(data[: end + len(_HEAD_END)], len(data)) != len(data):
            return None
        found = self.parse(data)
        taker = None if found is None else self.taker_of(found[0])
        return None if found is None or taker is None else (taker, *found)

    def length_of(self, head: bytes, arrived: int) -> int | None:
        """How many bytes the request with this head has; None where it goes to aiohttp. `arrived`: how many came."""
        if not head.startswith(self.starts):
            return None
        length = _LENGTH.search(head)
        if length is None or int(length[1]) > MAX_BODY_BYTES:
            return None
        need = len(head) + int(length[1])
        return None if arrived < need and _NOT_PLAIN.search(head) is not None else need

    def taker_of(self, message: RawRequestMessage) -> Take | None:
        return self.takers.get(message.path.partition("?")[0]) if message.method == "POST" else None

    def parse(self, request: bytes) -> tuple[RawRequestMessage, bytes] | None:
        """The one plain request of these bytes and its body; None where they are anything else."""
        messages: Sequence[tuple[RawRequestMessage, StreamReader]] = ()
        is_upgraded, rest = False, b""
        with suppress(HttpProcessingError):
            messages, is_upgraded, rest = self._parser.feed_data(request)
        if len(messages) == 1 and not is_upgraded and not rest:
            message, payload = messages[0]
            if payload.is_eof() and not message.chunked and not message.upgrade and message.version == HttpVersion11:
                return message, payload.read_nowait(-1)
        self._parser = self._fresh_parser()  # it may stand in the middle of something
        return None

    async def close(self, timeout_s: float) -> None:
        """Let nobody in, hang up on who is idle, and give the requests at work so long for their answers."""
        self._is_closing = True
        self._sweeping.cancel()
        for door in list(self._open):
            door.finish()
        end_s = self.now_s + timeout_s
        while self._open and self.now_s < end_s:
            await asyncio.sleep(0.02)
        for door in list(self._open):
            door.abort()

    def _sweep(self) -> None:
        """Cut those whose time is over."""
        now_s = self.now_s
        self._handed_over = len(self._others.connections)
        late = [door for door in self._open if door.deadline_s < now_s]
        for door in late[:1000]:  # the rest in the next turn: the loop has other work
            door.is_late()
        self._sweeping = self._loop.call_later(0.01 if len(late) > 1000 else SWEEP_S, self._sweep)

    def _fresh_parser(self) -> HttpRequestParser:
        return HttpRequestParser(BaseProtocol(self._loop), self._loop, _PARSER_BYTES, auto_decompress=False)


class Door(asyncio.Protocol):
    """One connection, until it is handed over or lost."""

    __slots__ = (
        "_buffer",
        "_doors",
        "_held",
        "_is_choked",
        "_is_last",
        "_is_paused",
        "_is_pumping",
        "_is_working",
        "_need",
        "_remote",
        "_scanned",
        "_transport",
        "deadline_s",
    )

    def __init__(self, doors: Doors) -> None:
        self.deadline_s = inf
        self._doors = doors
        self._transport: asyncio.Transport | None = None
        self._remote: str | None = None
        self._buffer = bytearray()  # what came and was not taken
        self._held = 0  # of it, counted among the partial bytes
        self._need = 0  # bytes of the request at its front; 0 while its head is not whole
        self._scanned = 0  # so far there is no end of a head
        self._is_working = False  # a request waits for its answer
        self._is_paused = False  # reading, while a request is at work
        self._is_pumping = False
        self._is_last = False  # hang up after the next answer
        self._is_choked = False  # the client does not read its answers

    # -- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._remote = str(peer[0]) if isinstance(peer, tuple) and peer else None
        self.deadline_s = self._doors.now_s + self._doors.head_s
        if not self._doors.enter(self):
            self.turn_away(_busy())

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._release()
        self._buffer.clear()
        self._doors.leave(self)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._is_last:
            return
        if self._is_working or self._is_choked or self._buffer:
            self._buffer += data
            if self._is_working or self._is_choked:  # what is sent ahead waits in the kernel
                if not self._is_paused:
                    self._is_paused = True
                    self._transport.pause_reading()
                return
            self._pump()
        elif (request := self._doors.whole(data)) is not None:
            self._serve(*request)
        else:
            self.deadline_s = min(self.deadline_s, self._doors.now_s + self._doors.head_s)
            self._buffer += data
            self._pump()

    def eof_received(self) -> bool:
        """It will send nothing more; keep the connection only for the answer to a request at work."""
        self._is_last = True
        return self._is_working

    def pause_writing(self) -> None:
        self._is_choked = True
        self.deadline_s = self._doors.now_s + self._doors.body_s

    def resume_writing(self) -> None:
        self._is_choked = False
        if not self._is_working:
            self._rest()

    # -- what the doors ask

    def is_late(self) -> None:
        """Its time is over."""
        if self._is_choked or not self._buffer:
            self.abort()
        elif self._need:
            self.turn_away(_too_slow("body", self._doors.body_s))
        else:
            self.turn_away(_too_slow("head", self._doors.head_s))

    def turn_away(self, refusal: NodeError) -> None:
        """Say why, and hang up."""
        self._is_last = True
        self._release()
        self._doors.leave(self)
        self._write(problem(refusal))

    def finish(self) -> None:
        """The node stops: hang up, after the answer that is due if there is one."""
        self._is_last = True
        if not self._is_working and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- requests

    def _pump(self) -> None:
        """Take what can be taken from the buffer."""
        self._is_pumping = True
        try:
            for _ in range(MAX_AT_ONCE):
                if not self._buffer or self._is_working or self._is_choked or self._transport is None:
                    return
                if not self._take_first():
                    return
        finally:
            self._is_pumping = False
        self._doors.later(self._pump)

    def _take_first(self) -> bool:
        """Take the request at the front of the buffer; false where it is not whole, or was handed over."""
        if not self._need and not self._measure():
            return False
        if len(self._buffer) < self._need:
            self._hold()
            return False
        request = bytes(memoryview(self._buffer)[: self._need])
        found = self._doors.parse(request)
        taker = None if found is None else self._doors.taker_of(found[0])
        if found is None or taker is None:
            self._hand_over()
            return False
        del self._buffer[: self._need]
        self._need = self._scanned = 0
        self._release()
        self._serve(taker, *found)
        return True

    def _measure(self) -> bool:
        """Find out how long the request at the front is; false where that cannot be told, yet or ever."""
        end = self._buffer.find(_HEAD_END, self._scanned)
        if end < 0 and len(self._buffer) <= MAX_HEAD_BYTES:
            self._scanned = max(0, len(self._buffer) - len(_HEAD_END) + 1)
            self._hold()
            return False
        self._doors.greet(self)
        need = self._doors.length_of(bytes(memoryview(self._buffer)[: max(0, end) + len(_HEAD_END)]), len(self._buffer))
        if need is None:
            self._hand_over()
            return False
        self._need = need
        self.deadline_s = self._doors.now_s + self._doors.body_s
        return True

    def _hold(self) -> None:
        """What waits here for its rest is counted."""
        more = len(self._buffer) - self._held
        if self._doors.hold(more):
            self._held += more
        else:
            self.turn_away(_busy())

    def _release(self) -> None:
        self._doors.partial_bytes -= self._held
        self._held = 0

    def _serve(self, take: Take, message: RawRequestMessage, body: bytes) -> None:
        self._doors.greet(self)
        self._is_working = True
        self._is_last = self._is_last or message.should_close
        self.deadline_s = inf
        take(Asked(message.path, message.headers, self._remote, message.raw_headers), body, self._answer)

    def _answer(self, answer: web.Response | bytes) -> None:
        """Send the answer, then look at what came meanwhile. Called once a request."""
        self._is_working = False
        self._write(answer)
        if self._transport is None or self._is_last:
            return
        self._rest()

    def _rest(self) -> None:
        """Nothing is at work: wait for the next request, or take it up."""
        if not self._is_choked:
            self.deadline_s = self._doors.now_s + self._doors.idle_s
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        if self._buffer and not self._is_pumping:
            self.deadline_s = self._doors.now_s + self._doors.head_s
            self._pump()

    def _write(self, answer: web.Response | bytes) -> None:
        if self._transport is None:
            return
        whole = _whole(answer, self._is_last) if isinstance(answer, web.Response) else _accepted(answer, self._is_last)
        self._transport.write(whole)
        if self._is_last:
            self._transport.close()

    def _hand_over(self) -> None:
        transport, rest = self._transport, bytes(self._buffer)
        if transport is None:
            return
        self._release()
        self._buffer.clear()
        handler = self._doors.hand_over(self)
        self._transport = None
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(rest)


def _accepted(body: bytes, is_last: bool) -> bytes:
    return b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (
        len(body),
        rfc822_formatted_time().encode(),
        b"Connection: close\r\n" if is_last else b"",
        body,
    )


def _whole(response: web.Response, is_last: bool) -> bytes:
    """The response as bytes."""
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name not in ("Content-Length", "Date")]
    lines += [f"Content-Length: {len(body)}", f"Date: {rfc822_formatted_time()}"]
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _busy() -> TooManySenders:
    return TooManySenders(
        what="The request is refused",
        why="the node holds as many unfinished requests as it may",
        fix=f"Send it again after {RETRY_AFTER_S} s, whole, with the same Idempotency-Key or event ids",
    )


def _too_slow(part: str, limit_s: float) -> TooSlow:
    return TooSlow(
        code=f"{part}_timeout",
        what="The request is refused",
        why=f"its {part} did not arrive within {limit_s:g} s",
        fix="Send smaller batches, or check the connection",
    )
