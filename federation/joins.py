"""Strangers who ask to be admitted: verified by their own records, told where they stand, decided by governance keys.

A join request proves itself (specs/charter.md 4), so it may come from anywhere and through anybody. What is kept is
bounded; nothing a stranger says reaches a log before a member's operator approved it, but the signature of its own
governance key under a charter that members proposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.batch import Batch
from federation.charters import Charters
from federation.council import Proposal
from federation.documents import Documents
from federation.effects import JoinAsked
from protocol.charter import Charter
from protocol.errors import ProtocolError
from protocol.identity import Inception
from protocol.ids import NodeId
from protocol.join_request import JoinRequest, parse_join_request
from protocol.ops import JoinAsk, JoinReply, parse_join_ask
from protocol.requests import JOIN, MAX_PAYLOAD_BYTES, ParsedRequest, verify_request

MAX_WAITING: Final = 64
ASKS_AT_ONCE: Final = 10  # each costs four verifications
ASKS_A_SECOND: Final = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """An authentic request to join."""

    asked: ParsedRequest
    request: JoinRequest
    record: Inception
    ask: JoinAsk

    @property
    def node(self) -> NodeId:
        return self.record.node_id


class Joins:
    """Who waits to be admitted.

    Attributes:
        waiting: Signed requests by node id.
        refused: Nodes whose request an operator turned down.
    """

    def __init__(self, charters: Charters, documents: Documents) -> None:
        self.waiting: dict[NodeId, bytes] = {}
        self.refused: set[NodeId] = set()
        self._charters = charters
        self._documents = documents
        self._tokens = float(ASKS_AT_ONCE)
        self._refilled_ms = 0

    def candidate(self, asked: ParsedRequest, now_ms: int) -> Candidate | None:
        """The request to join in a message; None when it is none, not good, or one too many.

        Raises:
            ProtocolError: it is not in form, or not signed as it must be.
        """
        if asked.request.op != JOIN or not self._may_ask(now_ms):
            return None
        ask = parse_join_ask(asked.request.payload)
        request = parse_join_request(ask.join_request)
        record = request.record
        if record.node_id != asked.request.sender:
            return None
        verify_request(asked, record.signing_key)
        return Candidate(asked, request, record, ask)

    def answer(self, candidate: Candidate, batch: Batch) -> JoinReply:
        """Where the candidate stands; its request and its approval are remembered."""
        node, chain = candidate.node, self._charters.book.chain
        member = chain.member(node)
        if member is not None:
            return self._with_definitions("admitted", chain.tip.document.encode(), chain.charter)
        if node in self.refused:
            return JoinReply("refused")
        if node not in self.waiting:
            if len(self.waiting) >= MAX_WAITING:
                return JoinReply("pending")
            self.waiting[node] = candidate.ask.join_request
            batch.joins.append(JoinAsked(node, candidate.ask.join_request))
        self._take_approval(candidate, batch)
        proposal = self._proposal_for(node)
        if proposal is None:
            return JoinReply("pending")
        return self._with_definitions("pending", proposal.document.encode(), proposal.charter)

    @property
    def is_busy(self) -> bool:
        """Whether the last request to join was one too many."""
        return self._tokens < 1

    def _take_approval(self, candidate: Candidate, batch: Batch) -> None:
        """The candidate's governance key signed the charter that would admit it."""
        if candidate.ask.approval is None:
            return
        hash_, signature = candidate.ask.approval
        held, key = self._charters.council.find(hash_), candidate.request.governance_key
        if held is None or key in held.approvals:
            return
        try:
            self._charters.take(held.with_approval(key, signature), batch)
        except ProtocolError:
            return
        now = self._charters.council.find(hash_)
        if now is not None and key in now.approvals:
            batch.joins.append(JoinAsked(candidate.node, candidate.ask.join_request, hash_, key, signature))

    def _proposal_for(self, node: NodeId) -> Proposal | None:
        """The open proposal that admits the node, the one with most approvals."""
        naming = [item for item in self._charters.council.proposals() if item.charter.member(node) is not None]
        return max(naming, key=lambda item: (len(item.document.approvals), item.charter.attempt), default=None)

    def _with_definitions(self, state: str, document: bytes, charter: Charter) -> JoinReply:
        room = MAX_PAYLOAD_BYTES - len(document) - 1024
        found = []
        for hash_ in sorted({row.definition for row in charter.catalogue}):
            body = self._documents.definition(hash_)
            if body is not None and len(body) + 8 <= room:
                found.append(body)
                room -= len(body) + 8
        return JoinReply(state, document, tuple(found))

    def _may_ask(self, now_ms: int) -> bool:
        passed_s = max(0, now_ms - self._refilled_ms) / 1000
        self._tokens = min(float(ASKS_AT_ONCE), self._tokens + passed_s * ASKS_A_SECOND)
        self._refilled_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
