"""What a node holds of every author's log, and the one digest of all of it (specs/mesh.md 6.4).

Authors stand in the order they first appear in the charter chain, so a vector needs no names. A head is the last
good entry held, and where the log is frozen, if it is. Of a log that a charter cut, the head is at most the cut. The
digest covers the charter and these heads; never which two branches prove a freeze, since honest nodes may hold
different pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol import canonical
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
    _line: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def line(self) -> bytes:
        """Its canonical bytes in a vector, made once: a large federation's vector is digested after every entry."""
        line = self._line
        if line is None:
            frozen_at = None if self.frozen_at is None else list(self.frozen_at)
            line = canonical.encode([self.generation, self.seq, self.id, frozen_at])
            object.__setattr__(self, "_line", line)
        return line


def heads_digest(charter_version: int, attempt: int, charter_hash: CharterHash, heads: Sequence[Head]) -> bytes:
    """The digest that every envelope carries; equal digests mean equal charters and equal logs.

    `heads`: one for every author, in order of first appearance in the charter chain.
    """
    stamp = [canonical.encode(item) for item in (charter_version, attempt, charter_hash)]
    return object_id(HEADS, canonical.array_of([*stamp, _vector(heads)]))


def span_fingerprint(nonce: bytes, heads: Sequence[Head]) -> bytes:
    """The short name of some consecutive heads within one request: 8 bytes of SHA-256(request nonce ‖ their lines)."""
    return hashlib.sha256(nonce + _vector(heads)).digest()[:TAG_BYTES]


def head_tag(nonce: bytes, entry: EntryId) -> bytes:
    """A head's short name within one request: the first 8 bytes of SHA-256(request nonce ‖ id)."""
    return hashlib.sha256(nonce + entry).digest()[:TAG_BYTES]


def _vector(heads: Sequence[Head]) -> bytes:
    return canonical.array_of([head.line for head in heads])
