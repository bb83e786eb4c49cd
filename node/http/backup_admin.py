"""The backup's part of the operator plane: a copy of the node's state, streamed to whoever may open the socket.

What is streamed is not sealed: the command that asked seals it with a passphrase that this process never sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from node.backup_content import BackupMaker, read_parts


def backup_routes(
    maker: BackupMaker, now_s: Callable[[], int], position: Callable[[], list[int]]
) -> list[web.RouteDef]:
    """The one route; on the socket only.

    Args:
        now_s: Unix seconds.
        position: (generation, seq) of the own log, for the manifest.
    """

    async def backup(request: web.Request) -> web.StreamResponse:
        made = maker.made(made_at=now_s(), position=position())
        path = await asyncio.to_thread(made.__enter__)
        try:
            response = web.StreamResponse(headers={"Content-Length": str(path.stat().st_size)})
            response.content_type = "application/gzip"
            await response.prepare(request)
            for part in read_parts(path):
                await response.write(part)
            await response.write_eof()
            return response
        finally:
            await asyncio.to_thread(made.__exit__, None, None, None)

    return [web.post("/v1/admin/backup", backup)]
