"""Ids and signature messages: what they cover, and that nothing signed as one thing passes as another."""

from __future__ import annotations

import hashlib

import pytest

from protocol import canonical, objects
from protocol.errors import BadSignature, MalformedMessage, ProtocolError, UnknownVersion
from protocol.objects import (
    CHARTER,
    ENTRY,
    INCEPTION,
    SignedObject,
    object_id,
    parse_object,
    sign_object,
    signature_message,
    verify_object,
)
from tests.unit.protocol.samples import key

FEDERATION, AUTHOR, BODY = b"f" * 32, b"a" * 32, b"the body"


def part(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.requirement("M-ID-1", "M-ID-2")
def test_id_and_message_are_length_prefixed_parts() -> None:
    """The byte layout of specs/mesh.md 2, written out once more."""
    assert object_id(ENTRY, BODY) == hashlib.sha256(part(b"murmur-id-v1") + part(b"entry") + part(BODY)).digest()
    assert signature_message(ENTRY, FEDERATION, AUTHOR, BODY) == b"".join(
        map(part, (b"murmur-sign-v1", b"entry", FEDERATION, AUTHOR, BODY))
    )


def test_type_constants_are_all_different() -> None:
    """One constant a type, or two kinds of object would share ids and signatures."""
    types = [value for name, value in vars(objects).items() if name.isupper() and isinstance(value, str)]
    assert len(types) >= 13
    assert len(set(types)) == len(types)


@pytest.mark.requirement("M-ID-2")
def test_signature_binds_type_federation_author_and_body() -> None:
    """Change any of the four, and the signature is no longer good."""
    signer = key("signer")
    signed = sign_object(ENTRY, FEDERATION, AUTHOR, BODY, (signer,))
    verify_object(signed, FEDERATION, AUTHOR, (signer.public_key,))
    elsewhere = [
        (SignedObject(CHARTER, BODY, signed.signatures), FEDERATION, AUTHOR),
        (SignedObject(ENTRY, BODY + b"!", signed.signatures), FEDERATION, AUTHOR),
        (signed, b"g" * 32, AUTHOR),
        (signed, FEDERATION, b"b" * 32),
        (signed, AUTHOR, FEDERATION),
    ]
    for changed, federation, author in elsewhere:
        with pytest.raises(BadSignature):
            verify_object(changed, federation, author, (signer.public_key,))


@pytest.mark.requirement("M-ID-3")
def test_signatures_are_exactly_those_asked_for_and_in_order() -> None:
    """None missing, none too many, none swapped."""
    first, second = key("first"), key("second")
    both = sign_object(INCEPTION, FEDERATION, AUTHOR, BODY, (first, second))
    verify_object(both, FEDERATION, AUTHOR, (first.public_key, second.public_key))
    for keys in ((second, first), (first,), (first, second, second), (first, first)):
        with pytest.raises(BadSignature):
            verify_object(both, FEDERATION, AUTHOR, [one.public_key for one in keys])


@pytest.mark.requirement("M-ID-1")
def test_id_leaves_signatures_out() -> None:
    """Another signature on the same body is the same object."""
    assert (
        sign_object(ENTRY, FEDERATION, AUTHOR, BODY, (key("first"),)).id
        == sign_object(ENTRY, FEDERATION, AUTHOR, BODY, (key("second"),)).id
        == object_id(ENTRY, BODY)
        != object_id(CHARTER, BODY)
    )


def test_wire_form_round_trips() -> None:
    """`[1, type, body, [signatures]]`."""
    signed = sign_object(ENTRY, FEDERATION, AUTHOR, BODY, (key("first"), key("second")))
    assert canonical.decode(signed.encode()) == [1, "entry", BODY, list(signed.signatures)]
    assert parse_object(signed.encode(), ENTRY) == signed


S = bytes(64)


@pytest.mark.requirement("M-ID-4")
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([2, "entry", BODY, [S]], UnknownVersion),
        ([0, "entry", BODY, [S]], MalformedMessage),
        ([True, "entry", BODY, [S]], MalformedMessage),
        ([1, "charter", BODY, [S]], MalformedMessage),
        ([1, "entry", b"", [S]], MalformedMessage),
        ([1, "entry", "text", [S]], MalformedMessage),
        ([1, "entry", BODY, []], MalformedMessage),
        ([1, "entry", BODY, [S] * 5], MalformedMessage),
        ([1, "entry", BODY, [S[1:]]], MalformedMessage),
        ([1, "entry", BODY, S], MalformedMessage),
        ([1, "entry", BODY], MalformedMessage),
        ([1, "entry", BODY, [S], None], MalformedMessage),
        ({"v": 1}, MalformedMessage),
    ],
)
def test_other_wire_forms_are_refused(value: canonical.Encodable, error: type[ProtocolError]) -> None:
    """Each by its name."""
    with pytest.raises(error):
        parse_object(canonical.encode(value), ENTRY)
