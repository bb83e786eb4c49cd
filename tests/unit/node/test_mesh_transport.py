"""The wire under the mesh: which addresses are connected to, and what is taken for an answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from aiohttp import ClientSession, web
from aiohttp.abc import ResolveResult

from node.errors import TransportError
from node.mesh.resolver import GuardedResolver
from node.mesh.server import MAX_REQUEST_BYTES, mesh_routes
from node.mesh.transport import MEDIA_TYPE, MeshTransport
from protocol.endpoints import is_private_address

PRIVATE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.255", "192.0.0.9", "192.0.2.1",
    "192.168.0.1", "198.19.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "255.255.255.255", "::", "::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::a00:1", "fd00::1", "fe80::1", "fe80::1%2", "ff02::1",
    "2001:db8::1", "2001:0:1::1", "2002:a00:1::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "192.0.1.1", "172.32.0.1", "::ffff:8.8.8.8", "2001:4860:4860::8888", "2a00::1"]


class Names:
    """A resolver that answers with these addresses."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    async def resolve(self, name: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        return [
            {"hostname": name, "host": host, "port": port, "family": family, "proto": 0, "flags": 0}
            for host in self.hosts
        ]


@pytest.mark.requirement("M-END-4")
@pytest.mark.parametrize("host", PRIVATE + PUBLIC)
def test_an_address_is_private_by_the_specifications_lists(host: str) -> None:
    """One list for what a charter may name and what a name may lead to, whatever Python calls global."""
    assert is_private_address(host) == (host in PRIVATE)


@pytest.mark.requirement("M-END-4", "T-NET-6")
def test_a_name_that_leads_to_private_addresses_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only public answers are given to the connector; none is left: refused. With `allow_private` all are."""

    async def found(*, allowed: bool, hosts: list[str]) -> list[str]:
        resolver = GuardedResolver(lambda: allowed)
        monkeypatch.setattr(resolver, "_inner", Names(*hosts))
        return [result["host"] for result in await resolver.resolve("node.example", 443)]

    assert asyncio.run(found(allowed=False, hosts=["10.0.0.1", "8.8.8.8"])) == ["8.8.8.8"]
    assert asyncio.run(found(allowed=True, hosts=["10.0.0.1"])) == ["10.0.0.1"]
    with pytest.raises(OSError, match="private"):
        asyncio.run(found(allowed=False, hosts=["10.0.0.1", "::1"]))


@pytest.mark.requirement("M-END-2", "M-END-4")
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://10.0.0.1", False),
        ("http://127.0.0.1:1", False),
        ("http://8.8.8.8", True),
        ("http://node.example", True),
    ],
)
def test_what_may_not_be_called_is_refused_before_connecting(url: str, allowed: bool) -> None:
    async def ask() -> None:
        transport = MeshTransport(lambda: allowed)
        try:
            await transport.post(url, "hello", b"", None)
        finally:
            await transport.close()

    with pytest.raises(TransportError, match=r"private|loopback"):
        asyncio.run(ask())


async def _elsewhere(request: web.Request) -> web.Response:
    return web.Response(body=b"of another", headers={"Content-Type": MEDIA_TYPE})


async def _asked(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> bytes:
    """What the transport makes of a server's answer."""
    app = web.Application()
    app.router.add_post("/mesh/v1/hello", handler)
    app.router.add_post("/elsewhere", _elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # aiohttp tells it nowhere else
    transport = MeshTransport(lambda: True)
    try:
        return await transport.post(f"http://127.0.0.1:{port}", "hello", b"word", None)
    finally:
        await transport.close()
        await runner.cleanup()


@pytest.mark.requirement("M-MSG-1", "M-MSG-3")
def test_an_answer_is_taken_whatever_its_http_status() -> None:
    """The signed bytes say what it is."""

    async def post(request: web.Request) -> web.Response:
        return web.Response(status=418, body=b"signed", headers={"Content-Type": MEDIA_TYPE})

    assert asyncio.run(_asked(post)) == b"signed"


@pytest.mark.requirement("M-MSG-3")
def test_a_redirect_is_not_followed() -> None:
    """Nor is what else a proxy says taken for an answer."""

    async def post(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="bad gateway", status=502)

    for handler in (post, page):
        with pytest.raises(TransportError, match="without a mesh answer"):
            asyncio.run(_asked(handler))


@pytest.mark.requirement("M-MSG-26")
def test_an_answer_without_end_is_given_up() -> None:
    """No more of it is read than an answer may have."""
    sent = 0

    async def post(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
        await response.prepare(request)
        with suppress(ConnectionError):
            while sent < 64 << 20:
                await response.write(bytes(1 << 18))
                sent += 1 << 18
        return response

    with pytest.raises(TransportError, match="too large"):
        asyncio.run(_asked(post))
    assert sent < 32 << 20


@pytest.mark.requirement("M-MSG-2", "T-STR-2")
def test_a_request_above_a_mebibyte_is_refused_unread() -> None:
    """By its stated length, and by its bytes when it states none."""
    seen: list[int] = []

    async def receive(op: str, body: bytes) -> tuple[int, bytes]:
        seen.append(len(body))
        return 200, b""

    async def ask() -> list[int]:
        app = web.Application(client_max_size=0)
        app.add_routes(mesh_routes(receive))
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # aiohttp tells it nowhere else
        found = []
        async with ClientSession() as session:
            for body in (bytes(MAX_REQUEST_BYTES), bytes(MAX_REQUEST_BYTES + 1), _chunks(MAX_REQUEST_BYTES + 1)):
                async with session.post(f"http://127.0.0.1:{port}/mesh/v1/hello", data=body) as response:
                    found.append(response.status)
        await runner.cleanup()
        return found

    assert asyncio.run(ask()) == [200, 413, 413]
    assert seen == [MAX_REQUEST_BYTES]


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 1 << 16):
        yield bytes(min(1 << 16, size - start))
