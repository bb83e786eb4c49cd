"""Mesh requests over TLS: a pinned key passes whatever its certificate says, another key never does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from node.errors import ConfigError, TransportError
from node.mesh.tls import pin_of_file, self_signed, server_context
from node.mesh.transport import MEDIA_TYPE, MeshTransport


async def _served(folder: Path, pin: bytes | None) -> bytes:
    async def post(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), headers={"Content-Type": MEDIA_TYPE})

    app = web.Application()
    app.router.add_post("/mesh/v1/hello", post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(*self_signed(folder, "amber")))
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # aiohttp tells it nowhere else
    transport = MeshTransport(lambda: True)
    try:
        return await transport.post(f"https://127.0.0.1:{port}", "hello", b"word", pin)
    finally:
        await transport.close()
        await runner.cleanup()


@pytest.mark.requirement("M-END-5")
def test_a_pinned_key_needs_no_authority(tmp_path: Path) -> None:
    """The pin is of the key: the certificate is self-signed, of another name."""
    pin = pin_of_file(self_signed(tmp_path, "amber")[0])
    assert asyncio.run(_served(tmp_path, pin)) == b"word"


@pytest.mark.requirement("M-END-5")
@pytest.mark.parametrize("pin", [None, bytes(32)], ids=["no pin", "another pin"])
def test_another_key_is_refused_before_anything_is_sent(tmp_path: Path, pin: bytes | None) -> None:
    with pytest.raises(TransportError):
        asyncio.run(_served(tmp_path, pin))


def test_the_key_stays_when_the_node_starts_again(tmp_path: Path) -> None:
    first = pin_of_file(self_signed(tmp_path, "amber")[0])
    assert pin_of_file(self_signed(tmp_path, "amber")[0]) == first
    assert (tmp_path / "tls.key").stat().st_mode & 0o077 == 0


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one, other = self_signed(tmp_path / "one", "amber"), self_signed(tmp_path / "other", "birch")
    with pytest.raises(ConfigError):
        server_context(one[0], other[1])
