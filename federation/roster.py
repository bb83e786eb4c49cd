"""The other members as this node deals with them, and the few of them that matter at the moment.

A federation has up to a thousand members, and most of them are silent most of the time. What is asked after every
message, who calls for a session, looks at those few alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.peers import Peer
from federation.settings import Settings
from protocol.ids import NodeId


class Roster(dict[NodeId, Peer]):
    """Peers by node id, in the charter's order; `admit` adds one."""

    def __init__(self, nodes: Iterable[NodeId], settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._stirred: dict[NodeId, Peer] = {}
        for node in nodes:
            self.admit(node)

    def admit(self, node: NodeId) -> Peer:
        """The peer of this id, a new one when it was not known."""
        if node not in self:
            self[node] = Peer.new(node, len(self), self._settings, self._stirred)
        return self[node]

    def stirred(self) -> list[Peer]:
        """Those of whom something may call for a session."""
        for node in [node for node, peer in self._stirred.items() if peer.is_calm]:
            del self._stirred[node]
        return list(self._stirred.values())
