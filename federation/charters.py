"""The trusted charter as it moves on: what peers and logs bring is verified, trusted, and judged by from then on.

`take` is given what was fetched; `settle` looks once after every call of the core whether votes have become a charter,
whether a better chain is known, and whether it may be followed without asking (specs/charter.md 3.5).
"""

from __future__ import annotations

from federation.batch import Batch
from federation.charter_book import CharterBook
from federation.council import Council
from federation.effects import CharterTrusted, StoreCharter
from federation.logs import Logs
from federation.roster import Roster
from federation.rules import Rules, Span
from federation.settings import Settings
from federation.suspensions import suspended_hours
from protocol.charter import parse_charter
from protocol.charter_chain import CharterChain, TrustedCharter
from protocol.charter_document import CharterDocument
from protocol.errors import ProtocolError
from protocol.ids import CharterHash, NodeId


class Charters:
    """Moves the trusted chain on, and with it rules, logs and peers.

    Args:
        peers: Everybody else; newcomers are added here.

    Attributes:
        waiting: A better chain that is not followed before the operator, or most members, confirm it.
    """

    def __init__(
        self, me: NodeId, book: CharterBook, council: Council, logs: Logs, peers: Roster
    ) -> None:  # fmt: skip
        self.book = book
        self.council = council
        self.waiting: CharterChain | None = None
        self._me = me
        self._logs = logs
        self._peers = peers
        self._confirmed: set[CharterHash] = set()
        self._alarmed: set[tuple[str, bytes]] = set()
        self._asked: set[bytes] = set()
        self._is_dirty = True

    def take(self, document: CharterDocument, batch: Batch) -> bool:
        """A charter that somebody showed: keep it as one that is valid, or as a proposal. True when it is known now.

        Raises:
            ProtocolError: it is broken, or follows charters that are not known.
        """
        if self.council.find(document.hash) is not None or not document.approvals:
            return self._propose(document, batch)
        try:
            self.keep(document, batch)
        except ProtocolError:
            if not self._propose(document, batch):
                raise
        return True

    def confirm(self, charter: CharterHash) -> None:
        """The operator compared the fingerprint of this charter by another channel: follow it."""
        self._confirmed.add(charter)
        self._is_dirty = True

    def look_again(self) -> None:
        """A peer's word named another charter than before, or time has passed."""
        self._is_dirty = True

    def settle(self, now_ms: int, batch: Batch) -> bool:
        """Follow what is known by now; True when another charter is trusted."""
        if not (self._is_dirty or self._logs.has_votes or self.waiting is not None):
            return False
        self._is_dirty = self._logs.has_votes = False
        for document in self.council.review():
            self._store(self.book.known[document.hash], batch)
        found = self.book.next_chain()
        self.waiting = None
        has_moved = found is not None and self._may_follow(found, now_ms, batch)
        if found is not None and has_moved:
            self._follow(found, batch)
        suspended = suspended_hours(self._logs, self.book.chain)
        if suspended != self._logs.rules.suspended:
            self._judge_by(self.book.chain, suspended, batch)
        self._watch_rivals(batch)
        self._fetch_proposals(now_ms)
        return has_moved

    def keep(self, document: CharterDocument, batch: Batch) -> None:
        """A charter that a peer says is decided; nothing that is not valid is kept.

        Raises:
            ProtocolError: it is broken, has too few signatures, or follows charters that are not known.
        """
        if self.book.offer(document):
            self._is_dirty = True
            self._store(self.book.known[document.hash], batch)

    # -- helpers

    def _propose(self, document: CharterDocument, batch: Batch) -> bool:
        if document.hash in self.book.known:
            return True
        before = self.council.find(document.hash)
        if not self.council.take(document):
            return False
        held = self.council.find(document.hash)
        if held is not None and held != before:
            self._is_dirty = True
            version = parse_charter(held.body).version
            batch.documents.append(StoreCharter(held.hash, version, held.encode(), is_proposal=True))
        return True

    def _store(self, item: TrustedCharter, batch: Batch) -> None:
        batch.documents.append(StoreCharter(item.hash, item.charter.version, item.document.encode()))

    def _may_follow(self, found: CharterChain, now_ms: int, batch: Batch) -> bool:
        """Whether another chain is followed without asking; else it waits, and the operator is told once."""
        if found.tip.hash in self._confirmed:
            return True
        given_up = self.book.depth_of(found)
        has_lapsed = now_ms // 1000 >= self.book.chain.charter.expires
        if given_up <= 1 and not (has_lapsed and not self._most_name(found)):
            return True
        self.waiting = found
        self._alarm(
            "charter-needs-confirmation", found.tip.hash, batch,
            version=found.charter.version, given_up=given_up, hash=found.tip.hash.hex(),
        )  # fmt: skip
        return False

    def _most_name(self, found: CharterChain) -> bool:
        """Whether more than half of the other members trusted last name this chain in their last signed words."""
        newer = {item.hash for item in found.items if item.charter.version > self.book.chain.charter.version}
        others = [
            member.node for member in self.book.chain.charter.members if member.node != self._me and member.cut is None
        ]
        peers = (self._peers.get(node) for node in others)
        saying = sum(peer is not None and peer.stamp is not None and peer.stamp.hash in newer for peer in peers)
        return 2 * saying > len(others)

    def _follow(self, chain: CharterChain, batch: Batch) -> None:
        given_up = self.book.depth_of(chain)
        self.book.trust(chain)
        batch.trusted = CharterTrusted(chain.tip.hash, chain.charter.version)
        batch.log("charter.trusted", version=chain.charter.version, hash=chain.tip.hash.hex(), given_up=given_up)
        self._judge_by(chain, suspended_hours(self._logs, chain), batch)
        for node in chain.authors:
            if node != self._me:
                self._peers.admit(node).is_removed = chain.is_removed(node)

    def _judge_by(self, chain: CharterChain, suspended: dict[NodeId, tuple[Span, ...]], batch: Batch) -> None:
        self._logs.follow(Rules(chain, self._logs.rules.definitions, suspended), batch)

    def _fetch_proposals(self, now_ms: int) -> None:
        """Charters that logs name and nobody showed here: ask who proposed them, and others later (session.py)."""
        for hash_ in self.council.wanted():
            for node in self.council.proposers(hash_):
                peer = self._peers.get(node)
                if peer is not None and hash_ not in self._asked:
                    peer.sync_due_ms = now_ms if peer.sync_due_ms is None else min(peer.sync_due_ms, now_ms)
            self._asked.add(hash_)

    def _watch_rivals(self, batch: Batch) -> None:
        for rival in self.book.rivals():
            self._alarm(
                "charter-split", rival.hash, batch,
                version=rival.charter.version, ours=self.book.chain.tip.hash.hex(), other=rival.hash.hex(),
            )  # fmt: skip

    def _alarm(self, code: str, charter: CharterHash, batch: Batch, **fields: str | int) -> None:
        if (code, charter) not in self._alarmed:
            self._alarmed.add((code, charter))
            batch.alarm(code, **fields)


def peers_of(chain: CharterChain, me: NodeId, settings: Settings) -> Roster:
    """A peer for everybody else any charter named."""
    peers = Roster((node for node in chain.authors if node != me), settings)
    for node, peer in peers.items():
        peer.is_removed = chain.is_removed(node)
    return peers
