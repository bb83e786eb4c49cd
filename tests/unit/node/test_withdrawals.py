"""What was withdrawn is held in order, sealed, within bounds; what cannot be read stops the node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import StorageError
from node.state.database import StateDatabase
from node.vault import withdrawals
from node.vault.withdrawals import TooManyWithdrawals, Withdrawals
from privacy.withdrawal import EVERYTHING, NOTHING, after, is_against

TODAY, YESTERDAY = "2026-11-20/P1D", "2026-11-19/P1D"
KEYS = {TODAY: b"t" * 32, YESTERDAY: b"y" * 32}
ANALYTICS, ALL = frozenset({"analytics"}), frozenset({EVERYTHING})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[StateDatabase]:
    opened = StateDatabase(tmp_path / "state.db")
    with opened.transaction() as connection:
        for number, epoch in enumerate(KEYS):
            connection.execute(
                "INSERT INTO epochs (epoch, length, start_hour, end_hour, cap_rho_nano, cap_delta_atto, backfill,"
                " keyless, created_at) VALUES (?, 'day', ?, ?, 0, 0, 0, 0, 0)",
                (epoch, 24 * number, 24 * number + 24),
            )
    yield opened
    opened.close()


def held(database: StateDatabase) -> Withdrawals:
    made = Withdrawals(database, KEYS.__getitem__, os.urandom)
    made.recover(KEYS)
    return made


def test_what_is_held_survives_and_follows_the_order_it_was_said_in(database: StateDatabase) -> None:
    mine = held(database)
    mine.add({TODAY: [(7, ANALYTICS), (8, ANALYTICS)], YESTERDAY: [(9, ANALYTICS)]}, is_given=False, is_public=False)
    mine.add({TODAY: [(7, ALL)]}, is_given=False, is_public=True)
    mine.add({TODAY: [(7, ANALYTICS), (8, ANALYTICS)]}, is_given=True, is_public=False)
    for known in (mine, held(database)):
        assert dict(known.of(TODAY)) == {7: ALL}
        assert dict(known.of(YESTERDAY)) == {9: ANALYTICS}
    before = database.query("SELECT count(*) FROM withdrawals")
    mine.add({TODAY: [(7, ALL)]}, is_given=False, is_public=False)  # said again: nothing is written
    assert database.query("SELECT count(*) FROM withdrawals") == before


def test_the_records_of_an_epoch_without_a_key_go(database: StateDatabase) -> None:
    held(database).add({TODAY: [(7, ANALYTICS)], YESTERDAY: [(9, ANALYTICS)]}, is_given=False, is_public=False)
    made = Withdrawals(database, KEYS.__getitem__, os.urandom)
    made.recover([TODAY])
    assert database.query("SELECT DISTINCT epoch FROM withdrawals") == [(TODAY,)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE withdrawals SET sealed = CAST(substr(sealed, 1, 20) || x'00' || substr(sealed, 22) AS BLOB)",
        "UPDATE withdrawals SET sealed = x'00'",
        f"UPDATE withdrawals SET epoch = '{YESTERDAY}'",
    ],
    ids=["flipped", "cut", "moved"],
)
def test_a_record_that_does_not_open_stops_the_start(database: StateDatabase, damage: str) -> None:
    held(database).add({TODAY: [(7, ANALYTICS)]}, is_given=False, is_public=False)
    with database.transaction() as connection:
        connection.execute(damage)
    with pytest.raises(StorageError, match="nobody knows who withdrew"):
        held(database)


def test_browser_keys_cannot_fill_what_servers_need(database: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawals, "MAX_PUBLIC", 2)
    monkeypatch.setattr(withdrawals, "MAX_KNOWN", 4)
    mine = held(database)
    mine.add({TODAY: [(1, ALL), (2, ALL)]}, is_given=False, is_public=True)
    with pytest.raises(TooManyWithdrawals):
        mine.add({TODAY: [(3, ALL)]}, is_given=False, is_public=True)
    mine.add({TODAY: [(3, ALL), (4, ALL)]}, is_given=False, is_public=False)
    with pytest.raises(TooManyWithdrawals):
        mine.add({TODAY: [(5, ALL)], YESTERDAY: [(5, ALL)]}, is_given=False, is_public=False)
    assert [dict(known.of(YESTERDAY)) for known in (mine, held(database))] == [{}, {}]  # all of it, or nothing
    mine.add({TODAY: [(1, ALL)]}, is_given=True, is_public=False)
    mine.add({TODAY: [(5, ALL)]}, is_given=False, is_public=False)


names = st.frozensets(st.sampled_from(["a", "b", EVERYTHING]), min_size=1)


@given(st.lists(st.tuples(names, st.booleans()), max_size=8))
def test_nothing_but_being_given_again_takes_a_withdrawal_back(said: list[tuple[frozenset[str], bool]]) -> None:
    known = NOTHING
    for purposes, is_given in said:
        before, known = known, after(known, purposes, is_given=is_given)
        assert is_given or known == before | purposes
        assert not is_given or (known < before or not before & purposes or known == NOTHING)
        assert is_against(known, None) == (EVERYTHING in known)
    last = {name: is_given for purposes, is_given in said for name in purposes}
    if EVERYTHING not in last:
        assert known == {name for name, is_given in last.items() if not is_given}
