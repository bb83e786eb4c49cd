"""The people of the vectors: two nodes of two organisations, from fixed seeds.

Frozen with the vectors: nothing here may change. The seed of a key is SHA-256("murmur vectors v1 " + label).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction

from protocol import canonical
from protocol.charter import CatalogueRow, Charter, Member, Organisation
from protocol.endpoints import Endpoint
from protocol.identity import create_inception, node_id
from protocol.ids import FederationId, NodeId
from protocol.join_request import JoinRequest, create_join_request
from protocol.keys import SigningKey
from protocol.objects import SignedObject, definition_hash
from protocol.windows import parse_hour

Json = dict[str, object]


def digest(label: str) -> bytes:
    return hashlib.sha256(b"murmur vectors v1 " + label.encode()).digest()


def key(label: str) -> SigningKey:
    return SigningKey(digest(label))


@dataclass(frozen=True, slots=True)
class Node:
    """One node, its keys and its papers."""

    name: str
    root: SigningKey
    signing: SigningKey
    next: SigningKey
    governance: SigningKey
    inception: SignedObject
    join_request: SignedObject

    @property
    def id(self) -> NodeId:
        return node_id(self.inception.body)


def node(name: str, url: str) -> Node:
    root, signing, next_, governance = (key(f"{name} {use}") for use in ("root", "signing", "next", "governance"))
    inception = create_inception(root, signing, next_.public_key, name, digest(f"{name} nonce")[:16])
    request = JoinRequest(
        inception.encode(), name, f"People of {name} ✿", governance.public_key, Endpoint(url), population=40_000
    )
    return Node(name, root, signing, next_, governance, inception, create_join_request(signing, request))


HARE = node("hare", "https://hare.example")
WREN = node("wren", "https://wren.example:8443")
FEDERATION = FederationId(digest("a federation"))
DEFINITION = canonical.encode(
    {"metric": "people", "question": b"How many people?", "privacy": {"max_cells": "1", "rho": "1/400"}}
)
DEFINITION_HASH = definition_hash(DEFINITION)
COUNTS_FROM = parse_hour("2026-11-05T00")
CREATED = 1_793_836_800  # 2026-11-05T00:00:00Z


def charter(**changes: object) -> Charter:
    """The founding charter of HARE and WREN."""
    fields: Json = {
        "name": "Hare & Wren ✿",
        "version": 1,
        "attempt": 1,
        "created": CREATED,
        "expires": CREATED + 400 * 86_400,
        "organisations": tuple(
            Organisation(one.name, f"People of {one.name} ✿", one.governance.public_key) for one in (HARE, WREN)
        ),
        "threshold": 2,
        "suspend_threshold": 1,
        "members": (
            Member(HARE.id, "hare", "hare", COUNTS_FROM, (Endpoint("https://hare.example"),), population=40_000),
            Member(WREN.id, "wren", "wren", COUNTS_FROM, (Endpoint("https://wren.example:8443"),), population=40_000),
        ),
        "catalogue": (CatalogueRow("people", DEFINITION_HASH, COUNTS_FROM),),
        "caps": {"day": Fraction(1, 40), "week": Fraction(1, 16), "month": Fraction(1, 4)},
    }
    return Charter(**{**fields, **changes})  # type: ignore[arg-type]


def edited(data: bytes, place: str | int, value: object) -> bytes:
    """Canonical bytes with one item or field replaced; `...` removes a field."""
    found = canonical.decode(data)
    if isinstance(found, dict):
        if value is ...:
            del found[str(place)]
        else:
            found[str(place)] = value  # type: ignore[assignment]
    else:
        found[place] = value  # type: ignore[index]
    return canonical.encode(found)


def flipped(data: bytes, place: int) -> bytes:
    """One bit of one byte turned over."""
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)
