"""Comparing heads with a peer: what to fetch, what to send, and where two logs part. Pure.

A line of the comparison is one author. The peer's head names its last good entry by a tag, so:

- where we are at least as high, its tag must match our entry there; if not, the logs part at or below it: `Dig`;
- where it is higher, in a later generation, or froze the log where we did not, we `Pull` from where we stand;
- where we are higher, or froze the log, we can `Send`.

A frozen log's head stands below the fork, and both branches of the fork are fetched and sent like entries; so one
comparison serves growth and forks alike. Where only one side is frozen each gets what the other has: the branch that
goes on may hold the rotate or the recover that ends the freeze. Positions are by seq: a recover stands on the entry
below it, whatever their generations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.log_state import AuthorLog
from protocol.heads import Head, head_tag
from protocol.ids import EntryId, NodeId
from protocol.ops import HeadMark, Heads


@dataclass(frozen=True, slots=True)
class Pull:
    """Fetch the author's entries from `seq` on; `missing` says how many are known to be missing here.

    `after`: at `seq` only ids above this one, when a page ended between two branches.
    """

    author: NodeId
    seq: int
    missing: int
    after: EntryId | None = None
    is_last_try: bool = False  # after digging: if it does not fit now, the peer was not telling the truth


@dataclass(frozen=True, slots=True)
class Send:
    """The peer lacks the author's entries from `seq` on; the first `skip` of what is shown there were sent."""

    author: NodeId
    seq: int
    missing: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Dig:
    """The logs differ at `high` at the latest; find the lowest position where they do, at least `low`."""

    author: NodeId
    low: int
    high: int


Todo = Pull | Send | Dig


def marks_of(heads: Sequence[Head], nonce: bytes, *, full: bool) -> Heads:
    """Heads as they travel, under the nonce of the request they are asked or answered in."""
    return Heads(tuple(mark_of(head, nonce, full=full) for head in heads), full)


def mark_of(head: Head, nonce: bytes, *, full: bool) -> HeadMark:
    """One head as it travels."""
    tag = None if head.id is None else _tag(head.id, nonce, full)
    return HeadMark(head.generation, head.seq, tag, head.frozen_at)


def compare(log: AuthorLog, theirs: HeadMark, nonce: bytes, *, full: bool) -> tuple[Todo, ...]:
    """What one author's line calls for, in order; nothing when both hold the same."""
    author, height = log.author, theirs.seq + 1
    frozen = theirs.frozen_at is not None
    if height > log.height:
        if log.is_frozen:
            return Send(author, log.height, 2), Pull(author, log.height, 1)
        return (Pull(author, log.height, height - log.height),)
    if theirs.tag is not None and theirs.tag != _tag(log.ids[height - 1], nonce, full):
        return (Dig(author, 0, height - 1),)
    if frozen and log.is_frozen and log.height == height:
        # One fork on both sides; two recovers of a later generation, known to one, are a fork of their own.
        return () if theirs.frozen_at == log.head.frozen_at else (Send(author, height, 2), Pull(author, height, 1))
    missing = log.height - height + (2 if log.is_frozen else 0)
    if frozen:
        return (Pull(author, height, 1), Send(author, height, missing)) if missing else (Pull(author, height, 1),)
    return (Send(author, height, missing),) if missing else ()


def _tag(entry: EntryId, nonce: bytes, full: bool) -> bytes:
    return entry if full else head_tag(nonce, entry)
