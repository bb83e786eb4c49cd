"""Answering members: one function per operation, from a parsed payload to the payload of the answer.

Everything that follows from an answer besides itself (entries stored, a sync wanted) stands in the batch and in the
peer. All operations are idempotent: asked twice, they change nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from federation.admission import Admitted, Behind, Decision, Duplicate, Forked, Refused
from federation.batch import Batch
from federation.documents import Documents
from federation.errors import BadPayload
from federation.log_state import GENERATION
from federation.logs import Logs, offer_bytes
from federation.peers import Early, Peer, RefusedItem
from federation.ports import EntrySource
from federation.sync import marks_of
from protocol.entries import Entry, ParsedEntry, parse_header
from protocol.ids import NodeId
from protocol.ops import (
    Heads,
    Hello,
    PushReply,
    PushVerdict,
    RangeReply,
    RangeRequest,
    entries_that_fit,
    parse_announce,
    parse_docs_request,
    parse_heads,
    parse_hello,
    parse_push_request,
    parse_range_request,
)
from protocol.requests import ANNOUNCE, DOCS, HEADS, HELLO, MAX_PAYLOAD_BYTES, PUSH, RANGE, Request


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
        """
        return self._ops[asked.request.op](asked)

    def serves(self, op: str) -> bool:
        """Whether members may ask this operation here."""
        return op in self._ops

    def hello(self) -> Hello:
        """Who this node is, asked and answered alike."""
        log = self._logs.log(self._me)
        head = None
        if log is not None and log.ids:
            head = (*log.position, log.ids[-1])
        return Hello(self._inception, head=head)

    def take(self, data: bytes, sender: Peer, now_ms: int, batch: Batch) -> tuple[ParsedEntry | None, Decision]:
        """Offer an entry a peer sent, then whatever waited for it; what is refused is noted for the operator."""
        parsed, decision = offer_bytes(self._logs, data, batch)
        if isinstance(decision, Admitted) and parsed is not None:
            self._take_early(parsed, batch)
            self._watch_own(parsed, batch)
        elif isinstance(decision, Refused):
            author, seq = (parsed.header.author, parsed.header.seq) if parsed else (None, None)
            sender.refused = RefusedItem(now_ms, "entry", decision.code, decision.why, author, seq)
            batch.log("mesh.entry_refused", peer=sender.node.hex(), code=decision.code, why=decision.why)
        return parsed, decision

    def _hello(self, asked: Asked) -> bytes:
        parse_hello(asked.request.payload)  # its keys were learnt at the gate
        return self.hello().encode()

    def _heads(self, asked: Asked) -> bytes:
        theirs = parse_heads(asked.request.payload)
        if asked.request.heads_digest == self._logs.digest:
            return Heads((), theirs.full).encode()
        return marks_of(self._logs.heads(), asked.request.nonce, full=theirs.full).encode()

    def _range(self, asked: Asked) -> bytes:
        wanted = parse_range_request(asked.request.payload)
        log = self._logs.log(wanted.author)
        if log is None:
            raise _refused("no charter names the author")
        last = log.height if log.is_frozen else log.height - 1  # of a fork both branches, and nothing beyond
        if wanted.generation != GENERATION or wanted.seq > last:
            return RangeReply(()).encode()
        before = (GENERATION, wanted.seq - 1)
        stored = self._source.entries_after(wanted.author, before, MAX_PAYLOAD_BYTES, wanted.limit + 2)
        return _range_reply(stored, wanted, last).encode()

    def _push(self, asked: Asked) -> bytes:
        pushed = parse_push_request(asked.request.payload)
        return PushReply(tuple(self._pushed(data, asked) for data in pushed.entries)).encode()

    def _pushed(self, data: bytes, asked: Asked) -> PushVerdict:
        parsed, decision = self.take(data, asked.peer, asked.now_ms, asked.batch)
        if isinstance(decision, Admitted | Forked):
            return PushVerdict("ok")
        if isinstance(decision, Duplicate):
            return PushVerdict("have")
        asked.peer.sync_due_ms = asked.now_ms  # whoever sent it can say what lies between, or where the logs part
        if isinstance(decision, Behind):
            if decision.verified and parsed is not None:
                self._early.keep(asked.peer.node, parsed)
            return PushVerdict("behind", position=decision.head if decision.head[1] >= 0 else None)
        return PushVerdict("refused", code=decision.code)

    def _announce(self, asked: Asked) -> bytes:
        announced = parse_announce(asked.request.payload)
        for author, _, seq, entry in announced.heads:
            log = self._logs.log(author)
            if log is not None and (seq >= log.height or log.ids[seq] != entry):
                asked.peer.sync_due_ms = asked.now_ms
        return b""

    def _docs(self, asked: Asked) -> bytes:
        return self._documents.serve(parse_docs_request(asked.request.payload)).encode()

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


def _range_reply(stored: Sequence[Entry], wanted: RangeRequest, last: int) -> RangeReply:
    """As many of the stored entries as were asked for, fit, and stand at `last` at most, by (seq, id)."""
    found = sorted((parse_header(entry.header).seq, entry.id, entry) for entry in stored)
    served = [
        (seq, entry.encode())
        for seq, entry_id, entry in found
        if seq <= last and not (wanted.after is not None and seq == wanted.seq and entry_id <= wanted.after)
    ]
    fitting = entries_that_fit([data for _, data in served], wanted.limit)
    more = fitting < len(served) or (fitting > 0 and served[fitting - 1][0] < last)
    return RangeReply(tuple(data for _, data in served[:fitting]), more)


def _refused(why: str) -> BadPayload:
    return BadPayload(what="Request refused", why=why, fix="Upgrade the older of the two nodes")
