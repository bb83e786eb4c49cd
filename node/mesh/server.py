"""POST /mesh/v1/{op}: bytes in, bytes out; everything else is the federation core's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from node.mesh.transport import MEDIA_TYPE

MAX_REQUEST_BYTES: Final = 1 << 20  # what any proxy's default lets through (notes on nginx: client_max_body_size)


def mesh_routes(receive: Callable[[str, bytes], Awaitable[tuple[int, bytes]]]) -> list[web.RouteDef]:
    """The mesh's one path.

    Args:
        receive: Takes the op named in the path and the body, returns HTTP status and body of the answer.
    """

    async def post(request: web.Request) -> web.Response:
        if request.content_length is not None and request.content_length > MAX_REQUEST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_REQUEST_BYTES, request.content_length)
        body = await request.content.read(MAX_REQUEST_BYTES + 1)
        while len(body) <= MAX_REQUEST_BYTES and not request.content.at_eof():
            body += await request.content.read(MAX_REQUEST_BYTES + 1 - len(body))
        if len(body) > MAX_REQUEST_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_REQUEST_BYTES, len(body))
        status, answer = await receive(request.match_info["op"], body)
        return web.Response(status=status, body=answer, headers={"Content-Type": MEDIA_TYPE})

    return [web.post("/mesh/v1/{op}", post)]
