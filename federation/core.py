"""The node's end of the mesh: one mutable object, no I/O. Bytes and time in, effects out.

How the shell drives it:

- `Core(…)` at start with what the disk holds; then `start(now)` and carry out its effects (verdicts of all entries);
- every mesh request: `receive(body, now, rng)`; the last effect is the `Reply`;
- every `SendRequest`: POST it, then `on_response(token, answer or Failed, now, rng)`;
- after the node's own transaction committed an entry: `own_entry(parsed, now)`;
- after every one of these calls one timer at `next_wakeup_ms(now)` that calls `tick(now, rng)`.

Effects are carried out in order, those of one call before those of the next (effects.py). Times are Unix
milliseconds; a clock that jumps delays or repeats a sync and decides nothing.

Entries go out by push, within `push_delay_ms` of their commit; everything else is healed by sessions of anti-entropy
(session.py): at start with everybody, then with one random peer every interval, and at once after a gap, a failure,
or when a peer's heads stay different from ours. Push alone is never relied on (notes/mesh.md 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from federation.admission import Admitted, Duplicate
from federation.batch import Batch
from federation.documents import Documents, read_definition
from federation.effects import Effect, Reply, SendRequest
from federation.envelopes import STRANGER, Envelopes
from federation.errors import NotAMember, OwnLogConflict, PeerError
from federation.gate import Gate, Question, Stranger, Turned, refused_request
from federation.logs import Logs
from federation.peers import Early, Peer, PeerStatus, RefusedItem
from federation.ports import EntrySource, Rng
from federation.rules import Rules
from federation.service import Asked, Service
from federation.session import Means, Session
from federation.settings import Settings
from protocol.charter import federation_id, parse_charter
from protocol.charter_document import CharterDocument
from protocol.endpoints import Endpoint
from protocol.entries import ParsedEntry
from protocol.errors import ProtocolError
from protocol.identity import node_id
from protocol.ids import DefinitionHash, NodeId, RequestHash
from protocol.keys import SigningKey
from protocol.objects import INCEPTION, REQUEST, object_id, parse_object
from protocol.ops import PushRequest, Refusal, entries_that_fit, parse_hello, parse_push_reply, parse_refusal
from protocol.requests import (
    HELLO,
    NONCE_BYTES,
    OK,
    PUSH,
    REFUSAL,
    ParsedResponse,
    Request,
    parse_response,
    verify_response,
)


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that brought no answer; `reason` is shown to the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request in flight: of a session, or a push of own entries (`session` None)."""

    peer: Peer
    request: Request
    deadline_ms: int
    session: Session | None


class Core:
    """The federation as one node sees it.

    Args:
        me: Own node id.
        key: Own signing key in force.
        document: The trusted charter; version 1 until charters change.
        definitions: Bodies of definitions by hash, as far as installed.
        inceptions: Signed inception records by node id, the own one among them; others are learnt by hello.
        source: The node's database of entries.
        stored: What it holds at this moment: each author's entries in order of (generation, seq).
        settings: Intervals and limits.

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
    ) -> None:
        self.me = me
        self.settings = settings or Settings()
        charter = parse_charter(document.body)
        if charter.member(me) is None or me not in inceptions:
            raise NotAMember(
                what="Node not started",
                why=f"the charter does not name {me.hex()[:16]}, or its inception record is missing",
                fix="Accept a charter that admits this node",
            )
        known = {hash_: read_definition(body) for hash_, body in definitions.items()}
        self.rules = Rules(federation_id(document.body), document, charter, known)
        self.logs = Logs(self.rules, source)
        for node, record in inceptions.items():
            self.logs.learn_inception(record, node)
        self._restored = self.logs.restore(stored)
        self._peers = {node: Peer.new(node, self.settings) for node in self.rules.authors if node != me}
        documents = Documents([(charter.version, document)], definitions)
        early = Early(self._peers, self.settings.early_per_peer)
        self._service = Service(me, inceptions[me], self.logs, source, documents, early)
        self._gate = Gate(me, self.logs, self._peers, self.settings)
        self._envelopes = Envelopes(me, key, self.logs)
        self._means = Means(me, self.logs, source, self._service, documents, self.settings, {})
        self._sessions: dict[NodeId, Session] = {}
        self._sent: dict[int, _Sent] = {}
        self._token = 0
        self._outgoing: list[bytes] = []
        self._flush_ms: int | None = None
        self._next_sync_ms: int | None = None
        self.compared_with: set[NodeId] = set()
        """Peers whose heads were compared with ours since the start, the own log's among them (PROTOCOL 5)."""

    # -- what the shell calls

    def start(self, now_ms: int, rng: Rng) -> list[Effect]:
        """The verdicts of everything stored, and the first sessions."""
        batch, self._restored = self._restored, Batch()
        self._next_sync_ms = self._sync_after(now_ms, rng)
        return batch.effects() + self.tick(now_ms, rng)

    def receive(self, message: bytes, now_ms: int, rng: Rng) -> list[Effect]:
        """Answer one mesh request; the last effect is the `Reply`."""
        batch = Batch()
        opened = self._gate.open(message, now_ms, rng)
        if isinstance(opened, Stranger):
            return batch.effects(self._turn_stranger(opened, now_ms, batch))
        peer, asked = opened.peer, opened.asked
        peer.bytes_in += len(message)
        if isinstance(opened, Turned):
            self._watch_charter(peer, asked.request.charter_hash, batch)
            batch.log("mesh.request_refused", peer=peer.node.hex(), op=asked.request.op, status=opened.status)
            reply = self._envelopes.refusal(asked, opened.status, opened.refusal, now_ms)
        else:
            reply = self._answer(opened, now_ms, batch)
        peer.bytes_out += len(reply.body)
        self._compare_all()
        return batch.effects(reply)

    def on_response(self, token: int, answer: bytes | Failed, now_ms: int, rng: Rng) -> list[Effect]:
        """Take the answer to a `SendRequest`, or why there is none. An answer after its timeout is dropped."""
        sent = self._sent.pop(token, None)
        batch = Batch()
        if sent is None:
            return []
        if isinstance(answer, Failed):
            self._failed(sent, answer.reason, now_ms, batch)
        else:
            sent.peer.bytes_in += len(answer)
            self._answered(sent, answer, now_ms, rng, batch)
        self._compare_all()
        return batch.effects()

    def own_entry(self, parsed: ParsedEntry, now_ms: int) -> list[Effect]:
        """An own entry was committed: judge it and queue it for push. An entry known already changes nothing.

        Raises:
            OwnLogConflict: it does not extend the own log; the node must stop signing.
        """
        batch = Batch()
        decision = self.logs.offer(parsed, batch)
        batch.entries.clear()  # the node's own transaction stored it
        if isinstance(decision, Duplicate):
            return []
        if not isinstance(decision, Admitted) or parsed.header.author != self.me:
            raise OwnLogConflict(
                what=f"Own entry {parsed.header.seq} not taken",
                why=f"it does not extend the own log, which ends at {self.logs.heads()[self._own_place()].seq}",
                fix="Stop signing, restart the node, and let it read its own log from its peers",
            )
        self._outgoing.append(parsed.entry.encode())
        if self._flush_ms is None:
            self._flush_ms = now_ms + self.settings.push_delay_ms
        if entries_that_fit(self._outgoing, self.settings.payload_entries) < len(self._outgoing):
            self._flush_ms = now_ms
        self._compare_all()
        return batch.effects()

    def tick(self, now_ms: int, rng: Rng) -> list[Effect]:
        """Whatever is due: give up requests without answer, push, start sessions."""
        batch = Batch()
        for token in [token for token, sent in self._sent.items() if sent.deadline_ms <= now_ms]:
            self._failed(self._sent.pop(token), "no answer in time", now_ms, batch)
        if self._flush_ms is not None and self._flush_ms <= now_ms:
            self._flush(now_ms, rng, batch)
        if self._next_sync_ms is not None and self._next_sync_ms <= now_ms:
            self._next_sync_ms = self._sync_after(now_ms, rng)
            self._pick_one(now_ms, rng)
        self._start_sessions(now_ms, rng, batch)
        self._compare_all()
        return batch.effects()

    def next_wakeup_ms(self) -> int | None:
        """When `tick` has something to do next; None for never. May lie in the past: then at once."""
        times = [sent.deadline_ms for sent in self._sent.values()]
        times += [time for time in (self._flush_ms, self._next_sync_ms) if time is not None]
        if len(self._sessions) < self.settings.sessions_at_once:
            times += [due for due, _ in self._due()]
        return min(times, default=None)

    # -- what the shell reads

    def peers(self) -> list[PeerStatus]:
        """Every other member's status, in the charter's order."""
        return [peer.status(self._url_text(peer), self.logs.digest) for peer in self._peers.values()]

    @property
    def is_in_step(self) -> bool:
        """Whether every peer's heads, as last heard, equal ours."""
        return all(peer.digest == self.logs.digest for peer in self._peers.values())

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
            payload = self._service.answer(Asked(peer, asked.request, now_ms, batch))
        except (ProtocolError, PeerError) as error:
            batch.log("mesh.request_refused", peer=peer.node.hex(), op=asked.request.op, code=error.code, why=error.why)
            reply = self._envelopes.refusal(asked, "malformed", Refusal(error.code), now_ms)
        else:
            reply = self._envelopes.answer(asked, payload, now_ms)
        peer.spoke(now_ms, asked.request.heads_digest, self.logs.digest)
        self._watch_charter(peer, asked.request.charter_hash, batch)
        self._watch_clock(peer, batch)
        return reply

    # -- responses

    def _answered(self, sent: _Sent, answer: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        peer = sent.peer
        if answer == REFUSAL:
            self._unknown_there(sent, now_ms, rng, batch)
            return
        try:
            response = self._verified(sent, answer).response
        except (ProtocolError, ValueError) as error:
            code = error.code if isinstance(error, ProtocolError) else "bad-hello"
            peer.refused = RefusedItem(now_ms, "answer", code, str(error))
            self._failed(sent, f"answer refused: {code}", now_ms, batch)
            return
        peer.skew_ms = response.at_ms - now_ms
        if response.status == "clock-skew":
            self._excuse(sent, response.payload, now_ms, rng, batch)
        elif response.status == "unknown-key":
            self._unknown_there(sent, now_ms, rng, batch)
        elif response.status != OK:
            self._watch_charter(peer, response.charter_hash, batch)
            self._failed(sent, response.status, now_ms, batch)
        else:
            peer.spoke(now_ms, response.heads_digest, self.logs.digest)
            self._watch_clock(peer, batch)
            self._go_on(sent, response.payload, now_ms, rng, batch)

    def _verified(self, sent: _Sent, answer: bytes) -> ParsedResponse:
        """The answer, authentic and bound to its question; a hello's answer brings its own keys.

        Raises:
            ProtocolError: it is not.
            ValueError: the hello carries another node's record.
        """
        parsed = parse_response(answer)
        key = self.logs.key_of(sent.peer.node)
        if key is None and sent.request.op == HELLO and parsed.response.status == OK:
            record = parse_hello(parsed.response.payload).inception
            if node_id(parse_object(record, INCEPTION).body) != sent.peer.node:
                raise ValueError("the hello carries another node's inception record")
            self.logs.learn_inception(record, sent.peer.node)
            key = self.logs.key_of(sent.peer.node)
        verify_response(parsed, key or b"", sent.request, RequestHash(object_id(REQUEST, sent.request.body())))
        return parsed

    def _go_on(self, sent: _Sent, payload: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        """A granted answer: take it, then ask the next question or end."""
        peer, session = sent.peer, sent.session
        try:
            if session is not None:
                session.absorb(payload, sent.request.nonce, now_ms, batch)
            else:
                self._pushed(peer, payload, batch)
        except ProtocolError as error:
            self._failed(sent, f"answer refused: {error.code}", now_ms, batch)
            return
        if session is None:
            self._push_to(peer, now_ms, rng, batch)
        else:
            self._ask(session, now_ms, rng, batch)

    def _unknown_there(self, sent: _Sent, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The peer does not take us for a member: perhaps it lost our keys, or a byte on the way. Say hello once."""
        peer, session = sent.peer, sent.session
        peer.greeted = False
        if session is not None and session.greet_again():
            self._ask(session, now_ms, rng, batch)
        elif session is not None:
            self._failed(sent, "refused", now_ms, batch)
        else:
            peer.pushing = False
            peer.push_queue.clear()
            peer.last_failure_ms, peer.last_failure = now_ms, "push refused"
            peer.sync_due_ms = now_ms

    def _excuse(self, sent: _Sent, payload: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The peer finds our date wrong: report it, and ask again with its challenge, once."""
        self._watch_clock(sent.peer, batch)
        nonce = rng(NONCE_BYTES)
        session = sent.session
        again: tuple[str, bytes] | None = None
        challenge = parse_refusal(payload).challenge if sent.request.challenge is None else None
        if challenge is not None:
            again = (sent.request.op, sent.request.payload) if session is None else session.question_again(nonce)
        if again is None:
            self._failed(sent, "clock-skew", now_ms, batch)
        else:
            self._send(sent.peer, *again, nonce, now_ms, batch, session, challenge)

    def _failed(self, sent: _Sent, reason: str, now_ms: int, batch: Batch) -> None:
        peer = sent.peer
        peer.failed(now_ms, reason)
        peer.sync_due_ms = now_ms  # as soon as the pause is over
        batch.log("mesh.request_failed", peer=peer.node.hex(), op=sent.request.op, reason=reason)
        if sent.session is None:
            peer.pushing = False
        else:
            self._end(sent.session)

    # -- sessions

    def _due(self) -> list[tuple[int, Peer]]:
        """(time, peer) of the sessions wanted, earliest first."""
        digest = self.logs.digest
        wanted = [
            (due, peer)
            for peer in self._peers.values()
            if peer.node not in self._sessions
            and (due := peer.wants_sync_at(digest, self.settings)) is not None
            and self._url(peer) is not None
        ]
        return sorted(wanted, key=lambda item: item[0])

    def _start_sessions(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        for due, peer in self._due():
            if due > now_ms or len(self._sessions) >= self.settings.sessions_at_once:
                return
            peer.sync_due_ms = None
            session = self._sessions[peer.node] = Session.start(self._means, peer)
            self._ask(session, now_ms, rng, batch)

    def _ask(self, session: Session, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The session's next question, or its end."""
        peer = session.peer
        nonce = rng(NONCE_BYTES)
        question = session.next_request(nonce)
        if question is not None:
            self._send(peer, *question, nonce, now_ms, batch, session)
            return
        self._end(session)
        peer.early.clear()
        self.compared_with.add(peer.node)
        if session.is_partial:
            peer.sync_due_ms = now_ms + self.settings.settle_ms
        elif peer.digest is not None:
            peer.settled = (self.logs.digest, peer.digest)

    def _end(self, session: Session) -> None:
        session.close()
        self._sessions.pop(session.peer.node, None)

    def _pick_one(self, now_ms: int, rng: Rng) -> None:
        """The periodic sync with one random peer that can be called and is not being left alone."""
        free = [
            peer
            for peer in self._peers.values()
            if self._url(peer) is not None and peer.backoff.until_ms <= now_ms and peer.node not in self._sessions
        ]
        if free:
            peer = free[int.from_bytes(rng(8), "big") % len(free)]
            peer.sync_due_ms = now_ms

    def _sync_after(self, now_ms: int, rng: Rng) -> int:
        """The interval ± 50 %."""
        interval = self.settings.sync_interval_ms
        return now_ms + interval // 2 + int.from_bytes(rng(8), "big") % (interval + 1)

    # -- pushes

    def _flush(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        """Hand the entries committed lately to every peer that can take them; the others get them by sync."""
        entries, self._outgoing, self._flush_ms = self._outgoing, [], None
        for peer in self._peers.values():
            if peer.greeted and peer.backoff.until_ms <= now_ms and self._url(peer) is not None:
                peer.push_queue += entries
                if len(peer.push_queue) > 4 * self.settings.payload_entries:
                    peer.push_queue.clear()  # too slow for pushes: a session brings it all
                    peer.sync_due_ms = now_ms
                if not peer.pushing:
                    self._push_to(peer, now_ms, rng, batch)

    def _push_to(self, peer: Peer, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The next push to a peer, one at a time so that entries arrive in order."""
        peer.pushing = False
        fitting = entries_that_fit(peer.push_queue, self.settings.payload_entries)
        if fitting:
            payload = PushRequest(tuple(peer.push_queue[:fitting])).encode()
            del peer.push_queue[:fitting]
            peer.pushing = True
            self._send(peer, PUSH, payload, rng(NONCE_BYTES), now_ms, batch, None)

    def _pushed(self, peer: Peer, payload: bytes, batch: Batch) -> None:
        for verdict in parse_push_reply(payload).verdicts:
            if verdict.verdict == "refused":
                batch.log("mesh.push_refused", peer=peer.node.hex(), code=verdict.code or "")

    # -- helpers

    def _send(
        self,
        peer: Peer,
        op: str,
        payload: bytes,
        nonce: bytes,
        now_ms: int,
        batch: Batch,
        session: Session | None,
        challenge: bytes | None = None,
    ) -> None:
        endpoint = self._url(peer)
        if endpoint is None:  # its log took the endpoint away meanwhile
            if session is not None:
                self._end(session)
            return
        request, message = self._envelopes.request(peer.node, op, payload, nonce, now_ms, challenge)
        self._token += 1
        self._sent[self._token] = _Sent(peer, request, now_ms + self.settings.request_timeout_ms, session)
        peer.bytes_out += len(message)
        batch.requests.append(SendRequest(self._token, peer.node, endpoint.url, endpoint.tls_pin, op, message))

    def _url(self, peer: Peer) -> Endpoint | None:
        """Where the peer is called; after failures the next of its endpoints."""
        endpoints = self.logs.endpoints_of(peer.node)
        return endpoints[peer.backoff.failures % len(endpoints)] if endpoints else None

    def _url_text(self, peer: Peer) -> str | None:
        endpoint = self._url(peer)
        return None if endpoint is None else endpoint.url

    def _compare_all(self) -> None:
        digest = self.logs.digest
        for peer in self._peers.values():
            peer.caught_up(digest)

    def _watch_charter(self, peer: Peer, charter: bytes, batch: Batch) -> None:
        if charter != self.rules.stamp.hash and charter != peer.charter_alarm:
            peer.charter_alarm = charter
            batch.alarm("charter-differs", peer=peer.node.hex(), theirs=charter.hex(), ours=self.rules.stamp.hash.hex())

    def _watch_clock(self, peer: Peer, batch: Batch) -> None:
        is_off = peer.skew_ms is not None and abs(peer.skew_ms) > self.settings.fresh_ms
        if is_off and not peer.skew_alarm:
            batch.alarm("clock-skew", peer=peer.node.hex(), skew_ms=peer.skew_ms or 0)
        peer.skew_alarm = is_off

    def _own_place(self) -> int:
        return self.rules.authors.index(self.me)
