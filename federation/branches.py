"""Which branch of an author's log stands (specs/mesh.md 8.3): a pure function of the entries known.

An author that signs two entries on top of one splits its log. Arrival order decides nothing:

1. a charter's cut stands before everything: the way to it is fixed, and beyond it only a `recover` on top of it counts;
2. the `recover` of the highest generation fixes the way to itself; two of that generation freeze the author below
   them, until a charter names its new root (a recover by that root stands before all recovers by older ones);
3. where one branch goes on to a `rotate` in its generation and the others do not, it stands: only the owner holds the
   key that was committed to;
4. else the author is frozen at the lowest such position: nothing from there on counts.

What a node keeps and shows of a log (the standing entries, and two branches as proof of a freeze, each as far as its
first rotate or recover) resolves with what another node keeps to the same as all entries of both together. So nodes
that compare only heads converge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.ids import EntryId
from protocol.key_chain import KeyState

Turn = Literal["", "rotate", "recover"]
Position = tuple[int, int]
"""(generation, seq); seq -1 stands before the first entry."""


@dataclass(frozen=True, slots=True)
class Stub:
    """What is remembered of an entry outside the bodies.

    Args:
        turn: How it changes keys, "" for not.
        keys: The keys in force after it.
        root: For a recover: the place of its root key among the author's, the inception's first.
    """

    id: EntryId
    prev: EntryId
    generation: int
    seq: int
    keys: KeyState
    turn: Turn = ""
    root: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stretch of a log resolves.

    Args:
        path: The entries that stand, in order.
        branches: First entries of the two branches that prove a freeze; None without one.
        proof: The entries of both branches that are shown as proof, by (seq, id).
        frozen_generation: Generation of the forked position; 0 without a freeze.
    """

    path: tuple[Stub, ...]
    branches: tuple[EntryId, EntryId] | None = None
    proof: tuple[Stub, ...] = ()
    frozen_generation: int = 0


def resolve(
    base: EntryId, generation: int, stubs: Sequence[Stub], cut: tuple[int, EntryId, int] | None = None
) -> Standing:
    """Which of the entries above `base` stand.

    Args:
        base: The highest entry that every branch stands on, or the federation id.
        generation: Its generation.
        stubs: All known entries above it, each connected to it.
        cut: (seq, id, generation) the charter cut the log at, when that lies above `base`.
    """
    return _Tree(base, generation, stubs).standing(cut)


class _Tree:
    """The entries above one entry, by what they stand on."""

    def __init__(self, base: EntryId, generation: int, stubs: Sequence[Stub]) -> None:
        self.base = base
        self.generation = generation
        self.stubs: Mapping[EntryId, Stub] = {stub.id: stub for stub in stubs}
        self.children: dict[EntryId, list[Stub]] = {}
        for stub in self.stubs.values():
            self.children.setdefault(stub.prev, []).append(stub)
        for siblings in self.children.values():
            siblings.sort(key=lambda stub: stub.id)
        self.rotating = self._rotating()

    def standing(self, cut: tuple[int, EntryId, int] | None) -> Standing:
        path: list[Stub] = []
        recovers = [stub for stub in self.stubs.values() if stub.turn == "recover"]
        if cut is not None:
            seq, last, generation = cut
            if last not in self.stubs:  # its branch is not here yet: nothing at or beyond it can be told
                found = self.standing(None)
                below = tuple(stub for stub in found.path if stub.seq < seq)
                return found if below == found.path else Standing(below)
            path = self._way_to(last)
            recovers = [stub for stub in recovers if last == stub.prev and stub.generation > generation]
            if not recovers:
                return Standing(tuple(path))
        if not recovers:
            return self._walk(path, self.base, self.generation)
        best = max((stub.root, stub.generation) for stub in recovers)
        top = sorted((stub for stub in recovers if (stub.root, stub.generation) == best), key=lambda stub: stub.id)
        ways = [self._way_to(stub.id) for stub in top]
        if len(ways) == 1:
            return self._walk(ways[0], top[0].id, top[0].generation)
        return _part(ways, best[1])

    def _walk(self, path: list[Stub], at: EntryId, generation: int) -> Standing:
        """From an entry on through its generation, as far as the log goes on in one branch."""
        path = list(path)
        while True:
            following = [stub for stub in self.children.get(at, ()) if stub.generation == generation]
            rotating = [stub for stub in following if stub.id in self.rotating]
            choices = rotating or following
            if not choices:
                return Standing(tuple(path))
            if len(choices) > 1:
                proof = [stub for choice in choices[:2] for stub in self._proof_of(choice)]
                proof.sort(key=lambda stub: (stub.seq, stub.id))
                return Standing(tuple(path), (choices[0].id, choices[1].id), tuple(proof), generation)
            path.append(choices[0])
            at = choices[0].id

    def _way_to(self, last: EntryId) -> list[Stub]:
        way = []
        while last in self.stubs:
            way.append(self.stubs[last])
            last = self.stubs[last].prev
        return way[::-1]

    def _rotating(self) -> set[EntryId]:
        """Entries whose branch goes on to a rotate in their generation, the rotate included."""
        found: set[EntryId] = set()
        for stub in self.stubs.values():
            at = stub if stub.turn == "rotate" else None
            while at is not None and at.id not in found and at.generation == stub.generation:
                found.add(at.id)
                at = self.stubs.get(at.prev)
        return found

    def _proof_of(self, first: Stub) -> Iterator[Stub]:
        """A branch as far as it matters: its first entry alone, or up to its first rotate."""
        at: Stub | None = first
        while at is not None:
            yield at
            if at.turn == "rotate" or at.id not in self.rotating:
                return
            at = next(
                (s for s in self.children.get(at.id, ()) if s.generation == first.generation and s.id in self.rotating),
                None,
            )


def _part(ways: Sequence[Sequence[Stub]], generation: int) -> Standing:
    """Several recovers of one generation: frozen where the ways to them part the lowest."""

    def shared(one: Sequence[Stub], other: Sequence[Stub]) -> int:
        same = 0
        while one[same].id == other[same].id:  # the last of each differ
            same += 1
        return same

    pairs = [(shared(one, other), one, other) for place, one in enumerate(ways) for other in ways[place + 1 :]]
    same, one, other = min(pairs, key=lambda pair: (pair[0], pair[1][-1].id, pair[2][-1].id))
    branches = tuple(sorted((one[same].id, other[same].id)))
    proof = sorted([*one[same:], *other[same:]], key=lambda stub: (stub.seq, stub.id))
    return Standing(tuple(one[:same]), (branches[0], branches[1]), tuple(proof), generation)
