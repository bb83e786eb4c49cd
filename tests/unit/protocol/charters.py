"""Chains of charters for tests: whatever follows whatever, signed by whom the test names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from protocol.charter import Charter
from protocol.charter_chain import CharterChain, TrustedCharter, found_chain, verify_successor
from protocol.charter_document import CharterDocument, sign_charter
from protocol.ids import FederationId
from protocol.keys import SigningKey
from tests.unit.protocol.samples import ALL, FOUNDED, NAMES, charter

DAY_S = 86_400
VOICES = {name: ALL[name].governance for name in NAMES}


def signed(body: bytes, signers: Iterable[SigningKey], federation: FederationId) -> CharterDocument:
    """A charter document with these approvals."""
    made = CharterDocument(body)
    for governance in signers:
        made = made.with_approval(governance.public_key, sign_charter(governance, body, federation))
    return made


def founded() -> CharterChain:
    """The chain of the four friends' founding charter."""
    body = charter().encode()
    return found_chain(signed(body, VOICES.values(), FederationId(bytes(32))))


def successor(parent: TrustedCharter | Charter, *others: TrustedCharter, **changes: object) -> Charter:
    """A body that follows one charter (or heals several), a day younger; `changes` replace fields."""
    before = parent.charter if isinstance(parent, TrustedCharter) else parent
    hashes = [item.hash for item in (parent, *others) if isinstance(item, TrustedCharter)]
    fields: dict[str, object] = {
        "version": before.version + 1,
        "attempt": 1,
        "created": before.created + DAY_S,
        "previous": tuple(sorted(hashes)),
    }
    return replace(before, **{**fields, **changes})  # type: ignore[arg-type]


def accepted(parent: TrustedCharter, *names: str, **changes: object) -> TrustedCharter:
    """A verified successor signed by these organisations, all four when none is named."""
    body = successor(parent, **changes).encode()
    document = signed(body, (VOICES[name] for name in names or NAMES), FOUNDED)
    return verify_successor(document, {parent.hash: parent}, FOUNDED)
