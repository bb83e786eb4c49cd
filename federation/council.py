"""Votes in logs: who proposed which charter, who approved it, and when it has enough (specs/charter.md 3.7).

Proposals and approvals are entries, so they reach every member; the charter itself is fetched by its hash. What is put
together here is offered to the `CharterBook`, which verifies it whole: nothing in this module decides what is valid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from federation.charter_book import CharterBook
from federation.logs import Logs
from protocol.charter import Charter, parse_charter
from protocol.charter_chain import check_succession
from protocol.charter_document import CharterDocument, verify_approval
from protocol.errors import ProtocolError
from protocol.ids import CharterHash, NodeId
from protocol.kind_data import ApproveData, ProposeData

MAX_OPEN_PER_MEMBER: Final = 4  # a member's last proposals for the next version that are fetched and kept


@dataclass(frozen=True, slots=True)
class Proposal:
    """A charter that may follow the trusted one, and what was collected for it.

    Args:
        proposers: Members in whose logs it was proposed.
    """

    document: CharterDocument
    charter: Charter
    proposers: tuple[NodeId, ...]


class Council:
    """Open proposals: those for the version after the trusted one."""

    def __init__(self, book: CharterBook, logs: Logs, proposals: Iterable[CharterDocument] = ()) -> None:
        self._book = book
        self._logs = logs
        self._documents: dict[bytes, CharterDocument] = {}
        self._good: dict[tuple[bytes, bytes, bytes], bool] = {}  # (document, key, signature) verified or not
        self._offered: dict[bytes, int] = {}  # approvals a charter had when it was offered last
        for document in proposals:
            self.take(document)

    def take(self, document: CharterDocument) -> bool:
        """Keep a proposal, unsigned as it may be, when it could follow what is known; True when it is new.

        Approvals that came with it are kept when they are good.
        """
        known = self._documents.get(document.hash)
        if known is None:
            try:
                charter = parse_charter(document.body)
                parents = [self._book.known[previous].charter for previous in charter.previous]
                check_succession(charter, parents)
            except (ProtocolError, KeyError):
                return False
            if charter.version != self._book.chain.charter.version + 1:
                return False
            known = self._documents[document.hash] = CharterDocument(document.body)
        for key, signature in document.approvals.items():
            self._approve(document.hash, key, signature)
        return True

    def wanted(self) -> list[bytes]:
        """Hashes of charters proposed in the logs that are not here: open ones, and rivals of the trusted one."""
        version = self._book.chain.charter.version
        proposed = [*self._proposed(version + 1), *self._proposed(version)]
        return [hash_ for hash_ in proposed if hash_ not in self._documents and hash_ not in self._book.known]

    def proposers(self, hash_: bytes) -> list[NodeId]:
        """Members in whose logs a charter was proposed lately."""
        version = self._book.chain.charter.version
        return self._proposed(version + 1).get(hash_, []) or self._proposed(version).get(hash_, [])

    def review(self) -> list[CharterDocument]:
        """Put the approvals in the logs to their charters; those that have enough now."""
        self._drop_old()
        for data in self._approvals():
            if data.document in self._documents:
                self._approve(data.document, data.governance_key, data.signature)
        ready = []
        for document in self._documents.values():
            if document.hash in self._book.known or self._offered.get(document.hash) == len(document.approvals):
                continue
            self._offered[document.hash] = len(document.approvals)
            with contextlib.suppress(ProtocolError):  # too few keys, yet
                if self._book.offer(document):
                    ready.append(document)
        return ready

    def proposals(self) -> list[Proposal]:
        """Open proposals, in order of attempt and hash."""
        proposed = self._proposed(self._book.chain.charter.version + 1)
        found = [
            Proposal(document, parse_charter(document.body), tuple(proposed.get(hash_, ())))
            for hash_, document in self._documents.items()
            if CharterHash(hash_) not in self._book.known
        ]
        return sorted(found, key=lambda item: (item.charter.attempt, item.document.hash))

    def unsaid(self) -> list[ProposeData | ApproveData]:
        """What is known here and stands in no log yet: proposals and approvals from files and from candidates.

        Where keys were used twice, both charters are named, so that every member sees it.
        """
        version = self._book.chain.charter.version
        said = {(vote.document, vote.governance_key) for vote in self._approvals()}
        proposed = {*self._proposed(version + 1), *self._proposed(version)}
        rivals = self._book.rivals()
        open_ones = [document for hash_, document in self._documents.items() if hash_ not in self._book.known]
        named = [(document.hash, version + 1) for document in open_ones]
        named += [(item.hash, version) for item in (self._book.chain.tip, *rivals)] if rivals else []
        found: list[ProposeData | ApproveData] = [
            ProposeData(hash_, number) for hash_, number in named if hash_ not in proposed
        ]
        for document in open_ones:
            found += [
                ApproveData(document.hash, key, signature)
                for key, signature in document.approvals.items()
                if (document.hash, key) not in said
            ]
        return found

    def find(self, hash_: bytes) -> CharterDocument | None:
        """A proposal's charter by its hash, with the approvals known."""
        return self._documents.get(hash_)

    def _approve(self, document: bytes, key: bytes, signature: bytes) -> None:
        """Put a good signature of a key that may sign to its charter; each is verified once."""
        held = self._documents[document]
        if key in held.approvals:
            return
        place = document, key, signature
        if place not in self._good:
            self._good[place] = self._is_good(held, key, signature)
        if self._good[place]:
            self._documents[document] = held.with_approval(key, signature)

    def _is_good(self, document: CharterDocument, key: bytes, signature: bytes) -> bool:
        charter = parse_charter(document.body)
        voters = [charter, *(self._book.known[previous].charter for previous in charter.previous)]
        if all(item.governance_key != key for voter in voters for item in voter.organisations):
            return False
        try:
            verify_approval(document.body, key, signature, self._book.chain.federation)
        except ProtocolError:
            return False
        return True

    def _proposed(self, version: int) -> Mapping[bytes, list[NodeId]]:
        """Members that proposed a charter for a version, by its hash: the last few of each member."""
        found: dict[bytes, list[NodeId]] = {}
        for author, votes in self._logs.votes():
            made = [vote for vote in votes if isinstance(vote, ProposeData) and vote.version == version]
            for proposal in made[-MAX_OPEN_PER_MEMBER:]:
                members = found.setdefault(proposal.document, [])
                if author not in members:
                    members.append(author)
        return found

    def _approvals(self) -> Iterable[ApproveData]:
        for _, votes in self._logs.votes():
            yield from (vote for vote in votes if isinstance(vote, ApproveData))

    def _drop_old(self) -> None:
        version = self._book.chain.charter.version + 1
        for hash_, document in list(self._documents.items()):
            if parse_charter(document.body).version != version:
                del self._documents[hash_]
        self._good = {place: good for place, good in self._good.items() if place[0] in self._documents}
