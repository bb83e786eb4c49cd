"""A suspension: governance keys take a member's windows out for a while, without a new charter (specs/charter.md 3.6).

Dated in windows and bound to one charter, so it means the same on every node, whenever it arrives. Wire form
`[1, "suspension", body, [[governance key, signature], …]]` like a charter's; the body is the map
`{v: 1, charter, member, from, until, reason}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from protocol import canonical
from protocol.approved import encode_approved, parse_approved
from protocol.charter import Charter
from protocol.errors import BadSignature, ThresholdNotMet
from protocol.fields import Fields, human_value, refuse
from protocol.ids import ZERO_NODE, CharterHash, FederationId, NodeId
from protocol.keys import SigningKey, verify
from protocol.kind_data import MAX_SUSPENSION_BODY_BYTES
from protocol.objects import SUSPENSION, object_id, signature_message
from protocol.windows import hour_text, parse_hour

BODY_VERSION: Final = 1
MAX_HOURS: Final = 14 * 24
MAX_REASON_BYTES: Final = 500
MAX_BODY_BYTES: Final = MAX_SUSPENSION_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Suspension:
    """Windows of one member that touch [from_hour, until_hour) do not count. Hours since 1970.

    `charter`: the hash of the charter whose keys decide; it allows one suspension a member.
    """

    charter: CharterHash
    member: NodeId
    from_hour: int
    until_hour: int
    reason: str

    def encode(self) -> bytes:
        """The body's canonical bytes.

        Raises:
            ProtocolError: whatever `parse_suspension` would refuse in the result.
        """
        body = canonical.encode(
            {
                "v": BODY_VERSION,
                "charter": self.charter,
                "member": self.member,
                "from": hour_text(self.from_hour),
                "until": hour_text(self.until_hour),
                "reason": human_value(self.reason),
            }
        )
        parse_suspension(body)
        return body


@dataclass(frozen=True, slots=True)
class SuspensionDocument:
    """A suspension's body and the approvals collected so far; nothing in it is verified."""

    body: bytes
    approvals: Mapping[bytes, bytes] = field(default_factory=dict, hash=False)

    @property
    def hash(self) -> bytes:
        return object_id(SUSPENSION, self.body)

    def encode(self) -> bytes:
        return encode_approved(SUSPENSION, self.body, self.approvals)

    def with_approval(self, governance_key: bytes, signature: bytes) -> SuspensionDocument:
        return replace(self, approvals={**self.approvals, governance_key: signature})


def parse_suspension(body: bytes) -> Suspension:
    """A suspension from its body.

    Raises:
        MalformedMessage, UnknownVersion: as named; longer than 14 days is malformed.
    """
    what = "suspension"
    fields = Fields(canonical.decode(body, max_bytes=MAX_BODY_BYTES), what)
    fields.version(BODY_VERSION)
    found = Suspension(
        charter=CharterHash(fields.bytes_of("charter")),
        member=NodeId(fields.bytes_of("member")),
        from_hour=parse_hour(fields.take("from"), f"{what}: from"),
        until_hour=parse_hour(fields.take("until"), f"{what}: until"),
        reason=fields.human("reason", MAX_REASON_BYTES),
    )
    fields.done()
    if not 0 < found.until_hour - found.from_hour <= MAX_HOURS:
        refuse(f"{what}: until", f"it lasts {found.until_hour - found.from_hour} hours, 1 to {MAX_HOURS} are allowed")
    return found


def parse_suspension_document(data: bytes) -> SuspensionDocument:
    """A document from its wire bytes: form only, neither body nor signatures are looked into.

    Raises:
        MalformedMessage, UnknownVersion: as named.
    """
    return SuspensionDocument(*parse_approved(data, SUSPENSION, max_body_bytes=MAX_BODY_BYTES))


def sign_suspension(key: SigningKey, body: bytes, federation: FederationId) -> bytes:
    """A governance key's approval of a suspension."""
    return key.sign(_message(body, federation))


def verify_suspension_approval(body: bytes, key: bytes, signature: bytes, federation: FederationId) -> None:
    """Nothing, when the key approved this body.

    Raises:
        BadSignature: it did not.
    """
    verify(key, _message(body, federation), signature)


def verify_suspension(
    document: SuspensionDocument, charter: Charter, hash_: CharterHash, federation: FederationId
) -> Suspension:
    """The suspension, when `suspend_threshold` keys of the charter it names signed.

    Args:
        charter, hash_: The charter it names.

    Raises:
        MalformedMessage: it names another charter, or no member. BadSignature: a signature is bad, or of a key that
        may not sign. ThresholdNotMet: too few.
    """
    found = parse_suspension(document.body)
    if found.charter != hash_ or charter.member(found.member) is None:
        refuse("suspension", "it belongs to another charter, or names no member of it")
    may_sign = {item.governance_key for item in charter.organisations}
    for key, signature in document.approvals.items():
        if key not in may_sign:
            raise BadSignature(what="suspension refused", why="a key signed that no organisation has")
        verify_suspension_approval(document.body, key, signature, federation)
    if len(document.approvals) < charter.suspend_threshold:
        raise ThresholdNotMet(
            what="suspension refused", why=f"{len(document.approvals)} of {charter.suspend_threshold} keys signed"
        )
    return found


def suspension_in_force(documents: Iterable[SuspensionDocument]) -> SuspensionDocument | None:
    """Of several good suspensions of one member under one charter, the one that counts: the lowest hash."""
    return min(documents, key=lambda document: document.hash, default=None)


def _message(body: bytes, federation: FederationId) -> bytes:
    return signature_message(SUSPENSION, federation, ZERO_NODE, body)
