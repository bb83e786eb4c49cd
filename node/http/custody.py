"""The vault's part of the operator plane, and `DELETE /v1/person` for an `ma_` key elsewhere.

On the admin socket the answers carry exact counts. Elsewhere `DELETE /v1/person` says only that it was done: who holds
an `ma_` key may have people forgotten, without learning whether they were ever there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web

from node.audit import Audit
from node.custody import KEPT, Custody
from node.errors import RejectedInput
from node.http.documents import answered
from node.state.tokens import TokenBook


class _Persons(msgspec.Struct, forbid_unknown_fields=True):
    ids: list[str]
    kind: str = "user"
    dry_run: bool = False
    keep_out: bool = False


def admin_custody_routes(custody: Custody) -> list[web.RouteDef]:
    """What the admin socket serves."""

    def answering(schema: str, call: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Any]:
        async def answer(_request: web.Request) -> web.Response:
            return answered({"schema": schema, **await asyncio.to_thread(call)})

        return answer

    async def forget(request: web.Request) -> web.Response:
        wanted = await _asked(request)
        told = await asyncio.to_thread(_forgotten, custody, wanted)
        return answered({"schema": "murmur.forget/1", **told})

    async def export(request: web.Request) -> web.Response:
        wanted = await _asked(request)
        body = await asyncio.to_thread(lambda: _lines(custody.export(wanted.kind, wanted.ids)))
        return web.Response(body=body, content_type="application/x-ndjson")

    return [
        web.delete("/v1/person", forget),
        web.post("/v1/admin/person/export", export),
        web.post("/v1/admin/vault/verify", answering("murmur.verify/1", custody.verify)),
        web.post("/v1/admin/keys/rotate-master", answering("murmur.keys/1", custody.rotate_master)),
        web.post("/v1/admin/clock/accept", answering("murmur.clock/1", custody.accept_clock)),
    ]


def person_routes(custody: Custody, tokens: TokenBook, audit: Audit) -> list[web.RouteDef]:
    """`DELETE /v1/person` for listeners that strangers can reach."""

    async def forget(request: web.Request) -> web.Response:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = tokens.check(secret.strip() if scheme.lower() == "bearer" else None, "admin", "persons")
        wanted = await _asked(request)

        def recorded() -> None:
            with audit.around(f"key:{token.id}", "DELETE /v1/person"):
                _forgotten(custody, wanted)

        await asyncio.to_thread(recorded)
        return answered({"schema": "murmur.forgotten/1", "is_dry_run": wanted.dry_run, "kept": KEPT})

    return [web.delete("/v1/person", forget)]


def _forgotten(custody: Custody, asked: _Persons) -> dict[str, Any]:
    return custody.forget(asked.kind, asked.ids, is_dry_run=asked.dry_run, keeps_out=asked.keep_out)


async def _asked(request: web.Request) -> _Persons:
    try:
        return msgspec.json.decode(await request.read(), type=_Persons)
    except msgspec.MsgspecError:
        raise RejectedInput(
            code="malformed_body",
            what="The request is refused",
            why='its body is not {"kind": "user", "ids": […]} in JSON',  # msgspec's own words may quote an id
            fix="See docs/reference/http.md for the shape; ids never stand in the path",
        ) from None


def _lines(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)
