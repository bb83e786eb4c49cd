"""The operator plane's way to try an event: what of it would be stored; and the plan it is judged by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from node.http.documents import answered
from node.http.privacy_page import plan_apps
from node.trial import try_events
from privacy.filtering import Signals
from privacy.tracking_plan import Plan

_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


def trial_routes(plan: Callable[[], Plan]) -> list[web.RouteDef]:
    """`POST /v1/ingest/try` (a body as `POST /v1/events` takes it; nothing is kept) and `GET /v1/ingest/plan`."""

    async def attempt(request: web.Request) -> web.Response:
        is_gpc = "1" in (request.headers.get("Sec-GPC"), request.query.get("gpc"))  # no page may set the header itself
        signals = Signals(gpc=is_gpc, dnt=request.headers.get("DNT") == "1")
        body = await request.read()
        is_ndjson = request.content_type in _NDJSON
        events = await asyncio.to_thread(try_events, body, plan(), is_ndjson=is_ndjson, signals=signals)
        return answered({"schema": "murmur.send/1", "events": events})

    async def shown(_request: web.Request) -> web.Response:
        current = plan()
        return answered({"schema": "murmur.plan-words/1", "plan": current.name, "apps": plan_apps(current)})

    return [web.post("/v1/ingest/try", attempt), web.get("/v1/ingest/plan", shown)]
