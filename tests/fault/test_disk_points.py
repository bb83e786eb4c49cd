"""Death at every kind of call that changes the disk, under load, through the whole node and everything it is made of.

A life without trouble is watched first: every kind of point it passes (rig.py) then gets a round of its own, in the
order in which they came, in which the node dies there: by kill -9, or by a power cut that leaves what was synced. No
list of points is kept by hand, so a new write has its round as soon as it exists.

After each death: nothing acknowledged is damaged, the anchor is not ahead of the log, and no entry up to it changed. In
the end every event stands in the released vectors once.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import IO

import pytest

from node.anchor import load_anchor
from node.errors import NodeError
from node.state.database import StateDatabase
from node.state.log import LogStore
from node.vault.offline import verify_offline
from protocol.identity import parse_inception
from tests.conftest import Measure
from tests.fault.rig import Rig, Tree, rigs  # noqa: F401 - a fixture
from tests.fault.test_node_kill import RELEASED_S, DidNotStart, Load, answered, child, senders
from tests.node_kit import START_S, Shop, found_shop

pytestmark = pytest.mark.timeout(600)
PHASES = ("load", "stop", "release", "end")  # of a node's days: events come; it is stopped; releases; it is stopped
SLOTS = 4
OTHERS = ("commons/", "/socket", "/lock")  # derived from the logs, or not meant to last


@dataclass
class Tried:
    """A node on a rig, its load, and what its own log was known to say."""

    rig: Rig
    vectors: Path
    shop: Shop = field(init=False)
    load: Load = field(init=False)
    said: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shop = found_shop(self.rig.folder / "shop")
        self.load = Load(self.shop)
        with self.node(START_S):
            self.shop.token = self.shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]

    @contextmanager
    def node(
        self, wall_s: float, *, env: dict[str, str] | None = None, stderr: IO[bytes] | int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        with child(self.shop, self.vectors, wall_s=wall_s, mode="plain", env=env, stderr=stderr) as process:
            yield process

    def life(self, phase: str, arm: Callable[[], None], unsynced: tuple[str, ...] = ()) -> bool:
        """One process through one phase; whether it died of `arm` (else it is killed at the phase's end)."""
        env = self.rig.begin(unsynced)
        is_late = phase in ("release", "end")
        if phase in ("load", "release"):
            arm()
        try:
            with self.node(RELEASED_S if is_late else START_S, env=env) as process:
                if phase in ("stop", "end"):
                    with senders(self.load) if phase == "stop" else _nothing():
                        time.sleep(0.3 if phase == "stop" else 1.5)
                    arm()
                    process.terminate()
                    return process.wait(30) == -signal.SIGKILL
                with senders(self.load) if phase == "load" else _nothing():
                    return self._dies(process, 4.0)
        except DidNotStart:
            return True  # it died on its way

    def _dies(self, process: subprocess.Popen[bytes], within_s: float) -> bool:
        try:
            return process.wait(within_s) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            return False

    def check(self) -> None:
        """What a dead node leaves behind."""
        assert verify_offline(self.shop.data) == []
        database = StateDatabase(self.shop.data / "state.db")
        try:
            node = parse_inception((self.shop.data / "inception").read_bytes()).node_id
            log = {entry.header.seq: entry.id for entry in LogStore(database).replay(node)}
        finally:
            database.close()
        anchor = load_anchor(self.shop.folder / "anchor")
        assert anchor is not None
        assert anchor.seq < len(log), "the anchor is ahead of the log"
        for seq, entry in self.said.items():
            assert log[seq] == entry, f"entry {seq} was sent, and is another one now"
        self.said = {seq: log[seq] for seq in range(anchor.seq + 1)}

    def settle(self) -> None:
        """Send what was never acknowledged."""
        with self.node(START_S):
            self.load.run(threading.Event(), only_pending=True)
        assert len(self.load.acknowledged) == self.load.next_number

    def is_exact(self) -> bool:
        """Release what is not released yet: whether every vector that was ever drawn has each event once."""
        with self.node(RELEASED_S) as process:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and len(answered(self.shop)) < SLOTS:
                time.sleep(0.1)
            assert len(answered(self.shop)) == SLOTS
            process.terminate()
            process.wait(20)
        sums = {sum(map(int, line.strip("[]\n").split(","))) for line in self.vectors.read_text().splitlines()}
        return sums - {0} == {self.load.next_number}


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def kinds(names: list[str]) -> Counter[str]:
    """The points by kind, as patterns of the rig: ids, days and process numbers do not matter."""
    found: Counter[str] = Counter()
    for name in names:
        if not any(other in name for other in OTHERS):
            found[re.sub(r"[0-9a-f]{32}|[0-9-]{10}_P1D|[0-9]+(?=\.new)", "*", name)] += 1
    return found


@dataclass(frozen=True)
class Round:
    """Where a node is to die: at the `nth` point of a kind in a phase. `is_first`: a kind that comes once in a life."""

    phase: str
    kind: str
    often: int
    is_first: bool


def watched(rig: Rig, vectors: Path) -> list[Round]:
    """A round for every kind of point in a life in which nothing happens; first those that do not come again."""
    tried = Tried(rig, vectors)
    found: dict[tuple[bool, str], Round] = {}
    for phase in ("load", *PHASES):
        is_late = phase in ("release", "end")
        if phase == "release":
            tried.settle()
        tried.life(phase, lambda: None)
        seen = kinds(rig.names())
        is_second = phase == "load" and bool(found)
        for key, one in found.items() if is_second else ():
            found[key] = replace(one, is_first=one.kind not in seen)
        for kind, count in seen.items():
            found.setdefault((is_late, kind), Round(phase, kind, count, is_first=False))
    return sorted(found.values(), key=lambda one: (PHASES.index(one.phase) // 2, not one.is_first))


def play(tried: Tried, rounds: list[Round], draw: random.Random) -> tuple[int, int]:
    """A death at each; how many came, and how many of them were power cuts."""
    deaths = cuts = 0
    before: Tree | None = None
    for number, one in enumerate(rounds):
        if one.phase in ("release", "end"):  # a day is released once: each of these rounds begins before it
            if before is None:
                tried.settle()
                before = tried.rig.tree()
            tried.rig.put(before)
            tried.said.clear()
        is_cut = number % 2 == 0
        nth, is_torn = 1 if one.often == 1 else draw.randint(1, min(one.often, 20)), draw.random() < 0.5

        def arm(one: Round = one, nth: int = nth, is_torn: bool = is_torn) -> None:
            tried.rig.kill_at(nth, one.kind, torn=is_torn)

        deaths += tried.life(one.phase, arm)
        if is_cut:
            cuts += 1
            tried.rig.lose_power(draw if draw.random() < 0.5 else None)
        try:
            tried.check()
        except Exception as error:
            raise AssertionError(f"after a {'power cut' if is_cut else 'kill'} at {one}, {nth}") from error
    return deaths, cuts


@pytest.mark.slow
def test_death_at_every_kind_of_point_loses_nothing_and_counts_nothing_twice(
    rigs: Callable[[], Rig],  # noqa: F811
    tmp_path: Path,
    measured: Measure,
) -> None:
    """One round for each kind of write, sync, rename, link and removal that a node's life passes."""
    rounds = watched(rigs(), tmp_path / "watched")
    assert len(rounds) > 40
    tried = Tried(rigs(), tmp_path / "vectors")
    deaths, cuts = play(tried, rounds, random.Random(7))
    tried.settle()
    is_exact = tried.is_exact()
    measured(f"acknowledged events lost or doubled, of {tried.load.next_number}; {deaths} deaths, {cuts} of them power "
             f"cuts, at {len(rounds)} kinds of system calls", "0" if is_exact else "not 0", "0", is_exact)  # fmt: skip
    assert is_exact
    assert deaths >= 0.9 * len(rounds)  # a slow machine may not come to a merge of segments in time


def test_a_power_cut_in_the_middle_of_a_frame(rigs: Callable[[], Rig], tmp_path: Path) -> None:  # noqa: F811
    """One round of the test above: half a frame is written."""
    tried = Tried(rigs(), tmp_path / "vectors")
    one = Round("load", "write /shop/data/segments/*/*.seg", 20, is_first=False)
    assert play(tried, [one], random.Random(1)) == (1, 1)
    tried.settle()
    assert tried.is_exact()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/admin/keys/rotate-master", "/v1/admin/keys/rotate"])
def test_death_at_every_kind_of_point_of_a_change_of_keys(
    rigs: Callable[[], Rig],  # noqa: F811
    tmp_path: Path,
    path: str,
) -> None:
    """Under load, at each step of the change: the next start finishes it or never began it; nothing is lost."""
    tried = Tried(rigs(), tmp_path / "vectors")

    def change(pattern: str) -> list[str]:
        """One life with a change under load, dying at the pattern; the points it passed from the change on."""
        with tried.node(START_S, env=tried.rig.begin()) as process, senders(tried.load):
            wait = time.monotonic() + 20
            while not tried.load.acknowledged or tried.shop.admin.get("/v1/admin/status")["releases"]["held_back"]:
                assert time.monotonic() < wait
                time.sleep(0.05)
            before = tried.rig.points
            if pattern:
                tried.rig.kill_at(1, pattern)
            with suppress(NodeError, OSError, HTTPException):
                tried.shop.admin.post(path, {})
            if pattern:
                assert process.wait(20) == -signal.SIGKILL
            return tried.rig.names()[before:]

    seen = [kind for kind in kinds(change("")) if "/keys" in kind or "/epochs" in kind or "anchor" in kind]
    assert len(seen) >= 8, seen
    for number, kind in enumerate(seen):
        change(kind)
        if number % 2:
            tried.rig.lose_power()
        tried.check()
    tried.settle()
    assert {one.name for one in (tried.shop.data / "keys").iterdir()} == {"master.key", "signing.key", "next.key"}
    assert tried.is_exact()


TAKEN_OUT = {".seg": "sync *.seg", "state.db-wal": "write *.seg", "/epochs": "write *.seg", "anchor.new": "write *.seg",
             "/segments": "write *.seg"}  # fmt: skip


@pytest.mark.parametrize(
    "word", [".seg", *(pytest.param(word, marks=pytest.mark.slow) for word in list(TAKEN_OUT)[1:])]
)
def test_without_a_sync_the_tests_above_fail(rigs: Callable[[], Rig], tmp_path: Path, word: str) -> None:  # noqa: F811
    """The syncs of one kind of file or folder taken out of the program: after a power cut, something shows it."""
    tried = Tried(rigs(), tmp_path / "vectors")
    assert tried.life("load", lambda: tried.rig.kill_at(60, TAKEN_OUT[word]), (word,))
    assert len(tried.load.acknowledged) > 0
    tried.rig.lose_power()
    try:
        tried.check()
        tried.settle()
        assert tried.is_exact()
    except (AssertionError, NodeError, DidNotStart):
        return
    raise AssertionError(f"nobody noticed that {word} was not synced")
