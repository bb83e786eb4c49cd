"""charter.json: bodies, approvals, the founding, and a founding bundle."""

from __future__ import annotations

import dataclasses

from protocol import canonical
from protocol.bundle import create_bundle
from protocol.charter import CatalogueRow, Cut, charter_hash
from protocol.charter_document import CharterDocument, sign_charter
from protocol.ids import CharterHash, EntryId, FederationId
from protocol.keys import SigningKey
from specs.vectors.v1.cast import (
    COUNTS_FROM,
    DEFINITION,
    DEFINITION_HASH,
    FEDERATION,
    HARE,
    WREN,
    Json,
    charter,
    digest,
    edited,
    key,
)

BODY = charter().encode()


def vectors() -> Json:
    found = canonical.decode(BODY)
    assert isinstance(found, dict)
    members, organisations, catalogue = found["members"], found["organisations"], found["catalogue"]
    assert isinstance(members, list)
    assert isinstance(organisations, list)
    assert isinstance(catalogue, list)
    row = [catalogue[0][0], catalogue[0][1]]  # type: ignore[index]
    later = charter(
        version=2,
        attempt=3,
        previous=(CharterHash(charter_hash(BODY)),),
        token_issuers=(HARE.id,),
        members=(
            dataclasses.replace(
                charter().members[0], root=key("hare new root").public_key, population_group="hedgerow"
            ),
            dataclasses.replace(charter().members[1], cut=Cut(0, 17, EntryId(digest("cut")))),
        ),
        catalogue=(
            CatalogueRow("people", DEFINITION_HASH, COUNTS_FROM, COUNTS_FROM + 240),
            CatalogueRow("people", DEFINITION_HASH, COUNTS_FROM + 480),
        ),
    ).encode()
    refounded = charter(succeeds=FederationId(digest("old federation"))).encode()
    bad: list[tuple[str, bytes, str]] = [
        ("version 2 of the body", edited(BODY, "v", 2), "unknown-version"),
        ("unknown field", edited(BODY, "epsilon", 1), "malformed"),
        ("no caps", edited(BODY, "caps", ...), "malformed"),
        ("name as text", edited(BODY, "name", "Hare & Wren"), "malformed"),
        ("name with a control character", edited(BODY, "name", b"a\x1b[31m"), "malformed"),
        ("name of 129 bytes", edited(BODY, "name", b"a" * 129), "too-large"),
        ("expires when created", edited(BODY, "expires", found["created"]), "malformed"),
        ("threshold of half", edited(BODY, "threshold", 1), "malformed"),
        ("threshold above all", edited(BODY, "threshold", 3), "malformed"),
        ("threshold as a boolean", edited(BODY, "threshold", True), "malformed"),
        ("suspend threshold above all", edited(BODY, "suspend_threshold", 3), "malformed"),
        ("organisations out of order", edited(BODY, "organisations", organisations[::-1]), "malformed"),
        ("organisation twice", edited(BODY, "organisations", organisations[:1] * 2), "malformed"),
        (
            "governance key twice",
            edited(
                BODY,
                "organisations",
                [organisations[0], {**organisations[1], "governance_key": HARE.governance.public_key}],
            ),
            "malformed",
        ),
        (
            "small-order governance key",
            edited(
                BODY, "organisations", [{**organisations[0], "governance_key": b"\x01" + bytes(31)}, organisations[1]]
            ),
            "bad-key",
        ),
        ("no member", edited(BODY, "members", []), "malformed"),
        ("members out of order", edited(BODY, "members", members[::-1]), "malformed"),
        ("member twice", edited(BODY, "members", members[:1] * 2), "malformed"),
        ("member name twice", edited(BODY, "members", [members[0], {**members[1], "name": "hare"}]), "malformed"),
        (
            "member of no organisation listed",
            edited(BODY, "members", [members[0], {**members[1], "organisation": "fox"}]),
            "malformed",
        ),
        (
            "private endpoint",
            edited(BODY, "members", [members[0], {**members[1], "endpoints": [{"url": "https://10.0.0.1"}]}]),
            "malformed",
        ),
        (
            "loopback endpoint",
            edited(BODY, "members", [members[0], {**members[1], "endpoints": [{"url": "http://127.0.0.1:7700"}]}]),
            "malformed",
        ),
        (
            "counts_from as a date",
            edited(BODY, "members", [members[0], {**members[1], "counts_from": "2026-11-05"}]),
            "malformed",
        ),
        ("population as nil", edited(BODY, "members", [members[0], {**members[1], "population": None}]), "malformed"),
        (
            "cap not in lowest terms",
            edited(BODY, "caps", {"day": [2, 80], "week": [1, 16], "month": [1, 4]}),
            "malformed",
        ),
        ("cap of a month missing", edited(BODY, "caps", {"day": [1, 40], "week": [1, 16]}), "malformed"),
        ("cap above 1000", edited(BODY, "caps", {"day": [1001, 1], "week": [1, 16], "month": [1, 4]}), "malformed"),
        (
            "row that ends when it begins",
            edited(BODY, "catalogue", [[*row, "2026-11-05T00", "2026-11-05T00"]]),
            "malformed",
        ),
        ("row twice", edited(BODY, "catalogue", catalogue * 2), "malformed"),
        (
            "rows of one definition overlap",
            edited(BODY, "catalogue", [[*row, "2026-11-05T00", "2026-11-09T00"], [*row, "2026-11-08T00", None]]),
            "malformed",
        ),
        (
            "one definition under two names",
            edited(BODY, "catalogue", [*catalogue, ["zebra", row[1], "2026-11-05T00", None]]),
            "malformed",
        ),
        ("version 1 with a previous", edited(BODY, "previous", [bytes(32)]), "malformed"),
        ("version 2 without a previous", edited(BODY, "version", 2), "malformed"),
        ("previous out of order", edited(later, "previous", [b"\x02" * 32, b"\x01" * 32]), "malformed"),
        ("version 2 that succeeds", edited(later, "succeeds", bytes(32)), "malformed"),
        ("succeeds as nil", edited(BODY, "succeeds", None), "malformed"),
        ("issuer is no member", edited(BODY, "token_issuers", [bytes(32)]), "malformed"),
        ("allow_private as an integer", edited(BODY, "allow_private", 0), "malformed"),
        ("min_organisations zero", edited(BODY, "min_organisations", 0), "malformed"),
        ("attempt zero", edited(BODY, "attempt", 0), "malformed"),
        ("trailing byte", BODY + b"\xc0", "not-canonical"),
    ]
    founded = _document(BODY, HARE.governance, WREN.governance)
    stranger = key("stranger")
    foundings = [
        ("one approval missing", _document(BODY, HARE.governance), "threshold-not-met"),
        ("no approval", CharterDocument(BODY), "threshold-not-met"),
        (
            "a stranger's approval beside the others",
            founded.with_approval(stranger.public_key, sign_charter(stranger, BODY)),
            "bad-signature",
        ),
        (
            "approval of another body",
            founded.with_approval(HARE.governance.public_key, sign_charter(HARE.governance, refounded)),
            "bad-signature",
        ),
        (
            "approval in another federation",
            founded.with_approval(HARE.governance.public_key, sign_charter(HARE.governance, BODY, FEDERATION)),
            "bad-signature",
        ),
        (
            "signed by the signing key",
            founded.with_approval(HARE.governance.public_key, sign_charter(HARE.signing, BODY)),
            "bad-signature",
        ),
        ("version 2", _document(later, HARE.governance, WREN.governance), "malformed"),
    ]
    pairs = [[one, founded.approvals[one]] for one in sorted(founded.approvals)]
    documents = [
        ("approvals out of order", [1, "charter", BODY, pairs[::-1]], "malformed"),
        ("one key twice", [1, "charter", BODY, [pairs[0], pairs[0]]], "malformed"),
        ("wire major 2", [2, "charter", BODY, pairs], "unknown-version"),
        ("another type", [1, "entry", BODY, pairs], "malformed"),
    ]
    bundle = create_bundle(charter(), [one.join_request.encode() for one in (HARE, WREN)], [DEFINITION])
    signed = bundle.sign(HARE.governance).sign(WREN.governance)
    return {
        "about": "Charters, specs/charter.md. `founding`: charter documents that found a federation, or do not.",
        "body": {
            "accepted": [
                {"name": "founding", "body": BODY.hex(), "hash": charter_hash(BODY).hex()},
                {
                    "name": "later version with every optional field",
                    "body": later.hex(),
                    "hash": charter_hash(later).hex(),
                },
                {"name": "refounding", "body": refounded.hex(), "hash": charter_hash(refounded).hex()},
            ],
            "refused": [{"name": name, "body": body.hex(), "code": code} for name, body, code in bad],
        },
        "founding": {
            "accepted": [
                {"name": "both signed", "document": founded.encode().hex(), "federation": charter_hash(BODY).hex()}
            ],
            "refused": [
                *({"name": name, "document": one.encode().hex(), "code": code} for name, one, code in foundings),
                *(
                    {"name": name, "document": canonical.encode(one).hex(), "code": code}
                    for name, one, code in documents
                ),
            ],
        },
        "bundle": {
            "accepted": [
                {"name": "signed by both", "bundle": signed.encode().hex(), "federation": charter_hash(BODY).hex()}
            ],
            "refused": [
                {
                    "name": "definition missing",
                    "bundle": dataclasses.replace(signed, definitions=()).encode().hex(),
                    "code": "malformed",
                },
                {
                    "name": "definition changed",
                    "bundle": dataclasses.replace(signed, definitions=(canonical.encode({}),)).encode().hex(),
                    "code": "malformed",
                },
                {
                    "name": "join request missing",
                    "bundle": dataclasses.replace(signed, join_requests=signed.join_requests[:1]).encode().hex(),
                    "code": "malformed",
                },
                {
                    "name": "join requests out of order",
                    "bundle": dataclasses.replace(signed, join_requests=signed.join_requests[::-1]).encode().hex(),
                    "code": "malformed",
                },
                {
                    "name": "one approval missing",
                    "bundle": bundle.sign(HARE.governance).encode().hex(),
                    "code": "threshold-not-met",
                },
            ],
        },
    }


def _document(body: bytes, *signers: SigningKey) -> CharterDocument:
    made = CharterDocument(body)
    for governance in signers:
        made = made.with_approval(governance.public_key, sign_charter(governance, body))
    return made
