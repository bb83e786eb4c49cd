"""One small cast for the protocol tests: four nodes of four organisations, their keys from fixed seeds, one charter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction

from protocol import canonical
from protocol.bundle import Bundle, create_bundle
from protocol.charter import CatalogueRow, Charter, Member, Organisation, federation_id
from protocol.endpoints import Endpoint
from protocol.entries import Entry, build_entry
from protocol.identity import Inception, create_inception, parse_inception
from protocol.ids import CharterHash, DefinitionHash, EntryId, FederationId, NodeId
from protocol.join_request import JoinRequest, create_join_request
from protocol.keys import SigningKey
from protocol.kind_data import AbstainData
from protocol.objects import SignedObject, definition_hash
from protocol.requests import Request, Response, request_hash, sign_request, sign_response
from protocol.summaries import BlockData, Charge, SummaryData, build_summary
from protocol.windows import parse_hour

NAMES = ("addvalue", "harmonie", "liberation-system", "liberation-tools")
DEFINITION = canonical.encode({"metric": "people_by_app", "question": "How many people use each app?"})
DEFINITION_HASH = definition_hash(DEFINITION)
FEDERATION = FederationId(hashlib.sha256(b"a federation").digest())
COUNTS_FROM = parse_hour("2026-11-05T00")


def key(label: str) -> SigningKey:
    """The signing key of a label; the same on every run."""
    return SigningKey(hashlib.sha256(b"murmur test key " + label.encode()).digest())


@dataclass(frozen=True, slots=True)
class Cast:
    """One node and everything that belongs to it."""

    name: str
    root: SigningKey
    signing: SigningKey
    next: SigningKey
    governance: SigningKey
    signed_inception: SignedObject
    join_request: bytes

    @property
    def inception(self) -> Inception:
        return parse_inception(self.signed_inception)

    @property
    def node(self) -> NodeId:
        return self.inception.node_id


def cast(name: str, /, **changes: object) -> Cast:
    """The node of a name. `changes` go into its join request."""
    root, signing, next_, governance = (key(f"{name} {use}") for use in ("root", "signing", "next", "governance"))
    nonce = hashlib.sha256(name.encode()).digest()[:16]
    inception = create_inception(root, signing, next_.public_key, name, nonce)
    fields: dict[str, object] = {
        "inception": inception.encode(),
        "name": name,
        "organisation_name": f"The people of {name} ✿",
        "governance_key": governance.public_key,
        "endpoint": Endpoint("http://127.0.0.1:7700"),
        "population": 1000,
    }
    request = JoinRequest(**{**fields, **changes})  # type: ignore[arg-type]
    join_request = create_join_request(signing, request).encode()
    return Cast(name, root, signing, next_, governance, inception, join_request)


ALL = {name: cast(name) for name in NAMES}
TOOLS = ALL["liberation-tools"]
HARMONIE = ALL["harmonie"]


def charter(**changes: object) -> Charter:
    """A founding charter of the four, threshold 3, one metric; `changes` replace fields."""
    fields: dict[str, object] = {
        "name": "Four friends ✿",
        "version": 1,
        "attempt": 1,
        "created": 1_795_000_000,
        "expires": 1_795_000_000 + 400 * 86_400,
        "organisations": tuple(
            Organisation(one.name, f"The people of {one.name} ✿", one.governance.public_key) for one in ALL.values()
        ),
        "threshold": 3,
        "suspend_threshold": 2,
        "members": tuple(
            Member(one.node, one.name, one.name, COUNTS_FROM, (Endpoint("http://127.0.0.1:7700"),), population=1000)
            for one in sorted(ALL.values(), key=lambda one: one.node)
        ),
        "catalogue": (CatalogueRow("people_by_app", DEFINITION_HASH, COUNTS_FROM),),
        "caps": {"day": Fraction(1, 40), "week": Fraction(1, 16), "month": Fraction(1, 4)},
        "allow_private": True,
    }
    return Charter(**{**fields, **changes})  # type: ignore[arg-type]


def bundle(*signers: str) -> Bundle:
    """The founding bundle signed by the organisations named."""
    made = create_bundle(charter(), [one.join_request for one in ALL.values()], [DEFINITION])
    for name in signers:
        made = made.sign(ALL[name].governance)
    return made


CHARTER_BODY = charter().encode()
FOUNDED = federation_id(CHARTER_BODY)


def summary(node: NodeId = TOOLS.node, **changes: object) -> tuple[SummaryData, bytes]:
    """A summary of two blocks and three cells, and its cell vector."""
    fields: dict[str, object] = {
        "definition": DEFINITION_HASH,
        "window": "2026-11-05/P1D",
        "node": node,
        "unit": "session",
        "blocks": (
            BlockData(2, "gaussian", Fraction(1), Fraction(200)),
            BlockData(1, "laplace", Fraction(1, 100), Fraction(47, 6)),
        ),
        "charges": (Charge("2026-11-05/P1D", 2_500_000, 0),),
        "total": (Charge("2026-11-05/P1D", 7_500_000, 0),),
        "sampling": Fraction(1),
        "cells": (412, -7, 30_000),
    }
    return build_summary(**{**fields, **changes})  # type: ignore[arg-type]


def entry(who: Cast = TOOLS, **changes: object) -> Entry:
    """An abstain entry at (0, 1); `changes` replace arguments of `build_entry`."""
    fields: dict[str, object] = {
        "federation": FEDERATION,
        "author": who.node,
        "generation": 0,
        "seq": 1,
        "prev": EntryId(bytes(range(32))),
        "charter_version": 1,
        "at": 1_795_003_600,
        "kind": "abstain",
        "data": AbstainData(DEFINITION_HASH, "2026-11-05/P1D", "not_in_plan").encode(),
    }
    signing_key = changes.pop("signing_key", who.signing)
    return build_entry(signing_key, **{**fields, **changes})  # type: ignore[arg-type]


def summary_entry(who: Cast = TOOLS, **changes: object) -> Entry:
    """A summary entry at (0, 1) with its cells."""
    data, cells = summary(who.node)
    return entry(who, **{"kind": "summary", "data": data.encode(), "cells": cells, **changes})


def request(**changes: object) -> Request:
    """A push from TOOLS to HARMONIE."""
    fields: dict[str, object] = {
        "federation": FOUNDED,
        "sender": TOOLS.node,
        "recipient": HARMONIE.node,
        "op": "push",
        "at_ms": 1_795_003_600_123,
        "nonce": bytes(range(16)),
        "challenge": None,
        "charter_version": 1,
        "attempt": 1,
        "charter_hash": CharterHash(FOUNDED),
        "heads_digest": hashlib.sha256(b"heads").digest(),
        "payload": b"payload",
    }
    return Request(**{**fields, **changes})  # type: ignore[arg-type]


def response() -> bytes:
    """HARMONIE's signed answer to the sample request."""
    asked = request()
    answer = Response(
        federation=asked.federation,
        sender=asked.recipient,
        recipient=asked.sender,
        request_hash=request_hash(sign_request(TOOLS.signing, asked)),
        at_ms=asked.at_ms + 5,
        status="ok",
        charter_version=1,
        attempt=1,
        charter_hash=asked.charter_hash,
        heads_digest=asked.heads_digest,
        payload=b"answer",
    )
    return sign_response(HARMONIE.signing, answer)


def some_hash(label: str) -> DefinitionHash:
    """32 bytes that stand for a hash."""
    return DefinitionHash(hashlib.sha256(label.encode()).digest())
