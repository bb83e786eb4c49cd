"""Request and response envelopes: bound to both ends, to the op and to each other."""

from __future__ import annotations

import dataclasses

import pytest

from protocol import canonical
from protocol.errors import BadSignature, MalformedMessage, ProtocolError, TooLarge, UnknownVersion
from protocol.ids import CharterHash
from protocol.objects import REQUEST, RESPONSE, sign_object
from protocol.requests import (
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    OPS,
    REFUSAL,
    STATUSES,
    Request,
    Response,
    parse_request,
    parse_response,
    request_hash,
    sign_request,
    sign_response,
    verify_request,
    verify_response,
)
from tests.unit.protocol.samples import ALL, FEDERATION, HARMONIE, TOOLS, request

ASKED = request()
MESSAGE = sign_request(TOOLS.signing, ASKED)


def response(**changes: object) -> Response:
    fields: dict[str, object] = {
        "federation": ASKED.federation,
        "sender": HARMONIE.node,
        "recipient": TOOLS.node,
        "request_hash": request_hash(MESSAGE),
        "at_ms": ASKED.at_ms + 5,
        "status": "ok",
        "charter_version": 1,
        "attempt": 1,
        "charter_hash": CharterHash(bytes(32)),
        "heads_digest": bytes(32),
        "payload": b"answer",
    }
    return Response(**{**fields, **changes})  # type: ignore[arg-type]


def test_request_round_trips_and_verifies() -> None:
    """As signed object of type `request`."""
    parsed = parse_request(MESSAGE)
    assert parsed.request == ASKED
    assert parsed.hash == request_hash(MESSAGE)
    verify_request(parsed, TOOLS.signing.public_key)
    with pytest.raises(BadSignature):
        verify_request(parsed, HARMONIE.signing.public_key)


def test_request_is_the_documented_array() -> None:
    """PROTOCOL 4, item by item."""
    outer = canonical.decode(MESSAGE)
    assert isinstance(outer, list)
    assert outer[:2] == [1, "request"]
    assert canonical.decode(outer[2]) == [  # type: ignore[arg-type]
        1, "req", ASKED.federation, TOOLS.node, HARMONIE.node, "push", ASKED.at_ms, ASKED.nonce, None, 1, 1,
        ASKED.charter_hash, ASKED.heads_digest, b"payload",
    ]  # fmt: skip


def test_response_is_the_documented_array() -> None:
    """PROTOCOL 4, item by item."""
    outer = canonical.decode(sign_response(HARMONIE.signing, response()))
    assert isinstance(outer, list)
    assert outer[:2] == [1, "response"]
    assert canonical.decode(outer[2]) == [  # type: ignore[arg-type]
        1, "res", ASKED.federation, HARMONIE.node, TOOLS.node, request_hash(MESSAGE), ASKED.at_ms + 5, "ok", 1, 1,
        bytes(32), bytes(32), b"answer",
    ]  # fmt: skip


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("challenge", [None, bytes(16)])
def test_every_op_round_trips(op: str, challenge: bytes | None) -> None:
    """With and without an echoed challenge."""
    asked = request(op=op, challenge=challenge)
    assert parse_request(sign_request(TOOLS.signing, asked)).request == asked


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_round_trips(status: str) -> None:
    """And its response verifies against its request."""
    answer = response(status=status)
    parsed = parse_response(sign_response(HARMONIE.signing, answer))
    assert parsed.response == answer
    verify_response(parsed, HARMONIE.signing.public_key, ASKED)
    verify_response(parsed, HARMONIE.signing.public_key, ASKED, request_hash(MESSAGE))


@pytest.mark.requirement("M-MSG-6", "T-NET-3")
@pytest.mark.parametrize(
    "changes",
    [
        {"request_hash": bytes(32)},
        {"federation": FEDERATION},
        {"sender": ALL["addvalue"].node},
        {"recipient": ALL["addvalue"].node},
    ],
)
def test_answer_to_another_question_is_refused(changes: dict[str, object]) -> None:
    """Even signed by the right key."""
    parsed = parse_response(sign_response(HARMONIE.signing, response(**changes)))
    with pytest.raises(BadSignature):
        verify_response(parsed, HARMONIE.signing.public_key, ASKED)


def test_answer_of_another_key_is_refused() -> None:
    """The one who was asked must sign."""
    parsed = parse_response(sign_response(TOOLS.signing, response()))
    with pytest.raises(BadSignature):
        verify_response(parsed, HARMONIE.signing.public_key, ASKED)


def test_answer_to_the_same_question_asked_twice_differs() -> None:
    """The nonce is in the hash, so an answer cannot be replayed to the next request."""
    again = request(nonce=bytes(16))
    parsed = parse_response(sign_response(HARMONIE.signing, response()))
    with pytest.raises(BadSignature):
        verify_response(parsed, HARMONIE.signing.public_key, again)


def test_request_and_response_share_no_signature() -> None:
    """One type's signature is never good for the other."""
    parsed = parse_request(MESSAGE)
    forged = dataclasses.replace(parsed.signed, type=RESPONSE)
    with pytest.raises(ProtocolError):
        parse_response(forged.encode())


def resigned(position: int, value: canonical.Encodable) -> bytes:
    items = canonical.decode(ASKED.body())
    assert isinstance(items, list)
    items[position] = value  # type: ignore[assignment]
    return sign_object(REQUEST, ASKED.federation, ASKED.sender, canonical.encode(items), (TOOLS.signing,)).encode()


@pytest.mark.requirement("M-MSG-5")
@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        (0, 2, UnknownVersion),
        (1, "res", MalformedMessage),
        (2, bytes(31), MalformedMessage),
        (3, "node", MalformedMessage),
        (4, None, MalformedMessage),
        (5, "box", MalformedMessage),
        (5, "", MalformedMessage),
        (6, -1, MalformedMessage),
        (6, 2**53 - 1, None),
        (7, bytes(15), MalformedMessage),
        (8, bytes(15), MalformedMessage),
        (8, False, MalformedMessage),
        (9, 0, MalformedMessage),
        (10, 0, MalformedMessage),
        (11, bytes(33), MalformedMessage),
        (12, b"", MalformedMessage),
        (13, None, MalformedMessage),
        (13, {}, MalformedMessage),
    ],
)
def test_bad_field_is_refused(position: int, value: canonical.Encodable, error: type[ProtocolError] | None) -> None:
    """Each of the fourteen has a type and a range; a time far away is well-formed, and stale."""
    if error is None:
        parse_request(resigned(position, value))
    else:
        with pytest.raises(error):
            parse_request(resigned(position, value))


@pytest.mark.requirement("M-MSG-5")
def test_two_signatures_are_one_too_many() -> None:
    """An envelope has one signer."""
    twice = sign_object(REQUEST, ASKED.federation, ASKED.sender, ASKED.body(), (TOOLS.signing, TOOLS.signing))
    with pytest.raises(BadSignature):
        verify_request(parse_request(twice.encode()), TOOLS.signing.public_key)


@pytest.mark.requirement("M-MSG-2")
def test_message_stays_within_a_mebibyte() -> None:
    """The largest payload makes a message that fits; one byte more is not signed, and a larger message not read."""
    assert len(sign_request(TOOLS.signing, request(payload=bytes(MAX_PAYLOAD_BYTES)))) <= MAX_MESSAGE_BYTES
    with pytest.raises(ProtocolError):
        sign_request(TOOLS.signing, request(payload=bytes(MAX_PAYLOAD_BYTES + 1)))
    with pytest.raises(TooLarge):
        parse_request(bytes(MAX_MESSAGE_BYTES + 1))


def test_builder_refuses_what_the_parser_would() -> None:
    """Nothing is sent that no peer would read."""
    bad: list[Request] = [request(op="box"), request(nonce=b""), request(charter_version=0), request(at_ms=-1)]
    for asked in bad:
        with pytest.raises(MalformedMessage):
            sign_request(TOOLS.signing, asked)
    with pytest.raises(MalformedMessage):
        sign_response(HARMONIE.signing, response(status="fine"))


@pytest.mark.requirement("M-MSG-7")
def test_strangers_refusal_is_constant() -> None:
    """Its bytes are part of the specification."""
    assert REFUSAL.hex() == "9201a772656675736564"
