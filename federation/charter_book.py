"""The charters a node verified, and which chain of them it trusts (specs/charter.md 3.5). No I/O.

`offer` verifies a charter against those it follows; `next_chain` says which chain the known ones call for. Trust only
moves to a greater chain, so its version never falls (DESIGN I4); one that would give up more than the last version is
shown to the operator instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocol.charter import federation_id, parse_charter
from protocol.charter_chain import CharterChain, TrustedCharter, chain_order, extend_chain, verify_successor
from protocol.charter_document import CharterDocument
from protocol.ids import CharterHash

MAX_RIVALS: Final = 8  # charters kept of one version; each needs a quorum, so more are a federation that is lost


class CharterBook:
    """Known charters by hash, and the trusted chain among them.

    Args:
        founding: The charter this node accepted, version 1; whoever installed it verified it.
        later: Those that were verified when they were stored, in any order.
    """

    def __init__(self, founding: CharterDocument, later: Iterable[CharterDocument] = ()) -> None:
        first = TrustedCharter(founding, parse_charter(founding.body))
        self.known: dict[CharterHash, TrustedCharter] = {first.hash: first}
        self.chain = CharterChain(federation_id(founding.body), (first,))
        items = [TrustedCharter(document, parse_charter(document.body)) for document in later]
        for item in sorted(items, key=lambda one: one.place):
            if all(previous in self.known for previous in item.charter.previous):
                self.known[item.hash] = item
        while (found := self.next_chain()) is not None and self.depth_of(found) <= 1:
            self.chain = found

    def documents(self, from_version: int = 1) -> list[CharterDocument]:
        """Every charter known from a version on, in order of (version, attempt, hash)."""
        items = sorted(self.known.values(), key=lambda item: item.place)
        return [item.document for item in items if item.charter.version >= from_version]

    def offer(self, document: CharterDocument) -> bool:
        """Keep a charter when it is valid on top of those known; True when it is new.

        Raises:
            ProtocolError: it is not; `BadSuccession` also when it follows one that is not known.
        """
        if document.hash in self.known:
            return False
        item = verify_successor(document, self.known, self.chain.federation)
        rivals = sum(other.charter.version == item.charter.version for other in self.known.values())
        if rivals >= MAX_RIVALS:
            return False
        self.known[item.hash] = item
        return True

    def next_chain(self) -> CharterChain | None:
        """The chain the known charters call for, when it is another than the trusted one."""
        version = self.chain.charter.version
        chains = [
            extend_chain(self.chain, item, self.known)
            for item in self.known.values()
            if item.charter.version >= version
        ]
        best = max(chains, key=chain_order)
        return None if best.tip.hash == self.chain.tip.hash else best

    def depth_of(self, other: CharterChain) -> int:
        """How many versions of the trusted chain are given up for another; 0 when it goes on from it."""
        shared = [item.charter.version for item in self.chain.items if other.holds(item.hash)]
        return self.chain.charter.version - max(shared)

    def trust(self, chain: CharterChain) -> None:
        """Trust another chain from now on."""
        if chain_order(chain) <= chain_order(self.chain):
            raise ValueError("trust never goes back to a lesser chain")
        self.chain = chain

    def rivals(self) -> tuple[TrustedCharter, ...]:
        """Other charters with a quorum for the same vote as the trusted one: keys were used twice."""
        tip = self.chain.tip
        return tuple(item for item in self.known.values() if item.place[:2] == tip.place[:2] and item.hash != tip.hash)
