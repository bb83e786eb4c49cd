"""Asking peers: pushes of own entries, sessions of anti-entropy, and the requests in flight.

Entries go out by push, within `push_delay_ms` of their commit, one push in flight per peer so that they arrive in
order; everything else is healed by sessions (session.py): at start with everybody, then with one random peer every
interval, and at once after a gap, a failure, or when a peer's words keep showing other heads than ours. Push alone is
never relied on (notes/mesh.md 2.2).

Every answer is verified and bound to its question before anything is done with it. A failure leaves the peer alone
for a while, twice as long each time; its first authentic word ends that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from federation.batch import Batch
from federation.effects import SendRequest
from federation.envelopes import Envelopes
from federation.errors import BadPayload, PeerError
from federation.logs import Logs
from federation.peers import Peer, RefusedItem
from federation.ports import Rng
from federation.roster import Roster
from federation.rules import CharterStamp
from federation.session import Means, Session
from federation.watch import watch_charter, watch_clock
from protocol.endpoints import Endpoint
from protocol.errors import BadSignature, ProtocolError
from protocol.identity import node_id
from protocol.ids import NodeId, RequestHash
from protocol.objects import INCEPTION, REQUEST, object_id, parse_object
from protocol.ops import (
    MAX_ENTRIES,
    Announce,
    Hello,
    PushRequest,
    entries_that_fit,
    parse_hello,
    parse_push_reply,
    parse_refusal,
)
from protocol.requests import (
    ANNOUNCE,
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


class Caller:
    """The asking half of the core.

    Args:
        means: What sessions work with.
        peers: Everybody else in the charter.
        envelopes: Signs requests.
    """

    def __init__(self, means: Means, peers: Roster, envelopes: Envelopes) -> None:
        self.means = means
        self.compared_with: set[NodeId] = set()
        self._settings = means.settings
        self._logs: Logs = means.logs
        self._peers = peers
        self._envelopes = envelopes
        self._sessions: dict[NodeId, Session] = {}
        self._sent: dict[int, _Sent] = {}
        self._laden: list[Session] = []  # a page waits in each
        self._token = 0
        self._outgoing: list[bytes] = []
        self._to_announce: set[NodeId] = set()
        self._flush_ms: int | None = None
        self._next_sync_ms: int | None = None
        self._last_tick_ms = 0

    def start(self, now_ms: int, rng: Rng) -> None:
        """The first periodic sync lies an interval ahead; the first sessions are due at once."""
        self._next_sync_ms = self._sync_after(now_ms, rng)
        for peer in self._peers.values():
            peer.asked_ms = now_ms  # until it shows otherwise, it can fetch for itself

    def queue(self, entry: bytes, now_ms: int) -> None:
        """An own entry is to be pushed, soon enough to be fast and late enough to have company."""
        if self._is_large:
            self.announce({self.means.me}, now_ms)
            return
        self._outgoing.append(entry)
        if self._flush_ms is None:
            self._flush_ms = now_ms + self._settings.push_delay_ms
        if entries_that_fit(self._outgoing, self._settings.payload_entries) < len(self._outgoing):
            self._flush_ms = now_ms

    def sync_soon(self, now_ms: int) -> int:
        """Want a session with every peer that can be called, whatever failed before; how many those are."""
        able = [peer for peer in self._peers.values() if self.endpoint_of(peer) is not None]
        for peer in able:
            peer.backoff.reset()
            peer.sync_due_ms = now_ms
        return len(able)

    def announce(self, authors: set[NodeId], now_ms: int) -> None:
        """New entries of these authors are here: in a large federation a few peers are told, and fetch them."""
        if self._is_large:
            self._to_announce |= authors
            if self._flush_ms is None:
                self._flush_ms = now_ms + self._settings.push_delay_ms

    @property
    def _is_large(self) -> bool:
        return len(self._peers) >= self._settings.push_up_to

    def tick(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        """Whatever is due: take in what came, give up requests without answer, push, start sessions."""
        if now_ms < self._last_tick_ms:
            self._turn_back(now_ms)
        self._last_tick_ms = now_ms
        self._take_in(now_ms, batch)
        for token in [token for token, sent in self._sent.items() if sent.deadline_ms <= now_ms]:
            self._failed(self._sent.pop(token), "no answer in time", now_ms, batch)
        if self._flush_ms is not None and self._flush_ms <= now_ms:
            self._flush(now_ms, rng, batch)
        if self._next_sync_ms is not None and self._next_sync_ms <= now_ms:
            self._next_sync_ms = self._sync_after(now_ms, rng)
            self._pick_some(now_ms, rng)
        self._start_sessions(now_ms, rng, batch)

    def next_wakeup_ms(self) -> int | None:
        """When `tick` has something to do next; None for never."""
        times = [sent.deadline_ms for sent in self._sent.values()]
        times += [time for time in (self._flush_ms, self._next_sync_ms) if time is not None]
        times += [self._last_tick_ms] if self._laden else []
        if len(self._sessions) < self._settings.sessions_at_once:
            times += [due for due, _ in islice(self._due(), 1)]
        return min(times, default=None)

    def on_response(self, token: int, answer: bytes | Failed, now_ms: int, rng: Rng, batch: Batch) -> None:
        """Take the answer to a request, or why there is none; an answer after its timeout is dropped."""
        sent = self._sent.pop(token, None)
        if sent is None:
            return
        if sent.session is not None and sent.session.has_page:
            self._take_in(now_ms, batch)
        if isinstance(answer, Failed):
            self._failed(sent, answer.reason, now_ms, batch)
        else:
            sent.peer.bytes_in += len(answer)
            self._answered(sent, answer, now_ms, rng, batch)

    def endpoint_of(self, peer: Peer) -> Endpoint | None:
        """Where the peer is called; after failures the next of its endpoints. A removed one is not."""
        if peer.is_removed:
            return None
        endpoints = self._logs.endpoints_of(peer.node)
        return endpoints[peer.backoff.failures % len(endpoints)] if endpoints else None

    # -- responses

    def _answered(self, sent: _Sent, answer: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        peer = sent.peer
        if answer == REFUSAL:
            self._unknown_there(sent, now_ms, rng, batch)
            return
        try:
            response = self._verified(sent, answer).response
        except (ProtocolError, PeerError) as error:
            peer.refused = RefusedItem(now_ms, "answer", error.code, error.why)
            session = sent.session
            if isinstance(error, BadSignature) and session is not None and session.greet_again():
                self._ask(session, now_ms, rng, batch)  # perhaps its key was rotated: its hello brings the new one
                return
            peer.greeted = peer.greeted and not isinstance(error, BadSignature)
            self._failed(sent, f"answer refused: {error.code}", now_ms, batch)
            return
        peer.skew_ms = response.at_ms - now_ms
        stamp = CharterStamp(response.charter_version, response.attempt, response.charter_hash)
        watch_charter(peer, stamp, self.means.charters.book, self._settings, now_ms)
        if response.status == "clock-skew":
            self._excuse(sent, response.payload, now_ms, rng, batch)
        elif response.status == "unknown-key":
            self._unknown_there(sent, now_ms, rng, batch)
        elif response.status == "unknown-charter":
            self._charter_differs(sent, now_ms)
        elif response.status != OK:
            self._failed(sent, response.status, now_ms, batch)
            peer.backoff.until_ms = max(peer.backoff.until_ms, now_ms + _asked_to_wait(response.payload))
        else:
            peer.spoke(now_ms, response.heads_digest, self._logs.digest, self._logs.position(self.means.me))
            watch_clock(peer, self._settings, batch)
            self._go_on(sent, response.payload, now_ms, rng, batch)

    def _verified(self, sent: _Sent, answer: bytes) -> ParsedResponse:
        """The answer, authentic and bound to its question; a hello's answer brings its own keys.

        Raises:
            ProtocolError: it is not.
            BadPayload: the hello carries another node's record.
        """
        parsed = parse_response(answer)
        node, asked = sent.peer.node, RequestHash(object_id(REQUEST, sent.request.body()))
        hello: Hello | None = None
        if sent.request.op == HELLO and parsed.response.status == OK:
            hello = parse_hello(parsed.response.payload)
            if self._logs.key_of(node) is None:
                if node_id(parse_object(hello.inception, INCEPTION).body) != node:
                    raise BadPayload(
                        what="Answer refused",
                        why="the hello carries another node's record",
                        fix="Check the peer's address",
                    )
                self._logs.learn_inception(hello.inception, node)
        try:
            verify_response(parsed, self._logs.key_of(node) or b"", sent.request, asked)
        except BadSignature:
            if hello is None or not hello.links:
                raise
            self._logs.learn_chain(node, hello.links)
            verify_response(parsed, self._logs.key_of(node) or b"", sent.request, asked)
        return parsed

    def _go_on(self, sent: _Sent, payload: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        """A granted answer: take it, then ask the next question or end."""
        peer, session = sent.peer, sent.session
        try:
            if session is not None:
                session.absorb(payload, sent.request.nonce, now_ms, batch)
            elif sent.request.op == ANNOUNCE:
                return
            else:
                self._pushed(peer, payload, batch)
        except ProtocolError as error:
            self._failed(sent, f"answer refused: {error.code}", now_ms, batch)
            return
        if session is None:
            self._push_to(peer, now_ms, rng, batch)
            return
        self._ask(session, now_ms, rng, batch)
        if session.has_page:
            self._laden.append(session)

    def _take_in(self, now_ms: int, batch: Batch) -> None:
        """Take in the pages that wait: at the tick after the next ones were asked for, or when those come sooner."""
        laden, self._laden = self._laden, []
        for session in laden:
            session.take_in(now_ms, batch)

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
            peer.drop_pushes()
            peer.last_failure_ms, peer.last_failure = now_ms, "push refused"
            peer.sync_due_ms = now_ms

    def _charter_differs(self, sent: _Sent, now_ms: int) -> None:
        """The peer trusts another charter: whoever has the lesser one fetches the other first."""
        peer, session = sent.peer, sent.session
        peer.last_success_ms = now_ms
        peer.backoff.reset()
        if session is not None:
            self._end(session)
        else:
            peer.pushing = False
            peer.drop_pushes()

    def charter_changed(self, now_ms: int) -> None:
        """Another charter is trusted: tell everybody, newcomers first of all, and compare anew."""
        for peer in self._peers.values():
            peer.settled = None
            peer.sync_due_ms = now_ms
            peer.asked_ms = now_ms if peer.asked_ms is None else peer.asked_ms

    def sync_with_all(self, now_ms: int) -> None:
        """There is something to tell or to ask everybody, soon; in a large federation as sessions come."""
        if self._is_large:
            return
        for peer in self._peers.values():
            peer.sync_due_ms = now_ms if peer.sync_due_ms is None else min(peer.sync_due_ms, now_ms)

    def _excuse(self, sent: _Sent, payload: bytes, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The peer finds our date wrong: report it, and ask again with its challenge, once."""
        watch_clock(sent.peer, self._settings, batch)
        nonce = rng(NONCE_BYTES)
        session = sent.session
        again: tuple[str, bytes] | None = None
        try:
            challenge = parse_refusal(payload).challenge
        except ProtocolError:
            challenge = None
        if challenge is not None and sent.request.challenge is None:
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

    def _due(self) -> Iterator[tuple[int, Peer]]:
        """(time, peer) of the sessions wanted that may begin, earliest first; one probe at a time."""
        may_probe = not any(session.is_probe for session in self._sessions.values())
        wanted = [
            (due, peer.place, peer)
            for peer in self._peers.stirred()
            if peer.node not in self._sessions
            and (due := peer.wants_sync_at(self._settings, may_probe=may_probe)) is not None
        ]
        return ((due, peer) for due, _, peer in sorted(wanted) if self.endpoint_of(peer) is not None)

    def _start_sessions(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        if len(self._sessions) >= self._settings.sessions_at_once:
            return
        is_probing = any(session.is_probe for session in self._sessions.values())
        for due, peer in self._due():
            if due > now_ms or len(self._sessions) >= self._settings.sessions_at_once:
                return
            # After a burst every peer's last word is an old one: one of them is asked, and tells for all (`_ask`).
            is_wanted = peer.sync_due_ms is not None and peer.sync_due_ms <= now_ms
            is_probe = not is_wanted and not peer.announced
            if is_probe and is_probing:
                continue
            is_probing = is_probing or is_probe
            if is_wanted or is_probe:
                peer.sync_due_ms = None
            session = self._sessions[peer.node] = Session.start(
                self.means, peer, now_ms, is_probe=is_probe, only_announced=not (is_wanted or is_probe)
            )
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
        if session.only_announced:
            return
        if not session.has_compared:
            peer.settle(self._logs.digest)
            return
        peer.is_owed = False
        peer.early.clear()
        self.compared_with.add(peer.node)
        if session.is_partial:
            peer.sync_due_ms = now_ms + self._settings.settle_ms
        else:
            peer.settle(self._logs.digest)
        if session.is_probe and peer.digest == self._logs.digest:
            for other in self._peers.stirred():
                if other.word_ms <= session.started_ms:
                    other.unequal_since_ms = None

    def _end(self, session: Session) -> None:
        session.close()
        self._sessions.pop(session.peer.node, None)

    @property
    def _is_unreachable(self) -> bool:
        """Whether this node publishes no endpoint, so that it hears only what it asks for."""
        return not self._logs.endpoints_of(self.means.me)

    def _pick_some(self, now_ms: int, rng: Rng) -> None:
        """The periodic sync with one random peer that can be called and is not being left alone; two for a node
        that nobody can call."""

        def is_free(peer: Peer) -> bool:
            is_busy = peer.node in self._sessions
            return not is_busy and peer.backoff.until_ms <= now_ms and self.endpoint_of(peer) is not None

        for peer in _some_of(self._peers.values(), 2 if self._is_unreachable else 1, rng, is_free):
            peer.sync_due_ms = now_ms
            peer.bodies_asked.clear()

    def _turn_back(self, now_ms: int) -> None:
        """The clock was set back: nothing may wait for a time that was only ever wrong."""
        if self._next_sync_ms is not None:
            self._next_sync_ms = min(self._next_sync_ms, now_ms + self._settings.sync_interval_ms)
        if self._flush_ms is not None:
            self._flush_ms = min(self._flush_ms, now_ms + self._settings.push_delay_ms)
        for peer in self._peers.values():
            peer.turn_back(now_ms)
        latest = now_ms + self._settings.request_timeout_ms
        self._sent = {
            token: replace(sent, deadline_ms=min(sent.deadline_ms, latest)) for token, sent in self._sent.items()
        }

    def _sync_after(self, now_ms: int, rng: Rng) -> int:
        """The interval ± 50 %."""
        interval = self._settings.sync_interval_ms
        if self._is_unreachable:
            interval = min(interval, self._settings.unreachable_interval_ms)
        return now_ms + interval // 2 + int.from_bytes(rng(8), "big") % (interval + 1)

    # -- pushes

    def _flush(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        """Hand the entries committed lately to every peer that can take them; the others get them by sync."""
        entries, self._outgoing, self._flush_ms = self._outgoing, [], None
        if self._to_announce:
            self._send_heads(now_ms, rng, batch)
        if not entries or self._logs.rules.is_removed(self.means.me):
            return
        for peer in self._peers.values():
            if not peer.greeted or peer.backoff.until_ms > now_ms or self.endpoint_of(peer) is None:
                peer.is_owed = True
                continue
            peer.push_queue += entries
            if len(peer.push_queue) > 4 * self._settings.payload_entries:
                peer.drop_pushes()  # too slow for pushes: a session brings it all
                peer.sync_due_ms = now_ms
            if not peer.pushing:
                self._push_to(peer, now_ms, rng, batch)

    def _send_heads(self, now_ms: int, rng: Rng, batch: Batch) -> None:
        """Name the heads that moved to a few random peers; who lacks them fetches them from us."""
        authors, self._to_announce = sorted(self._to_announce), set()
        logs = [log for author in authors if (log := self._logs.log(author)) is not None and log.ids]
        heads = tuple((log.author, *log.position, log.ids[-1]) for log in logs)[:MAX_ENTRIES]

        def is_able(peer: Peer) -> bool:
            return peer.greeted and peer.backoff.until_ms <= now_ms and self.endpoint_of(peer) is not None

        for peer in _some_of(self._peers.values(), self._settings.announce_to, rng, is_able):
            self._send(peer, ANNOUNCE, Announce(heads).encode(), rng(NONCE_BYTES), now_ms, batch, None)

    def _push_to(self, peer: Peer, now_ms: int, rng: Rng, batch: Batch) -> None:
        """The next push to a peer, one at a time so that entries arrive in order."""
        peer.pushing = False
        fitting = entries_that_fit(peer.push_queue, self._settings.payload_entries)
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
        endpoint = self.endpoint_of(peer)
        if endpoint is None:  # its log took the endpoint away meanwhile
            peer.pushing = peer.pushing and session is not None
            if session is not None:
                self._end(session)
            return
        request, message = self._envelopes.request(peer.node, op, payload, nonce, now_ms, challenge)
        self._token += 1
        self._sent[self._token] = _Sent(peer, request, now_ms + self._settings.request_timeout_ms, session)
        peer.bytes_out += len(message)
        batch.requests.append(SendRequest(self._token, peer.node, endpoint.url, endpoint.tls_pin, op, message))


def _some_of(peers: Iterable[Peer], count: int, rng: Rng, is_able: Callable[[Peer], bool]) -> list[Peer]:
    """So many of those who are able, at random, all when there are fewer. Only as many as it takes are looked at."""
    left = list(peers)
    chosen: list[Peer] = []
    while left and len(chosen) < count:
        peer = left.pop(int.from_bytes(rng(8), "big") % len(left))
        if is_able(peer):
            chosen.append(peer)
    return chosen


def _asked_to_wait(payload: bytes) -> int:
    """Milliseconds a refusal asks us to wait, at most a minute; 0 when it does not say."""
    try:
        return min(parse_refusal(payload).retry_after_ms or 0, 60_000)
    except ProtocolError:
        return 0
