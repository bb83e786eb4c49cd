"""The dashboard: static files of this folder, served by the node itself.

- No build step, no CDN, no inline script or style, no cookie. The pages are ES modules that read the REST API of the
  same node, so they can show nothing that the API does not give.
- Every page is one frame (`shell.html`) with its own title; its module is `pages/NAME.js`.
- The files are read once, at start, packed once, and served from memory with an entity tag.
- Serve the pages on the address of the query routes: their policy lets them talk to their own origin only.
"""

from __future__ import annotations

import gzip
import hashlib
import html
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).parent / "static"
SHELL: Final = "shell.html"

PAGES: Final[dict[str, str]] = {
    "/": "Overview",
    "/explore": "Explore",
    "/map": "Map",
    "/platforms": "Platforms",
    "/journeys": "Journeys",
    "/rhythm": "Rhythm",
    "/mesh": "Mesh",
    "/budget": "Budget",
    "/releases": "Releases",
}
PUBLIC_PAGES: Final[dict[str, str]] = {"/privacy": "Privacy"}
OPERATOR_PAGES: Final[dict[str, str]] = {"/ingest": "Ingest", "/admin": "Admin"}
STATIC: Final = "/static/"
_SHARED: Final = (
    "access",
    "api",
    "dom",
    "format",
    "live",
    "narrow",
    "panel",
    "peers",
    "state",
    "table",
    "take",
)  # by every page

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
    ".json": "application/json",
    ".txt": "text/plain",
}
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the dashboard, in memory, as it is and packed."""

    body: bytes
    packed: bytes
    content_type: str
    tag: str


def load_files(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """Every file of the dashboard by its path in the folder; reads the disk once."""
    return {
        path.relative_to(folder).as_posix(): _file(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }


class Dashboard:
    """The handlers of the pages: all where questions are answered, the public ones and the operator's elsewhere."""

    def __init__(self) -> None:
        self._files = load_files()
        frame = self._files[SHELL].body.decode()
        self._pages = {path: _page(frame, path, title, "") for path, title in {**PAGES, **PUBLIC_PAGES}.items()}
        self._operator_pages = {
            path: _page(frame, path, title, "operator") for path, title in {**PAGES, **OPERATOR_PAGES}.items()
        }

    def routes(self) -> list[web.RouteDef]:
        """Every page but the public ones, and the files of all."""
        return [*(web.get(path, self.page) for path in PAGES), *self.file_routes()]

    def public_routes(self) -> list[web.RouteDef]:
        """The pages that anybody may read, without their files."""
        return [web.get(path, self.page) for path in PUBLIC_PAGES]

    def operator_routes(self) -> list[web.RouteDef]:
        """Every page and the operator's own, with their files, for the admin port. They hold no figure themselves."""
        return [*(web.get(path, self.operator_page) for path in self._operator_pages), *self.file_routes()]

    def file_routes(self) -> list[web.RouteDef]:
        return [web.get("/static/{name:.+}", self.static)]

    async def operator_page(self, request: web.Request) -> web.Response:
        return _served(request, self._operator_pages[request.path])

    async def page(self, request: web.Request) -> web.Response:
        return _served(request, self._pages[request.path])

    async def static(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])  # by name in memory: no path is ever built
        if found is None or found.content_type == "text/html":
            raise web.HTTPNotFound
        return _served(request, found)


def _page(frame: str, path: str, title: str, plane: str) -> StaticFile:
    """The frame with a title, the plane it is served on, and the modules it asks for at once instead of one by one."""
    modules = [*_SHARED, f"pages/{path.strip('/') or 'overview'}"]
    preloads = "\n".join(f'<link rel="modulepreload" href="{STATIC}{name}.js">' for name in modules)
    text = frame.replace("{title}", html.escape(title)).replace("{plane}", plane).replace("{preloads}", preloads)
    return _file(text.encode(), "text/html")


def _file(body: bytes, content_type: str) -> StaticFile:
    packed = gzip.compress(body, 9, mtime=0)
    return StaticFile(body, packed, content_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _served(request: web.Request, file: StaticFile) -> web.Response:
    headers = {**_HEADERS, "ETag": file.tag}
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body, headers["Content-Encoding"] = file.packed, "gzip"
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)
