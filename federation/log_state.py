"""What this node knows of one author's log: the ids that stand, the keys through time, and the branches beside it.

Small on purpose: 32 bytes an entry that stands. Headers and bodies lie in the node's database and are read through
`ports.EntrySource`.

A log is one line of entries by seq, whatever their generations: a `recover` stands on the last good entry, so it
replaces everything that followed there. Entries that stand beside the line are remembered as stubs, few of them;
`federation.branches` decides which line stands when one of them could change it. An author that signed twice is
*frozen*: `ids` ends below the fork and `branches` name the two.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from federation.branches import Position, Standing, Stub, Turn, resolve
from protocol.heads import Head
from protocol.identity import Inception
from protocol.ids import EntryId, FederationId, NodeId
from protocol.key_chain import KeyState, start_chain

__all__ = ["AuthorLog", "Position"]

MAX_SIDES: Final = 8  # branches remembered beside the line; proofs and rotated ones in preference, then the newest

Cut = tuple[int, int, EntryId]
"""(generation, seq, id) of the last entry that stays."""


@dataclass(slots=True)
class AuthorLog:
    """One author's admitted entries.

    Args:
        author: The node whose log this is.
        federation: What the first entry stands on.
        inception: The author's inception record once known, from the log's first entry or a hello.
        ids: Ids of the entries that stand, by seq.
        branches: First entries of two branches at position `len(ids)` that prove a fork; None while there is none.
        roots: Root keys charters named in place of the inception record's, oldest first.
        cut: Where a charter ends the log.
        epochs: Keys through time: the state after the inception and after every rotate and recover that stands.
        links: Ids of those rotates and recovers, in order: the key chain.
        sides: Known entries beside the line.
        proof: What of two branches is shown to others.
        announced: Keys the author itself showed by a chain (hello) that go beyond its log as known here.
        alerted: (seq, code) of the double signatures that were reported.
    """

    author: NodeId
    federation: FederationId
    inception: Inception | None = None
    ids: list[EntryId] = field(default_factory=list)
    branches: tuple[EntryId, EntryId] | None = None
    roots: tuple[bytes, ...] = ()
    cut: Cut | None = None
    epochs: list[KeyState] = field(default_factory=list)
    links: list[EntryId] = field(default_factory=list)
    sides: dict[EntryId, Stub] = field(default_factory=dict)
    proof: tuple[Stub, ...] = ()
    frozen_generation: int = 0
    announced: KeyState | None = None
    alerted: set[tuple[int, str]] = field(default_factory=set)
    _roots: dict[int, int] = field(default_factory=dict)  # place of the root key by seq of a recover that stands

    # -- reading

    @property
    def height(self) -> int:
        """Number of entries that stand."""
        return len(self.ids)

    @property
    def is_frozen(self) -> bool:
        """Whether the author signed twice at position `height`, and nothing says which counts."""
        return self.branches is not None

    @property
    def is_cut(self) -> bool:
        """Whether the line ends where a charter cut it: only a recover goes on."""
        return self.cut is not None and self.height == self.cut[1] + 1 and self.ids[-1] == self.cut[2]

    def is_off_the_cut(self, stub: Stub) -> bool:
        """Whether the next entry stands where a charter cut the line, and is another one than it named."""
        return self.cut is not None and stub.seq == self.height == self.cut[1] and stub.id != self.cut[2]

    @property
    def generation(self) -> int:
        """Generation of the last entry that stands."""
        return self.generation_at(self.height - 1)

    def generation_at(self, seq: int) -> int:
        """Generation of the entry that stands at `seq`."""
        place = bisect_right(self.epochs, seq, key=lambda state: state.seq)
        return self.epochs[place - 1].generation if place else 0

    @property
    def position(self) -> Position:
        """Position of the last entry that stands; seq -1 for none."""
        return self.generation, self.height - 1

    def before(self, seq: int) -> EntryId:
        """What an entry at `seq`, at most `height`, stands on: the id before it, or the federation id."""
        return self.ids[seq - 1] if seq else EntryId(self.federation)

    @property
    def keys(self) -> KeyState | None:
        """The keys in force for the next entry; None while the author's inception is unknown."""
        if self.epochs:
            return self.epochs[-1]
        return None if self.inception is None else start_chain(self.inception, self.federation)

    @property
    def key(self) -> bytes | None:
        """The signing key the author speaks with: of its log, or of a longer chain it showed."""
        keys, announced = self.keys, self.announced
        if announced is not None and (keys is None or self.rank(announced) > self.rank(keys)):
            return announced.signing_key
        return None if keys is None else keys.signing_key

    def rank(self, keys: KeyState) -> tuple[int, int, int]:
        """How late keys are: a recover by a later root stands before all by earlier ones, whatever its generation."""
        root = self.roots.index(keys.root_key) + 1 if keys.root_key in self.roots else 0
        return root, *keys.position

    @property
    def head(self) -> Head:
        """What the heads vector says of this log."""
        frozen_at = (self.frozen_generation, self.height) if self.is_frozen else None
        if not self.ids:
            return Head(0, -1, None, frozen_at)
        return Head(self.generation, self.height - 1, self.ids[-1], frozen_at)

    def keys_after(self, seq: int) -> KeyState | None:
        """The keys in force after the entry that stands at `seq`."""
        place = bisect_right(self.epochs, seq, key=lambda state: state.seq)
        return self.epochs[place - 1] if place else self.keys

    @property
    def recovered_at(self) -> int:
        """Seq of the last recover that stands; -1 without one."""
        pairs = pairwise(self.epochs)
        return max((state.seq for before, state in pairs if state.generation > before.generation), default=-1)

    def parting(self, stub: Stub) -> int | None:
        """Seq at which the branch that an entry beside the line is part of leaves it; None when that was forgotten."""
        while stub.prev in self.sides:
            stub = self.sides[stub.prev]
        return self._start_of(stub)

    def holds(self, entry: EntryId, seq: int) -> bool:
        """Whether the log knows this entry, standing or beside."""
        return (seq < self.height and self.ids[seq] == entry) or entry in self.sides

    def start_of(self, generation: int) -> int | None:
        """Seq from which on the line is of this generation or a later one; None when it does not go so far."""
        if generation <= 0:
            return 0
        return next((state.seq for state in self.epochs if state.generation >= generation), None)

    def shown(self, seq: int) -> Iterator[tuple[int, EntryId]]:
        """(seq, id) of what is served to others from `seq` on: the line, then of a fork both branches as proof."""
        yield from ((at, self.ids[at]) for at in range(seq, self.height))
        yield from ((stub.seq, stub.id) for stub in self.proof if stub.seq >= seq)

    # -- growing

    def append(self, entry: EntryId, stub: Stub | None = None) -> None:
        """The log is longer by one admitted entry; `stub` when it brings keys."""
        if self.is_frozen:
            raise ValueError("nothing is appended to a fork")
        if stub is not None:
            self._take_keys(stub)
        self.ids.append(entry)

    def fork(self, seq: int, second: EntryId) -> list[EntryId]:
        """The author signed `second` beside the entry at `seq`, and nothing else is known of the two branches."""
        fallen = self.ids[seq:]
        keys = self.keys_after(seq)
        if keys is not None:
            self.beside(Stub(second, self.before(seq), self.generation_at(seq), seq, keys))
        self.settle()
        return fallen

    def beside(self, stub: Stub) -> None:
        """Remember an admitted entry that does not extend the line; then `settle`, when `matters` says so."""
        self.sides[stub.id] = stub

    def matters(self, stub: Stub) -> bool:
        """Whether remembering the entry could change what stands: a new branch, a rotate, a recover, the cut."""
        return stub.turn != "" or stub.prev not in self.sides or (self.cut is not None and stub.id == self.cut[2])

    def settle(self) -> int:
        """Decide anew which line stands; returns the seq from which on it is another (`height` for no change)."""
        starts = [self._start_of(stub) for stub in self.sides.values() if stub.prev not in self.sides]
        low = min([start for start in starts if start is not None], default=self.height)
        if self.cut is not None:
            low = min(low, self.cut[1])
        stubs = [*self._line_from(low), *self.sides.values()]
        before = self.ids[low:]
        found = resolve(self.before(low), self.generation_at(low - 1), stubs, self._cut_above(low))
        self._adopt(low, stubs, found)
        after = self.ids[low:]
        same = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None)
        return low + (min(len(before), len(after)) if same is None else same)

    # -- helpers

    def _adopt(self, low: int, stubs: Iterable[Stub], found: Standing) -> None:
        del self.ids[low:]
        keep = sum(state.seq < low for state in self.epochs)
        del self.epochs[keep:], self.links[max(keep - 1, 0) :]
        self._roots = {seq: root for seq, root in self._roots.items() if seq < low}
        for stub in found.path:
            if stub.turn or stub.seq == 0:
                self._take_keys(stub)
            self.ids.append(stub.id)
        self.branches, self.proof, self.frozen_generation = found.branches, found.proof, found.frozen_generation
        standing = {stub.id for stub in found.path}
        self.sides = {stub.id: stub for stub in stubs if stub.id not in standing}
        self._forget_some()

    def _take_keys(self, stub: Stub) -> None:
        self.epochs.append(stub.keys)
        if stub.turn:
            self.links.append(stub.id)
        if stub.root:
            self._roots[stub.seq] = stub.root

    def _line_from(self, low: int) -> Iterator[Stub]:
        """Stubs of the entries that stand from `low` on."""
        turns = {state.seq: state for state in self.epochs}
        for seq in range(low, self.height):
            keys = self.keys_after(seq)
            if keys is None:
                raise ValueError("a log with entries has keys")
            turn: Turn = ""
            if seq in turns and seq > 0:
                turn = "recover" if turns[seq].generation > self.generation_at(seq - 1) else "rotate"
            yield Stub(
                self.ids[seq], self.before(seq), keys.generation, seq, keys, turn, self._roots.get(seq, 0)
            )  # fmt: skip

    def _start_of(self, stub: Stub) -> int | None:
        """Where a branch leaves the line; None when it hangs on what was forgotten."""
        is_on_line = stub.seq <= self.height and self.before(stub.seq) == stub.prev
        return stub.seq if is_on_line else None

    def _cut_above(self, low: int) -> tuple[int, EntryId, int] | None:
        if self.cut is None or self.cut[1] < low:
            return None
        generation, seq, entry = self.cut
        return seq, entry, generation

    def _forget_some(self) -> None:
        """Keep a few branches: those shown as proof, then those with a rotate or recover, then the newest."""
        branch_of: dict[EntryId, EntryId] = {}
        worth: dict[EntryId, tuple[bool, bool, int]] = {}
        proof = {stub.id for stub in self.proof}
        ordered = sorted(self.sides.values(), key=lambda stub: (stub.generation, stub.seq))
        for age, stub in enumerate(self.sides.values()):
            worth[stub.id] = (stub.id in proof, stub.turn != "", age)
        best: dict[EntryId, tuple[bool, bool, int]] = {}
        for stub in ordered:
            start = branch_of[stub.id] = branch_of.get(stub.prev, stub.id)
            best[start] = max(best.get(start, (False, False, -1)), worth[stub.id])
        if len(best) <= MAX_SIDES:
            return
        kept = set(sorted(best, key=best.__getitem__, reverse=True)[:MAX_SIDES])
        self.sides = {entry: stub for entry, stub in self.sides.items() if branch_of[entry] in kept}


def with_root(keys: KeyState, root: bytes) -> KeyState:
    """The keys with the root key a charter names in place of the old one."""
    return replace(keys, root_key=root)
