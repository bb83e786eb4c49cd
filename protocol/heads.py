"""What a node holds of every author's log, and the one digest of all of it (specs/mesh.md 6.4).

Authors stand in the order they first appear in the charter chain, so a vector needs no names. A head is the last
good entry held, and where the log is frozen, if it is. Of a log that a charter cut, the head is at most the cut. The
digest covers the charter and these heads; never which two branches prove a freeze, since honest nodes may hold
different pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable
from protocol.ids import CharterHash, EntryId
from protocol.objects import HEADS, object_id

TAG_BYTES: Final = 8  # keyed by a fresh nonce: a collision cannot be prepared, and heals at the next sync


@dataclass(frozen=True, slots=True)
class Head:
    """The last good entry held of one author; generation 0, seq -1 and no id for an empty log.

    `frozen_at`: the lowest forked position (generation, seq), from which on nothing counts; None without a fork.
    """

    generation: int = 0
    seq: int = -1
    id: EntryId | None = None
    frozen_at: tuple[int, int] | None = None


def heads_digest(charter_version: int, attempt: int, charter_hash: CharterHash, heads: Sequence[Head]) -> bytes:
    """The digest that every envelope carries; equal digests mean equal charters and equal logs.

    `heads`: one for every author, in order of first appearance in the charter chain.
    """
    return object_id(HEADS, canonical.encode([charter_version, attempt, charter_hash, _lines(heads)]))


def span_fingerprint(nonce: bytes, heads: Sequence[Head]) -> bytes:
    """The short name of some consecutive heads within one request: 8 bytes of SHA-256(request nonce ‖ their lines)."""
    return hashlib.sha256(nonce + canonical.encode(_lines(heads))).digest()[:TAG_BYTES]


def head_tag(nonce: bytes, entry: EntryId) -> bytes:
    """A head's short name within one request: the first 8 bytes of SHA-256(request nonce ‖ id)."""
    return hashlib.sha256(nonce + entry).digest()[:TAG_BYTES]


def _lines(heads: Sequence[Head]) -> list[Encodable]:
    return [
        [head.generation, head.seq, head.id, None if head.frozen_at is None else list(head.frozen_at)] for head in heads
    ]
