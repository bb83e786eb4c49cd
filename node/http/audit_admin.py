"""The audit log's part of the operator plane, and the recording of what is asked there.

Recorded is every request of the operator plane that changes something, before it is done and after, by who asked and
by the pattern of its path; what the path names (the id of a key) is the subject. Never a body: it may hold the id of a
person. A dry run (`?dry_run=1`) changes nothing and is not recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from node.audit import Audit
from node.audit_view import AuditView
from node.http.documents import answered
from node.http.problems import FAMILIES

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKING: Final = frozenset({"/v1/admin/mesh/sync", "/v1/admin/vault/verify"})  # POSTs that change nothing
_MAX_SHOWN: Final = 1000

Actor = Callable[[web.Request], str]


def audit_middleware(audit: Audit, actor: Actor) -> Middleware:
    """Records what changes something; innermost, so that what the gate refused is not taken for an operator's."""

    @web.middleware
    async def recorded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = pattern(request)
        if request.method in _READS or not _changes(path) or request.query.get("dry_run") == "1":
            return await handler(request)
        who, action, subject = actor(request), f"{request.method} {path}", " ".join(request.match_info.values())
        await asyncio.to_thread(audit.record, who, action, subject, "begun")
        try:
            answer = await handler(request)
        except FAMILIES as error:
            await asyncio.to_thread(audit.record, who, action, subject, f"refused: {error.code}")
            raise
        except Exception:
            await asyncio.to_thread(audit.record, who, action, subject, "failed")
            raise
        await asyncio.to_thread(audit.record, who, action, subject)
        return answer

    return recorded


def audit_routes(view: AuditView) -> list[web.RouteDef]:
    """What the operator plane serves of it."""

    async def show(request: web.Request) -> web.Response:
        after, since = (_number(request, name) for name in ("after", "since"))
        last = min(_number(request, "last") or _MAX_SHOWN, _MAX_SHOWN)
        found = await asyncio.to_thread(view.show, after=after, since_s=since, last=last)
        return answered({"schema": "murmur.audit/1", **found})

    async def verify(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.audit-verify/1", **await asyncio.to_thread(view.verify)})

    async def export(_request: web.Request) -> web.Response:
        body = await asyncio.to_thread(view.export)
        return web.Response(body=body, content_type="application/x-ndjson")

    async def attested(request: web.Request) -> web.Response:
        node = request.match_info["node"]
        return answered({"schema": "murmur.audit-attested/1", **await asyncio.to_thread(view.attested_by, node)})

    return [
        web.get("/v1/admin/audit", show),
        web.get("/v1/admin/audit/verify", verify),
        web.get("/v1/admin/audit/export", export),
        web.get("/v1/admin/audit/attested/{node}", attested),
    ]


def pattern(request: web.Request) -> str:
    """The route's pattern, never the path itself: a path may hold what a client put there."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


def _changes(path: str) -> bool:
    is_person = path.startswith("/v1/person")
    return (is_person or path.startswith("/v1/admin/")) and path not in _ASKING


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
