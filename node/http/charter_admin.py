"""Charters and candidates on the operator plane. Documents travel as hex of their own bytes; keys never do."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from node.governing import Governing
from node.http.documents import answered, asked, malformed
from protocol.charter_document import parse_charter_document
from protocol.ids import CharterHash, NodeId
from protocol.suspension import parse_suspension_document

MAX_BODY: Final = 16 << 20
_FIX: Final = "Use the murmur command of the same version"


class _Take(msgspec.Struct, forbid_unknown_fields=True):
    document: str
    definitions: list[str] = []


class _One(msgspec.Struct, forbid_unknown_fields=True):
    hash: str


def charter_routes(governing: Governing) -> list[web.RouteDef]:
    """What the admin plane serves of charters."""

    async def state(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.charters/1", **governing.state()})

    async def chain(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.charter-chain/1", "charters": governing.chain()})

    async def take(request: web.Request) -> web.Response:
        wanted = await asked(request, _Take, _FIX)
        document = parse_charter_document(_bytes(wanted.document))
        governing.take(document, [_bytes(body) for body in wanted.definitions])
        if unsaid := governing.unsaid():
            await asyncio.to_thread(governing.say, unsaid)
        return answered({"schema": "murmur.charters/1", **governing.state()})

    async def confirm(request: web.Request) -> web.Response:
        wanted = await asked(request, _One, _FIX)
        governing.confirm(CharterHash(_bytes(wanted.hash)))
        return answered({"schema": "murmur.charters/1", **governing.state()})

    async def suspend(request: web.Request) -> web.Response:
        wanted = await asked(request, _Take, _FIX)
        entries = governing.suspension(parse_suspension_document(_bytes(wanted.document)))
        await asyncio.to_thread(governing.say, entries)
        return answered({"schema": "murmur.suspension/1", "entries": len(entries)})

    async def invite(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.invite/1", **governing.invite()})

    async def refuse(request: web.Request) -> web.Response:
        wanted = await asked(request, _One, _FIX)
        governing.refuse(NodeId(_bytes(wanted.hash)))
        return answered({"schema": "murmur.join/1", "node": wanted.hash, "state": "refused"})

    return [
        web.get("/v1/admin/charter", state),
        web.get("/v1/admin/charter/chain", chain),
        web.post("/v1/admin/charter", take),
        web.post("/v1/admin/charter/confirm", confirm),
        web.post("/v1/admin/charter/suspend", suspend),
        web.post("/v1/admin/invites", invite),
        web.post("/v1/admin/joins/refuse", refuse),
    ]


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise malformed("a document is not hex", _FIX) from error
