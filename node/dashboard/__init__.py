"""The Overview page: static files of this folder, served by the node itself.

- No build step, no CDN, no inline script or style, no cookie. The page is a few ES modules that read the REST
  API of the same node, so it can show nothing that the API does not give.
- The files are read once, at start, and served from memory with an entity tag.
- Serve the page on the address of the query routes: its policy lets it talk to its own origin only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).parent / "static"
PAGE: Final = "overview.html"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the page, in memory."""

    body: bytes
    content_type: str
    tag: str


def load_files(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """Every file of the page by name; reads the disk once."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _TYPES:
            body = path.read_bytes()
            files[path.name] = StaticFile(body, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return files


class Dashboard:
    """The handlers of the page."""

    def __init__(self) -> None:
        self._files = load_files()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.page), web.get("/static/{name}", self.static)]

    async def page(self, request: web.Request) -> web.Response:
        return _served(request, self._files[PAGE])

    async def static(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])  # by name in memory: no path is ever built
        if found is None or found.content_type == "text/html":
            raise web.HTTPNotFound
        return _served(request, found)


def _served(request: web.Request, file: StaticFile) -> web.Response:
    headers = {**_HEADERS, "ETag": file.tag}
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)
