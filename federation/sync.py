"""Comparing heads with a peer: what to fetch, what to send, and where two logs part. Pure.

A line of the comparison is one author. The peer's head names its last good entry by a tag, so:

- where we are at least as high, its tag must match our entry there; if not, the logs part at or below it: `Dig`;
- where it is higher, or froze the log where we did not, we `Pull` from where we stand;
- where we are higher, or froze the log, we can `Send`.

A frozen log's head stands below the fork, and both branches of the fork are fetched and sent like entries; so one
comparison serves growth and forks alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.log_state import GENERATION, AuthorLog
from protocol.heads import Head, head_tag
from protocol.ids import EntryId, NodeId
from protocol.ops import HeadMark, Heads


@dataclass(frozen=True, slots=True)
class Pull:
    """Fetch the author's entries from `seq` on; `missing` says how many are known to be missing here."""

    author: NodeId
    seq: int
    missing: int
    is_last_try: bool = False  # after digging: if it does not fit now, the peer was not telling the truth


@dataclass(frozen=True, slots=True)
class Send:
    """The peer lacks the author's entries from `seq` on."""

    author: NodeId
    seq: int
    missing: int


@dataclass(frozen=True, slots=True)
class Dig:
    """The logs differ at `high` at the latest; find the lowest position where they do, at least `low`."""

    author: NodeId
    low: int
    high: int


Todo = Pull | Send | Dig


def marks_of(heads: Sequence[Head], nonce: bytes, *, full: bool) -> Heads:
    """Heads as they travel, under the nonce of the request they are asked or answered in."""
    return Heads(tuple(_mark(head, nonce, full) for head in heads), full)


def compare(log: AuthorLog, theirs: HeadMark, nonce: bytes, *, full: bool) -> Todo | None:
    """What one author's line calls for; None when both hold the same, or the peer speaks of what we do not know."""
    if theirs.generation != GENERATION and theirs.seq >= 0:
        return None
    author, height = log.author, theirs.seq + 1
    frozen = theirs.frozen_at is not None and theirs.frozen_at == (GENERATION, height)
    if height > log.height:
        if log.is_frozen:
            return Send(author, log.height, 2)
        return Pull(author, log.height, height - log.height)
    if theirs.tag is not None and theirs.tag != _tag(log.ids[height - 1], nonce, full):
        return Dig(author, 0, height - 1)
    if frozen:
        return None if log.is_frozen and log.height == height else Pull(author, height, 1)
    missing = log.height - height + (2 if log.is_frozen else 0)
    return Send(author, height, missing) if missing else None


def _mark(head: Head, nonce: bytes, full: bool) -> HeadMark:
    tag = None if head.id is None else _tag(head.id, nonce, full)
    return HeadMark(head.generation, head.seq, tag, head.frozen_at)


def _tag(entry: EntryId, nonce: bytes, full: bool) -> bytes:
    return entry if full else head_tag(nonce, entry)
