"""Join requests: self-contained, signed by the node, every field checked."""

from __future__ import annotations

import dataclasses

import pytest

from protocol import canonical
from protocol.endpoints import Endpoint
from protocol.errors import BadKey, BadSignature, MalformedMessage, ProtocolError, UnknownVersion
from protocol.ids import ZERO_FEDERATION
from protocol.join_request import JoinRequest, create_join_request, parse_join_request
from protocol.objects import JOIN_REQUEST, sign_object
from tests.unit.protocol.samples import HARMONIE, TOOLS, cast

REQUEST = parse_join_request(TOOLS.join_request)


def test_request_round_trips() -> None:
    """And knows its node."""
    assert create_join_request(TOOLS.signing, REQUEST).encode() == TOOLS.join_request
    assert REQUEST.record.node_id == TOOLS.node
    assert REQUEST.organisation_name == "The people of liberation-tools ✿"
    assert REQUEST.endpoint == Endpoint("http://127.0.0.1:7700")


def test_optional_fields_may_be_absent() -> None:
    """A node that is never called, of unknown size."""
    bare = parse_join_request(cast("bare", endpoint=None, population=None).join_request)
    assert (bare.endpoint, bare.population, bare.population_group) == (None, None, None)


def test_only_the_nodes_signing_key_signs() -> None:
    """Neither another node, nor its own root key."""
    for signer in (HARMONIE.signing, TOOLS.root, TOOLS.governance):
        with pytest.raises(BadSignature):
            create_join_request(signer, REQUEST)


def test_governance_key_is_a_third_key() -> None:
    """A node's own key as its organisation's voice would put both into one hand."""
    for own in (TOOLS.root, TOOLS.signing):
        with pytest.raises(MalformedMessage):
            create_join_request(TOOLS.signing, dataclasses.replace(REQUEST, governance_key=own.public_key))


def resigned(**fields: canonical.Encodable) -> bytes:
    value = canonical.decode(REQUEST.body)
    assert isinstance(value, dict)
    body = canonical.encode({**value, **fields})
    return sign_object(JOIN_REQUEST, ZERO_FEDERATION, TOOLS.node, body, (TOOLS.signing,)).encode()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"v": 2}, UnknownVersion),
        ({"secret": 1}, MalformedMessage),
        ({"name": "Not A Name"}, MalformedMessage),
        ({"organisation_name": "text"}, MalformedMessage),
        ({"organisation_name": b"x" * 129}, MalformedMessage),
        ({"governance_key": bytes(32)}, BadKey),
        ({"endpoint": {"url": "http://node.example"}}, MalformedMessage),
        ({"endpoint": None}, MalformedMessage),
        ({"population": 0}, MalformedMessage),
        ({"population_group": "A"}, MalformedMessage),
        ({"inception": b"\x90"}, MalformedMessage),
        ({"inception": HARMONIE.signed_inception.encode()}, BadSignature),
    ],
)
def test_bad_field_is_refused(fields: dict[str, canonical.Encodable], error: type[ProtocolError]) -> None:
    """Even under a good signature."""
    with pytest.raises(error):
        parse_join_request(resigned(**fields))


def test_request_is_a_value() -> None:
    """Two equal requests are one."""
    assert isinstance(REQUEST, JoinRequest)
    assert parse_join_request(TOOLS.join_request) == REQUEST
