"""What a node holds of every author's log, and the one digest of all of it (specs/mesh.md 6.4).

Authors stand in the order they first appear in the charter chain, so a vector needs no names. Of each author a
node knows a head, or that the log is frozen from a position on, or cut at one, or nothing. The digest covers
the charter and these marks; never which two branches prove a freeze, since honest nodes may hold different
pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol import canonical
from protocol.canonical import Encodable
from protocol.ids import CharterHash, EntryId, NodeId
from protocol.objects import HEADS, object_id

TAG_BYTES: Final = 8  # keyed by a fresh nonce, so a collision cannot be prepared and heals at the next sync


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry held of an author's log."""

    generation: int
    seq: int
    entry: EntryId


@dataclass(frozen=True, slots=True)
class FrozenAt:
    """The log forked: nothing from this position on counts."""

    generation: int
    seq: int


@dataclass(frozen=True, slots=True)
class CutAt:
    """The charter cut the log: this is its last position."""

    generation: int
    seq: int


Mark: TypeAlias = Head | FrozenAt | CutAt | None
"""What is held of one author; None: nothing yet."""


def heads_digest(
    charter_version: int, attempt: int, charter_hash: CharterHash, marks: Sequence[tuple[NodeId, Mark]]
) -> bytes:
    """The digest that every envelope carries; equal digests mean equal charters and equal logs.

    `marks`: one a known author, in order of first appearance in the charter chain.
    """
    body: list[Encodable] = [
        charter_version, attempt, charter_hash, [[author, *_digest_form(mark)] for author, mark in marks],
    ]  # fmt: skip
    return object_id(HEADS, canonical.encode(body))


def head_tag(nonce: bytes, entry: EntryId) -> bytes:
    """A head's short name within one request: 8 bytes of SHA-256(request nonce ‖ id)."""
    return hashlib.sha256(nonce + entry).digest()[:TAG_BYTES]


def _digest_form(mark: Mark) -> list[Encodable]:
    if mark is None:
        return []
    if isinstance(mark, Head):
        return ["head", mark.generation, mark.seq, mark.entry]
    return ["frozen" if isinstance(mark, FrozenAt) else "cut", mark.generation, mark.seq]
