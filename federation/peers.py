"""What this node knows of each peer it exchanges with: when it last spoke, what failed, how far apart the logs are.

Shown to operators by `GET /v1/peers`, and used to decide when to ask whom. None of it is a judgement about a member:
liveness never removes anybody (PROTOCOL 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.backoff import Backoff
from federation.budget import PushBudget
from federation.replay import NonceMemory
from federation.rules import CharterStamp
from federation.settings import Settings
from protocol.entries import ParsedEntry
from protocol.ids import EntryId, NodeId


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """The last thing a peer sent that was not taken.

    Args:
        at_ms: When.
        what: "entry" or "request". A request that is not authentic only claims to be the peer's.
        code, why: The rule it broke.
        author, seq: Of the entry, as far as it could be read.
    """

    at_ms: int
    what: str
    code: str
    why: str
    author: NodeId | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One peer as `GET /v1/peers` shows it. Times in Unix milliseconds, None for never.

    Args:
        node: Node id.
        url: Where it is called, None when it publishes no endpoint.
        last_success_ms: Last authentic word of it, asked or answered.
        last_failure_ms, last_failure: Last request to it that failed, and why.
        missing_here: Entries it held, when last compared, that this node did not.
        missing_there: Entries this node held then that it did not.
        bytes_in, bytes_out: Bodies of requests and answers exchanged with it.
        skew_ms: Its clock minus ours, as last seen.
        in_step: Whether its heads were equal to ours at its last word.
        paused_until_ms: Left alone until then after failures; 0 for not.
        refused: The last thing of it that was not taken.
        protocols: Wire majors it speaks, lowest and highest, as it said hello last.
        charter_version: Of the charter its last word names.
        quarantine: Why this node exchanges nothing or little with it now; None when nothing stands in the way.
    """

    node: NodeId
    url: str | None
    last_success_ms: int | None
    last_failure_ms: int | None
    last_failure: str | None
    missing_here: int
    missing_there: int
    bytes_in: int
    bytes_out: int
    skew_ms: int | None
    in_step: bool
    paused_until_ms: int
    refused: RefusedItem | None
    protocols: tuple[int, int] | None = None
    charter_version: int | None = None
    quarantine: str | None = None


@dataclass(slots=True, eq=False)
class Peer:
    """The working state of one peer.

    Args:
        node: Node id.
        place: Which peer it is, in the order in which they became known.
        nonces: Nonces of its requests.
        backoff: How long to leave it alone.
        budget: What it may push to us.
        announced: Authors of whom it announced entries that are not here; `announce` adds one.
        bodies_asked: Entries without their bodies that it was asked for lately, and had not.
        greeted: True once hello was answered and its keys are known.
        asked_ms: When it last sent us an authentic request; at the start, the start.
        fetches: How often it asked us for our own log.
        is_owed: True after a push to it failed or was left out: a session sends it what we wrote.
        digest: Heads digest of its last word.
        word_ms: When that was.
        settled: (our digest, its digest) after a session that could do no more; such words call for none.
        stamp: The charter its last word names.
        is_removed: True when the trusted charter ended its log: it is not asked, and told nothing but charters.
        charter_due: True when its charter is not known here and may be the better one.
        charter_asked_ms: When it was asked for charters last.
        protocols: Wire majors of its last hello.
        retired_key: The rotated-out key it said hello with: its disk is an old one, and it may only read.
        challenge: What it may echo to be excused from a wrong date.
        push_queue: Entries that wait for the push in flight.
        pushing: True while a push is in flight.
        held: Position of our own log that it showed to hold; None before.
        stirred: Peers that may call for a session; it puts itself there whenever it does.
    """

    node: NodeId
    place: int
    nonces: NonceMemory
    backoff: Backoff
    budget: PushBudget
    stirred: dict[NodeId, Peer]
    greeted: bool = False
    fetches: int = 0
    is_owed: bool = False
    asked_ms: int | None = None
    digest: bytes | None = None
    word_ms: int = 0
    _unequal_since_ms: int | None = None
    settled: tuple[bytes, bytes] | None = None
    _sync_due_ms: int | None = None
    challenge: bytes | None = None
    push_queue: list[bytes] = field(default_factory=list)
    pushing: bool = False
    held: tuple[int, int] | None = None
    announced: set[NodeId] = field(default_factory=set)
    bodies_asked: set[EntryId] = field(default_factory=set)
    early: dict[tuple[NodeId, int], ParsedEntry] = field(default_factory=dict)
    charter_alarm: bytes | None = None
    stamp: CharterStamp | None = None
    is_removed: bool = False
    charter_due: bool = False
    charter_asked_ms: int | None = None
    skew_alarm: bool = False
    protocols: tuple[int, int] | None = None
    retired_key: bytes | None = None
    last_success_ms: int | None = None
    last_failure_ms: int | None = None
    last_failure: str | None = None
    missing_here: int = 0
    missing_there: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    skew_ms: int | None = None
    refused: RefusedItem | None = None

    @classmethod
    def new(cls, node: NodeId, place: int, settings: Settings, stirred: dict[NodeId, Peer]) -> Peer:
        """A peer never heard of; a session with it is due at once."""
        peer = cls(
            node,
            place,
            NonceMemory(settings.nonce_memory_ms, settings.nonces_per_peer),
            Backoff(settings.backoff_first_ms, settings.backoff_most_ms),
            PushBudget(settings.pushed_bytes, settings.pushed_requests, settings.pushed_entries),
            stirred,
        )
        peer.sync_due_ms = 0
        return peer

    @property
    def sync_due_ms(self) -> int | None:
        """A session is wanted from then on; None for not."""
        return self._sync_due_ms

    @sync_due_ms.setter
    def sync_due_ms(self, due: int | None) -> None:
        self._sync_due_ms = due
        if due is not None:
            self.stirred[self.node] = self

    @property
    def unequal_since_ms(self) -> int | None:
        """Since when its words carry heads that call for a session; None for not."""
        return self._unequal_since_ms

    @unequal_since_ms.setter
    def unequal_since_ms(self, since: int | None) -> None:
        self._unequal_since_ms = since
        if since is not None:
            self.stirred[self.node] = self

    def announce(self, author: NodeId) -> None:
        """It holds an entry of this author that is not here."""
        self.announced.add(author)
        self.stirred[self.node] = self

    @property
    def is_calm(self) -> bool:
        """Whether nothing of it calls for a session, now or later."""
        return self._sync_due_ms is None and self._unequal_since_ms is None and not self.announced

    def spoke(self, now_ms: int, digest: bytes, own_digest: bytes, own_position: tuple[int, int]) -> None:
        """An authentic word came, carrying this digest."""
        self.last_success_ms = self.word_ms = now_ms
        self.backoff.reset()
        self.digest = digest
        if digest == own_digest:
            self.missing_here = self.missing_there = 0
            self.held = own_position
        if digest == own_digest or self.settled == (own_digest, digest):
            self.unequal_since_ms = None
        elif self.unequal_since_ms is None:
            self.unequal_since_ms = now_ms

    def settle(self, own_digest: bytes) -> None:
        """A session could do no more for the heads both have now; the peer's next other word starts anew."""
        self.unequal_since_ms = None
        if self.digest is not None:
            self.settled = own_digest, self.digest

    def caught_up(self, own_digest: bytes, own_position: tuple[int, int]) -> None:
        """Our heads moved, perhaps to where the peer's are. That they moved away says nothing: it may follow."""
        if self.digest == own_digest:
            self.unequal_since_ms = None
            self.missing_here = self.missing_there = 0
            self.held = own_position

    def failed(self, now_ms: int, reason: str) -> None:
        """A request to it failed."""
        self.last_failure_ms = now_ms
        self.last_failure = reason
        self.backoff.failed(now_ms)
        self.drop_pushes()

    def drop_pushes(self) -> None:
        """What waits for a push goes by session instead."""
        self.is_owed = True
        self.push_queue.clear()

    def turn_back(self, now_ms: int) -> None:
        """The clock was set back to this time."""
        self.backoff.until_ms = min(self.backoff.until_ms, now_ms + self.backoff.most_ms)
        self.word_ms = min(self.word_ms, now_ms)
        self.asked_ms = None if self.asked_ms is None else min(self.asked_ms, now_ms)
        self.unequal_since_ms = None if self.unequal_since_ms is None else min(self.unequal_since_ms, now_ms)
        self.sync_due_ms = None if self.sync_due_ms is None else min(self.sync_due_ms, now_ms)
        if self.charter_asked_ms is not None:
            self.charter_asked_ms = min(self.charter_asked_ms, now_ms)

    def wants_sync_at(self, settings: Settings, *, may_probe: bool = True) -> int | None:
        """When a session with it should start: at a wanted time, or once unequal digests have not healed by themselves.

        Pushes heal most differences within a moment, so we wait until it has been silent for `settle_ms`, at most ten
        times that, and never before the pause after a failure is over. `may_probe` False: unequal digests call for
        none.
        """
        due = self.sync_due_ms
        if self.announced:
            due = self.word_ms if due is None else min(due, self.word_ms)
        if may_probe and self.unequal_since_ms is not None:
            since = self.unequal_since_ms
            settled = min(max(self.word_ms, since), since + 9 * settings.settle_ms) + settings.settle_ms
            due = settled if due is None else min(due, settled)
        return None if due is None else max(due, self.backoff.until_ms)

    def reaches_us(self, now_ms: int, settings: Settings) -> bool:
        """Whether it lately asked us something, so that it can fetch for itself what it lacks."""
        return self.asked_ms is not None and now_ms - self.asked_ms < 2 * settings.sync_interval_ms

    def status(self, url: str | None, own_digest: bytes) -> PeerStatus:
        return PeerStatus(
            self.node,
            url,
            self.last_success_ms,
            self.last_failure_ms,
            self.last_failure,
            self.missing_here,
            self.missing_there,
            self.bytes_in,
            self.bytes_out,
            self.skew_ms,
            self.digest == own_digest,
            self.backoff.until_ms,
            self.refused,
            self.protocols,
            None if self.stamp is None else self.stamp.version,
            self._quarantine(),
        )

    def _quarantine(self) -> str | None:
        if self.is_removed:
            return "removed by the charter: it is told charters only"
        if self.charter_due:
            return "it trusts a charter that is not known here"
        if self.retired_key is not None:
            return "it speaks with a key that was rotated out, and may only read"
        return f"left alone after failures: {self.last_failure}" if self.backoff.failures else None


class Early:
    """Verified entries that came before the ones they follow: a bounded number for each pusher."""

    def __init__(self, peers: Mapping[NodeId, Peer], per_peer: int) -> None:
        self._peers = peers
        self._per_peer = per_peer
        self._pushers: set[NodeId] = set()  # who has anything kept here, perhaps: few of many members

    def keep(self, pusher: NodeId, parsed: ParsedEntry) -> None:
        """Keep the entry when the pusher has room; else it will come again by sync."""
        early = self._peers[pusher].early
        if len(early) < self._per_peer:
            early[parsed.header.author, parsed.header.seq] = parsed
            self._pushers.add(pusher)

    def take(self, author: NodeId, seq: int) -> ParsedEntry | None:
        """An entry kept for this position, from whichever pusher; it is forgotten here."""
        for pusher in sorted(self._pushers):
            peer = self._peers.get(pusher)
            found = None if peer is None else peer.early.pop((author, seq), None)
            if peer is None or not peer.early:
                self._pushers.discard(pusher)
            if found is not None:
                return found
        return None
