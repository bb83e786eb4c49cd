"""requests.json: a question, its answer, and the ways to get either wrong."""

from __future__ import annotations

import dataclasses

from protocol.ids import CharterHash, RequestHash
from protocol.keys import SigningKey
from protocol.objects import REQUEST, RESPONSE, ObjectType, SignedObject, sign_object
from protocol.ops import PushReply, PushRequest, PushVerdict
from protocol.requests import OPS, REFUSAL, STATUSES, Request, Response, request_hash, sign_request, sign_response
from specs.vectors.v1.cast import CREATED, FEDERATION, HARE, WREN, Json, digest, edited, flipped

ASKED = Request(
    federation=FEDERATION,
    sender=HARE.id,
    recipient=WREN.id,
    op="push",
    at_ms=CREATED * 1000 + 123,
    nonce=digest("nonce")[:16],
    challenge=None,
    charter_version=1,
    attempt=1,
    charter_hash=CharterHash(digest("charter")),
    heads_digest=digest("heads of hare"),
    payload=PushRequest((b"an entry's bytes",)).encode(),
)
MESSAGE = sign_request(HARE.signing, ASKED)
ANSWER = Response(
    federation=FEDERATION,
    sender=WREN.id,
    recipient=HARE.id,
    request_hash=request_hash(MESSAGE),
    at_ms=CREATED * 1000 + 456,
    status="ok",
    charter_version=1,
    attempt=1,
    charter_hash=CharterHash(digest("charter")),
    heads_digest=digest("heads of wren"),
    payload=PushReply((PushVerdict("behind", None, (0, 3)),)).encode(),
)


def vectors() -> Json:
    challenged = dataclasses.replace(ASKED, op="hello", challenge=digest("challenge")[:16], payload=b"")
    requests = [
        _request("bad signature: one bit of it", flipped(MESSAGE, -1), "bad-signature"),
        _request("bad signature: one bit of the payload", flipped(MESSAGE, -80), "bad-signature"),
        _request("signed by another node", sign_request(WREN.signing, ASKED), "bad-signature"),
        _request("two signatures", _resign(ASKED.body(), (HARE.signing, HARE.signing)), "bad-signature"),
        _request("no signature", SignedObject(REQUEST, ASKED.body(), ()).encode(), "malformed"),
        _request("wire major 2 outside", edited(MESSAGE, 0, 2), "unknown-version"),
        _request("wire major 2 inside", _resign(edited(ASKED.body(), 0, 2)), "unknown-version"),
        _request("a response", sign_response(WREN.signing, ANSWER), "malformed"),
        _request("response array in a request", _resign(ANSWER.body()), "malformed"),
        _request("op unknown", _resign(edited(ASKED.body(), 5, "box")), "malformed"),
        _request("op as bytes", _resign(edited(ASKED.body(), 5, b"push")), "malformed"),
        _request("time below zero", _resign(edited(ASKED.body(), 6, -1)), "malformed"),
        _request("nonce of 15 bytes", _resign(edited(ASKED.body(), 7, bytes(15))), "malformed"),
        _request("challenge of 15 bytes", _resign(edited(ASKED.body(), 8, bytes(15))), "malformed"),
        _request("attempt zero", _resign(edited(ASKED.body(), 10, 0)), "malformed"),
        _request("payload nil", _resign(edited(ASKED.body(), 13, None)), "malformed"),
        _request("trailing byte", MESSAGE + b"\x00", "not-canonical"),
        _request("empty", b"", "not-canonical"),
    ]
    other = dataclasses.replace
    answers = [
        _response("answers another request", other(ANSWER, request_hash=RequestHash(bytes(32)))),
        _response("from another federation", other(ANSWER, federation=FEDERATION[::-1])),
        _response("to another node", other(ANSWER, recipient=WREN.id)),
        _response("from another node", other(ANSWER, sender=HARE.id)),
        _response("signed by another node", ANSWER, HARE.signing),
        {
            **_response("status unknown", ANSWER),
            "code": "malformed",
            "wire": _resign(edited(ANSWER.body(), 7, "fine"), (WREN.signing,), RESPONSE).hex(),
        },
    ]
    return {
        "about": "Mesh messages, specs/mesh.md 6. Refused responses do not answer the first accepted request.",
        "ops": list(OPS),
        "statuses": list(STATUSES),
        "refusal": REFUSAL.hex(),
        "request": {
            "accepted": [_accepted("push", ASKED), _accepted("hello that echoes a challenge", challenged)],
            "refused": requests,
        },
        "response": {
            "accepted": [
                {
                    "name": "push answered",
                    "wire": sign_response(WREN.signing, ANSWER).hex(),
                    "key": WREN.signing.public_key.hex(),
                    "request_hash": ANSWER.request_hash.hex(),
                    "status": ANSWER.status,
                    "payload": ANSWER.payload.hex(),
                }
            ],
            "refused": answers,
        },
    }


def _accepted(name: str, request: Request) -> Json:
    message = sign_request(HARE.signing, request)
    return {
        "name": name,
        "wire": message.hex(),
        "key": HARE.signing.public_key.hex(),
        "hash": request_hash(message).hex(),
        "federation": request.federation.hex(),
        "from": request.sender.hex(),
        "to": request.recipient.hex(),
        "op": request.op,
        "at_ms": request.at_ms,
        "nonce": request.nonce.hex(),
        "challenge": None if request.challenge is None else request.challenge.hex(),
        "payload": request.payload.hex(),
    }


def _resign(body: bytes, signers: tuple[SigningKey, ...] = (HARE.signing,), type_: ObjectType = REQUEST) -> bytes:
    author = WREN.id if type_ == RESPONSE else HARE.id
    return sign_object(type_, FEDERATION, author, body, signers).encode()


def _request(name: str, wire: bytes, code: str) -> Json:
    return {"name": name, "wire": wire.hex(), "key": HARE.signing.public_key.hex(), "code": code}


def _response(name: str, response: Response, signer: SigningKey = WREN.signing) -> Json:
    wire = sign_response(signer, response)
    return {"name": name, "wire": wire.hex(), "key": WREN.signing.public_key.hex(), "code": "bad-signature"}
