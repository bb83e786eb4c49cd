"""What this node knows of one author's log: the ids in order, the keys, and where it stops.

Small on purpose: 32 bytes an entry. Headers and bodies lie in the node's database and are read through
`ports.EntrySource`.

An author that signed two entries on top of one is *frozen* there: `ids` ends below the fork, `branches` are the
two. Both stand on the same entry, so this is the lowest fork of the two branches; a lower one found later
replaces it. Only generation 0 exists so far: `rotate` and `recover` will add key epochs and generations here, and
their rules which branch of a fork goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from protocol.heads import Head
from protocol.identity import Inception
from protocol.ids import EntryId, FederationId, NodeId

GENERATION: Final = 0  # the only one this version admits

Position = tuple[int, int]
"""(generation, seq); seq -1 stands before the first entry."""


@dataclass(slots=True)
class AuthorLog:
    """One author's admitted entries below any fork.

    Args:
        author: The node whose log this is.
        federation: What the first entry stands on.
        inception: The author's inception record once known, from the log's first entry or a hello.
        ids: Ids of the admitted entries, by seq.
        branches: The two entries at position `len(ids)` that prove a fork; None while there is none.
    """

    author: NodeId
    federation: FederationId
    inception: Inception | None = None
    ids: list[EntryId] = field(default_factory=list)
    branches: tuple[EntryId, EntryId] | None = None

    @property
    def height(self) -> int:
        """Number of good entries."""
        return len(self.ids)

    @property
    def is_frozen(self) -> bool:
        """Whether the author signed two entries at position `height`."""
        return self.branches is not None

    @property
    def position(self) -> Position:
        """Position of the last good entry; seq -1 for none."""
        return GENERATION, len(self.ids) - 1

    def before(self, seq: int) -> EntryId:
        """What an entry at `seq`, at most `height`, stands on: the id before it, or the federation id."""
        return self.ids[seq - 1] if seq else EntryId(self.federation)

    @property
    def key(self) -> bytes | None:
        """The signing key in force, None while the author's inception is unknown."""
        return None if self.inception is None else self.inception.signing_key

    @property
    def head(self) -> Head:
        """What the heads vector says of this log."""
        frozen_at = (GENERATION, self.height) if self.is_frozen else None
        return Head(GENERATION, self.height - 1, self.ids[-1] if self.ids else None, frozen_at)

    def append(self, entry: EntryId) -> None:
        """The log is longer by one admitted entry."""
        if self.is_frozen:
            raise ValueError("nothing is appended to a fork")
        self.ids.append(entry)

    def fork(self, seq: int, second: EntryId) -> list[EntryId]:
        """The author signed `second` beside the entry at `seq`; the ids that no longer stand, from `seq` on."""
        fallen = self.ids[seq:]
        self.branches = (fallen[0], second)
        del self.ids[seq:]
        return fallen
