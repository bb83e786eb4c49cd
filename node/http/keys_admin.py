"""The signing key's part of the operator plane: show, rotate, recover."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from node.http.documents import answered, asked, malformed
from node.key_turns import KeyTurns
from node.key_watch import KeyWatch


class _Prepare(msgspec.Struct, forbid_unknown_fields=True):
    seq: int


class _Recover(msgspec.Struct, forbid_unknown_fields=True):
    ticket: str
    signature: str
    had_events: bool = False


def key_turn_routes(turns: KeyTurns, watch: KeyWatch) -> list[web.RouteDef]:
    """What the admin socket serves. The root key never comes here: only what it has to sign, and its signature."""

    async def show(_request: web.Request) -> web.Response:
        age = await asyncio.to_thread(watch.age)
        told = await asyncio.to_thread(turns.show)
        aged = None if age is None else {"age_s": age.age_s, "rotate_every_s": age.every_s,
                                         "is_scheduled": age.is_scheduled, "urgency": age.urgency,
                                         "words": age.words}  # fmt: skip
        return answered({"schema": "murmur.signing-key/1", **told, "rotation": aged})

    async def coverage(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.key-coverage/1", **watch.coverage()})

    async def own_log(request: web.Request) -> web.Response:
        text = request.query.get("last", "20")
        last = int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 5 else 20
        return answered({"schema": "murmur.own-log/1", **await asyncio.to_thread(turns.log, max(1, min(last, 1000)))})

    async def stage(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.staged-key/1", **await asyncio.to_thread(turns.stage_next)})

    async def prepare(request: web.Request) -> web.Response:
        wanted = await asked(request, _Prepare, "Give seq, the last good entry")
        does = turns.plan_recovery if request.query.get("dry_run") == "1" else turns.prepare_recovery
        return answered({"schema": "murmur.recovery/1", **await asyncio.to_thread(does, wanted.seq)})

    async def rotate(request: web.Request) -> web.Response:
        if request.query.get("dry_run") == "1":
            return answered({"schema": "murmur.key-plan/1", **await asyncio.to_thread(turns.plan_rotation)})
        return answered({"schema": "murmur.key-turn/1", **await asyncio.to_thread(turns.rotate)})

    async def recover(request: web.Request) -> web.Response:
        wanted = await asked(request, _Recover, "Give ticket and signature, both as hex")
        try:
            ticket, signature = bytes.fromhex(wanted.ticket), bytes.fromhex(wanted.signature)
        except ValueError as error:
            raise malformed("ticket or signature is not hex", "Give both as hex") from error
        told = await asyncio.to_thread(turns.recover, ticket, signature, had_events=wanted.had_events)
        return answered({"schema": "murmur.key-turn/1", **told})

    return [
        web.get("/v1/admin/keys/signing", show),
        web.get("/v1/admin/keys/coverage", coverage),
        web.get("/v1/admin/keys/log", own_log),
        web.post("/v1/admin/keys/stage", stage),
        web.post("/v1/admin/keys/rotate", rotate),
        web.post("/v1/admin/keys/recover/prepare", prepare),
        web.post("/v1/admin/keys/recover", recover),
    ]
