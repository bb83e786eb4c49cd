"""ids.json and identity.json: what an id covers; inception records, join requests, key chains."""

from __future__ import annotations

import dataclasses

from protocol.heads import Head, head_tag, heads_digest
from protocol.identity import parse_inception
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, CharterHash, EntryId
from protocol.join_request import parse_join_request
from protocol.keys import SigningKey, key_digest
from protocol.objects import CHARTER, DEFINITION, ENTRY, INCEPTION, JOIN_REQUEST, SignedObject, object_id, sign_object
from specs.vectors.v1.cast import DEFINITION as DEFINITION_BODY
from specs.vectors.v1.cast import HARE, WREN, Json, digest, edited, flipped


def ids() -> Json:
    """Ids of typed bodies, and the other hashes."""
    body = HARE.inception.body
    charter = CharterHash(digest("charter"))
    entry = EntryId(digest("entry"))
    heads = [Head(), Head(0, 7, entry), Head(1, 3, entry, (1, 4))]
    return {
        "about": "Ids and hashes, specs/mesh.md 2, 3.4 and 6.4. `id` is SHA-256 over the parts domain, type, body.",
        "accepted": [
            _id("node id of hare", INCEPTION, body),
            _id("definition hash", DEFINITION, DEFINITION_BODY),
            _id("entry id", ENTRY, b"a header"),
            _id("same body, another type", CHARTER, b"a header"),
            _id("empty body", ENTRY, b""),
        ],
        "refused": [
            {"name": "id of another type", "type": ENTRY, "body": body.hex(), "id": HARE.id.hex()},
            {
                "name": "id over the signed bytes",
                "type": INCEPTION,
                "body": body.hex(),
                "id": object_id(INCEPTION, HARE.inception.encode()).hex(),
            },
            {"name": "id of a changed body", "type": INCEPTION, "body": flipped(body, 9).hex(), "id": HARE.id.hex()},
        ],
        "key_digest": {"key": HARE.next.public_key.hex(), "digest": key_digest(HARE.next.public_key).hex()},
        "head_tag": {
            "nonce": digest("nonce")[:16].hex(),
            "id": entry.hex(),
            "tag": head_tag(digest("nonce")[:16], entry).hex(),
        },
        "heads_digest": {
            "charter_version": 3,
            "attempt": 2,
            "charter_hash": charter.hex(),
            "heads": [
                [head.generation, head.seq, head.id.hex() if head.id else None, head.frozen_at] for head in heads
            ],
            "digest": heads_digest(3, 2, charter, heads).hex(),
        },
    }


def vectors() -> Json:
    """Inception records and join requests, whole as they travel."""
    record = parse_inception(HARE.inception)
    request = parse_join_request(HARE.join_request)
    return {
        "about": "Inception records (specs/mesh.md 4) and join requests (specs/charter.md 4), as wire bytes.",
        "inception": {
            "accepted": [
                {
                    "name": one.name,
                    "wire": one.inception.encode().hex(),
                    "node": one.id.hex(),
                    "root_key": one.root.public_key.hex(),
                    "signing_key": one.signing.public_key.hex(),
                    "next_digest": key_digest(one.next.public_key).hex(),
                    "organisation": one.name,
                    "nonce": digest(f"{one.name} nonce")[:16].hex(),
                }
                for one in (HARE, WREN)
            ],
            "refused": [
                _inception("signatures swapped", record.body, "bad-signature", HARE.signing, HARE.root),
                _inception("root signature alone", record.body, "bad-signature", HARE.root),
                _inception("a third signature", record.body, "bad-signature", HARE.root, HARE.signing, HARE.next),
                _inception("signed by another root", record.body, "bad-signature", WREN.root, HARE.signing),
                _inception("version 2", edited(record.body, 0, 2), "unknown-version"),
                _inception("small-order root key", edited(record.body, 1, b"\x01" + bytes(31)), "bad-key"),
                _inception("small-order signing key", edited(record.body, 2, bytes(32)), "bad-key"),
                _inception(
                    "root key as signing key",
                    edited(record.body, 2, HARE.root.public_key),
                    "malformed",
                    HARE.root,
                    HARE.root,
                ),
                _inception(
                    "next key is the signing key",
                    edited(record.body, 3, key_digest(HARE.signing.public_key)),
                    "malformed",
                ),
                _inception("organisation in capitals", edited(record.body, 4, "Hare"), "malformed"),
                _inception("organisation as bytes", edited(record.body, 4, b"hare"), "malformed"),
                _inception("nonce of 15 bytes", edited(record.body, 5, bytes(15)), "malformed"),
                _case(
                    "signed as another type",
                    SignedObject(JOIN_REQUEST, record.body, HARE.inception.signatures).encode(),
                    "malformed",
                ),
                _case("one bit of the body", flipped(HARE.inception.encode(), 30), "bad-key"),
                _case("one bit of a signature", flipped(HARE.inception.encode(), -1), "bad-signature"),
            ],
        },
        "join_request": {
            "accepted": [
                {
                    "name": one.name,
                    "wire": one.join_request.encode().hex(),
                    "node": one.id.hex(),
                    "governance_key": one.governance.public_key.hex(),
                }
                for one in (HARE, WREN)
            ],
            "refused": [
                _request("signed by the root key", request.body, "bad-signature", HARE.root),
                _request(
                    "another node's inception",
                    edited(request.body, "inception", WREN.inception.encode()),
                    "bad-signature",
                ),
                _request("unknown field", edited(request.body, "extra", 1), "malformed"),
                _request("no name", edited(request.body, "name", ...), "malformed"),
                _request("version 2", edited(request.body, "v", 2), "unknown-version"),
                _request("small-order governance key", edited(request.body, "governance_key", bytes(32)), "bad-key"),
                _request(
                    "signing key as governance key",
                    dataclasses.replace(request, governance_key=HARE.signing.public_key).body,
                    "malformed",
                ),
                _request(
                    "plain http to another machine",
                    edited(request.body, "endpoint", {"url": "http://hare.example"}),
                    "malformed",
                ),
                _request(
                    "endpoint with a path",
                    edited(request.body, "endpoint", {"url": "https://hare.example/mesh"}),
                    "malformed",
                ),
                _request("absent field as nil", edited(request.body, "population_group", None), "malformed"),
                _request(
                    "organisation name with an escape",
                    edited(request.body, "organisation_name", b"\x1b[31m"),
                    "malformed",
                ),
                _request(
                    "organisation name in invalid utf-8",
                    edited(request.body, "organisation_name", b"\xc3"),
                    "malformed",
                ),
            ],
        },
    }


def _id(name: str, type_: str, body: bytes) -> Json:
    return {"name": name, "type": type_, "body": body.hex(), "id": object_id(type_, body).hex()}  # type: ignore[arg-type]


def _case(name: str, wire: bytes, code: str) -> Json:
    return {"name": name, "wire": wire.hex(), "code": code}


def _inception(name: str, body: bytes, code: str, *signers: SigningKey) -> Json:
    signed = sign_object(INCEPTION, ZERO_FEDERATION, ZERO_NODE, body, signers or (HARE.root, HARE.signing))
    return _case(name, signed.encode(), code)


def _request(name: str, body: bytes, code: str, signer: SigningKey = HARE.signing) -> Json:
    return _case(name, sign_object(JOIN_REQUEST, ZERO_FEDERATION, HARE.id, body, (signer,)).encode(), code)
