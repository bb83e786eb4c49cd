"""Answering members: one function per operation, from a parsed payload to the payload of the answer.

Everything that follows from an answer besides itself (entries stored, a sync wanted) stands in the batch and in the
peer. All operations are idempotent: asked twice, they change nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from federation.admission import Admitted, Behind, Decision, Duplicate, Forked, Refused, Superseded
from federation.batch import Batch
from federation.documents import Documents
from federation.errors import BadPayload, Busy
from federation.evidence_book import MAX_KEYS
from federation.log_state import AuthorLog
from federation.logs import Logs, offer_bytes
from federation.peers import Early, Peer, RefusedItem
from federation.ports import EntrySource
from federation.spans import answer as answer_spans
from federation.sync import marks_of
from protocol.entries import ParsedEntry
from protocol.ids import EntryId, NodeId
from protocol.key_chain import MAX_CHAIN_LINKS
from protocol.ops import (
    DocsReply,
    Document,
    EvidencePush,
    Heads,
    Hello,
    PushReply,
    PushVerdict,
    RangeReply,
    RangeRequest,
    SpansReply,
    SpansRequest,
    entries_that_fit,
    parse_announce,
    parse_docs_request,
    parse_heads_request,
    parse_hello,
    parse_push,
    parse_range_request,
)
from protocol.requests import ANNOUNCE, DOCS, HEADS, HELLO, MAX_PAYLOAD_BYTES, PUSH, RANGE, Request

EVIDENCE_DOCUMENT = "evidence"  # a kind that older software passes over


@dataclass(frozen=True, slots=True)
class Asked:
    """One granted request while it is answered."""

    peer: Peer
    request: Request
    now_ms: int
    batch: Batch


class Service:
    """The operations of the mesh, answered.

    Args:
        inception: Own signed inception record, for hello.
    """

    def __init__(
        self, me: NodeId, inception: bytes, logs: Logs, source: EntrySource, documents: Documents, early: Early
    ) -> None:
        self._me = me
        self._inception = inception
        self._logs = logs
        self._source = source
        self._documents = documents
        self._early = early
        self._ops: dict[str, Callable[[Asked], bytes]] = {
            HELLO: self._hello,
            HEADS: self._heads,
            RANGE: self._range,
            PUSH: self._push,
            ANNOUNCE: self._announce,
            DOCS: self._docs,
        }

    def answer(self, asked: Asked) -> bytes:
        """The payload of the answer.

        Raises:
            ProtocolError: the payload has not the form of its operation.
            BadPayload: it names an author no charter names.
            Busy: the peer pushed too much; the error says when it may again.
        """
        return self._ops[asked.request.op](asked)

    def serves(self, op: str) -> bool:
        """Whether members may ask this operation here."""
        return op in self._ops

    def hello(self, first_link: int | None = None) -> Hello:
        """Who this node is, asked and answered alike: its record, its head, and 64 links of its key chain.

        `first_link`: where the links begin; by default so that they end with the last, which is what a peer that was
        not away for long needs.
        """
        log = self._logs.log(self._me)
        if log is None:
            return Hello(self._inception)
        links = self._logs.key_chain(self._me)
        first = max(0, len(links) - MAX_CHAIN_LINKS) if first_link is None else first_link
        head = (*log.position, log.ids[-1]) if log.ids else None
        return Hello(self._inception, tuple(links[first : first + MAX_CHAIN_LINKS]), first, len(links), head=head)

    def take(
        self, data: bytes, sender: Peer, now_ms: int, batch: Batch, *, is_asked: bool = False
    ) -> tuple[ParsedEntry | None, Decision]:
        """Offer an entry a peer sent, then whatever waited for it; what is refused is noted for the operator."""
        parsed, decision = offer_bytes(self._logs, data, batch, is_asked=is_asked)
        if isinstance(decision, Admitted | Forked) and parsed is not None:
            self._take_early(parsed, batch)
            self._watch_own(parsed, batch)
        elif isinstance(decision, Refused):
            author, seq = (parsed.header.author, parsed.header.seq) if parsed else (None, None)
            sender.refused = RefusedItem(now_ms, "entry", decision.code, decision.why, author, seq)
            batch.log("mesh.entry_refused", peer=sender.node.hex(), code=decision.code, why=decision.why)
        return parsed, decision

    def _hello(self, asked: Asked) -> bytes:
        hello = parse_hello(asked.request.payload)  # its keys were learnt at the gate
        asked.peer.protocols = hello.min_protocol, hello.max_protocol
        return self.hello().encode()

    def _heads(self, asked: Asked) -> bytes:
        theirs = parse_heads_request(asked.request.payload)
        is_equal = asked.request.heads_digest == self._logs.digest
        nonce = asked.request.nonce
        if isinstance(theirs, SpansRequest):
            reply = SpansReply() if is_equal else answer_spans(self._logs.heads(), theirs, nonce)
            return reply.encode()
        return (Heads((), theirs.full) if is_equal else marks_of(self._logs.heads(), nonce, full=theirs.full)).encode()

    def _range(self, asked: Asked) -> bytes:
        wanted = parse_range_request(asked.request.payload)
        log = self._logs.log(wanted.author)
        if log is None:
            raise _refused("no charter names the author")
        asked.peer.fetches += wanted.author == self._me
        ids = _asked_for(log, wanted)
        stored = self._source.load_entries(ids[: wanted.limit], MAX_PAYLOAD_BYTES) if ids else ()
        found = [entry.encode() for entry in stored]
        fitting = entries_that_fit(found, wanted.limit)
        return RangeReply(tuple(found[:fitting]), more=fitting < len(ids)).encode()

    def _push(self, asked: Asked) -> bytes:
        pushed = parse_push(asked.request.payload)
        if isinstance(pushed, EvidencePush):
            verifications = 2 * MAX_KEYS * len(pushed.documents)
        else:
            verifications = len(pushed.entries)
        wait_ms = asked.peer.budget.ask(len(asked.request.payload), verifications, asked.now_ms)
        if wait_ms:
            raise Busy(
                what="Push refused",
                why="the peer pushes more than this node takes from one",
                fix="It waits and sends the rest later",
                retry_after_ms=wait_ms,
            )
        if isinstance(pushed, EvidencePush):
            sender, now_ms, batch = asked.peer, asked.now_ms, asked.batch
            verdicts = tuple(self.hear(document, sender, now_ms, batch) for document in pushed.documents)
        else:
            verdicts = tuple(self._pushed(data, asked) for data in pushed.entries)
        return PushReply(verdicts).encode()

    def hear(self, document: bytes, sender: Peer, now_ms: int, batch: Batch) -> PushVerdict:
        """Evidence a peer sent: what it holds of that log shows more of it than two headers do."""
        verdict = self._logs.offer_evidence(document, sender.node, batch)
        if verdict.verdict == "refused":
            sender.refused = RefusedItem(now_ms, "evidence", verdict.code or "", "it proves nothing here")
            batch.log("mesh.evidence_refused", peer=sender.node.hex(), code=verdict.code or "")
        elif verdict.verdict == "ok":
            sender.sync_due_ms = now_ms
        return verdict

    def _pushed(self, data: bytes, asked: Asked) -> PushVerdict:
        parsed, decision = self.take(data, asked.peer, asked.now_ms, asked.batch)
        if isinstance(decision, Admitted | Forked):
            return PushVerdict("ok")
        if isinstance(decision, Duplicate):
            return PushVerdict("have")
        if isinstance(decision, Superseded):
            return PushVerdict("refused", code="superseded")
        asked.peer.sync_due_ms = asked.now_ms  # whoever sent it can say what lies between, or where the logs part
        if isinstance(decision, Behind):
            if decision.verified and parsed is not None:
                self._early.keep(asked.peer.node, parsed)
            return PushVerdict("behind", position=decision.head if decision.head[1] >= 0 else None)
        return PushVerdict("refused", code=decision.code)

    def _announce(self, asked: Asked) -> bytes:
        announced = parse_announce(asked.request.payload)
        if asked.peer.budget.ask(len(asked.request.payload), 0, asked.now_ms):
            return b""  # what it has is found by comparing heads
        for author, _, seq, entry in announced.heads:
            log = self._logs.log(author)
            if log is not None and not log.holds(entry, seq):
                asked.peer.announce(author)
        return b""

    def _docs(self, asked: Asked) -> bytes:
        wanted = parse_docs_request(asked.request.payload)
        if wanted.charters_from is None and not wanted.hashes:  # from who cannot be called, and so told
            untold = self._logs.evidence.untold(asked.peer.node)
            return DocsReply(tuple(Document(EVIDENCE_DOCUMENT, body) for body in untold)).encode()
        return self._documents.serve(wanted).encode()

    def _take_early(self, parsed: ParsedEntry, batch: Batch) -> None:
        """Offer what waited for this entry, one after the other."""
        author, seq = parsed.header.author, parsed.header.seq
        while (waited := self._early.take(author, seq := seq + 1)) is not None:
            if not isinstance(self._logs.offer(waited, batch), Admitted):
                return

    def _watch_own(self, parsed: ParsedEntry, batch: Batch) -> None:
        """An own entry that came from outside was signed by a clone, or lost here by a restore (PROTOCOL 5)."""
        if parsed.header.author == self._me:
            batch.alarm("own-entry-from-elsewhere", seq=parsed.header.seq, entry=parsed.id.hex())


def _asked_for(log: AuthorLog, wanted: RangeRequest) -> list[EntryId]:
    """Ids of what a range asks for: one more than its limit when there are more."""
    start = log.start_of(wanted.generation)
    if start is None:
        return []
    first = max(start, wanted.seq)
    shown = (
        entry
        for seq, entry in log.shown(first)
        if not (wanted.after is not None and seq == wanted.seq and entry <= wanted.after)
    )
    return list(islice(shown, wanted.limit + 1))


def _refused(why: str) -> BadPayload:
    return BadPayload(what="Request refused", why=why, fix="Upgrade the older of the two nodes")
