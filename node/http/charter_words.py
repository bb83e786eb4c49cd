"""The charter in force, what is proposed and who asks to join, in words: what an operator reads before anyone signs."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from node.charter_diff import difference
from node.fingerprint import fingerprint
from node.governing import Governing
from node.http.documents import answered
from protocol.charter import parse_charter
from protocol.charter_document import parse_charter_document
from protocol.join_request import parse_join_request


def charter_words_routes(governing: Governing) -> list[web.RouteDef]:
    """The one route. Nothing is signed here: governance keys never come near a browser."""

    async def words(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.charter-words/1", **charter_in_words(governing.state())})

    return [web.get("/v1/admin/charter/words", words)]


def charter_in_words(state: dict[str, Any]) -> dict[str, Any]:
    """The state of governing.py with every document read: differences, fingerprints, names."""
    trusted = parse_charter(parse_charter_document(bytes.fromhex(state["trusted"]["document"])).body)
    definitions = {bytes.fromhex(hash_): bytes.fromhex(body) for hash_, body in state["definitions"].items()}
    proposals = []
    for row in state["proposals"]:
        charter = parse_charter(parse_charter_document(bytes.fromhex(row["document"])).body)
        proposals.append(
            {
                "hash": row["hash"], "version": row["version"], "attempt": row["attempt"],
                "fingerprint": fingerprint(bytes.fromhex(row["hash"])),
                "changes": difference(trusted, charter, definitions) or ["new dates, nothing else"],
                "approvals": row["approvals"], "needed": row["needed"], "missing": row["missing"],
            }
        )  # fmt: skip
    requests = []
    for row in state["requests"]:
        request = parse_join_request(bytes.fromhex(row["request"]))
        requests.append(
            {
                "node": row["node"], "fingerprint": fingerprint(bytes.fromhex(row["node"])), "name": request.name,
                "organisation": request.organisation_name,
                "url": None if request.endpoint is None else request.endpoint.url, "received": row["received"],
            }
        )  # fmt: skip
    tip = state["trusted"]
    return {
        "federation": fingerprint(bytes.fromhex(state["federation"])),
        "trusted": {
            "version": tip["version"], "attempt": tip["attempt"], "created": tip["created"], "expires": tip["expires"],
            "fingerprint": fingerprint(bytes.fromhex(tip["hash"])), "signed": tip["signed"],
        },
        "is_split": bool(state["rivals"]), "is_waiting": state["waiting"] is not None,
        "proposals": proposals, "requests": requests,
    }  # fmt: skip
