"""GET /mesh/v1/invite/{code}: what an invited candidate learns before it asks to join.

A code is a hint, not a right: whoever has one learns which federation answers here, and may ask. Guessing is bounded.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from node.clock import Clock
from node.governing import Governing

MOST_WRONG: Final = 20  # codes that lead nowhere, an hour; each has one chance in 10⁷ for a single invitation
_HOUR_MS: Final = 3_600_000


def invite_routes(governing: Governing, clock: Clock) -> list[web.RouteDef]:
    """The one route, on the mesh's listener."""
    wrong: list[int] = []

    async def invite(request: web.Request) -> web.Response:
        now_ms = clock.now_ms()
        wrong[:] = [at for at in wrong if now_ms - at < _HOUR_MS]
        if len(wrong) >= MOST_WRONG:
            raise web.HTTPTooManyRequests
        if not governing.is_invited(request.match_info["code"]):
            wrong.append(now_ms)
            raise web.HTTPNotFound
        body = msgspec.json.encode({"schema": "murmur.invite/1", **governing.invitation()})
        return web.Response(body=body, content_type="application/json")

    return [web.get("/mesh/v1/invite/{code}", invite)]
