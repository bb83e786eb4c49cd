"""The signing key's part of the operator plane: show, rotate, recover."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from node.errors import RejectedInput
from node.key_turns import KeyTurns


class _Recover(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    root_key: str


def key_turn_routes(turns: KeyTurns) -> list[web.RouteDef]:
    """What the admin socket serves. The root key travels as a path, never as bytes."""

    async def show(_request: web.Request) -> web.Response:
        return _json({"schema": "murmur.signing-key/1", **turns.show()})

    async def rotate(_request: web.Request) -> web.Response:
        return _json({"schema": "murmur.key-turn/1", **await asyncio.to_thread(turns.rotate)})

    async def recover(request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=_Recover)
        except msgspec.MsgspecError as error:
            raise RejectedInput(
                code="malformed_body",
                what="The request is refused",
                why=f"Its body is not what this path takes: {error}",
                fix="Give seq and root_key, the path of the root key's file",
            ) from error
        told = await asyncio.to_thread(turns.recover, asked.seq, Path(asked.root_key))
        return _json({"schema": "murmur.key-turn/1", **told})

    return [
        web.get("/v1/admin/keys/signing", show),
        web.post("/v1/admin/keys/rotate", rotate),
        web.post("/v1/admin/keys/recover", recover),
    ]


def _json(document: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")
