"""The gate: which requests are let in.

In order, cheapest first: form, federation, a named member, its key, its signature; only then what a member may be
told about: addressee, freshness, replay, charter. Until the signature is good the sender is a stranger and gets one
constant answer, so that nobody learns who is a member or whose keys are known here (PROTOCOL 4).

A `hello` brings its own keys: the inception record hashes to the sender's id and the key chain follows from it, so
they prove themselves.

A request dated more than ten minutes away is refused with a challenge; echoing it excuses the next request's date. A
wrong clock is reported and never stops sync.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from federation.errors import Busy, Replay
from federation.joins import ASKS_A_SECOND, Candidate, Joins
from federation.logs import Logs
from federation.peers import Peer, RefusedItem
from federation.ports import Rng
from federation.settings import Settings
from protocol.errors import BadSignature, ProtocolError
from protocol.identity import node_id
from protocol.ids import NodeId
from protocol.objects import INCEPTION, parse_object
from protocol.ops import Refusal, parse_hello
from protocol.requests import (
    CHALLENGE_BYTES,
    DOCS,
    HEADS,
    HELLO,
    JOIN,
    RANGE,
    ParsedRequest,
    Request,
    parse_request,
    verify_request,
)

READS: Final = frozenset({HELLO, HEADS, RANGE, DOCS})


@dataclass(frozen=True, slots=True)
class Question:
    """An authentic, fresh, first-time request of a member."""

    peer: Peer
    asked: ParsedRequest


@dataclass(frozen=True, slots=True)
class Turned:
    """A member's authentic request that is not granted; the answer is signed."""

    peer: Peer
    asked: ParsedRequest
    status: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Stranger:
    """Bytes from nobody in particular. `claimed` is whom they say they are from, when a member."""

    claimed: Peer | None
    code: str
    why: str


class Gate:
    """Decides about requests; remembers nonces and challenges in the peers."""

    def __init__(self, me: NodeId, logs: Logs, peers: Mapping[NodeId, Peer], settings: Settings, joins: Joins) -> None:
        self._me = me
        self._logs = logs
        self._peers = peers
        self._settings = settings
        self._joins = joins

    def open(self, message: bytes, now_ms: int, rng: Rng) -> Question | Turned | Stranger | Candidate:
        """What to make of the bytes of a request."""
        claimed: Peer | None = None
        try:
            asked = parse_request(message)
            request = asked.request
            candidate = self._candidate(asked, now_ms)
            if candidate is not None:
                return candidate
            claimed = self._peers.get(request.sender)
            if claimed is None or request.federation != self._logs.rules.federation:
                return Stranger(None, "not-a-member", "no charter names the sender, or another federation")
            if not self._is_authentic(asked):
                return Stranger(claimed, "unknown-key", "its keys are not known here yet; it says hello first")
        except ProtocolError as error:
            return Stranger(claimed, error.code, f"request: {error.why}")
        return self._admit(claimed, asked, now_ms, rng)

    def _candidate(self, asked: ParsedRequest, now_ms: int) -> Candidate | None:
        request = asked.request
        if (request.federation, request.recipient) != (self._logs.rules.federation, self._me):
            return None
        try:
            return self._joins.candidate(asked, now_ms)
        except ProtocolError:
            return None

    def _is_authentic(self, asked: ParsedRequest) -> bool:
        """Whether the sender's key signed the request; False when no key of it is known.

        The key is that of its log, or the one a hello's record and key chain lead to. The chain is looked at only when
        the key known fails, and only its links that are new here.

        Raises:
            ProtocolError: another key, or a chain that does not hold.
        """
        request = asked.request
        key = self._logs.key_of(request.sender)
        if key is None and request.op == HELLO:
            record = parse_hello(request.payload).inception
            if node_id(parse_object(record, INCEPTION).body) == request.sender:
                self._logs.learn_inception(record, request.sender)
                key = self._logs.key_of(request.sender)
        if key is None:
            return False
        try:
            verify_request(asked, key)
        except BadSignature:
            if request.op not in READS:
                raise
            self._verify_otherwise(asked, key)
        return True

    def _verify_otherwise(self, asked: ParsedRequest, key: bytes) -> None:
        """The sender's log here and its key do not agree: it rotated on, or its disk is an old one.

        A node whose data were restored from before a rotation still has to read its own log from its peers, so a key
        that was rotated out may say hello and read; nothing it says otherwise is heard.
        """
        request = asked.request
        peer = self._peers[request.sender]
        retired = peer.retired_key
        if request.op == HELLO:
            links = parse_hello(request.payload).links
            retired = self._logs.retired_key(request.sender, links)
            if retired is None:
                self._logs.learn_chain(request.sender, links)
        other = retired or self._logs.key_of(request.sender)
        if other is None or other == key:
            raise BadSignature(what="request refused", why="no key known of its sender signed it")
        verify_request(asked, other)
        peer.retired_key = retired
        refused = peer.refused
        if retired is None and refused is not None and (refused.what, refused.code) == ("request", BadSignature.code):
            peer.refused = None  # it had rotated: what it said meanwhile was signed with the key that it shows now

    def _admit(self, peer: Peer, asked: ParsedRequest, now_ms: int, rng: Rng) -> Question | Turned:
        request = asked.request
        if request.recipient != self._me:
            return Turned(peer, asked, "failed", Refusal("wrong-addressee"))
        peer.skew_ms = request.at_ms - now_ms
        if abs(peer.skew_ms) > self._settings.fresh_ms and not self._excused(peer, request):
            peer.challenge = rng(CHALLENGE_BYTES)
            return Turned(peer, asked, "clock-skew", Refusal("clock-skew", challenge=peer.challenge))
        try:
            peer.nonces.remember(request.nonce, now_ms)
        except Replay as error:
            return Turned(peer, asked, "replayed", Refusal(error.code))
        except Busy as error:
            return Turned(peer, asked, "busy", Refusal(error.code, retry_after_ms=self._settings.backoff_most_ms))
        if request.op == JOIN and self._joins.is_busy:  # of one that is admitted by now and asks on
            return Turned(peer, asked, "busy", Refusal("busy", retry_after_ms=1000 // ASKS_A_SECOND))
        stamp = self._logs.rules.stamp
        same = (request.charter_version, request.attempt, request.charter_hash) == (
            stamp.version, stamp.attempt, stamp.hash,
        )  # fmt: skip
        if not same and request.op not in (HELLO, DOCS):
            return Turned(peer, asked, "unknown-charter", Refusal("charter-differs"))
        if peer.is_removed and request.op not in (HELLO, DOCS):
            return Turned(peer, asked, "failed", Refusal("removed"))
        return Question(peer, asked)

    def _excused(self, peer: Peer, request: Request) -> bool:
        """A challenge made for this peer excuses one request's date."""
        if request.challenge is None or request.challenge != peer.challenge:
            return False
        peer.challenge = None
        return True


def refused_request(stranger: Stranger, now_ms: int) -> RefusedItem:
    """What an operator is shown of a request nobody can be blamed for."""
    return RefusedItem(now_ms, "request", stranger.code, stranger.why)
