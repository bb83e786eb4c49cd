"""GET /client.js and /client.d.ts: the script that pages load, the same for everybody, from any origin."""

from __future__ import annotations

import gzip
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

_KEPT_S = 3600


def client_routes() -> list[web.RouteDef]:
    return [
        web.get("/client.js", _handler("client.js", "text/javascript")),
        web.get("/client.d.ts", _handler("client.d.ts", "text/plain")),
    ]


def _handler(name: str, kind: str):  # type: ignore[no-untyped-def]  # a handler, as aiohttp takes it
    plain = files("node.client_js").joinpath(name).read_bytes()
    packed = gzip.compress(plain, 9, mtime=0)
    tag = f'"{sha256(plain).hexdigest()[:16]}"'
    headers = {
        "Cache-Control": f"public, max-age={_KEPT_S}",
        "ETag": tag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }

    async def serve(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(
                body=packed, content_type=kind, charset="utf-8", headers={**headers, "Content-Encoding": "gzip"}
            )
        return web.Response(body=plain, content_type=kind, charset="utf-8", headers=headers)

    return serve
