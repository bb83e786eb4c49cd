"""`/healthz`: the process answers. `/readyz`: it does all its work, or says what it does not. No counts in either."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web


def health_routes(is_ready: Callable[[], tuple[bool, Mapping[str, str]]]) -> list[web.RouteDef]:
    """The two paths. `is_ready` gives the verdict and a word per part."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(body=b'{"status":"ok"}', content_type="application/json")

    async def readyz(_request: web.Request) -> web.Response:
        ready, parts = is_ready()
        body = msgspec.json.encode({"status": "ready" if ready else "not_ready", "parts": parts})
        return web.Response(status=200 if ready else 503, body=body, content_type="application/json")

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
