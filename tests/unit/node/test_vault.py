"""The vault: who may write when, what a window holds, when windows close and keys go."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from node.errors import ConfigError, RejectedInput, StorageError
from node.vault.calendar import EpochAccess, Refusal
from node.vault.segments import SegmentDamaged
from node.vault.vault import EpochClosed, Vault
from privacy.rows import ROW_COLUMNS, ROW_NAMES
from privacy.units import Window, epoch_of
from tests.vault_kit import HISTORY, NOW, TODAY, Faults, full, rows_in, rows_of, vault_at

HOUR_S = 3600
DAY = 24


def now_s(hours: int = 0) -> int:
    return (NOW + hours) * HOUR_S


def day(offset: int) -> Window:
    """The day `offset` days from the day the tests play on."""
    return Window("day", TODAY.start_hour + offset * DAY)


def admitted(vault: Vault, hour: int, now_hour: int = NOW, *, backfill: bool = False) -> str:
    """ "ok" or the code of the refusal."""
    answer = vault.admit_hour(hour, now_hour, backfill=backfill)
    return answer.code if isinstance(answer, Refusal) else "ok"


def stored(vault: Vault, hour: int, count: int = 3, *, backfill: bool = False, now_hour: int = NOW) -> list[Any]:
    """Admit the hour, append rows of it, and say which (as wide as all columns)."""
    with vault.gate:
        answer = vault.admit_hour(hour, now_hour, backfill=backfill)
        assert isinstance(answer, EpochAccess)
        rows = rows_of(count, hour, seed=hour)
        vault.append({answer.epoch: rows}, 4)
    return [full(row) for row in rows]


def same(found: Any, rows: list[Any]) -> bool:
    return sorted(rows_in(found), key=repr) == sorted(rows, key=repr)


# ── who may write ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, "ok"),
        (1, "ok"),
        (2, "timestamp_out_of_range"),
        (10**7, "timestamp_out_of_range"),
        (-8, "ok"),  # midnight
        (-32, "ok"),  # the first hour of yesterday
        (-33, "late"),  # its day would have closed before this node began
        (-48, "late"),
        (-49, "timestamp_out_of_range"),
        (-NOW, "timestamp_out_of_range"),
        (-NOW - 1, "timestamp_out_of_range"),
    ],
)
def test_a_normal_key_writes_two_days_back_and_one_hour_ahead(tmp_path: Path, offset: int, expected: str) -> None:
    """At the first start at 08:00."""
    assert admitted(vault_at(tmp_path), NOW + offset) == expected


@pytest.mark.parametrize(
    ("offset", "backfill", "expected"),
    [
        (HISTORY - NOW, True, "ok"),
        (HISTORY - NOW - 1, True, "timestamp_out_of_range"),
        (HISTORY - NOW, False, "timestamp_out_of_range"),
        (-33, True, "ok"),  # the last hour of D−2 is history
        (-33, False, "ok"),  # and recent
        (-49, False, "timestamp_out_of_range"),
        (0, True, "ok"),
        (2, True, "timestamp_out_of_range"),
    ],
)
def test_a_backfill_key_writes_history_from_its_first_day(
    tmp_path: Path, offset: int, backfill: bool, expected: str
) -> None:
    """`[backfill] from` = D−15 reaches D−2; what is newer is live for every key."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    assert admitted(vault, NOW + offset, backfill=backfill) == expected


def test_pseudonym_keys_differ_by_epoch_and_survive_a_restart(tmp_path: Path) -> None:
    """One person, two days, two pseudonyms; and the answer never shows the key."""
    vault = vault_at(tmp_path)
    today, yesterday = (vault.admit_hour(NOW - offset, NOW, backfill=False) for offset in (0, DAY))
    assert isinstance(today, EpochAccess)
    assert isinstance(yesterday, EpochAccess)
    assert today.pseudonym_key != yesterday.pseudonym_key
    assert (today.epoch, yesterday.epoch) == (day(0), day(-1))
    assert today.pseudonym_key.hex() not in repr(today)
    assert repr(today.pseudonym_key) not in repr(today)
    vault.close()
    assert vault_at(tmp_path).admit_hour(NOW, NOW, backfill=False) == today


def test_an_epoch_gets_its_caps_when_its_keys_are_made(tmp_path: Path) -> None:
    """Once, and they stay when the configured caps change later."""
    asked: list[Window] = []

    def caps(epoch: Window) -> tuple[int, int]:
        asked.append(epoch)
        return 25_000_000 - len(asked), 10**10

    vault = vault_at(tmp_path, caps=caps)
    for hour in (NOW, NOW - 1, NOW):
        assert admitted(vault, hour) == "ok"
    assert asked == [day(0)]
    record = vault_at(tmp_path, caps=lambda epoch: (1, 1)).epoch_record(day(0))
    assert record is not None
    assert (record.cap_rho_nano, record.cap_delta_atto, record.is_backfill) == (24_999_999, 10**10, False)


def test_a_release_in_its_transaction_waits_for_nobody_who_begins_an_epoch(tmp_path: Path) -> None:
    """Gate before database is the order of locks; what a transaction asks of the vault takes none."""
    vault, answers = vault_at(tmp_path), list[object]()
    epoch = epoch_of("day", NOW)
    vault.admit_hour(NOW, NOW, backfill=False)
    with vault.gate:
        asking = threading.Thread(target=lambda: answers.append(vault.epoch_record(epoch)), daemon=True)
        asking.start()
        asking.join(10)
    assert len(answers) == 1
    assert answers[0] is not None


def test_an_hour_is_late_once_all_its_windows_have_closed(tmp_path: Path) -> None:
    """A closed hour window alone does not shut out the day; windows no epoch can hold do not count."""
    vault = vault_at(tmp_path, window_kinds=("hour", "day", "month"))
    hour = NOW - DAY
    vault.close_window(Window("hour", hour), now_s())
    assert admitted(vault, hour) == "ok"
    vault.close_window(day(-1), now_s())
    assert admitted(vault, hour) == "late"
    assert admitted(vault, hour + 1) == "ok"  # its own hour window is open
    vault.set_window_kinds(["day"])
    assert admitted(vault, hour + 1) == "late"
    assert admitted(vault_at(tmp_path), hour) == "late"  # a restart remembers


def test_an_epoch_over_by_its_grace_is_closed(tmp_path: Path) -> None:
    """Even before its key is destroyed, and for ever after."""
    vault = vault_at(tmp_path, window_kinds=())
    stored(vault, NOW)
    end = day(0).end_hour
    assert admitted(vault, NOW + 15, end + 31) == "ok"  # 23:00, 32 hours ago
    assert admitted(vault, end - 1, end + 47) == "ok"
    assert admitted(vault, end - 1, end + 48) == "epoch_closed"
    assert vault.destroy_due_keys((end + 48) * HOUR_S) == [(day(0), "pseudonym")]
    assert admitted(vault, end - 1, end - 1) == "epoch_closed"  # a clock set back brings nothing back
    assert admitted(vault_at(tmp_path), end - 1, end - 1) == "epoch_closed"


def test_append_refuses_an_epoch_that_was_not_admitted(tmp_path: Path) -> None:
    """Nothing is written."""
    vault = vault_at(tmp_path)
    with pytest.raises(StorageError) as caught:
        vault.append({day(0): rows_of(1)}, 4)
    assert caught.value.code == "epoch_closed"
    assert not (tmp_path / "segments").exists()


# ── what a window holds ──────────────────────────────────────────────────────────────────────────────────


def test_a_window_holds_its_hours_and_all_columns(tmp_path: Path) -> None:
    """Rows of two days and three hours, appended together and apart; slots no plan has are null."""
    vault = vault_at(tmp_path)
    first = stored(vault, NOW)
    second = stored(vault, NOW - 1)
    before = stored(vault, NOW - DAY)
    assert same(vault.read(day(0)), first + second)
    assert same(vault.read(Window("hour", NOW - 1)), second)
    assert same(vault.read(Window("hour", NOW - 2)), [])
    assert same(vault.read(day(-1)), before)
    assert same(vault.read(day(-9)), [])
    assert same(vault.read(Window.containing("week", NOW)), first + second + before)
    assert tuple(vault.read(day(0)).column_names) == ROW_NAMES
    types = [str(field.type).replace("uint", "u").replace("int", "i") for field in vault.read(day(0)).schema]
    assert types == [column.type for column in ROW_COLUMNS]


def test_a_month_epoch_is_cut_to_the_window(tmp_path: Path) -> None:
    """One epoch, many windows: each reads its own hours, whatever was read before."""
    vault = vault_at(tmp_path, length="month", window_kinds=("day", "month"))
    first, second = stored(vault, NOW), stored(vault, NOW - DAY)
    for window, rows in ((day(0), first), (day(-1), second), (day(0), first), (day(-3), [])):
        assert same(vault.read(window), rows)
    third = stored(vault, NOW)
    assert same(vault.read(day(0)), first + third)  # rows kept from an earlier read are not stale
    assert same(vault.read(Window.containing("month", NOW)), first + second + third)
    vault.drop_cache()
    assert same(vault.read(day(0)), first + third)


def test_rows_survive_restart_rotation_and_a_new_plan(tmp_path: Path) -> None:
    """Small segments, more epochs than may be open, and plans of different width, over three lives."""
    wanted: dict[Window, list[Any]] = {}
    for life in range(3):
        vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
        shelf = vault._shelf
        shelf._rotate_bytes, shelf._max_open = 3000, 2
        for turn in range(6):
            groups = {}
            for offset in range(5):
                hour = HISTORY + offset * DAY
                access = vault.admit_hour(hour, NOW, backfill=True)
                assert isinstance(access, EpochAccess)
                slots = 4 if turn % 3 else 6
                rows = [full(row)[: 12 + slots] for row in rows_of(5, hour, seed=life * 100 + turn * 10 + offset)]
                groups[access.epoch] = rows
                wanted.setdefault(access.epoch, []).extend(full(row) for row in rows)
            vault.append(groups, slots)
            assert len(shelf._writers) <= 2
        if life:
            vault.close()
    vault = vault_at(tmp_path)
    for epoch, rows in wanted.items():
        assert same(vault.read(epoch), rows)


def test_a_bad_row_costs_nothing_but_itself(tmp_path: Path) -> None:
    """A row that does not fit is refused before anything is written, in any epoch of the group."""
    vault = vault_at(tmp_path)
    good = stored(vault, NOW)
    vault.admit_hour(NOW - DAY, NOW, backfill=False)
    bad = (*rows_of(1)[0][:6], 65_536, *rows_of(1)[0][7:])
    with pytest.raises(ValueError):
        vault.append({day(-1): rows_of(2), day(0): [bad]}, 4)
    assert same(vault.read(day(0)), good)
    assert same(vault.read(day(-1)), [])
    more = stored(vault, NOW - 1)
    assert same(vault.read(day(0)), good + more)


def test_damage_in_an_epoch_names_the_segment(tmp_path: Path) -> None:
    """A flipped byte in a stored frame stops the read; nothing is skipped."""
    vault = vault_at(tmp_path)
    stored(vault, NOW)
    vault.close()
    (path,) = (tmp_path / "segments").rglob("*.seg")
    content = bytearray(path.read_bytes())
    content[-60] ^= 1
    path.write_bytes(content)
    with pytest.raises(SegmentDamaged, match=path.stem):
        vault_at(tmp_path).read(day(0))


def test_an_append_is_synced_before_it_returns(tmp_path: Path) -> None:
    """One sync for each epoch of the group, after its write and before the return."""
    faults = Faults()
    vault = vault_at(tmp_path, disk=faults.disk)
    for hour in (NOW, NOW - DAY):
        stored(vault, hour)
    faults.points.clear()
    synced = faults.synced
    vault.append({day(0): rows_of(2), day(-1): rows_of(2)}, 4)
    assert [point.split(":")[0] for point in faults.points] == ["write", "write", "sync", "sync"]
    assert {point.split(":")[1] for point in faults.points[2:]} == {
        path.name for path in (tmp_path / "segments").rglob("*.seg")
    }
    assert faults.synced - synced == 2


def test_readers_and_writers_share_the_vault(tmp_path: Path) -> None:
    """While one thread appends, what another reads is always whole groups."""
    vault = vault_at(tmp_path)
    stored(vault, NOW, 7)
    done = threading.Event()
    failures: list[int] = []

    def look() -> None:
        while not done.is_set():
            if vault.read(day(0)).num_rows % 7:
                failures.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(60):
        stored(vault, NOW, 7)
    done.set()
    reader.join()
    assert failures == []
    assert vault.read(day(0)).num_rows == 61 * 7


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────


def test_live_windows_are_due_after_close_after_and_only_once(tmp_path: Path) -> None:
    """Hours 2 hours after their end, days 24; from yesterday on; never a closed one again."""
    vault = vault_at(tmp_path)
    due = vault.due_windows(["hour"], now_s())
    assert due == [Window("hour", hour) for hour in range(day(-1).start_hour, NOW - 2)]
    assert vault.due_windows(["day"], now_s()) == []
    midnight = day(0).end_hour  # yesterday ended 24 hours before
    assert vault.due_windows(["day"], midnight * HOUR_S - 1) == []
    assert vault.due_windows(["day"], midnight * HOUR_S) == [day(-1)]
    vault.close_windows(due, now_s())
    assert vault.due_windows(["hour"], now_s()) == []
    assert vault.due_windows(["hour"], now_s(1)) == [Window("hour", NOW - 2)]
    assert vault_at(tmp_path).due_windows(["hour"], now_s(1)) == [Window("hour", NOW - 2)]


def test_nothing_is_due_while_the_clock_is_in_doubt(tmp_path: Path) -> None:
    """Neither windows nor keys."""
    vault = vault_at(tmp_path)
    stored(vault, NOW)
    far = now_s(400 * DAY)
    assert vault.due_windows(["day", "hour"], far, clock_trusted=False) == []
    assert vault.destroy_due_keys(far, clock_trusted=False) == []
    assert vault.read(day(0)).num_rows == 3


def test_a_node_that_was_down_catches_up_with_empty_windows(tmp_path: Path) -> None:
    """After ten days every day in between is due, in order, and closing gives each a record to charge."""
    vault_at(tmp_path).close()
    vault = vault_at(tmp_path, now_hour=NOW + 240)
    due = vault.due_windows(["day"], now_s(240))
    assert due == [day(offset) for offset in range(-1, 9)]
    vault.close_windows(due, now_s(240))
    for window in due:
        assert vault.is_closed(window)
        assert vault.read(window).num_rows == 0
        record = vault.epoch_record(window)
        assert record is not None
        assert record.cap_rho_nano == 25_000_000
    assert admitted(vault, NOW + 240 - 40, NOW + 240) == "late"
    assert vault.closed_windows() == due


def test_closing_an_empty_window_of_a_living_epoch_keeps_it_writable(tmp_path: Path) -> None:
    """The record made to charge the hour does not shut the rest of the day."""
    vault = vault_at(tmp_path, window_kinds=("hour", "day"))
    vault.close_window(Window("hour", NOW - 3), now_s())
    rows = stored(vault, NOW)
    assert same(vault.read(day(0)), rows)


def test_closing_twice_keeps_the_first_record(tmp_path: Path) -> None:
    """Closed is closed."""
    vault = vault_at(tmp_path)
    vault.close_window(day(-1), now_s(20))
    vault.close_window(day(-1), now_s(30))
    assert vault._database.query("SELECT closed_at FROM closed_windows") == [(now_s(20),)]


def test_no_window_closes_between_admit_and_append(tmp_path: Path) -> None:
    """Closing waits for the gate."""
    vault = vault_at(tmp_path)
    vault.admit_hour(NOW - DAY, NOW, backfill=False)
    closing = threading.Thread(target=vault.close_window, args=(day(-1), now_s(20)))
    with vault.gate:
        closing.start()
        closing.join(0.05)
        assert closing.is_alive()
        assert not vault.is_closed(day(-1))
        vault.append({day(-1): rows_of(1)}, 4)
    closing.join()
    assert vault.is_closed(day(-1))


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────


def test_history_neither_closes_nor_holds_up_live_windows(tmp_path: Path) -> None:
    """However late it gets, unfinished history is not due; days after it are."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    stored(vault, HISTORY, backfill=True)
    assert vault.due_windows(["day"], now_s(5 * DAY)) == [day(offset) for offset in range(-1, 4)]


def test_finishing_makes_every_window_of_history_due_empty_ones_too(tmp_path: Path) -> None:
    """D−15 … D−2, fourteen days, one with rows; durable, and writing there is over."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    rows = stored(vault, HISTORY + 30, backfill=True)
    finished = vault.finish_backfill(day(-2), now_s())
    assert finished == [day(offset) for offset in range(-15, -1)]
    assert vault.finish_backfill(day(-2), now_s(1)) == []
    for life in (vault, vault_at(tmp_path)):
        assert life.due_windows(["day"], now_s()) == finished
        assert len(life.due_windows(["hour"], now_s())) == 14 * DAY + DAY + 6
        assert admitted(life, HISTORY + 30, backfill=True) == "epoch_closed"
        assert admitted(life, HISTORY + 60, backfill=True) == "epoch_closed"
        assert same(life.read(day(-14)), rows)
        assert same(life.read(day(-13)), [])
        for window in finished:
            record = life.epoch_record(window)
            assert record is not None
            assert record.is_backfill
            assert record.finished_at == now_s()
    vault.close_windows(finished, now_s())
    assert vault.due_windows(["day"], now_s()) == []


def test_history_can_be_finished_in_steps(tmp_path: Path) -> None:
    """What is not finished yet still takes rows and is not due."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    assert vault.finish_backfill(day(-14), now_s()) == [day(-15), day(-14)]
    assert vault.due_windows(["day"], now_s()) == [day(-15), day(-14)]
    assert admitted(vault, HISTORY + 2 * DAY, backfill=True) == "ok"
    assert len(vault.finish_backfill(day(-2), now_s())) == 12


def test_a_month_of_history_is_one_epoch(tmp_path: Path) -> None:
    """As the demo plays real logs: the last month that ended more than 24 hours ago."""
    month = Window.parse("2026-10-01/P1M")
    vault = vault_at(tmp_path, length="month", backfill_from_hour=month.start_hour, window_kinds=("day", "month"))
    rows = stored(vault, month.start_hour + 5, backfill=True)
    assert vault.finish_backfill(Window.parse("2026-10-31/P1D"), now_s()) == [month]
    assert len(vault.due_windows(["day"], now_s())) == 31 + 18  # and live days to D−2
    assert month in vault.due_windows(["month"], now_s())
    assert same(vault.read(Window.parse("2026-10-01/P1D")), rows)


@pytest.mark.parametrize("through", [-1, 0, -16])
def test_finishing_refuses_days_outside_history(tmp_path: Path, through: int) -> None:
    """D−1 is still open; before D−15 there is nothing."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    with pytest.raises(RejectedInput):
        vault.finish_backfill(day(through), now_s())
    assert vault.due_windows(["day"], now_s()) == []


def test_finishing_refuses_half_an_epoch_and_a_node_without_history(tmp_path: Path) -> None:
    """A part of a month cannot be released."""
    with pytest.raises(RejectedInput):
        vault_at(tmp_path).finish_backfill(day(-2), now_s())
    other = tmp_path / "other"
    other.mkdir()
    month = Window.parse("2026-10-01/P1M")
    vault = vault_at(other, length="month", backfill_from_hour=month.start_hour)
    with pytest.raises(RejectedInput):
        vault.finish_backfill(Window.parse("2026-10-30/P1D"), now_s())


def test_the_first_start_fixes_where_history_begins_and_ends(tmp_path: Path) -> None:
    """Moving it or the epoch length later is refused; taking the setting out is not, and history stays."""
    vault_at(tmp_path, backfill_from_hour=HISTORY)
    for settings in ({"backfill_from_hour": HISTORY - DAY}, {"length": "week"}):
        with pytest.raises(ConfigError):
            vault_at(tmp_path, **settings)
    assert admitted(vault_at(tmp_path, now_hour=NOW + DAY), HISTORY, NOW + DAY, backfill=True) == "ok"
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY, now_hour=NOW + 10 * DAY)
    assert vault.due_windows(["day"], now_s(3 * DAY)) == [day(-1), day(0), day(1)]


def test_history_added_after_the_first_start_is_refused(tmp_path: Path) -> None:
    """Its windows count as closed before the node began."""
    vault_at(tmp_path)
    with pytest.raises(ConfigError):
        vault_at(tmp_path, backfill_from_hour=HISTORY)


def test_history_begins_with_an_epoch(tmp_path: Path) -> None:
    """A Monday for weeks."""
    with pytest.raises(ConfigError):
        vault_at(tmp_path, length="week", backfill_from_hour=day(-16).start_hour)  # a Wednesday


# ── keys go ──────────────────────────────────────────────────────────────────────────────────────────────


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.key")} | {path.name for path in folder.rglob("*.seg")}


def test_pseudonym_keys_go_after_48_hours_and_data_keys_after_90_days(tmp_path: Path) -> None:
    """Not a second early; then the day is gone: no key, no segment, no reading, no writing, for ever."""
    vault = vault_at(tmp_path)
    rows = stored(vault, NOW)
    end_s = day(0).end_hour * HOUR_S
    grace, retention = end_s + 48 * HOUR_S, end_s + 90 * DAY * HOUR_S
    assert vault.destroy_due_keys(grace - 1) == []
    assert vault.destroy_due_keys(grace) == [(day(0), "pseudonym")]
    assert vault.destroy_due_keys(grace) == []
    assert same(vault.read(day(0)), rows)  # reading needs the data key only
    assert vault.destroy_due_keys(retention - 1) == []
    assert vault.destroy_due_keys(retention) == [(day(0), "data")]
    assert files_of(tmp_path) == set()
    for life in (vault, vault_at(tmp_path)):
        with pytest.raises(EpochClosed) as caught:
            life.read(day(0))
        assert caught.value.code == "epoch_closed"
        assert admitted(life, NOW) == "epoch_closed"
        with pytest.raises(StorageError):
            life.append({day(0): rows_of(1)}, 4)


def test_history_keeps_its_keys_until_it_is_finished(tmp_path: Path) -> None:
    """The clock starts at the finish, for epochs with and without rows."""
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY)
    stored(vault, HISTORY, backfill=True)
    assert vault.destroy_due_keys(now_s(400 * DAY)) == []
    vault.finish_backfill(day(-2), now_s())
    assert vault.destroy_due_keys(now_s(48) - 1) == []
    assert vault.destroy_due_keys(now_s(48)) == [(day(-15), "pseudonym")]
    gone = vault.destroy_due_keys(now_s(90 * DAY))
    assert gone == [(day(offset), "data") for offset in range(-15, -1)]
    assert files_of(tmp_path) == set()


def test_a_kept_copy_of_the_folder_opens_nothing_without_the_key_files(tmp_path: Path) -> None:
    """I12: with every other file and the master key in hand, the day cannot be read."""
    import shutil

    folder = tmp_path / "node"
    folder.mkdir()
    vault = vault_at(folder)
    stored(vault, NOW)
    vault.close()
    shutil.copytree(folder / "segments", tmp_path / "copy")
    vault.destroy_due_keys(now_s(100 * DAY))
    shutil.copytree(tmp_path / "copy", folder / "segments", dirs_exist_ok=True)
    with pytest.raises(EpochClosed):
        vault_at(folder).read(day(0))
    assert not list((folder / "epochs").iterdir())


def test_keys_without_a_record_are_destroyed_at_start(tmp_path: Path) -> None:
    """A crash between the key files and the record leaves keys nothing was sealed with."""
    vault = vault_at(tmp_path)
    vault._keys.create(day(0).text)
    vault = vault_at(tmp_path)
    assert files_of(tmp_path) == set()
    stored(vault, NOW)
    assert vault.read(day(0)).num_rows == 3


def test_an_epoch_whose_key_file_was_lost_is_an_error_not_a_new_epoch(tmp_path: Path) -> None:
    """Making new keys would link nothing and hide the loss."""
    vault = vault_at(tmp_path)
    stored(vault, NOW)
    vault.close()
    for kind in ("pseudonym", "data"):
        (path,) = (tmp_path / "epochs").glob(f"*.{kind}.key")
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(StorageError) as caught:
            vault_at(tmp_path)
        assert caught.value.code == "file_missing"
        assert kind in caught.value.what
        path.write_bytes(content)
    assert len(rows_in(vault_at(tmp_path).read(day(0)))) == 3


def test_random_lives_keep_every_acknowledged_row(tmp_path: Path) -> None:
    """A random walk of appends, closes, finishes and restarts against a plain dictionary."""
    draw = random.Random(7)
    vault = vault_at(tmp_path, backfill_from_hour=HISTORY, window_kinds=("hour", "day"))
    wanted: dict[Window, list[Any]] = {}
    for step in range(120):
        action = draw.random()
        hour = draw.randrange(HISTORY, NOW + 1)
        if action < 0.7:
            answer = vault.admit_hour(hour, NOW, backfill=True)
            if isinstance(answer, EpochAccess):
                rows = rows_of(draw.randrange(1, 6), hour, seed=step)
                vault.append({answer.epoch: rows}, 4)
                wanted.setdefault(answer.epoch, []).extend(map(full, rows))
        elif action < 0.8:
            vault.close_window(Window.containing(draw.choice(["hour", "day"]), hour), now_s())
        elif action < 0.85 and step > 60:
            vault.finish_backfill(day(draw.randrange(-15, -1)), now_s())
        else:
            if draw.random() < 0.5:
                vault.close()
            vault = vault_at(tmp_path, backfill_from_hour=HISTORY, window_kinds=("hour", "day"))
    assert len(wanted) > 10
    for epoch, rows in wanted.items():
        assert epoch == epoch_of("day", epoch.start_hour)
        assert same(vault.read(epoch), rows)
