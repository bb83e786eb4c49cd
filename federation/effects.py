"""What the core asks of the shell. The shell carries the effects of one call out in order.

Every `Store…` must be durable before any later effect is carried out, and before the effects of any later call: a
reply that says "I have it" is a promise. If storing fails, the process ends; the core has already moved on and must be
built again from what the disk holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.verdicts import Verdict
from protocol.entries import ParsedEntry
from protocol.ids import CharterHash, DefinitionHash, EntryId, NodeId

Fields = tuple[tuple[str, str | int], ...]
"""Details of an alarm or log line, as (name, value)."""


@dataclass(frozen=True, slots=True)
class StoreEntries:
    """Save these entries; they are admitted, in order, and never stored before. Some may be without their bodies."""

    entries: tuple[ParsedEntry, ...]


@dataclass(frozen=True, slots=True)
class StoreBodies:
    """Save what became of the bodies of stored entries that were away: here now, or looked at and unreadable."""

    entries: tuple[ParsedEntry, ...]


@dataclass(frozen=True, slots=True)
class StoreEvidence:
    """Save the proof that an author signed twice."""

    author: NodeId
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class EvidenceTold:
    """Save that a member acknowledged these documents (SHA-256 of each), which are stored: it is not told again."""

    peer: NodeId
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoreDefinition:
    """Save a definition's canonical bytes, fetched by hash."""

    hash: DefinitionHash
    body: bytes


@dataclass(frozen=True, slots=True)
class StoreCharter:
    """Save a charter that was verified, or one that is proposed and not decided yet (`is_proposal`).

    A charter replaces its own proposal. What was proposed for a version that has been decided may be dropped.
    """

    hash: CharterHash
    version: int
    body: bytes
    is_proposal: bool = False


@dataclass(frozen=True, slots=True)
class CharterTrusted:
    """Another charter is trusted from now on; it and all that it follows are stored."""

    hash: CharterHash
    version: int


@dataclass(frozen=True, slots=True)
class JoinAsked:
    """Somebody asked to be admitted, or approved the charter that would admit it (`document` and the rest)."""

    node: NodeId
    request: bytes
    document: bytes | None = None
    governance_key: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """POST `body` to `url` + `/mesh/v1/` + `op`; give the answer, or the failure, to `Core.on_response(token, …)`."""

    token: int
    peer: NodeId
    url: str
    tls_pin: bytes | None
    op: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request being received. The last effect of every `Core.receive`."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One entry's verdict is new or different."""

    author: NodeId
    generation: int
    seq: int
    entry: EntryId
    kind: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts that changed, so that projections follow. Always after the entries are stored."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator must see: a fork, an own entry from elsewhere, a different charter."""

    code: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Log:
    """One line for the log."""

    event: str
    fields: Fields


Effect = (
    StoreEntries
    | StoreBodies
    | StoreEvidence
    | EvidenceTold
    | StoreDefinition
    | StoreCharter
    | CharterTrusted
    | JoinAsked
    | SendRequest
    | Reply
    | Judged
    | Alarm
    | Log
)
