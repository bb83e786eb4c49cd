"""Signed request and response envelopes of the mesh (specs/mesh.md 6).

    request   [1, "req", federation, from, to, op, at_ms, nonce, challenge or nil, charter_version, attempt,
               charter_hash, heads_digest, payload]
    response  [1, "res", federation, from, to, request_hash, at_ms, status, charter_version, attempt,
               charter_hash, heads_digest, payload]

Each is the body of a signed object (types `request`, `response`) with one signature, by `from`'s signing key.
`to` stops replay at another peer, `op` at another endpoint, the request hash ties an answer to its question.
Nothing outside these bytes (URL, headers, TLS identity) takes part in a decision. Freshness and nonces need a
clock and a memory: federation's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.errors import BadSignature, MalformedMessage, TooLarge
from protocol.fields import check_array, check_bytes, check_integer, check_text, refuse
from protocol.ids import CharterHash, FederationId, NodeId, RequestHash
from protocol.keys import SigningKey
from protocol.objects import (
    REQUEST,
    RESPONSE,
    WIRE_MAJOR,
    SignedObject,
    check_wire_major,
    object_id,
    parse_object,
    sign_object,
    verify_object,
)

MAX_MESSAGE_BYTES: Final = 1 << 20  # what common proxies pass without configuration
MAX_PAYLOAD_BYTES: Final = MAX_MESSAGE_BYTES - 1024  # room for envelope and signature
NONCE_BYTES: Final = 16
CHALLENGE_BYTES: Final = 16
FRESHNESS_MS: Final = 10 * 60 * 1000  # how far `at_ms` may be from the receiver's clock, either way
NONCE_MEMORY_MS: Final = 25 * 60 * 1000  # longer than a message can stay fresh: twice the freshness and a margin

HELLO: Final = "hello"
HEADS: Final = "heads"
RANGE: Final = "range"
PUSH: Final = "push"
ANNOUNCE: Final = "announce"
DOCS: Final = "docs"
JOIN: Final = "join"
OPS: Final = (HELLO, HEADS, RANGE, PUSH, ANNOUNCE, DOCS, JOIN)

OK: Final = "ok"
STATUSES: Final = (
    OK,
    "clock-skew",  # not fresh; the payload is a challenge to echo
    "replayed",  # this nonce was seen
    "unknown-key",  # signed by a key not known here: say hello once, then ask again
    "unknown-charter",  # the charter named is not held here
    "malformed",  # the payload is not one of this op
    "unknown-op",
    "busy",  # try later; the payload says when
    "failed",  # the responder's own fault
)
"""The closed list of signed answers. What comes from no member gets `REFUSAL`, unsigned and always the same."""

REFUSAL: Final = canonical.encode([WIRE_MAJOR, "refused"])
"""The constant body (HTTP 403) for everyone who has not proved to be a member: no oracle for membership or keys."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question from a member to a member.

    `at_ms`: Unix milliseconds; `charter_*` and `heads_digest`: what `sender` holds.
    """

    federation: FederationId
    sender: NodeId
    recipient: NodeId
    op: str
    at_ms: int
    nonce: bytes
    challenge: bytes | None
    charter_version: int
    attempt: int
    charter_hash: CharterHash
    heads_digest: bytes
    payload: bytes

    def body(self) -> bytes:
        return canonical.encode(
            [
                WIRE_MAJOR, "req", self.federation, self.sender, self.recipient, self.op, self.at_ms, self.nonce,
                self.challenge, self.charter_version, self.attempt, self.charter_hash, self.heads_digest, self.payload,
            ]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the one request whose hash it carries."""

    federation: FederationId
    sender: NodeId
    recipient: NodeId
    request_hash: RequestHash
    at_ms: int
    status: str
    charter_version: int
    attempt: int
    charter_hash: CharterHash
    heads_digest: bytes
    payload: bytes

    def body(self) -> bytes:
        return canonical.encode(
            [
                WIRE_MAJOR, "res", self.federation, self.sender, self.recipient, self.request_hash, self.at_ms,
                self.status, self.charter_version, self.attempt, self.charter_hash, self.heads_digest, self.payload,
            ]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request, its hash (which the response must carry) and its signature, not verified yet."""

    request: Request
    hash: RequestHash
    signed: SignedObject


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """A response and its signature, not verified yet."""

    response: Response
    signed: SignedObject


def sign_request(key: SigningKey, request: Request) -> bytes:
    """The message bytes: what is POSTed to `/mesh/v1/{op}`.

    Raises:
        TooLarge: above 1 MiB. MalformedMessage: whatever `parse_request` would refuse.
    """
    body = request.body()
    _request_of(body)
    return _within_limit(sign_object(REQUEST, request.federation, request.sender, body, (key,)))


def sign_response(key: SigningKey, response: Response) -> bytes:
    """The message bytes of an answer. Raises as `sign_request`."""
    body = response.body()
    _response_of(body)
    return _within_limit(sign_object(RESPONSE, response.federation, response.sender, body, (key,)))


def request_hash(message: bytes) -> RequestHash:
    """The hash of a request from its message bytes: over the body, signature excluded. Raises as `parse_request`."""
    return RequestHash(parse_object(message, REQUEST).id)


def parse_request(message: bytes) -> ParsedRequest:
    """A request from its message bytes; find the sender's key, then `verify_request`.

    Raises:
        MalformedMessage: wrong form, or an op not in the list. UnknownVersion: another wire major.
    """
    signed = parse_object(message, REQUEST, max_bytes=MAX_MESSAGE_BYTES)
    return ParsedRequest(_request_of(signed.body), RequestHash(signed.id), signed)


def parse_response(message: bytes) -> ParsedResponse:
    """A response from its message bytes; then `verify_response`. Raises as `parse_request`, `status` for `op`."""
    signed = parse_object(message, RESPONSE, max_bytes=MAX_MESSAGE_BYTES)
    return ParsedResponse(_response_of(signed.body), signed)


def verify_request(parsed: ParsedRequest, public_key: bytes) -> None:
    """Nothing, when the sender's key signed the request, once.

    Raises:
        BadSignature: it did not.
    """
    request = parsed.request
    verify_object(parsed.signed, request.federation, request.sender, (public_key,))


def verify_response(
    parsed: ParsedResponse, public_key: bytes, request: Request, asked: RequestHash | None = None
) -> None:
    """Nothing, when the response answers this very request and is signed by the one who was asked.

    `asked` is the hash of that request, computed here when not given.

    Raises:
        BadSignature: another key, another request, another pair of nodes or another federation.
    """
    response = parsed.response
    expected = RequestHash(object_id(REQUEST, request.body())) if asked is None else asked
    if (response.request_hash, response.federation, response.sender, response.recipient) != (
        expected, request.federation, request.recipient, request.sender,
    ):  # fmt: skip
        raise BadSignature(what="response refused", why="it answers another request")
    verify_object(parsed.signed, response.federation, response.sender, (public_key,))


def _within_limit(signed: SignedObject) -> bytes:
    message = signed.encode()
    if len(message) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            what=f"{signed.type} not sent",
            why=f"{len(message)} bytes, at most {MAX_MESSAGE_BYTES} are allowed",
            fix="Split the payload",
        )
    return message


def _request_of(body: bytes) -> Request:
    what = "request"
    items = _envelope(body, what, "req", 14)
    op = check_text(items[5], f"{what}: op", 32)
    if op not in OPS:
        refuse(f"{what}: op", f"'{op}' is none of {', '.join(OPS)}")
    challenge = items[8]
    return Request(
        FederationId(check_bytes(items[2], f"{what}: federation", 32, 32)),
        NodeId(check_bytes(items[3], f"{what}: from", 32, 32)),
        NodeId(check_bytes(items[4], f"{what}: to", 32, 32)),
        op,
        check_integer(items[6], f"{what}: at"),
        check_bytes(items[7], f"{what}: nonce", NONCE_BYTES, NONCE_BYTES),
        None if challenge is None else check_bytes(challenge, f"{what}: challenge", CHALLENGE_BYTES, CHALLENGE_BYTES),
        check_integer(items[9], f"{what}: charter version", 1),
        check_integer(items[10], f"{what}: attempt", 1),
        CharterHash(check_bytes(items[11], f"{what}: charter hash", 32, 32)),
        check_bytes(items[12], f"{what}: heads digest", 32, 32),
        check_bytes(items[13], f"{what}: payload", 0, MAX_PAYLOAD_BYTES),
    )


def _response_of(body: bytes) -> Response:
    what = "response"
    items = _envelope(body, what, "res", 13)
    status = check_text(items[7], f"{what}: status", 32)
    if status not in STATUSES:
        refuse(f"{what}: status", f"'{status}' is none of {', '.join(STATUSES)}")
    return Response(
        FederationId(check_bytes(items[2], f"{what}: federation", 32, 32)),
        NodeId(check_bytes(items[3], f"{what}: from", 32, 32)),
        NodeId(check_bytes(items[4], f"{what}: to", 32, 32)),
        RequestHash(check_bytes(items[5], f"{what}: request hash", 32, 32)),
        check_integer(items[6], f"{what}: at"),
        status,
        check_integer(items[8], f"{what}: charter version", 1),
        check_integer(items[9], f"{what}: attempt", 1),
        CharterHash(check_bytes(items[10], f"{what}: charter hash", 32, 32)),
        check_bytes(items[11], f"{what}: heads digest", 32, 32),
        check_bytes(items[12], f"{what}: payload", 0, MAX_PAYLOAD_BYTES),
    )


def _envelope(body: bytes, what: str, mark: str, length: int) -> list[canonical.Value]:
    items = check_array(canonical.decode(body, max_bytes=MAX_MESSAGE_BYTES), what, 2, 64)
    check_wire_major(items[0], what)
    if items[1] != mark or len(items) != length:
        raise MalformedMessage(what=f"{what} refused", why=f"not a '{mark}' array of {length} items")
    return items
