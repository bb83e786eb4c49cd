"""The data of heads_attest, token_key and revoke_token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol import canonical
from protocol.attestation import MAX_ATTESTED, AttestData, AttestedHead, attest, parse_attest
from protocol.entries import MAX_DATA_BYTES
from protocol.errors import BadKey, MalformedMessage, ProtocolError, TooLarge, UnknownVersion
from protocol.ids import EntryId, NodeId
from protocol.token_data import RevokeTokenData, TokenKeyData, parse_revoke_token, parse_token_key, token_key_id
from tests.unit.protocol.samples import key

KEYS = tuple(sorted(key(name).public_key for name in ("one", "two")))
FULL = AttestData((AttestedHead(NodeId(b"a" * 32), 1, 7, EntryId(b"e" * 32)),), b"h" * 32)


def head(number: int) -> AttestedHead:
    return AttestedHead(NodeId(number.to_bytes(32, "big")), 2**53 - 1, 2**53 - 1, EntryId(bytes(32)))


@pytest.mark.parametrize("data", [FULL, AttestData(()), AttestData((head(1), head(2)))])
def test_an_attestation_round_trips(data: AttestData) -> None:
    """With and without heads, with and without an audit log."""
    assert parse_attest(data.encode()) == data


def test_what_does_not_fit_into_one_entry_goes_into_several() -> None:
    """1,500 authors at the largest positions: three entries that each fit, the audit head in the first."""
    heads = [head(number) for number in reversed(range(1500))]
    parts = attest(heads, b"x" * 32)
    assert [len(part.heads) for part in parts] == [MAX_ATTESTED, MAX_ATTESTED, 100]
    assert [part.audit for part in parts] == [b"x" * 32, None, None]
    assert all(len(part.encode()) <= MAX_DATA_BYTES for part in parts)
    assert sorted(heads, key=lambda one: one.author) == [one for part in parts for one in part.heads]


def test_nobody_else_to_attest_still_attests_the_audit_log() -> None:
    """A node alone in its federation."""
    assert attest([], b"x" * 32) == [AttestData((), b"x" * 32)]


def test_a_head_is_found_by_its_author() -> None:
    assert FULL.head_of(NodeId(b"a" * 32)) == FULL.heads[0]
    assert FULL.head_of(NodeId(b"b" * 32)) is None


def test_token_data_round_trips() -> None:
    """Keys and revocations; no keys: nothing is issued any more."""
    for keys in (KEYS, KEYS[:1], ()):
        assert parse_token_key(TokenKeyData(keys).encode()) == TokenKeyData(keys)
    revoked = RevokeTokenData((bytes(16), b"\x01" * 16))
    assert parse_revoke_token(revoked.encode()) == revoked
    assert len(token_key_id(KEYS[0])) == 16


BAD: list[tuple[Callable[[bytes], object], bytes, type[ProtocolError]]] = [
    (parse_attest, AttestData((head(2), head(1))).encode(), MalformedMessage),
    (parse_attest, AttestData((head(1), head(1))).encode(), MalformedMessage),
    (parse_attest, AttestData(tuple(head(n) for n in range(MAX_ATTESTED + 1))).encode(), TooLarge),
    (parse_attest, AttestData((), b"short").encode(), MalformedMessage),
    (parse_token_key, TokenKeyData(KEYS[::-1]).encode(), MalformedMessage),
    (parse_token_key, TokenKeyData((bytes(32),)).encode(), BadKey),
    (parse_revoke_token, RevokeTokenData(()).encode(), MalformedMessage),
    (parse_revoke_token, RevokeTokenData((b"\x01" * 16, bytes(16))).encode(), MalformedMessage),
    (parse_revoke_token, RevokeTokenData((b"short",)).encode(), MalformedMessage),
]


@pytest.mark.parametrize(("parse", "data", "error"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_is_out_of_order_or_form_is_refused(
    parse: Callable[[bytes], object], data: bytes, error: type[ProtocolError]
) -> None:
    """Wrong order, duplicates, too many, a key of small order."""
    with pytest.raises(error):
        parse(data)


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (parse_attest, FULL.encode()),
        (parse_token_key, TokenKeyData(KEYS).encode()),
        (parse_revoke_token, RevokeTokenData((bytes(16),)).encode()),
    ],
)
def test_unknown_field_and_version_are_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    """Schemas are closed: nothing else finds a place in them."""
    value = canonical.decode(data)
    assert isinstance(value, dict)
    with pytest.raises(MalformedMessage):
        parse(canonical.encode({**value, "rows": 7}))
    with pytest.raises(UnknownVersion):
        parse(canonical.encode({**value, "v": 2}))
