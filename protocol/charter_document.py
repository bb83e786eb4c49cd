"""A charter and who approved it: the file people pass round and the form members exchange (specs/charter.md 3).

Wire form `[1, "charter", body, [[governance key, signature], …]]`, approvals in ascending order of key, one a
key. A governance key signs the body in the charter's domain, with the federation id (all zeros for version 1)
and author all zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from protocol.approved import APPROVALS_BYTES, encode_approved, parse_approved
from protocol.charter import MAX_CHARTER_BYTES, Charter, charter_hash, federation_id, parse_charter
from protocol.errors import BadSignature, ThresholdNotMet
from protocol.fields import refuse
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, CharterHash, FederationId
from protocol.keys import SigningKey, verify
from protocol.objects import CHARTER, signature_message

MAX_DOCUMENT_BYTES: Final = MAX_CHARTER_BYTES + APPROVALS_BYTES


@dataclass(frozen=True, slots=True)
class CharterDocument:
    """A charter's body and the approvals collected so far.

    Nothing in it is verified until one of the functions below did.
    """

    body: bytes
    approvals: Mapping[bytes, bytes] = field(default_factory=dict, hash=False)

    @property
    def hash(self) -> CharterHash:
        return charter_hash(self.body)

    def encode(self) -> bytes:
        return encode_approved(CHARTER, self.body, self.approvals)

    def with_approval(self, governance_key: bytes, signature: bytes) -> CharterDocument:
        """The same charter with one more approval; approving again changes nothing (signatures are deterministic)."""
        return replace(self, approvals={**self.approvals, governance_key: signature})


def parse_charter_document(data: bytes) -> CharterDocument:
    """A document from its wire bytes: form only, neither body nor signatures are looked into.

    Raises:
        MalformedMessage: wrong form, or approvals out of order. UnknownVersion: another wire major.
    """
    return CharterDocument(*parse_approved(data, CHARTER, max_body_bytes=MAX_CHARTER_BYTES))


def sign_charter(key: SigningKey, body: bytes, federation: FederationId = ZERO_FEDERATION) -> bytes:
    """A governance key's approval of a charter. `federation` is all zeros for version 1, else the federation id."""
    return key.sign(_message(body, federation))


def verify_approval(
    body: bytes, governance_key: bytes, signature: bytes, federation: FederationId = ZERO_FEDERATION
) -> None:
    """Nothing, when the key approved this body. Whether the key may, the charter says.

    Raises:
        BadSignature: it did not.
    """
    verify(governance_key, _message(body, federation), signature)


def verify_founding(document: CharterDocument) -> tuple[Charter, FederationId]:
    """The founding charter and the federation id, when every founding organisation signed.

    A threshold is not enough at the founding: a new key signs the version that adds it, and version 1 adds them all.

    Raises:
        MalformedMessage: the body breaks a rule, or is not version 1. BadSignature: an approval is bad or a
        stranger's. ThresholdNotMet: an organisation has not signed; the message names it.
    """
    charter = parse_charter(document.body)
    if charter.version != 1:
        refuse("founding charter", f"expected version 1, got {charter.version}")
    names = {organisation.governance_key: organisation.id for organisation in charter.organisations}
    for key, signature in document.approvals.items():
        if key not in names:
            raise BadSignature(
                what="founding charter refused", why="a key signed that belongs to no organisation in it"
            )
        verify_approval(document.body, key, signature)
    missing = sorted(name for key, name in names.items() if key not in document.approvals)
    if missing:
        raise ThresholdNotMet(
            what="founding charter refused",
            why=f"{len(document.approvals)} of {len(names)} organisations signed, missing: {', '.join(missing)}",
        )
    return charter, federation_id(document.body)


def _message(body: bytes, federation: FederationId) -> bytes:
    return signature_message(CHARTER, federation, ZERO_NODE, body)
