"""A round of releases: what it starts ahead of its tick, and how it abstains."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.jobs.publishing import Publisher
from node.jobs.releases import ReleaseRound, StandingMetric
from node.jobs.scheduler import ReleaseWorker
from node.state.database import StateDatabase
from node.state.log import LogStore
from privacy.definition import Definition, parse_definition
from privacy.rows import ATTRIBUTE_SLOTS
from protocol.entries import ABSTAIN, ParsedEntry
from protocol.kind_data import parse_abstain
from tests.conftest import ROOT
from tests.evidence.questions import COUNT, DAY, Question
from tests.fault.publishing_child import NODE_ID
from tests.fault.test_ledger import DAY as LEDGER_DAY
from tests.fault.test_ledger import digest, publisher
from tests.node_kit import HandClock
from tests.vault_kit import vault_at

QUESTION: Question = replace(COUNT, most=1)
CHEAP = QUESTION.definition(rho="1/80")
ELSEWHERE = parse_definition(
    {"metric": "m", "question": "?", "from": {"app": "unheard"}, "measure": "people", "by": {}, "window": "day",
     "privacy": {"max_cells": "1", "rho": "1/400"}}
)  # fmt: skip
LAPLACE = parse_definition(
    {"metric": "l", "question": "?", "from": "any", "measure": "people", "by": {}, "window": "day",
     "privacy": {"max_cells": "1", "mechanism": "laplace", "epsilon": "1/10"}}
)  # fmt: skip


class Counted(StateDatabase):
    """Counts transactions."""

    transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        self.transactions += 1
        with super().transaction() as connection:
            yield connection


def round_of(
    folder: Path, metrics: list[tuple[str, Definition]], node: Publisher, clock: HandClock, ahead: list[str]
) -> tuple[ReleaseRound, list[ParsedEntry]]:
    vault = vault_at(folder, now_hour=DAY.start_hour + 1, window_kinds=("day",))
    vault.admit_hour(DAY.start_hour, DAY.start_hour + 1, backfill=False)
    vault.append({DAY: QUESTION.rows(with_persons=True)}, ATTRIBUTE_SLOTS)
    held: list[ParsedEntry] = []
    work = ReleaseRound(
        vault=vault, publisher=node, counts_from=lambda: DAY.start_hour, plans_of=lambda _window: {1: QUESTION.plan()},
        metrics=[StandingMetric(name, digest(name), definition, 0, None) for name, definition in metrics],
        clock=clock, hold=held.extend, ahead=lambda: ahead.append("started"),
    )  # fmt: skip
    return work, held


def after(hours: int) -> HandClock:
    return HandClock(3600 * (DAY.end_hour + hours))


def slots_of(entries: list[ParsedEntry]) -> list[bytes]:
    return [bytes(parse_abstain(one.entry.data).definition) for one in entries if one.header.kind == ABSTAIN]


def test_neighbouring_abstentions_are_one_transaction_in_catalogue_order(tmp_path: Path) -> None:
    """Nine slots in three runs around two releases: the log reads as the catalogue does."""
    names = [("a", CHEAP) if n == 3 else (f"b{n}", CHEAP) if n == 7 else (f"x{n}", ELSEWHERE) for n in range(9)]
    database = Counted(tmp_path / "releases.db")
    work, held = round_of(tmp_path, names, publisher(database, tmp_path), after(30), [])
    database.transactions = 0
    assert work.run() == 9
    assert database.transactions == 5
    log = list(LogStore(database).replay(NODE_ID))
    assert [entry.id for entry in log] == [entry.id for entry in held]
    assert [entry.header.kind == ABSTAIN for entry in log] == [definition is ELSEWHERE for _, definition in names]
    assert slots_of(held) == [digest(name) for name, definition in names if definition is ELSEWHERE]
    assert work.run() == 0


def test_abstentions_are_on_disk_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of three cannot be signed: none is there, and the next round says all three."""
    names = [(f"x{n}", ELSEWHERE) for n in range(3)]
    database = StateDatabase(tmp_path / "releases.db")
    node = publisher(database, tmp_path)
    work, _ = round_of(tmp_path, names, node, after(30), [])
    sign, left = node._sign, [2]

    def fails(*arguments: object, **more: object) -> ParsedEntry:
        if not left:
            return sign(*arguments, **more)  # type: ignore[arg-type]  # as it was called
        left[0] -= 1
        if left[0] < 0:
            left.clear()
            raise RuntimeError("dead")
        return sign(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(node, "_sign", fails)
    with pytest.raises(RuntimeError):
        work.run()
    assert list(LogStore(database).replay(NODE_ID)) == []
    assert node.answered() == set()
    assert work.run() == 3
    assert len(list(LogStore(database).replay(NODE_ID))) == 3


DIES = """
import os, signal, sys, types
from pathlib import Path
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [sys.argv[3]]
from node.state.database import StateDatabase
from tests.fault.test_ledger import DAY, digest, publisher
folder = Path(sys.argv[1])
kill = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == sys.argv[2] else None
node = publisher(StateDatabase(folder / "releases.db"), folder, checkpoint=kill)
node.abstain_all(DAY, [(digest(str(n)), "not_in_plan") for n in range(3)])
"""


@pytest.mark.parametrize(("step", "said"), [("commit abstentions", 0), ("never", 3)])
def test_a_kill_before_the_commit_leaves_no_abstention(tmp_path: Path, step: str, said: int) -> None:
    """And the next process says all three, in one chain."""
    command = [sys.executable, "-P", "-c", DIES, str(tmp_path), step, str(ROOT / "tests")]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == (0 if said else -9)
    database = StateDatabase(tmp_path / "releases.db")
    assert len(list(LogStore(database).replay(NODE_ID))) == said
    node = publisher(database, tmp_path)
    node.abstain_all(LEDGER_DAY, [(digest(str(n)), "not_in_plan") for n in range(3)])
    log = list(LogStore(database).replay(NODE_ID))
    assert [entry.header.seq for entry in log] == [0, 1, 2]
    assert [entry.header.prev for entry in log[1:]] == [entry.id for entry in log[:-1]]


def test_a_slot_that_was_answered_meanwhile_is_left_out(tmp_path: Path) -> None:
    """Asked again, an abstention is not said twice."""
    node = publisher(StateDatabase(tmp_path / "releases.db"), tmp_path)
    assert len(node.abstain_all(DAY, [(digest("a"), "not_in_plan")])) == 1
    again = node.abstain_all(DAY, [(digest("a"), "not_in_plan"), (digest("b"), "not_in_plan")])
    assert slots_of(again) == [digest("b")]
    assert node.abstain_all(DAY, []) == []


@pytest.mark.parametrize(
    ("definition", "hours", "starts"), [(LAPLACE, 30, True), (LAPLACE, 10, False), (CHEAP, 30, False)]
)
def test_what_draws_laplace_noise_is_started_before_its_tick(
    tmp_path: Path, definition: Definition, hours: int, starts: bool
) -> None:
    """For a window that closes at that tick, and only for a metric that needs it."""
    clock, ahead = after(hours), []
    work, _ = round_of(
        tmp_path, [("one", definition)], publisher(StateDatabase(tmp_path / "releases.db"), tmp_path), clock, ahead
    )
    work.prepare(clock.now_ms() / 1000)
    assert bool(ahead) == starts


def test_a_worker_prepares_for_each_tick_before_it() -> None:
    """In this order; and a preparation that fails costs no round."""
    told: list[str] = []

    def ahead(_tick_s: float) -> None:
        told.append("ahead")
        raise OSError

    def work(_should_stop: object) -> int:
        told.append("work")
        if told.count("work") == 2:
            worker._stop.set()
        return 0

    from node.clock import SystemClock

    worker = ReleaseWorker(tick_s=1, clock=SystemClock(), work=work, on_fatal=lambda _error: None, ahead=ahead)
    worker.start()
    worker._thread.join(20)
    assert told == ["ahead", "work", "ahead", "work"]


def test_a_clock_that_stands_still_makes_no_tick_longer() -> None:
    """Preparing takes its seconds out of the wait, whatever the clock says of them."""
    waits: list[float] = []
    worker = ReleaseWorker(tick_s=300, clock=HandClock(100), work=lambda _stop: 0, on_fatal=lambda _error: None)
    worker._stop.wait = lambda timeout=None: bool(waits.append(timeout or 0.0))  # type: ignore[func-returns-value,method-assign]
    assert worker._waited()
    assert waits == [196.0, 4.0]
