"""Which bodies of entries are kept: those this software cannot read only so far, headers always. Pure.

An author may write kinds and data of later versions without end, and nobody here can say what they are worth. Of each
author bodies of that sort are kept up to a limit; beyond it the header stays, with its signatures: the chain verifies,
heads are equal, and others get the entry without its body. A member that can read it asks around for the body, and so
does this node after an upgrade (specs/mesh 5.8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from protocol.entries import Body, ParsedEntry
from protocol.ids import EntryId, NodeId


class Bodies:
    """What is kept and what is missing.

    Args:
        limit: Bytes of unreadable bodies kept of one author.
        own: The author whose bodies are never dropped: this node; None for nobody.
        away: Entries held without their bodies.
        is_new: A body is missed that nobody was asked for; whoever asks sets it to False.
    """

    def __init__(self, limit: int, own: NodeId | None) -> None:
        self._limit = limit
        self._own = own
        self._kept: Counter[NodeId] = Counter()
        self._missing: dict[EntryId, tuple[NodeId, int]] = {}
        self.away: set[EntryId] = set()
        self.is_new = False

    def keep(self, parsed: ParsedEntry) -> ParsedEntry:
        """The entry as it is stored, whose data cannot be read here: without them beyond the limit."""
        author, size = parsed.header.author, parsed.entry.body_bytes
        if author != self._own and self._kept[author] + size > self._limit:
            self.away.add(parsed.id)
            return parsed.without_body(Body.UNREADABLE)
        self._kept[author] += size
        return parsed

    def count(self, parsed: ParsedEntry) -> None:
        """An unreadable body is in the database already."""
        self._kept[parsed.header.author] += parsed.entry.body_bytes

    def lacks(self, parsed: ParsedEntry, *, is_wanted: bool) -> None:
        """An entry is held without its body; `is_wanted`: this software could read it."""
        self.away.add(parsed.id)
        if is_wanted and parsed.entry.body is Body.AWAY:
            self._missing[parsed.id] = parsed.header.author, parsed.header.seq
            self.is_new = True

    def came(self, entry: EntryId) -> None:
        """Its body is here, or was looked at."""
        self._missing.pop(entry, None)

    def missing(self) -> Iterator[tuple[EntryId, NodeId, int]]:
        """Entries that wait for their bodies, as (id, author, seq), by author and seq."""
        ordered = sorted(self._missing.items(), key=lambda item: item[1])
        return ((entry, author, seq) for entry, (author, seq) in ordered)
