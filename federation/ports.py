"""What the core needs from outside, as protocols: stored entries, documents, and bytes of randomness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from protocol.entries import Entry
from protocol.ids import EntryId

Rng = Callable[[int], bytes]
"""n → n random bytes; `os.urandom` in production."""


class EntrySource(Protocol):
    """The node's database of admitted entries. Reads see everything stored by earlier effects."""

    def load_entries(self, ids: Sequence[EntryId], max_bytes: int) -> Sequence[Entry]:
        """The entries with these ids, in this order, from the first on: as many as there are and fit.

        At least the first, if it is stored; else at most so many bytes (of `Entry.encode()`).
        """
        ...
