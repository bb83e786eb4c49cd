"""The door: it answers as aiohttp would, waits for nobody, and holds no more than it may."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from node.cli.tail import _warning
from node.http import door as door_module
from node.http.events import EventsEndpoint
from node.http.health import health_routes
from node.http.problems import problem_middleware
from node.recent import Recent
from tests.unit.node.door_kit import DoorServer, PlainServer
from tests.unit.node.ingest_kit import Fixture, body, universal
from tests.unit.node.test_events import _Keys
from tests.unit.privacy.filter_kit import counting_rng

EVENT = body(universal())
HEAD = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mw_live\r\nContent-Type: application/json\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT


@dataclass
class Entrance:
    """A server and the ingest behind it."""

    node: Fixture
    server: DoorServer | PlainServer
    endpoint: EventsEndpoint
    recent: Recent

    @property
    def doors(self) -> Any:
        assert isinstance(self.server, DoorServer)
        return self.server.doors

    async def connect(self) -> Line:
        return Line(*await asyncio.open_connection(self.server.host, self.server.port))


class Line:
    """One connection, with the answers it got."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def is_cut(self) -> bool:
        """Nothing more comes, and the other side hung up."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def entrance(*, plain: bool = False, **limits: Any) -> AsyncIterator[Entrance]:
    async with Fixture() as node:
        recent = Recent()
        endpoint = EventsEndpoint(node.ingest, _Keys(), node.clock, counting_rng, recent=recent)
        app = web.Application(middlewares=[problem_middleware])
        app.add_routes([*endpoint.routes(), *health_routes(lambda: (True, {}))])
        server = PlainServer(app) if plain else DoorServer(app, endpoint.at_the_door(), **limits)
        async with server:
            yield Entrance(node, server, endpoint, recent)


def with_head(*lines: bytes, content: bytes = EVENT, first: bytes = b"POST /v1/events HTTP/1.1") -> bytes:
    known = [b"Host: x", b"Authorization: Bearer mw_live"]
    return b"\r\n".join([first, *known, *lines, b"", b""]) + content


LENGTH = b"Content-Length: %d" % len(EVENT)
ODD = {
    "health": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such path": b"POST /v1/eventsx HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "put": with_head(LENGTH, first=b"PUT /v1/events HTTP/1.1"),
    "query": with_head(LENGTH, first=b"POST /v1/events?x=1 HTTP/1.1"),
    "key in query": with_head(LENGTH, first=b"POST /v1/events?key=mw_live HTTP/1.1"),
    "fragment": with_head(LENGTH, first=b"POST /v1/events#x HTTP/1.1"),
    "escaped path": with_head(LENGTH, first=b"POST /v1/%65vents HTTP/1.1"),
    "old": with_head(LENGTH, first=b"POST /v1/events HTTP/1.0"),
    "no host": b"POST /v1/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "no length": with_head(content=b""),
    "chunked": with_head(b"Transfer-Encoding: chunked", content=b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)),
    "chunked and length": with_head(b"Transfer-Encoding: chunked", LENGTH, content=b"0\r\n\r\n"),
    "two lengths": with_head(LENGTH, LENGTH),
    "two unequal lengths": with_head(LENGTH, b"Content-Length: 3"),
    "signed length": with_head(b"Content-Length: +%d" % len(EVENT)),
    "spaced length": with_head(b"Content-Length:   %d  " % len(EVENT)),
    "spaced name": with_head(b"Content-Length : %d" % len(EVENT)),
    "small letters": with_head(b"content-length:%d" % len(EVENT)),
    "folded header": with_head(LENGTH, b"X-A: 1\r\n b"),
    "no colon": with_head(LENGTH, b"what"),
    "nul": with_head(LENGTH, b"X-A: \x00"),
    "bare line feed": REQUEST.replace(b"\r\n", b"\n", 3),
    "close": with_head(LENGTH, b"Connection: close"),
    "expect": with_head(LENGTH, b"Expect: 100-continue"),
    "upgrade": with_head(LENGTH, b"Connection: upgrade", b"Upgrade: websocket"),
    "long head": with_head(LENGTH, b"X-A: " + b"a" * 7000),
    "too long head": with_head(LENGTH, b"X-A: " + b"a" * 9000),
    "far too long head": with_head(LENGTH, b"X-A: " + b"a" * 40_000),
    "many headers": with_head(LENGTH, *(b"X-%d: 1" % n for n in range(200))),
    "no key": REQUEST.replace(b"mw_live", b"mw_dead"),
    "two keys": with_head(LENGTH, b"Authorization: Bearer mw_other"),
    "not ascii": with_head(LENGTH, b"X-A: \xe9\xff"),
    "gzip that is none": with_head(LENGTH, b"Content-Encoding: gzip"),
    "idempotency": with_head(LENGTH, b"Idempotency-Key: one"),
    "bad idempotency": with_head(LENGTH, b"Idempotency-Key: " + b"a" * 201),
    "browser": with_head(LENGTH, b"Origin: https://shop.example").replace(b"mw_live", b"mw_page"),
    "gpc": with_head(LENGTH, b"Sec-GPC: 1"),
    "segment": with_head(b"Content-Length: 2", content=b"{}", first=b"POST /v1/track HTTP/1.1"),
    "identify": with_head(b"Content-Length: 2", content=b"{}", first=b"POST /v1/identify HTTP/1.1"),
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "plain": REQUEST,
}  # fmt: skip


async def _told(request: bytes, *, plain: bool, step: int | None = None) -> tuple[int, str, bytes]:
    async with entrance(plain=plain) as at:
        line = await at.connect()
        for start in range(0, len(request), step or len(request)):
            line.writer.write(request[start : start + (step or len(request))])
            if step is not None:
                await asyncio.sleep(0)
        status, headers, content = await line.answer()
        if status == 100:  # pragma: no cover - asked for the body, which is there
            status, headers, content = await line.answer()
        line.close()
        return status, headers.get("content-type", "").partition(";")[0], re.sub(rb"\s+at [^\n]*", b"", content)


@pytest.mark.parametrize("name", [name for name in ODD if name not in ("expect", "upgrade")])
async def test_the_door_answers_as_aiohttp_does(name: str) -> None:
    """Whatever comes, whole or in pieces: one status and one body."""
    wanted = await _told(ODD[name], plain=True)
    assert await _told(ODD[name], plain=False) == wanted
    step = 7 if len(ODD[name]) < 2000 else 4096
    with suppress(ConnectionError):  # refused and hung up on while pieces still came
        assert await _told(ODD[name], plain=False, step=step) == wanted


async def test_every_path_that_takes_events_is_taken_at_the_door() -> None:
    async with Fixture() as node:
        endpoint = EventsEndpoint(node.ingest, _Keys(), node.clock, counting_rng)
        assert {route.path for route in endpoint.routes()} == endpoint.at_the_door().keys()


async def test_an_address_far_above_the_others_is_shown_to_the_operator() -> None:
    """By the key it used; the address is nowhere."""
    async with entrance() as at:
        typical = at.endpoint.limits._typical
        for _ in range(20):
            typical.add(2.0)  # twenty minutes of other addresses
        line = await at.connect()
        request = ODD["browser"]
        for _ in range(130):
            line.writer.write(request)
            await line.answer()
        line.close()
        assert at.recent.unusual() == [
            {"number": 1, "at_s": at.node.clock.now_ms() // 1000, "key": "page", "what": "address", "requests": 121}
        ]
        assert "an address with key page sends far more than it used to" in _warning(at.recent.unusual()[0])


async def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    async with entrance() as at:
        line = await at.connect()
        line.writer.write(ODD["expect"][: -len(EVENT)])
        assert b"100 Continue" in await asyncio.wait_for(line.reader.readuntil(b"\r\n\r\n"), 10)
        line.writer.write(EVENT)
        assert (await line.answer())[0] == 202
        line.close()


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    """Many events and another question in one write: answers in their order, and aiohttp takes over in the end."""
    async with entrance() as at:
        line = await at.connect()
        bad = HEAD + b"Content-Length: 1\r\n\r\n{"
        line.writer.write(
            REQUEST * 20 + bad * 50 + REQUEST * 20 + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST
        )
        statuses = [(await line.answer())[0] for _ in range(92)]
        assert statuses == [202] * 20 + [400] * 50 + [202] * 20 + [200, 202]
        line.close()
    assert len(at.node.vault.rows) == 41


async def test_nothing_is_read_while_a_request_is_at_work() -> None:
    """What a client sends ahead waits in the kernel, not here."""
    async with entrance() as at:
        at.node.vault.open.clear()
        line = await at.connect()
        line.writer.write(REQUEST)
        await asyncio.to_thread(at.node.vault.entered.wait, 10)
        line.writer.write(REQUEST * 20_000)
        await asyncio.sleep(0.2)
        (door,) = at.doors._open
        assert len(door._buffer) <= 512 << 10
        at.node.vault.open.set()
        assert [(await line.answer())[0] for _ in range(3)] == [202] * 3
        line.close()


@pytest.mark.parametrize(
    ("sent", "code"),
    [(HEAD, "head_timeout"), (b"P", "head_timeout"), (REQUEST[:-1], "body_timeout"),
     (REQUEST + REQUEST[:-9], "body_timeout")],
    ids=["half a head", "one byte", "half a body", "half a second request"],
)  # fmt: skip
async def test_who_sends_slowly_is_told_and_cut(sent: bytes, code: str) -> None:
    async with entrance(head_s=0.1, body_s=0.1) as at:
        line = await at.connect()
        line.writer.write(sent)
        status, headers, content = await line.answer()
        if status == 202:
            status, headers, content = await line.answer()
        assert (status, json.loads(content)["code"], headers["connection"]) == (408, code, "close")
        assert await line.is_cut()
        line.close()
    assert at.doors.partial_bytes == 0


@pytest.mark.parametrize("sent", [b"", REQUEST], ids=["nothing", "one request"])
async def test_who_is_idle_for_long_is_cut(sent: bytes) -> None:
    async with entrance(head_s=0.1, idle_s=0.1) as at:
        line = await at.connect()
        if sent:
            line.writer.write(sent)
            assert (await line.answer())[0] == 202
        assert await line.is_cut()
        line.close()


async def test_a_slow_disk_is_not_held_against_the_sender() -> None:
    async with entrance(head_s=0.1, body_s=0.1, idle_s=0.1) as at:
        at.node.vault.open.clear()
        line = await at.connect()
        line.writer.write(REQUEST)
        await asyncio.sleep(1)
        at.node.vault.open.set()
        assert (await line.answer())[0] == 202
        line.close()


async def test_unfinished_bodies_are_bounded_over_all_connections() -> None:
    async with entrance(max_partial_bytes=3 * len(REQUEST)) as at:
        lines = [await at.connect() for _ in range(4)]
        for line in lines:
            line.writer.write(REQUEST[:-1])
            await asyncio.sleep(0.05)
        status, headers, content = await lines[3].answer()
        assert (status, headers["retry-after"], json.loads(content)["code"]) == (503, "5", "ingest_busy")
        for line in lines[:3]:
            line.writer.write(REQUEST[-1:])
            assert (await line.answer())[0] == 202
        for line in lines:
            line.close()
        assert at.doors.partial_bytes == 0


async def test_a_newcomer_takes_the_place_of_who_never_asked() -> None:
    async with entrance(max_connections=3) as at:
        known = await at.connect()
        known.writer.write(REQUEST)
        assert (await known.answer())[0] == 202
        silent = [await at.connect() for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await at.connect()
        assert (await silent[0].answer())[0] == 503
        for line in (third, known):
            line.writer.write(REQUEST)
            assert (await line.answer())[0] == 202
        for line in (known, third, *silent):
            line.close()


async def test_when_all_places_are_taken_by_senders_a_newcomer_is_sent_away() -> None:
    async with entrance(max_connections=2) as at:
        lines = [await at.connect() for _ in range(2)]
        lines[1].writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # handed over, and still counted
        lines[0].writer.write(REQUEST)
        assert [(await line.answer())[0] for line in lines] == [202, 200]
        third = await at.connect()
        status, headers, _ = await third.answer()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
        for line in (*lines, third):
            line.close()


async def test_the_end_waits_for_requests_at_work() -> None:
    async with entrance() as at:
        at.node.vault.open.clear()
        line, idle = await at.connect(), await at.connect()
        line.writer.write(REQUEST)
        await asyncio.to_thread(at.node.vault.entered.wait, 10)
        closing = asyncio.ensure_future(at.doors.close(10))
        assert await idle.is_cut()
        assert not closing.done()
        at.node.vault.open.set()
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (202, "close")
        await closing
        line.close()
        idle.close()


async def test_who_does_not_read_its_answers_is_cut() -> None:
    """No more of its requests are taken up while answers pile up, and after a while it is cut."""
    async with entrance(body_s=0.2) as at:
        line = await at.connect()
        while not at.doors._open:
            await asyncio.sleep(0.01)
        (door,) = at.doors._open
        door.pause_writing()  # as the transport does when its buffer is full
        line.writer.write(REQUEST)
        await asyncio.sleep(0.1)
        assert at.node.vault.rows == []
        assert await line.is_cut()
        line.close()


async def test_who_reads_its_answers_again_goes_on() -> None:
    async with entrance() as at:
        line = await at.connect()
        while not at.doors._open:
            await asyncio.sleep(0.01)
        (door,) = at.doors._open
        door.pause_writing()
        line.writer.write(REQUEST * 2)
        await asyncio.sleep(0.1)
        door.resume_writing()
        assert [(await line.answer())[0] for _ in range(2)] == [202, 202]
        line.close()


def test_limits_are_what_the_docs_say() -> None:
    assert (door_module.HEAD_S, door_module.BODY_S, door_module.IDLE_S) == (15, 30, 180)
