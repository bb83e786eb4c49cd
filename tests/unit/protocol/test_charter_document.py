"""Charter documents: approvals, and the founding that every organisation signs."""

from __future__ import annotations

import pytest

from protocol import canonical
from protocol.charter import CatalogueRow
from protocol.charter_document import (
    CharterDocument,
    parse_charter_document,
    sign_charter,
    verify_approval,
    verify_founding,
)
from protocol.errors import BadSignature, MalformedMessage, ProtocolError, ThresholdNotMet, UnknownVersion
from protocol.ids import CharterHash
from tests.unit.protocol.samples import (
    ALL,
    CHARTER_BODY,
    COUNTS_FROM,
    FEDERATION,
    FOUNDED,
    NAMES,
    charter,
    key,
    some_hash,
)


def document(*signers: str, body: bytes = CHARTER_BODY) -> CharterDocument:
    made = CharterDocument(body)
    for name in signers:
        governance = ALL[name].governance
        made = made.with_approval(governance.public_key, sign_charter(governance, body))
    return made


def test_document_round_trips_in_any_signing_order() -> None:
    """The file is the same whoever signed first."""
    forward, backward = document(*NAMES), document(*NAMES[::-1])
    assert forward.encode() == backward.encode()
    assert parse_charter_document(forward.encode()) == forward
    assert document().hash == forward.hash == FOUNDED


def test_founding_verifies_when_all_signed() -> None:
    """And gives the federation its id."""
    founded, federation = verify_founding(document(*NAMES))
    assert founded == charter()
    assert federation == FOUNDED


@pytest.mark.parametrize("missing", NAMES)
def test_founding_needs_every_organisation(missing: str) -> None:
    """The threshold is three, but a new key signs the version that adds it; the message says who is missing."""
    with pytest.raises(ThresholdNotMet, match=missing):
        verify_founding(document(*(name for name in NAMES if name != missing)))


def test_stranger_or_bad_signature_is_refused() -> None:
    """One bad approval spoils the document; it is not merely not counted."""
    stranger = key("stranger")
    good = document(*NAMES)
    with pytest.raises(BadSignature):
        verify_founding(good.with_approval(stranger.public_key, sign_charter(stranger, CHARTER_BODY)))
    first = ALL[NAMES[0]].governance
    other_body = charter(catalogue=(CatalogueRow("other", some_hash("other"), COUNTS_FROM),)).encode()
    for signature in (sign_charter(first, other_body), sign_charter(first, CHARTER_BODY, FEDERATION), bytes(64)):
        with pytest.raises(BadSignature):
            verify_founding(good.with_approval(first.public_key, signature))


def test_later_version_is_no_founding() -> None:
    """However well signed."""
    body = charter(version=2, previous=(CharterHash(bytes(32)),)).encode()
    with pytest.raises(MalformedMessage):
        verify_founding(document(*NAMES, body=body))


def test_approval_is_bound_to_the_federation() -> None:
    """The same key's approval in one federation says nothing in another."""
    governance = ALL["harmonie"].governance
    signature = sign_charter(governance, CHARTER_BODY, FEDERATION)
    verify_approval(CHARTER_BODY, governance.public_key, signature, FEDERATION)
    with pytest.raises(BadSignature):
        verify_approval(CHARTER_BODY, governance.public_key, signature)


A, B, S = bytes(32), b"\x01" * 32, bytes(64)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([2, "charter", b"body", []], UnknownVersion),
        ([1, "entry", b"body", []], MalformedMessage),
        ([1, "charter", b"", []], MalformedMessage),
        ([1, "charter", b"body"], MalformedMessage),
        ([1, "charter", b"body", [[B, S], [A, S]]], MalformedMessage),
        ([1, "charter", b"body", [[A, S], [A, S]]], MalformedMessage),
        ([1, "charter", b"body", [[A, S[1:]]]], MalformedMessage),
        ([1, "charter", b"body", [[A[1:], S]]], MalformedMessage),
        ([1, "charter", b"body", [[A]]], MalformedMessage),
        ([1, "charter", b"body", {}], MalformedMessage),
    ],
)
def test_other_wire_forms_are_refused(value: canonical.Encodable, error: type[ProtocolError]) -> None:
    """A key listed twice would be counted twice by a careless reader; it is no document."""
    with pytest.raises(error):
        parse_charter_document(canonical.encode(value))
