"""What a proof bundle shows of one author's log, held against two rules that need more than one entry.

A charter version that fell, and a cut: the trusted charter's, or one that was taken back, beyond which only what
follows a `recover` on its entry stands (specs/mesh/judgement.md 8.3, 8.4). A bundle holds a part of a log, and this
finds what that part shows; an honest one, of entries that count, shows neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.charter_chain import CharterChain
from protocol.entries import RECOVER, Header
from protocol.ids import EntryId, NodeId


class ShownLog:
    """Entries of one author, looked at in log order.

    Args:
        changes: Headers of the author's key changes, verified.
    """

    def __init__(self, chain: CharterChain, node: NodeId, changes: Sequence[Header]) -> None:
        self._cut = chain.cut(node)
        self._is_removed = chain.is_removed(node)
        self._changes = changes
        self._newest = 0

    def reason_against(self, header: Header, id_: EntryId) -> str | None:
        """Why the next entry is void by what stands before it: `cut`, `charter_version_fell`, or None."""
        if self._is_off_the_cut(header, id_):
            return "cut"
        before = [change.charter_version for change in self._changes if change.seq < header.seq]
        self._newest = max([self._newest, *before])
        if header.charter_version < self._newest:
            return "charter_version_fell"
        self._newest = header.charter_version
        return None

    def _is_off_the_cut(self, header: Header, id_: EntryId) -> bool:
        cut = self._cut
        if cut is None:
            return False
        if header.seq == cut.seq and id_ != cut.entry:
            return True
        if header.seq <= cut.seq and header.generation <= cut.generation:
            return False
        is_reopened = any(
            change.kind == RECOVER
            and change.prev == cut.entry
            and change.generation <= header.generation
            and change.seq < header.seq
            for change in self._changes
        )
        return self._is_removed or header.seq <= cut.seq or not is_reopened
