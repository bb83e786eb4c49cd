"""What the core needs from outside, as protocols: stored entries, documents, and bytes of randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from federation.log_state import Position
from protocol.entries import Entry
from protocol.ids import NodeId

Rng = Callable[[int], bytes]
"""n → n random bytes; `os.urandom` in production."""


class EntrySource(Protocol):
    """The node's database of admitted entries. Reads see everything stored by earlier effects."""

    def entries_after(self, author: NodeId, position: Position, max_bytes: int, max_entries: int) -> Sequence[Entry]:
        """The author's entries after a position, ordered by (generation, seq, id), both branches at a fork.

        At most so many, and, except for the first, at most so many bytes (of `Entry.encode()`).
        """
        ...
