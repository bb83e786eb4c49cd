"""A deterministic world: real cores, one fake clock, an in-memory network with faults, everything from one seed.

- The only randomness is `random.Random(seed)`; a run is repeated exactly by its seed.
- Time jumps from event to event, in milliseconds. Nothing sleeps.
- The network loses, delays (so reorders), duplicates and flips bytes of requests and answers, and cuts links one way.
- A node's disk survives a crash, its memory does not. It crashes before a save (nothing of the call happened) or after
  it (saved, nothing said).
- `heal` makes the network perfect; `settle` runs until all heads are equal.
"""

from __future__ import annotations

import heapq
import random
from bisect import insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.core import Core, Failed
from federation.effects import (
    Alarm,
    Change,
    CharterTrusted,
    Effect,
    EvidenceTold,
    Judged,
    Log,
    Reply,
    SendRequest,
    StoreBodies,
    StoreCharter,
    StoreDefinition,
    StoreEntries,
    StoreEvidence,
)
from federation.evidence_book import evidence_digest
from federation.settings import Settings
from federation.verdicts import Verdict
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.entries import RECOVER, ROTATE, Entry, ParsedEntry
from protocol.ids import CharterHash, DefinitionHash, EntryId, NodeId
from tests.simulation.author import Author
from tests.simulation.founding import Founding, Identity, found

START_MS: Final = 1_763_600_000_000
QUICK: Final = Settings(sync_interval_ms=4_000, request_timeout_ms=5_000, backoff_most_ms=8_000, charter_again_ms=2_000)


@dataclass(slots=True)
class Disk:
    """What survives a crash; the core's `EntrySource`."""

    entries: dict[NodeId, list[ParsedEntry]] = field(default_factory=dict)
    by_id: dict[EntryId, ParsedEntry] = field(default_factory=dict)
    definitions: dict[DefinitionHash, bytes] = field(default_factory=dict)
    evidence: dict[NodeId, bytes] = field(default_factory=dict)  # the first proof of each
    proofs: dict[bytes, set[NodeId]] = field(default_factory=dict)  # all of them, and who acknowledged
    charters: dict[CharterHash, StoreCharter] = field(default_factory=dict)
    untaken: set[EntryId] = field(default_factory=set)  # own entries that the own core would not take

    def documents(self, *, proposed: bool) -> list[CharterDocument]:
        """Stored charters after the first: those decided, or those proposed."""
        found = (item for item in self.charters.values() if item.is_proposal == proposed)
        return [parse_charter_document(item.body) for item in found]

    def append(self, entries: Sequence[ParsedEntry]) -> None:
        for parsed in entries:
            if parsed.id in self.untaken:  # it comes back from a peer
                self.untaken.remove(parsed.id)
                continue
            assert parsed.id not in self.by_id, "an entry was stored twice"
            self.by_id[parsed.id] = parsed
            insort(self.entries.setdefault(parsed.header.author, []), parsed, key=_place)

    def copy(self) -> Disk:
        """The same on another disk; what stands there is never changed in place."""
        return Disk(
            {author: list(log) for author, log in self.entries.items()}, dict(self.by_id), dict(self.definitions),
            dict(self.evidence), {body: set(told) for body, told in self.proofs.items()}, dict(self.charters),
            set(self.untaken),
        )  # fmt: skip

    def replace_bodies(self, entries: Sequence[ParsedEntry]) -> None:
        for parsed in entries:
            log = self.entries[parsed.header.author]
            log[log.index(self.by_id[parsed.id])] = self.by_id[parsed.id] = parsed

    def upgrade(self) -> None:
        """A later version of judgement looks at bodies that an earlier one could not read."""
        bare = [parsed for parsed in self.all() if not parsed.has_body]
        self.replace_bodies([parsed.without_body() for parsed in bare])

    def load_entries(self, ids: Sequence[EntryId], max_bytes: int) -> Sequence[Entry]:
        found: list[Entry] = []
        size = 0
        for entry in ids:
            parsed = self.by_id.get(entry)
            size += 0 if parsed is None else len(parsed.entry.encode())
            if parsed is None or (found and size > max_bytes):
                break
            found.append(parsed.entry)
        return found

    @property
    def ids(self) -> set[EntryId]:
        return set(self.by_id)

    def all(self) -> list[ParsedEntry]:
        return [parsed for log in self.entries.values() for parsed in log]


def _place(parsed: ParsedEntry) -> tuple[tuple[int, int], EntryId]:
    return parsed.header.position, parsed.id


@dataclass(slots=True)
class Faults:
    """How bad the network is, in per cent of messages; delays in milliseconds."""

    loss: int = 0
    duplicate: int = 0
    flip: int = 0
    delay_ms: tuple[int, int] = (1, 5)
    crash_before_save: int = 0  # per cent of calls that would store something
    crash_after_save: int = 0


@dataclass(slots=True, eq=False)
class SimNode:
    """A node: a disk, an author's pen, and a core while it is up."""

    place: int
    author: Author
    disk: Disk
    core: Core | None = None
    verdicts: dict[EntryId, Verdict] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)  # (op, code) of requests it turned away

    @property
    def id(self) -> NodeId:
        return self.author.who.node


CoreFactory = Callable[["World", SimNode], Core]


def real_core(world: World, node: SimNode) -> Core:
    """The core as production builds it, from what the disk holds."""
    founding = world.founding
    return Core(
        node.id,
        node.author.key,
        founding.document,
        node.disk.definitions,
        {node.id: node.author.who.inception},
        node.disk,
        node.disk.all(),
        world.settings,
        later=node.disk.documents(proposed=False),
        proposals=node.disk.documents(proposed=True),
        evidence=node.disk.proofs.items(),
    )


class World:
    """N nodes and the time between them."""

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        settings: Settings = QUICK,
        make_core: CoreFactory = real_core,
        founding: Founding | None = None,
        acquainted: bool = False,
    ) -> None:
        """`acquainted`: at first all hold all inceptions and have greeted each other, as after a day's running."""
        self.random = random.Random(seed)
        self.now_ms = START_MS
        self.settings = settings
        self.faults = Faults()
        self.founding = founding or found(size)
        self.traffic: Counter[str] = Counter()
        self.skew_ms: Counter[int] = Counter()
        self.stalled: set[int] = set()  # places that take requests and do not answer
        self.carried: Callable[[bytes], bytes] = self._flipped
        self._make_core = make_core
        self._doubled: set[int] = set()
        self._cut: set[tuple[int, int]] = set()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._apart: tuple[SimNode, SimNode] | None = None  # two found unlike, of these:
        self._known: list[SimNode] = []
        self._homes: dict[NodeId, list[SimNode]] = {}  # of these:
        self._housed: list[SimNode] = []
        self._alarm_ms: dict[int, int] = {}
        self._ticks: Counter[tuple[int, int]] = Counter()
        self.nodes = [
            SimNode(place, Author(self.founding, who), Disk(definitions=dict(self.founding.definitions)))
            for place, who in enumerate(self.founding.members)
        ]
        born = [node.author.born() for node in self.nodes]
        for node, first in zip(self.nodes, born, strict=True):
            node.disk.append(born if acquainted else [first])
        for node in self.nodes:
            self.boot(node, acquainted=acquainted)

    def rng(self, size: int) -> bytes:
        return self.random.randbytes(size)

    def clock(self, node: SimNode) -> int:
        """The node's wall clock."""
        return self.now_ms + self.skew_ms[node.place]

    # -- nodes

    def boot(self, node: SimNode, *, acquainted: bool = False) -> None:
        """Start a node from its disk; `acquainted`: as if it had talked with everybody a moment ago."""
        node.verdicts.clear()
        node.core = self._make_core(self, node)
        for peer in node.core._peers.values() if acquainted else ():
            peer.greeted, peer.sync_due_ms, peer.digest = True, None, node.core.logs.digest
        node.author.charter_version = max(node.author.charter_version, node.core.rules.charter.version)
        self._do(node, node.core.start(self.clock(node), self.rng))

    def join(self, who: Identity, charters: Sequence[CharterDocument]) -> SimNode:
        """A node that later charters admit begins, from the charters it was given."""
        author = Author(self.founding, who, charter_version=len(charters) + 1)
        node = SimNode(len(self.nodes), author, Disk(definitions=dict(self.founding.definitions)))
        for document in charters:
            version = parse_charter(document.body).version
            node.disk.charters[document.hash] = StoreCharter(document.hash, version, document.encode())
        self.nodes.append(node)
        node.disk.append([node.author.born()])
        self.boot(node)
        return node

    def crash(self, node: SimNode, down_ms: int) -> None:
        """The process is gone; it starts again after a while."""
        if node.core is not None:
            node.core = None
            self.traffic["crash"] += 1
            self.at(down_ms, lambda: self.boot(node) if node.core is None else None)

    def roll_back(self, node: SimNode, share: float) -> None:
        """An old disk is put back: of all that came to it, in its order, so large a share; at least its birth.

        Its keys stood on it, too: a turn that no disk holds is undone.
        """
        node.core = None
        self.traffic["crash"] += 1
        old, whole = node.disk, list(node.disk.by_id.values())
        node.disk = Disk(definitions=dict(self.founding.definitions))
        node.disk.append(whole[: max(1, int(len(whole) * share))])
        node.disk.charters = {hash_: kept for hash_, kept in old.charters.items() if not kept.is_proposal}
        node.author.forget_turns({entry for other in self.nodes for entry in other.disk.by_id})
        self.boot(node)

    def copy_of(self, node: SimNode) -> SimNode:
        """A second process with the same keys and a copy of the disk; messages to the member reach either."""
        twin = SimNode(len(self.nodes), node.author.copy(), node.disk.copy())
        self.nodes.append(twin)
        self._doubled |= {node.place, twin.place}
        self.boot(twin)
        return twin

    def commit(self, node: SimNode, parsed: ParsedEntry) -> None:
        """The node's own transaction stored an entry; the core hears of it, unless the node died in between."""
        node.disk.append([parsed])
        if node.core is None:
            return
        if self._happens(self.faults.crash_after_save):
            self.crash(node, 1_000)
            return
        key = node.author.key if parsed.header.kind in (ROTATE, RECOVER) else None
        self._do(node, node.core.own_entry(parsed, self.clock(node), key))

    def deliver(self, node: SimNode, message: bytes) -> bytes | None:
        """Bytes arrive at a node from wherever; its answer, None when it died before answering."""
        if node.core is None:
            return None
        reply = self._do(node, node.core.receive(message, self.clock(node), self.rng))
        return None if reply is None else reply.body

    # -- network

    def cut(self, groups: Sequence[Sequence[int]]) -> None:
        """Only nodes of one group reach each other."""
        of = {place: number for number, group in enumerate(groups) for place in group}
        places = range(len(self.nodes))
        self._cut = {(one, other) for one in places for other in places if of.get(one) != of.get(other)}

    def cut_one_way(self, source: int, target: int) -> None:
        """Requests from source to target are lost; the other direction works."""
        self._cut.add((source, target))

    def mend(self) -> None:
        """Every node reaches every other again."""
        self._cut.clear()

    def heal(self) -> None:
        """From now on every message arrives, quickly and once; nobody crashes."""
        self.faults = Faults()
        self.stalled.clear()
        self.mend()

    # -- time

    def at(self, after_ms: int, do: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.now_ms + after_ms, self._order, do))

    def run(self, for_ms: int, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass: until it is over, or the condition holds."""
        end = self.now_ms + for_ms
        while self._events and self._events[0][0] <= end and not until():
            self.now_ms, _, do = heapq.heappop(self._events)
            do()
        if not until():
            self.now_ms = end

    def settle(self, within_ms: int = 120_000) -> None:
        """Run until all nodes are up and their heads are equal.

        Raises:
            AssertionError: they are not, in time.
        """
        self.run(within_ms, self.in_step)
        heads = {node.place: node.core and node.core.logs.heads() for node in self.nodes}
        assert self.in_step(), f"heads differ {within_ms} ms after healing: {heads}"

    def in_step(self) -> bool:
        if self._apart is not None and self._known == self.nodes and not self._are_equal(*self._apart):
            return False  # the two that were unlike last time still are
        nodes = [node for node in self.nodes if not self._is_locked_out(node)]
        self._known = list(self.nodes)
        self._apart = next(((nodes[0], node) for node in nodes if not self._are_equal(nodes[0], node)), None)
        return self._apart is None

    def _are_equal(self, one: SimNode, other: SimNode) -> bool:
        """Whether both are up and hold the same; true of whoever is locked out."""
        if self._is_locked_out(one) or self._is_locked_out(other):
            return True
        return one.core is not None and other.core is not None and one.core.logs.digest == other.core.logs.digest

    def end_locked_out(self) -> None:
        """Processes whose clone rotated their key stop, as they must; their operator sees the alarm."""
        self.nodes = [node for node in self.nodes if not self._is_locked_out(node)]

    def _is_locked_out(self, node: SimNode) -> bool:
        own = node.core.logs.log(node.id) if node.core and node.place in self._doubled else None
        return own is not None and own.keys is not None and own.keys.signing_key != node.author.key.public_key

    # -- carrying out effects

    def _do(self, node: SimNode, effects: Sequence[Effect]) -> Reply | None:
        """Carry out one call's effects in order; None when the node died on the way."""
        saves = any(isinstance(effect, StoreEntries | StoreBodies | StoreCharter) for effect in effects)
        if saves and self._happens(self.faults.crash_before_save):
            self.crash(node, 1_000)
            return None
        for effect in effects:
            match effect:
                case StoreEntries(entries):
                    node.disk.append(entries)
                    if self._happens(self.faults.crash_after_save):
                        self.crash(node, 1_000)
                        return None
                case StoreBodies(came):
                    node.disk.replace_bodies(came)
                    if self._happens(self.faults.crash_after_save):
                        self.crash(node, 1_000)
                        return None
                case StoreDefinition(hash_, body):
                    node.disk.definitions[hash_] = body
                case StoreCharter(hash=charter):
                    node.disk.charters[charter] = effect
                    if self._happens(self.faults.crash_after_save):
                        self.crash(node, 1_000)
                        return None
                case CharterTrusted(version=version):
                    node.author.charter_version = version
                case StoreEvidence(author, _, body):
                    node.disk.evidence.setdefault(author, body)
                    node.disk.proofs[body] = set()
                case EvidenceTold(peer, digests):
                    for body, told in node.disk.proofs.items():
                        told.update([peer] if evidence_digest(body) in digests else ())
                case Judged(changes):
                    node.changes += changes
                    node.verdicts.update({change.entry: change.verdict for change in changes})
                case Alarm():
                    node.alarms.append(effect)
                case Log("mesh.request_refused", fields):
                    found = dict(fields)
                    node.refusals.append((str(found.get("op")), str(found.get("code"))))
                case SendRequest():
                    self._post(node, effect)
                case Reply():
                    self._wake(node)
                    return effect
        self._wake(node)
        return None

    def _wake(self, node: SimNode) -> None:
        """One timer per node, at the time its core names."""
        core = node.core
        wakeup = None if core is None else core.next_wakeup_ms()
        if core is None or wakeup is None:
            return
        due = max(wakeup - self.clock(node), 0) + self.now_ms
        if self._alarm_ms.get(node.place, due + 1) <= due and self._alarm_ms[node.place] > self.now_ms:
            return  # an earlier timer stands
        self._alarm_ms[node.place] = due
        self.at(due - self.now_ms, lambda: self._tick(node, core, due))

    def _tick(self, node: SimNode, core: Core, due: int) -> None:
        if node.core is core and self._alarm_ms.get(node.place) == due:
            del self._alarm_ms[node.place]
            self._ticks[node.place, self.now_ms] += 1
            assert self._ticks[node.place, self.now_ms] < 1_000, "a node wakes for nothing, again and again"
            self._do(node, core.tick(self.clock(node), self.rng))

    def _post(self, sender: SimNode, sent: SendRequest) -> None:
        """Carry a request to its peer and the answer back, with whatever the network does to them."""
        core = sender.core
        at_home = self._at_home(sent.peer)
        if not at_home:  # admitted, and not started yet
            self.at(self._delay(), lambda: self._answer_nothing(sender, core, sent.token))
            return
        target = at_home[0] if len(at_home) == 1 else self.random.choice(at_home)
        self.traffic[sent.op] += 1
        self.traffic["bytes"] += len(sent.body)
        is_lost = (sender.place, target.place) in self._cut or self._happens(self.faults.loss)

        def answered(answer: bytes | Failed) -> None:
            if sender.core is core and core is not None:
                self._do(sender, core.on_response(sent.token, answer, self.clock(sender), self.rng))

        def arrive(is_copy: bool) -> None:
            body = self.deliver(target, self.carried(sent.body))
            if is_copy:
                return
            if target.place in self.stalled:
                self.at(self.settings.request_timeout_ms, lambda: answered(Failed("no answer in time")))
            elif body is None or self._happens(self.faults.loss):
                self.at(self._delay(), lambda: answered(Failed("unreachable")))
            else:
                self.at(self._delay(), lambda: answered(self.carried(body)))

        if is_lost:
            self.at(self._delay(), lambda: answered(Failed("unreachable")))
        else:
            self.at(self._delay(), lambda: arrive(False))
            if self._happens(self.faults.duplicate):
                self.at(self._delay() * 3, lambda: arrive(True))

    def _at_home(self, node: NodeId) -> list[SimNode]:
        """The processes of a member."""
        if self._housed != self.nodes:
            self._housed, self._homes = list(self.nodes), {}
            for one in self.nodes:
                self._homes.setdefault(one.id, []).append(one)
        return self._homes.get(node, [])

    def _answer_nothing(self, sender: SimNode, core: Core | None, token: int) -> None:
        if core is not None and sender.core is core:
            self._do(sender, core.on_response(token, Failed("unreachable"), self.clock(sender), self.rng))

    def _flipped(self, body: bytes) -> bytes:
        """The body as it arrives: now and then with one bit turned."""
        if not self._happens(self.faults.flip):
            return body
        place = self.random.randrange(len(body))
        return body[:place] + bytes([body[place] ^ 1 << self.random.randrange(8)]) + body[place + 1 :]

    def _delay(self) -> int:
        return self.random.randint(*self.faults.delay_ms)

    def _happens(self, per_cent: int) -> bool:
        return self.random.randrange(100) < per_cent
