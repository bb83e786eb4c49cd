"""The data of the small kinds: inception, endpoint, abstain, withdraw, rotate, recover, propose, approve
(specs/mesh.md 5.5).

Each is a canonical map with its own version in `v`, except inception, whose data is the signed record itself.
The data of rotate and recover is fixed for a wire major, because admission reads it. Kinds without a parser
here (retire, heads_attest, token_key, revoke_token) travel and wait: judgement calls them opaque.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable
from protocol.endpoints import Endpoint, parse_endpoint
from protocol.fields import Fields, refuse, without_none
from protocol.identity import Inception, parse_inception
from protocol.ids import DefinitionHash, EntryId, ReleaseId
from protocol.keys import SIGNATURE_BYTES, check_public_key
from protocol.objects import SUSPENSION, object_id
from protocol.windows import parse_window

DATA_VERSION: Final = 1
MAX_ENDPOINTS: Final = 4
MAX_SUSPENSION_BODY_BYTES: Final = 1024

ABSTAIN_REASONS: Final = (
    "not_in_plan", "plan_incompatible", "window_not_in_one_epoch", "epoch_closed", "unit_too_weak", "budget", "paused",
    "not_yet_counting", "restored", "recovered",
)  # fmt: skip
"""Closed and independent of the data: no reason says anything about anybody's events (PRIVACY 6)."""

WITHDRAW_REASONS: Final = ("operator_error", "key_compromise", "wrong_plan")


@dataclass(frozen=True, slots=True)
class AbstainData:
    """The author releases nothing for this slot, and why."""

    definition: DefinitionHash
    window: str
    reason: str

    def encode(self) -> bytes:
        return _encode({"definition": self.definition, "window": self.window, "reason": self.reason})


@dataclass(frozen=True, slots=True)
class WithdrawData:
    """The author takes a release back; its slot stays used and charged."""

    release: ReleaseId
    reason: str

    def encode(self) -> bytes:
        return _encode({"release": self.release, "reason": self.reason})


@dataclass(frozen=True, slots=True)
class EndpointData:
    """Where the author answers from here on; replaces every earlier endpoint. Empty: nowhere, it pushes and pulls."""

    endpoints: tuple[Endpoint, ...]

    def encode(self) -> bytes:
        return _encode({"endpoints": [endpoint.value() for endpoint in self.endpoints]})


@dataclass(frozen=True, slots=True)
class RotateData:
    """The key that signs every entry after this one, and the commitment to the key after it (keys.key_digest)."""

    signing_key: bytes
    next_digest: bytes

    def encode(self) -> bytes:
        return _encode({"signing_key": self.signing_key, "next_digest": self.next_digest})


@dataclass(frozen=True, slots=True)
class RecoverData:
    """A new signing key and next digest, under the root key's signature.

    What they follow on is the entry's position and `prev`.
    """

    signing_key: bytes
    next_digest: bytes

    def encode(self) -> bytes:
        return _encode({"signing_key": self.signing_key, "next_digest": self.next_digest})


@dataclass(frozen=True, slots=True)
class ProposeData:
    """A charter that members are asked to approve, by hash and version; they fetch it with `docs`.

    `suspension`: instead of a version, the body of a suspension, which is small and travels here.
    """

    document: bytes
    version: int | None = None
    suspension: bytes | None = None

    def encode(self) -> bytes:
        return _encode(
            without_none({"document": self.document, "version": self.version, "suspension": self.suspension})
        )


@dataclass(frozen=True, slots=True)
class ApproveData:
    """A governance key's signature over a charter or suspension; any member's log may carry it."""

    document: bytes
    governance_key: bytes
    signature: bytes

    def encode(self) -> bytes:
        return _encode({"document": self.document, "governance_key": self.governance_key, "signature": self.signature})


def parse_inception_data(data: bytes) -> Inception:
    """The record in the first entry of a log, verified; the caller compares its node id with the author."""
    return parse_inception(data)


def parse_abstain(data: bytes) -> AbstainData:
    """Raises MalformedMessage for a reason not in the closed list, UnknownVersion for another data version."""
    fields = _open(data, "abstain")
    found = AbstainData(
        DefinitionHash(fields.bytes_of("definition")),
        parse_window(fields.take("window"), "abstain: window").text,
        _reason(fields, ABSTAIN_REASONS),
    )
    fields.done()
    return found


def parse_withdraw(data: bytes) -> WithdrawData:
    """Raises as `parse_abstain`."""
    fields = _open(data, "withdraw")
    found = WithdrawData(ReleaseId(fields.bytes_of("release")), _reason(fields, WITHDRAW_REASONS))
    fields.done()
    return found


def parse_endpoint_data(data: bytes) -> EndpointData:
    """Whether the charter allows a private address is the caller's question (`Endpoint.needs_private`)."""
    fields = _open(data, "endpoint entry")
    endpoints = tuple(parse_endpoint(item) for item in fields.array("endpoints", MAX_ENDPOINTS))
    fields.done()
    return EndpointData(endpoints)


def parse_rotate(data: bytes) -> RotateData:
    """Raises BadKey when the new key is not a point of prime order."""
    return RotateData(*_parse_keys(data, "rotate"))


def parse_recover(data: bytes) -> RecoverData:
    """Raises as `parse_rotate`."""
    return RecoverData(*_parse_keys(data, "recover"))


def parse_propose(data: bytes) -> ProposeData:
    """Whether the document is known or good is the caller's question."""
    fields = _open(data, "propose")
    found = ProposeData(
        fields.bytes_of("document"),
        fields.optional("version", lambda name: fields.integer(name, 2)),
        fields.optional("suspension", lambda name: fields.blob(name, 1, MAX_SUSPENSION_BODY_BYTES)),
    )
    fields.done()
    if (found.version is None) == (found.suspension is None):
        refuse("propose", "it names a version, or carries a suspension, and not both")
    if found.suspension is not None and object_id(SUSPENSION, found.suspension) != found.document:
        refuse("propose: suspension", "its hash is another than the document's")
    return found


def parse_approve(data: bytes) -> ApproveData:
    """Raises BadKey when the governance key is not a point of prime order; the signature is not verified here."""
    fields = _open(data, "approve")
    found = ApproveData(
        fields.bytes_of("document"),
        check_public_key(fields.bytes_of("governance_key")),
        fields.bytes_of("signature", SIGNATURE_BYTES),
    )
    fields.done()
    return found


def log_start(federation: bytes) -> EntryId:
    """What `prev` is in the first entry of every log of a federation: the federation id."""
    return EntryId(federation)


def _parse_keys(data: bytes, what: str) -> tuple[bytes, bytes]:
    fields = _open(data, what)
    found = check_public_key(fields.bytes_of("signing_key")), fields.bytes_of("next_digest")
    fields.done()
    return found


def _reason(fields: Fields, known: tuple[str, ...]) -> str:
    reason = fields.text("reason", 64)
    if reason not in known:
        refuse(f"{fields.what}: reason", f"'{reason}' is none of {', '.join(known)}")
    return reason


def _open(data: bytes, what: str) -> Fields:
    fields = Fields(canonical.decode(data), what)
    fields.version(DATA_VERSION)
    return fields


def _encode(fields: dict[str, Encodable]) -> bytes:
    return canonical.encode({"v": DATA_VERSION, **fields})
