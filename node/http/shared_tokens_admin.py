"""Shared researcher tokens in the operator plane: issue one, take one back, another key."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from node.http.documents import answered, asked
from node.shared_tokens import SharedTokens


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    life_s: int


def shared_token_routes(shared: SharedTokens) -> list[web.RouteDef]:
    """What the operator plane serves of them."""

    async def issue(request: web.Request) -> web.Response:
        wanted = await asked(request, _Wanted, "Give life_s, at most 86400")
        is_dry_run = request.query.get("dry_run") == "1"
        return _told(await asyncio.to_thread(shared.issue, wanted.life_s, is_dry_run=is_dry_run))

    async def renew(_request: web.Request) -> web.Response:
        key = await asyncio.to_thread(shared.renew_key)
        return _told({"public": key.public.hex()})

    async def revoke(request: web.Request) -> web.Response:
        token = request.match_info["id"]
        await asyncio.to_thread(shared.revoke, token)
        return _told({"id": token})

    return [
        web.post("/v1/admin/tokens/shared", issue),
        web.post("/v1/admin/tokens/shared/key", renew),
        web.delete("/v1/admin/tokens/shared/{id}", revoke),
    ]


def _told(document: dict[str, Any]) -> web.Response:
    return answered({"schema": "murmur.shared-token/1", **document})
