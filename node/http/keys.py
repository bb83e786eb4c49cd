"""GET /v1/keys: each member's birth record and the signing key in force, so that anybody can check what was signed.

The record is the body that the node's id is the hash of; a key that differs from the one in it came by rotation, and
`murmur verify` follows those. Only public keys are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from federation.figure_rows import Json
from node.http.access import ReadGate
from node.http.envelope import Envelope, instant_text
from protocol.ids import NodeId
from protocol.objects import INCEPTION, parse_object


def key_routes(
    record_of: Callable[[NodeId], bytes | None],
    authors: Callable[[], Sequence[NodeId]],
    key_of: Callable[[NodeId], bytes | None],
    since_of: Callable[[NodeId], int | None],
    envelope: Envelope,
    gate: ReadGate,
) -> list[web.RouteDef]:
    """The one route.

    Args:
        record_of: A member's signed birth record; None while unknown.
        authors: Gives everybody a charter named, in order.
        key_of: The signing key in force; None while unknown.
        since_of: The author's claimed time, Unix seconds, of the entry that brought it in force; None while unknown.
        envelope: Writes the answer.
        gate: Who may read.
    """

    async def keys(request: web.Request) -> web.Response:
        gate(request)
        rows: list[Json] = []
        for node in authors():
            key, record = key_of(node), record_of(node)
            if key is not None and record is not None:
                body = parse_object(record, INCEPTION).body
                since = instant_text(since_of(node))
                rows.append({"node": node.hex(), "inception": body.hex(), "signing_key": key.hex(), "since": since})
        return envelope.answered(request, {"schema": "murmur.keys/1", "keys": rows}, {})

    return [web.get("/v1/keys", keys)]
