"""A test server whose connections come in through the door, as those of a node do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from node.http.door import Doors
from node.http.events import Take


class PlainServer(TestServer):
    """aiohttp alone; who takes gzip inflates it."""

    async def start_server(self, loop: asyncio.AbstractEventLoop | None = None, **settings: Any) -> None:
        await super().start_server(auto_decompress=False, **settings)


class DoorServer(TestServer):
    """As `Sites` listens. `doors` are there once it has started."""

    doors: Doors

    def __init__(self, app: web.Application, takers: Mapping[str, Take], **limits: Any) -> None:
        super().__init__(app)
        self._takers, self._limits = takers, limits

    async def start_server(self, loop: asyncio.AbstractEventLoop | None = None, **settings: Any) -> None:
        self.runner = web.AppRunner(self.app, access_log=None, auto_decompress=False)
        await self.runner.setup()
        assert self.runner.server is not None
        loop = asyncio.get_running_loop()
        self.doors = Doors(loop, self.runner.server, self._takers, **self._limits)
        self._listening = await loop.create_server(self.doors, "127.0.0.1", 0)
        self.host, self.port = self._listening.sockets[0].getsockname()[:2]
        self._root = URL(f"http://{self.host}:{self.port}")

    async def close(self) -> None:
        if not self.closed:
            self._listening.close()
            await self.doors.close(1)
        await super().close()
