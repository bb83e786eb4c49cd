"""Inception records: two signatures, one id, no key in two places."""

from __future__ import annotations

import dataclasses

import pytest

from protocol import canonical
from protocol.errors import BadKey, BadSignature, MalformedMessage, ProtocolError, UnknownVersion
from protocol.identity import Inception, create_inception, node_id, parse_inception
from protocol.ids import ZERO_FEDERATION, ZERO_NODE
from protocol.keys import SigningKey, key_digest
from protocol.objects import INCEPTION, object_id, sign_object
from tests.unit.protocol.samples import TOOLS, key

RECORD = TOOLS.inception


def signed_by(record: Inception, *signers: SigningKey) -> bytes:
    return sign_object(INCEPTION, ZERO_FEDERATION, ZERO_NODE, record.body, signers).encode()


def test_record_round_trips_and_names_the_node() -> None:
    """The id is the hash of the body; signatures and wire form change nothing."""
    assert parse_inception(TOOLS.signed_inception.encode()) == RECORD
    assert RECORD.node_id == node_id(RECORD.body) == object_id(INCEPTION, RECORD.body)
    assert RECORD.signing_key == TOOLS.signing.public_key
    assert RECORD.root_key == TOOLS.root.public_key
    assert RECORD.next_digest == key_digest(TOOLS.next.public_key)
    assert RECORD.organisation == "liberation-tools"


def test_both_keys_must_sign_in_order() -> None:
    """Root first, then signing key; the holder of one alone makes no node."""
    for signers in (
        (TOOLS.signing, TOOLS.root),
        (TOOLS.root,),
        (TOOLS.signing,),
        (TOOLS.root, TOOLS.root),
        (TOOLS.root, TOOLS.signing, TOOLS.next),
    ):
        with pytest.raises(BadSignature):
            parse_inception(signed_by(RECORD, *signers))


def test_every_field_is_in_the_id() -> None:
    """Two records that differ anywhere are two nodes."""
    others = [
        dataclasses.replace(RECORD, root_key=key("x").public_key),
        dataclasses.replace(RECORD, signing_key=key("x").public_key),
        dataclasses.replace(RECORD, next_digest=bytes(32)),
        dataclasses.replace(RECORD, organisation="another"),
        dataclasses.replace(RECORD, nonce=bytes(16)),
    ]
    assert len({record.node_id for record in [RECORD, *others]}) == 6


@pytest.mark.parametrize(
    ("position", "value", "error"),
    [
        (0, 2, UnknownVersion),
        (0, 0, MalformedMessage),
        (1, bytes(32), BadKey),
        (1, b"\x01" + bytes(31), BadKey),
        (1, bytes(31), MalformedMessage),
        (2, b"\x01" + bytes(31), BadKey),
        (3, bytes(31), MalformedMessage),
        (4, "Upper", MalformedMessage),
        (4, "", MalformedMessage),
        (4, "x" * 65, MalformedMessage),
        (4, b"bytes", MalformedMessage),
        (5, bytes(15), MalformedMessage),
        (5, None, MalformedMessage),
    ],
)
def test_bad_field_is_refused(position: int, value: canonical.Encodable, error: type[ProtocolError]) -> None:
    """Even with two good signatures over it."""
    items = canonical.decode(RECORD.body)
    assert isinstance(items, list)
    items[position] = value  # type: ignore[assignment]
    body = canonical.encode(items)
    signed = sign_object(INCEPTION, ZERO_FEDERATION, ZERO_NODE, body, (TOOLS.root, TOOLS.signing))
    with pytest.raises(error):
        parse_inception(signed)


@pytest.mark.requirement("M-KEY-5")
def test_one_key_in_two_places_is_refused() -> None:
    """The everyday key must not be able to do what only the offline one may, nor be its own successor."""
    root, signing = key("root"), key("signing")
    for pair, next_key in (
        ((root, root), key("next")),
        ((root, signing), root),
        ((root, signing), signing),
    ):
        with pytest.raises(MalformedMessage):
            create_inception(*pair, next_key.public_key, "org", bytes(16))


def test_next_key_must_be_a_good_key() -> None:
    """A commitment to a key that could never be used is refused at birth."""
    with pytest.raises(BadKey):
        create_inception(key("root"), key("signing"), bytes(32), "org", bytes(16))
