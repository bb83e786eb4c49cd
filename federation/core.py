"""The node's end of the mesh: one mutable object, no I/O. Bytes and time in, effects out.

How the shell drives it:

- `Core(…)` at start with what the disk holds; then `start(now, rng)` and carry out its effects;
- every mesh request: `receive(body, now, rng)`; the last effect is the `Reply`;
- every `SendRequest`: POST it, then `on_response(token, answer or Failed, now, rng)`;
- after the node's own transaction committed an entry: `own_entry(parsed, now)`;
- after every one of these calls one timer at `next_wakeup_ms()` that calls `tick(now, rng)`.

Effects are carried out in order, those of one call before those of the next (effects.py). Times are Unix
milliseconds; a clock that jumps delays or repeats a sync and decides nothing.

This module wires the parts: `gate` and `service` answer, `caller` and `session` ask, `logs` is the replicated state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.admission import Admitted, Forked
from federation.batch import Batch
from federation.bodies import Bodies
from federation.caller import Caller, Failed
from federation.charter_book import CharterBook
from federation.charters import Charters, peers_of
from federation.council import Council
from federation.documents import Documents, read_definition
from federation.effects import Effect, Reply, StoreDefinition
from federation.envelopes import STRANGER, Envelopes
from federation.errors import Busy, NotAMember, OwnLogConflict, PeerError
from federation.gate import Gate, Question, Stranger, Turned, refused_request
from federation.joins import Candidate, Joins
from federation.logs import Logs
from federation.peers import Early, PeerStatus
from federation.ports import EntrySource, Rng
from federation.rules import CharterStamp, Rules
from federation.service import Asked, Service
from federation.session import Means
from federation.settings import Settings
from federation.watch import watch_charter, watch_clock
from protocol.charter_document import CharterDocument
from protocol.entries import RECOVER, ROTATE, ParsedEntry
from protocol.errors import BadSuccession, ProtocolError
from protocol.ids import CharterHash, DefinitionHash, NodeId
from protocol.keys import SigningKey
from protocol.objects import definition_hash
from protocol.ops import Refusal

__all__ = ["Core", "Failed"]


class Core:
    """The federation as one node sees it.

    Args:
        me: Own node id.
        key: Own signing key in force.
        document: The founding charter this node accepted.
        later: Charters verified later, rivals of the trusted ones among them.
        proposals: Charters proposed and not decided, with the approvals known.
        definitions: Bodies of definitions by hash, as far as installed.
        inceptions: Signed inception records by node id, the own one among them; others are learnt by hello.
        source: The node's database of entries.
        stored: What it holds at this moment: each author's entries in order of (generation, seq).
        settings: Intervals and limits.
        evidence: Proofs that members signed twice, each with the members that acknowledged it.

    Raises:
        NotAMember: the charter does not name this node, or its inception record is not given.
    """

    def __init__(
        self,
        me: NodeId,
        key: SigningKey,
        document: CharterDocument,
        definitions: Mapping[DefinitionHash, bytes],
        inceptions: Mapping[NodeId, bytes],
        source: EntrySource,
        stored: Iterable[ParsedEntry] = (),
        settings: Settings | None = None,
        *,
        later: Iterable[CharterDocument] = (),
        proposals: Iterable[CharterDocument] = (),
        evidence: Iterable[tuple[bytes, Iterable[NodeId]]] = (),
    ) -> None:
        self.me = me
        self.settings = settings or Settings()
        book = CharterBook(document, later)
        if book.chain.member(me) is None or me not in inceptions:
            raise NotAMember(
                what="Node not started",
                why=f"the charter does not name {me.hex()[:16]}, or its inception record is missing",
                fix="Accept a charter that admits this node",
            )
        known = {hash_: read_definition(body) for hash_, body in definitions.items()}
        self.logs = Logs(Rules(book.chain, known), source, Bodies(self.settings.opaque_bytes, me))
        for node, record in inceptions.items():
            self.logs.learn_inception(record, node)
        self._restored = self.logs.restore(stored)
        self.logs.evidence.restore(evidence)
        self._peers = peers_of(book.chain, me, self.settings)
        council = Council(book, self.logs, proposals)
        self.charters = Charters(me, book, council, self.logs, self._peers)
        documents = Documents(book, council, definitions)
        early = Early(self._peers, self.settings.early_per_peer)
        self._service = Service(me, inceptions[me], self.logs, source, documents, early)
        self.joins = Joins(self.charters, documents)
        self._gate = Gate(me, self.logs, self._peers, self.settings, self.joins)
        self._envelopes = Envelopes(me, key, self.logs)
        means = Means(me, self.logs, source, self._service, documents, self.charters, self.settings, {})
        self._caller = Caller(means, self._peers, self._envelopes)
        self.documents = documents
        self._compared: bytes | None = None  # our digest when all peers' last words were held against it

    @property
    def rules(self) -> Rules:
        """What entries are judged by now: the trusted chain, and the definitions known."""
        return self.logs.rules

    # -- what the shell calls

    def start(self, now_ms: int, rng: Rng) -> list[Effect]:
        """The verdicts of everything stored, and the first sessions."""
        batch, self._restored = self._restored, Batch()
        self._caller.start(now_ms, rng)
        self._settle(now_ms, batch)
        return batch.effects() + self.tick(now_ms, rng)

    def receive(self, message: bytes, now_ms: int, rng: Rng) -> list[Effect]:
        """Answer one mesh request; the last effect is the `Reply`."""
        batch = Batch()
        opened = self._gate.open(message, now_ms, rng)
        if isinstance(opened, Stranger):
            return batch.effects(self._turn_stranger(opened, now_ms, batch))
        if isinstance(opened, Candidate):
            answer = self.joins.answer(opened, batch)
            self._settle(now_ms, batch)
            return batch.effects(self._envelopes.answer(opened.asked, answer.encode(), now_ms))
        peer, asked = opened.peer, opened.asked
        peer.bytes_in += len(message)
        said = asked.request
        stamp = CharterStamp(said.charter_version, said.attempt, said.charter_hash)
        watch_charter(peer, stamp, self.charters.book, self.settings, now_ms)
        if isinstance(opened, Turned):
            batch.log("mesh.request_refused", peer=peer.node.hex(), op=asked.request.op, status=opened.status)
            reply = self._envelopes.refusal(asked, opened.status, opened.refusal, now_ms)
        else:
            reply = self._answer(opened, now_ms, batch)
        peer.bytes_out += len(reply.body)
        self._settle(now_ms, batch)
        self._tell_others(batch, now_ms)
        self._compare_all()
        return batch.effects(reply)

    def on_response(self, token: int, answer: bytes | Failed, now_ms: int, rng: Rng) -> list[Effect]:
        """Take the answer to a `SendRequest`, or why there is none. An answer after its timeout is dropped."""
        batch = Batch()
        self._caller.on_response(token, answer, now_ms, rng, batch)
        self._settle(now_ms, batch)
        self._tell_others(batch, now_ms)
        self._compare_all()
        return batch.effects()

    def own_entry(self, parsed: ParsedEntry, now_ms: int, key: SigningKey | None = None) -> list[Effect]:
        """An own entry was committed: judge it and queue it for push. An entry known already changes nothing.

        A `rotate` or `recover` may also stand on a branch of a frozen log, and end the freeze.

        Args:
            key: After a rotate or recover, the key it puts in force; requests and answers are signed with it from now.

        Raises:
            OwnLogConflict: it does not extend the own log; the node must stop signing.
        """
        batch = Batch()
        log = self.logs.log(self.me)
        seq = parsed.header.seq
        if log is None or parsed.header.author != self.me:
            raise ValueError("own_entry takes entries of the own log")
        if seq < log.height and log.ids[seq] == parsed.id:
            self.use_key(key)
            return []
        # Looked at before it is offered: a second entry at one position would freeze the own log here.
        extends = not log.is_frozen and seq == log.height and parsed.header.prev == log.before(seq)
        turns = parsed.header.kind in (ROTATE, RECOVER)
        taken = (extends or turns) and isinstance(self.logs.offer(parsed, batch), Admitted | Forked)
        if not taken or not (seq < log.height and log.ids[seq] == parsed.id):
            raise OwnLogConflict(
                what=f"Own entry {seq} not taken",
                why=f"it does not extend the own log, which ends at {log.position[1]}",
                fix="Stop signing, restart the node, and let it read its own log from its peers",
            )
        self.use_key(key)
        batch.entries.clear()  # the node's own transaction stored it
        self._caller.queue(parsed.entry.encode(), now_ms)
        self._settle(now_ms, batch)
        self._compare_all()
        return batch.effects()

    def use_key(self, key: SigningKey | None) -> None:
        """Sign requests and answers with this key from now on; None changes nothing."""
        if key is not None:
            self._envelopes.key = key

    def tick(self, now_ms: int, rng: Rng) -> list[Effect]:
        """Whatever is due: take in what came, give up requests without answer, push, start sessions."""
        batch = Batch()
        self._caller.tick(now_ms, rng, batch)
        if batch.entries or batch.bodies:  # a page was taken in
            self._settle(now_ms, batch)
            self._tell_others(batch, now_ms)
        self._compare_all()
        return batch.effects()

    def take_charter(self, document: CharterDocument, now_ms: int) -> list[Effect]:
        """A charter from a file or from the operator: a proposal, more approvals, or one that is decided.

        Raises:
            ProtocolError: it is broken, or does not follow what is trusted here.
        """
        batch = Batch()
        if not self.charters.take(document, batch):
            raise BadSuccession(what="charter not taken", why="it is not for the version after the trusted one")
        self._settle(now_ms, batch)
        return batch.effects()

    def confirm_charter(self, charter: CharterHash, now_ms: int) -> list[Effect]:
        """The operator compared this charter's fingerprint elsewhere: follow it though it needs asking."""
        batch = Batch()
        self.charters.confirm(charter)
        self._settle(now_ms, batch)
        return batch.effects()

    def learn_definition(self, body: bytes) -> list[Effect]:
        """A definition from the operator: known, served and judged by from now on."""
        batch = Batch()
        hash_ = definition_hash(body)
        if self.documents.keep(body, (hash_,)) is not None:
            self.rules.learn(hash_, read_definition(body))
            batch.documents.append(StoreDefinition(hash_, body))
            self.logs.definition_learnt(hash_, batch)
        return batch.effects()

    def sync_soon(self, now_ms: int) -> int:
        """Have a session with every peer that can be called at the next tick; how many those are."""
        return self._caller.sync_soon(now_ms)

    def next_wakeup_ms(self) -> int | None:
        """When `tick` has something to do next; None for never. May lie in the past: then at once."""
        return self._caller.next_wakeup_ms()

    # -- what the shell reads

    def peers(self) -> list[PeerStatus]:
        """Every other member's status, in the charter's order."""
        endpoints = {peer.node: self._caller.endpoint_of(peer) for peer in self._peers.values()}
        return [
            peer.status(None if (found := endpoints[peer.node]) is None else found.url, self.logs.digest)
            for peer in self._peers.values()
        ]

    @property
    def is_in_step(self) -> bool:
        """Whether every peer's heads, as last heard, equal ours."""
        return all(peer.digest == self.logs.digest for peer in self._peers.values())

    def held_by(self, node: NodeId) -> tuple[int, int] | None:
        """How far a peer showed, since the start, to hold our own log: by heads equal to ours."""
        return self._peers[node].held

    @property
    def compared_with(self) -> frozenset[NodeId]:
        """Peers whose heads were compared with ours since the start, the own log's among them (PROTOCOL 5)."""
        return frozenset(self._caller.compared_with)

    # -- requests

    def _turn_stranger(self, stranger: Stranger, now_ms: int, batch: Batch) -> Reply:
        if stranger.claimed is not None:
            stranger.claimed.refused = refused_request(stranger, now_ms)
            batch.log("mesh.request_refused", claimed=stranger.claimed.node.hex(), code=stranger.code, why=stranger.why)
        return STRANGER

    def _answer(self, question: Question, now_ms: int, batch: Batch) -> Reply:
        peer, asked = question.peer, question.asked
        peer.asked_ms = now_ms
        try:
            if not self._service.serves(asked.request.op):
                return self._envelopes.refusal(asked, "unknown-op", Refusal(), now_ms)
            payload = self._service.answer(Asked(peer, asked.request, now_ms, batch))
        except Busy as error:
            batch.log("mesh.request_refused", peer=peer.node.hex(), op=asked.request.op, code=error.code, why=error.why)
            refusal = Refusal(error.code, retry_after_ms=error.retry_after_ms)
            reply = self._envelopes.refusal(asked, "busy", refusal, now_ms)
        except (ProtocolError, PeerError) as error:
            batch.log("mesh.request_refused", peer=peer.node.hex(), op=asked.request.op, code=error.code, why=error.why)
            reply = self._envelopes.refusal(asked, "malformed", Refusal(error.code), now_ms)
        else:
            reply = self._envelopes.answer(asked, payload, now_ms)
        peer.spoke(now_ms, asked.request.heads_digest, self.logs.digest, self.logs.position(self.me))
        watch_clock(peer, self.settings, batch)
        return reply

    # -- helpers

    def _settle(self, now_ms: int, batch: Batch) -> None:
        """Another charter may be trusted by what this call brought, somebody caught who signed twice, a body missed."""
        self.logs.judge_what_came(batch)
        if self.charters.settle(now_ms, batch):
            self._caller.charter_changed(now_ms)
        if self.logs.evidence.is_new or self.logs.bodies.is_new:
            self.logs.evidence.is_new = self.logs.bodies.is_new = False
            self._caller.sync_with_all(now_ms)

    def _tell_others(self, batch: Batch, now_ms: int) -> None:
        """In a large federation, what came from one peer is announced to a few others."""
        if batch.entries:
            self._caller.announce({parsed.header.author for parsed in batch.entries}, now_ms)

    def _compare_all(self) -> None:
        digest = self.logs.digest
        if digest == self._compared:
            return
        self._compared, position = digest, self.logs.position(self.me)
        for peer in self._peers.values():
            peer.caught_up(digest, position)
