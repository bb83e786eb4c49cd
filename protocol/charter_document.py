"""A charter and who approved it: the file people pass round and the form members exchange (specs/charter.md 3).

Wire form `[1, "charter", body, [[governance key, signature], …]]`, approvals in ascending order of key, one a
key. A governance key signs the body in the charter's domain, with the federation id (all zeros for version 1)
and author all zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from protocol import canonical
from protocol.charter import MAX_CHARTER_BYTES, MAX_MEMBERS, Charter, charter_hash, federation_id, parse_charter
from protocol.errors import BadSignature, ThresholdNotMet
from protocol.fields import check_array, check_ascending, check_bytes, refuse
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, CharterHash, FederationId
from protocol.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify
from protocol.objects import CHARTER, WIRE_MAJOR, check_wire_major, signature_message

MAX_DOCUMENT_BYTES: Final = MAX_CHARTER_BYTES + (104 * MAX_MEMBERS) + 64


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
        approvals = [[key, self.approvals[key]] for key in sorted(self.approvals)]
        return canonical.encode([WIRE_MAJOR, CHARTER, self.body, approvals])

    def with_approval(self, governance_key: bytes, signature: bytes) -> CharterDocument:
        """The same charter with one more approval; approving again changes nothing (signatures are deterministic)."""
        return replace(self, approvals={**self.approvals, governance_key: signature})


def parse_charter_document(data: bytes) -> CharterDocument:
    """A document from its wire bytes: form only, neither body nor signatures are looked into.

    Raises:
        MalformedMessage: wrong form, or approvals out of order. UnknownVersion: another wire major.
    """
    what = "charter document"
    items = check_array(canonical.decode(data, max_bytes=MAX_DOCUMENT_BYTES), what, 4, 4)
    check_wire_major(items[0], what)
    if items[1] != CHARTER:
        refuse(what, "the bytes are another type of object")
    body = check_bytes(items[2], f"{what}: body", 1, MAX_CHARTER_BYTES)
    pairs = []
    for item in check_array(items[3], f"{what}: approvals", 0, MAX_MEMBERS):
        key, signature = check_array(item, f"{what}: approval", 2, 2)
        pairs.append(
            (
                check_bytes(key, f"{what}: approval key", PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES),
                check_bytes(signature, f"{what}: approval signature", SIGNATURE_BYTES, SIGNATURE_BYTES),
            )
        )
    check_ascending(pairs, f"{what}: approvals", lambda pair: pair[0])
    return CharterDocument(body, dict(pairs))


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
