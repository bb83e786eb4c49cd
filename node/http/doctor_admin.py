"""GET /v1/admin/doctor: every check of the running node at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from node.checkup import Check, run_checks
from node.http.documents import answered


def doctor_routes(checks: Callable[[], Mapping[str, Check]]) -> list[web.RouteDef]:
    """The one route."""

    async def doctor(_request: web.Request) -> web.Response:
        found = await run_checks(checks())
        return answered({"schema": "murmur.doctor/1", "checks": [one.as_json() for one in found]})

    return [web.get("/v1/admin/doctor", doctor)]
