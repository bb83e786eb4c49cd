"""GET /v1/proposals: metrics that were proposed, who approved them, and what each member has answered since.

Proposing itself is an operator's act (`murmur metrics propose`, or `Client.propose` over the admin socket or port).
"""

from __future__ import annotations

from aiohttp import web

from federation.query import BadParameter
from node.http.access import ReadGate
from node.http.envelope import Envelope
from node.proposals import Proposals


def proposal_routes(proposals: Proposals, envelope: Envelope, gate: ReadGate) -> list[web.RouteDef]:
    """The one route."""

    async def listed(request: web.Request) -> web.Response:
        gate(request)
        unknown = sorted(set(request.query) - {"metric"})
        if unknown or len(request.query.getall("metric", [])) > 1:
            raise BadParameter(
                why=f"the parameter {(unknown or ['metric'])[0][:40]!a} is unknown or given twice",
                fix="Use metric=NAME, once, or nothing",
            )
        rows = proposals.rows(request.query.get("metric") or None)
        return envelope.answered(request, {"schema": "murmur.proposals/1", "proposals": list(rows)}, {})

    return [web.get("/v1/proposals", listed)]
