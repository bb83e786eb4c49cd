"""I7: for every epoch the charges cover what was released and never pass the cap, whatever races, crashes or jumps."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from node.clock import Clock
from node.jobs.publishing import Identity, Publisher
from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from node.state.log import LogStore
from privacy.definition import parse_definition
from privacy.errors import NoiseUnavailable
from privacy.ledger import Balance, Charge, nano_rho_of_cap
from privacy.units import Window
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry
from protocol.ids import DefinitionHash, FederationId
from protocol.keys import SigningKey
from protocol.kind_data import parse_abstain
from protocol.summaries import parse_summary
from tests.fault.publishing_child import CAP, NODE_ID, PLANS, WINDOWS, FixedRows, definition_tree

DAY = WINDOWS[0]
EPOCH = DAY.text
PRICE = Charge(10_000_000)  # ρ = 1/100; the cap of 1/40 has room for two


class JumpingClock(Clock):
    """A wall clock that never says the same time twice, and mostly a wrong one."""

    def __init__(self, times_ms: Iterable[int] = (0, 2**52, 1_793_750_000_000, 1)) -> None:
        self._times_ms = itertools.cycle(times_ms)

    def now_ms(self) -> int:
        return next(self._times_ms)

    def monotonic_s(self) -> float:
        return 0.0


def publisher(database: StateDatabase, folder: Path, **changes: object) -> Publisher:
    identity = Identity(NODE_ID, FederationId(b"f" * 32), SigningKey(b"s" * 32), 1)
    options = {
        "database": database, "logs": LogStore(database), "identity": identity, "anchor": folder / "anchor",
        "epoch_length": "day", "cap_of": lambda _epoch: CAP, "clock": JumpingClock(), "rng": lambda size: bytes(size),
    }  # fmt: skip
    return Publisher(**{**options, **changes})  # type: ignore[arg-type]  # a test's own mixture


def digest(name: str) -> DefinitionHash:
    return DefinitionHash(hashlib.sha256(name.encode()).digest())


def answer(one: Publisher, name: str, window: Window = DAY, rho: str = "1/100") -> ParsedEntry | None:
    return one.answer(digest(name), parse_definition(definition_tree(name, rho)), window, PLANS, FixedRows())


def kinds(database: StateDatabase) -> list[str]:
    return [entry.header.kind for entry in LogStore(database).replay(NODE_ID)]


@pytest.fixture
def database(tmp_path: Path) -> StateDatabase:
    return StateDatabase(tmp_path / "state.db")


def charged(database: StateDatabase, epoch: str = EPOCH) -> Charge:
    lines = {line.epoch.text: line.charged for line in LedgerStore(database).lines()}
    return lines.get(epoch, Charge(0))


def reserve(database: StateDatabase, *names: str, cap: Balance = CAP) -> int:
    with database.transaction() as connection:
        return LedgerStore(database).reserve(connection, DAY, cap, [(digest(name), DAY, PRICE) for name in names])


def test_room_kept_for_a_standing_metric_is_taken_by_no_other(database: StateDatabase, tmp_path: Path) -> None:
    """Two slots fill the cap; a third, asked first, is refused, and the two are released as promised."""
    assert reserve(database, "a", "b") == 0
    assert reserve(database, "c") == 1, "there is no room for a third"
    node = publisher(database, tmp_path)
    for name in ("ad-hoc", "b", "a"):
        answer(node, name)
    assert kinds(database) == [ABSTAIN, SUMMARY, SUMMARY]
    assert charged(database) == PRICE + PRICE
    assert [line.reserved for line in LedgerStore(database).lines()] == [Charge(0)]


def test_an_abstention_gives_its_room_back(database: StateDatabase, tmp_path: Path) -> None:
    """The kept slot cannot be answered (its rows are gone); the next request finds the room."""
    reserve(database, "a", "b")
    node = publisher(database, tmp_path)
    node.answer(digest("a"), parse_definition(definition_tree("a", "1/100")), DAY, PLANS, None)
    answer(node, "ad-hoc")
    assert kinds(database) == [ABSTAIN, SUMMARY]


def test_a_refusal_reaches_the_operator_in_four_parts(database: StateDatabase, tmp_path: Path) -> None:
    node = publisher(database, tmp_path)
    for name in ("a", "b", "c"):
        answer(node, name)
    [refused] = LedgerStore(database).refusals()
    assert (refused.definition, refused.window) == (digest("c"), DAY.text)
    assert refused.rule == f"rho of {EPOCH}"
    assert refused.deficit == 5_000_000
    assert refused.returns == "with the epoch 2026-11-02/P1D"
    assert refused.nearest == "rho 1/200"
    abstain = parse_abstain(list(LogStore(database).replay(NODE_ID))[-1].entry.data)
    assert abstain.reason == "budget", "others learn the reason and no figure"


def test_of_two_requests_for_the_last_budget_exactly_one_wins(tmp_path: Path) -> None:
    """Two connections, two threads, held at the last moment before their transactions; ten races."""
    for race in range(10):
        folder = tmp_path / str(race)
        folder.mkdir()
        first = StateDatabase(folder / "state.db")
        answer(publisher(first, folder), "before")
        gate = threading.Barrier(2)

        def run(name: str, folder: Path = folder, gate: threading.Barrier = gate) -> None:
            own = StateDatabase(folder / "state.db")
            held = publisher(own, folder, checkpoint=lambda step: gate.wait() if step == "begin" else None)
            answer(held, name)
            own.close()

        threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "other")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(kinds(first)) == [ABSTAIN, SUMMARY, SUMMARY]
        assert charged(first) == PRICE + PRICE
        first.close()


def test_a_clock_that_jumps_moves_no_charge(database: StateDatabase, tmp_path: Path) -> None:
    """Each window pays its own epoch, in any order, at any claimed time; a year passes and nothing returns."""
    for times in ((0,), (2**52,), (1_793_750_000_000, 5)):
        node = publisher(database, tmp_path, clock=JumpingClock(times))
        for window in reversed(WINDOWS):
            answer(node, f"m{times[0]}", window)
    for window in WINDOWS:
        assert charged(database, window.text) == PRICE + PRICE, "two fit, the third was refused, whatever the time"


def test_a_lowered_cap_stops_releases_and_a_raised_one_brings_nothing(database: StateDatabase, tmp_path: Path) -> None:
    """The vault gives the stricter of the epoch's first cap and today's; what is charged stays."""
    answer(publisher(database, tmp_path), "a")
    low = Balance(nano_rho_of_cap(Fraction(1, 200)), 0)
    answer(publisher(database, tmp_path, cap_of=lambda _epoch: low), "b")
    assert kinds(database) == [SUMMARY, ABSTAIN]
    assert charged(database) == PRICE


def test_a_release_without_noise_spends_nothing_and_says_so(database: StateDatabase, tmp_path: Path) -> None:
    """The source of randomness fails: no entry, no charge, the slot stays open and the reservation kept."""
    reserve(database, "a")
    node = publisher(database, tmp_path, rng=lambda size: bytes(max(0, size - 1)))
    with pytest.raises(NoiseUnavailable, match="nothing was released or charged"):
        answer(node, "a")
    assert kinds(database) == []
    [line] = LedgerStore(database).lines()
    assert (line.charged, line.reserved) == (Charge(0), PRICE)
    assert node.answered() == set()
    assert answer(publisher(database, tmp_path), "a") is not None, "the next tick releases it"


def test_a_table_that_forgot_is_raised_to_the_log(database: StateDatabase, tmp_path: Path) -> None:
    """Charges and slots lost: the fold of the own log brings back both, once, and nothing is released again."""
    node = publisher(database, tmp_path)
    for name in ("a", "b", "c"):
        answer(node, name)
    before = (charged(database), node.answered())
    with database.transaction() as connection:
        connection.execute("DELETE FROM charges")
        connection.execute("DELETE FROM slots")
    ledger = LedgerStore(database)
    assert ledger.reconcile(LogStore(database).replay(NODE_ID)) == [EPOCH]
    assert (charged(database), publisher(database, tmp_path).answered()) == before
    assert ledger.reconcile(LogStore(database).replay(NODE_ID)) == [], "a second time there is nothing to raise"
    assert answer(publisher(database, tmp_path), "a") is None


def test_a_total_that_no_summary_explains_is_charged(database: StateDatabase, tmp_path: Path) -> None:
    """The log of an earlier life states more than its summaries charge; the difference counts, new charges on top."""
    answer(publisher(database, tmp_path), "a")
    with database.transaction() as connection:  # a private choice that only the ledger knew
        connection.execute("INSERT INTO charges VALUES (?, x'01', '', 3000000, 7, x'')", (EPOCH,))
    roomy = Balance(10**9, 10**12)
    answer(publisher(database, tmp_path, cap_of=lambda _epoch: roomy), "b")
    stated = parse_summary(list(LogStore(database).replay(NODE_ID))[-1].entry.data, NODE_ID).total[0]
    assert (stated.rho_nano, stated.delta_atto) == (23_000_000, 7)
    with database.transaction() as connection:
        connection.execute("DELETE FROM charges")
        connection.execute("DELETE FROM slots")
    LedgerStore(database).reconcile(LogStore(database).replay(NODE_ID))
    assert charged(database) == Charge(23_000_000, 7)
    answer(publisher(database, tmp_path, cap_of=lambda _epoch: roomy), "c")
    assert charged(database) == Charge(33_000_000, 7), "the maximum is taken once, at the start, and then added to"


def test_what_only_the_table_knows_stays_charged(database: StateDatabase, tmp_path: Path) -> None:
    answer(publisher(database, tmp_path), "a")
    with database.transaction() as connection:
        connection.execute("INSERT INTO charges VALUES (?, x'01', '', 15000000, 0, x'')", (EPOCH,))
    assert LedgerStore(database).reconcile(LogStore(database).replay(NODE_ID)) == []
    assert charged(database) == Charge(25_000_000)
    answer(publisher(database, tmp_path), "b")
    assert kinds(database) == [SUMMARY, ABSTAIN]


def test_reserving_follows_the_catalogue_and_is_bound_by_the_cap(database: StateDatabase) -> None:
    """In the order given; what is reserved or charged already is passed over; a cap of zero keeps nothing."""
    assert reserve(database, "a") == 0
    assert reserve(database, "a", "b", "c", "d") == 2
    names = {definition for (definition,) in database.query("SELECT definition FROM reservations")}
    assert names == {digest("a"), digest("b")}
    with database.transaction() as connection:
        connection.execute("DELETE FROM reservations")
    assert reserve(database, "a", cap=Balance(0, 0)) == 1
