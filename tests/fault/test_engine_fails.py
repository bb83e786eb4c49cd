"""DuckDB fails in the middle of a release: nothing is charged, nothing leaves, it says so, and the next try works.

A real engine over 4,000 rows: its query raises at a row it reaches late, is interrupted by another thread while it
runs, or runs out of memory. What it says holds no value of a row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.errors import StorageError
from node.jobs.publishing import Publisher
from node.jobs.releases import ReleaseRound, StandingMetric
from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from node.vault import engine as engines
from node.vault.engine import EngineLimits, WindowEngine, run_window
from privacy.bounding import Binding
from privacy.ledger import Charge
from privacy.rows import ATTRIBUTE_SLOTS, Row
from protocol.entries import ParsedEntry
from tests.evidence.auditor import as_table
from tests.evidence.questions import COUNT, DAY, Question
from tests.fault.publishing_child import CAP
from tests.fault.test_ledger import digest, kinds, publisher
from tests.node_kit import HandClock
from tests.vault_kit import vault_at

QUESTION: Question = replace(COUNT, most=16)  # 256 trials, fifteen rows a person
CHEAP = QUESTION.definition(rho="1/80")
LAST = 1 + 255 * 64  # the pseudonym of the last person


def rows() -> list[Row]:
    return QUESTION.rows(with_persons=True)


class Failing:
    """An engine whose first query goes wrong in a way given."""

    def __init__(self, engine: WindowEngine, fault: Callable[[WindowEngine, Binding, bytes], list[int]]) -> None:
        self._engine = engine
        self._fault: Callable[[WindowEngine, Binding, bytes], list[int]] | None = fault

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        fault, self._fault = self._fault, None
        return self._engine.vector(binding, salt) if fault is None else fault(self._engine, binding, salt)


def raising(engine: WindowEngine, binding: Binding, salt: bytes) -> list[int]:
    """The query meets a row that it cannot read, after the others; the message would quote its person."""
    return engine.vector(spoiled(binding), salt)


def spoiled(binding: Binding) -> Binding:
    bad = f"SELECT * REPLACE (CASE WHEN person = {LAST} THEN error('person ' || person) ELSE person END AS person)"
    return replace(binding, amounts=f"{bad} FROM ({binding.amounts})")


def interrupted(engine: WindowEngine, binding: Binding, salt: bytes) -> list[int]:
    """Another thread stops the query while it runs; it is made to run for long."""
    timer = threading.Timer(0.3, engine._connection.interrupt)
    timer.start()
    endless = "SELECT a.* FROM ({0}) a, range(100000000) b WHERE sha256(b.range::VARCHAR) = 'x'"
    try:
        return engine.vector(replace(binding, amounts=endless.format(binding.amounts)), salt)
    finally:
        timer.cancel()
        timer.join()


def starved(engine: WindowEngine, binding: Binding, salt: bytes) -> list[int]:
    """The query needs more memory than there is, with kept cells and without: millions of rows to sort in 50 MB."""
    huge = f"SELECT a.* FROM ({binding.amounts}) a, range(20000) b ORDER BY sha256((b.range + a.person)::VARCHAR)"
    return engine.vector(replace(binding, amounts=huge, sql=f"WITH pieces AS ({huge}), {binding.selection}"), salt)


FAULTS = {"raising": (raising, "engine"), "interrupted": (interrupted, "engine"), "starved": (starved, "engine_memory")}


def release(node: Publisher, name: str, source: Failing) -> ParsedEntry | None:
    return node.answer(digest(name), CHEAP, DAY, {1: QUESTION.plan()}, source)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_fails_midway_spends_nothing_and_says_so(fault: str, tmp_path: Path) -> None:
    """No entry, no charge, the reservation kept, no value of a row told; the same engine then releases the slot."""
    database = StateDatabase(tmp_path / "state.db")
    cost = Charge(12_500_000)
    with database.transaction() as connection:
        LedgerStore(database).reserve(connection, DAY, CAP, [(digest("a"), DAY, cost)])
    node = publisher(database, tmp_path)
    fails, code = FAULTS[fault]
    with run_window(as_table(rows()), DAY, EngineLimits(memory_mb=50)) as engine:
        source = Failing(engine, fails)
        with pytest.raises(StorageError, match="Nothing was released or charged") as caught:
            release(node, "a", source)
        assert caught.value.code == code
        assert str(LAST) not in str(caught.value)
        assert caught.value.__suppress_context__
        assert kinds(database) == []
        assert node.answered() == set()
        [line] = LedgerStore(database).lines()
        assert (line.charged, line.reserved) == (Charge(0), cost)
        assert release(node, "a", source) is not None, "the next tick releases it"
    [line] = LedgerStore(database).lines()
    assert (line.charged, line.reserved) == (cost, Charge(0))
    assert len(kinds(database)) == 1


# ── a round ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The release worker's engine, which fails once, at the first vector that holds the last person."""
    failed: list[str] = []
    honest = WindowEngine.vector

    def vector(self: WindowEngine, binding: Binding, salt: bytes) -> list[int]:
        if not failed:
            try:
                honest(self, spoiled(binding), salt)
            except StorageError as error:
                failed.append(error.code)
                raise
        return honest(self, binding, salt)

    monkeypatch.setattr(engines.WindowEngine, "vector", vector)
    return failed


def test_a_metric_at_which_the_engine_fails_holds_up_no_other(tmp_path: Path, faulty: list[str]) -> None:
    """The first of two fails: the second is released in the same round, the first in the next; the fault is told."""
    vault = vault_at(tmp_path, now_hour=DAY.start_hour + 1, window_kinds=("day",))
    vault.admit_hour(DAY.start_hour, DAY.start_hour + 1, backfill=False)
    vault.append({DAY: rows()}, ATTRIBUTE_SLOTS)
    node = publisher(StateDatabase(tmp_path / "state.db"), tmp_path)
    held: list[ParsedEntry] = []
    metrics = [StandingMetric(name, digest(name), CHEAP, 0, None) for name in ("one", "two")]
    work = ReleaseRound(
        vault=vault, publisher=node, metrics=metrics, counts_from=lambda: 0,
        plans_of=lambda _window: {1: QUESTION.plan()},
        clock=HandClock(3600 * (DAY.end_hour + 30)), hold=held.extend,
    )  # fmt: skip
    with pytest.raises(StorageError) as caught:
        work.run()
    assert [caught.value.code] == faulty == ["engine"]
    assert {slot for slot in node.answered() if slot[1] == DAY.text} == {(digest("two"), DAY.text)}
    assert len(held) == len(node.answered())
    assert work.run() == 1
    assert {slot for slot in node.answered() if slot[1] == DAY.text} == {
        (digest("one"), DAY.text),
        (digest("two"), DAY.text),
    }
