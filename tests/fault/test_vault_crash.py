"""A crash at every point of a vault's life: nothing acknowledged is lost, nothing destroyed or forgotten comes back.

The life below runs once to count its points (each write, sync, rename, unlink and transaction), then once for each
point, where it dies: as by kill -9 (the disk stays as it is) and as by a power cut (what was not synced is gone).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tests.vault_kit as kit
from node.errors import StorageError
from node.state import epochs as table
from node.state.database import StateDatabase
from node.vault.calendar import EpochAccess, Refusal
from node.vault.rewriting import Persons, merged
from node.vault.segments import Segment, SegmentId, SegmentWriter
from node.vault.shelf import Sealed, SegmentShelf
from node.vault.upkeep import NamedPerson, Upkeep
from node.vault.vault import EpochClosed, Vault
from privacy.person_key import Pseudonyms
from privacy.units import Window
from tests.vault_kit import HISTORY, NOW, Faults, full, rows_in, rows_of

HOUR_S = 3600
replace_segments = table.replace_segments
DAYS = {offset: Window("day", HISTORY + (offset + 15) * 24) for offset in range(-15, 1)}
LATER = NOW + 100 * 24


class Died(BaseException):
    """The process is gone."""


@dataclass
class Life:
    """What one process was told had happened, and whether it still lives."""

    folder: Path
    faults: Faults
    dies_at: int = 10**9
    points: int = 0
    rows: dict[Window, list[Any]] = field(default_factory=dict)
    keys: dict[Window, bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    anns: dict[Window, set[Any]] = field(default_factory=dict)  # event keys of the person who is forgotten

    def point(self, *_: object) -> None:
        """One place to die; once dead, nothing else reaches the disk."""
        self.points += 1
        if self.points > self.dies_at:
            raise Died

    def run(self) -> None:
        """A vault's life in small: rows in three epochs, rotation, a closed window, finished history, dead keys."""
        self.faults.act = self.point
        database = MortalDatabase(self.folder / "state.db", self)
        vault = vault_on(database, self.folder, disk=self.faults.disk)
        vault._shelf._rotate_bytes = 1
        vault._shelf._max_open = 2
        vault.upkeep.many_frames = 2
        vault.recover(NOW * HOUR_S)
        for hour in (NOW, NOW - 24, NOW, HISTORY):
            self.store(vault, hour)
        self.rewrite(vault)
        vault.close_window(DAYS[-1], (NOW + 20) * HOUR_S)
        self.done.append("closed")
        vault.finish_backfill(DAYS[-14], NOW * HOUR_S)
        self.done.append("finished")
        vault.destroy_due_keys((NOW + 80) * HOUR_S)
        self.done.append("pseudonym")
        vault.destroy_due_keys(LATER * HOUR_S)
        self.done.append("data")
        vault.close()

    def rewrite(self, vault: Vault) -> None:
        """Compact a day that is over, with its small segments, then forget Ann, who is in today's and in it."""
        for seed, hour in enumerate((NOW, NOW - 24, NOW - 24, NOW - 24), start=50):
            access = vault.admit_hour(hour, NOW, backfill=True)
            assert isinstance(access, EpochAccess)
            person = Pseudonyms(access.pseudonym_key, kit.seeded(1)).person(0, "ann")
            rows = [(person, *row[1:]) for row in rows_of(2, hour, seed=seed)]
            self.anns.setdefault(access.epoch, set()).update(row[3] for row in rows)
            vault.append({access.epoch: [*rows, *rows_of(1, hour, seed=seed + 10)]}, 4)
            self.rows.setdefault(access.epoch, []).extend(map(full, rows_of(1, hour, seed=seed + 10)))
        self.done.append("ann stored")
        assert vault.upkeep.compact()
        self.done.append("compacted")
        assert sum(vault.upkeep.forget([NamedPerson("user", "ann")]).rows_by_day.values()) == 8
        self.done.append("forgotten")

    def store(self, vault: Vault, hour: int) -> None:
        answer = vault.admit_hour(hour, NOW, backfill=True)
        assert isinstance(answer, EpochAccess)
        self.keys[answer.epoch] = answer.pseudonym_key
        rows = rows_of(2, hour, seed=len(self.done))
        vault.append({answer.epoch: rows}, 4)
        self.rows.setdefault(answer.epoch, []).extend(map(full, rows))
        self.done.append(f"stored {hour}")


class MortalDatabase(StateDatabase):
    """Dies before or after a transaction; in the middle is the same as before."""

    def __init__(self, path: Path, life: Life) -> None:
        self._life = life
        self._counts = False
        super().__init__(path)
        self._counts = True

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        if self._counts:
            self._life.point()
        with super().transaction() as connection:
            yield connection
        if self._counts:
            self._life.point()


def vault_on(database: StateDatabase, folder: Path, **settings: Any) -> Vault:
    return Vault(
        folder,
        database,
        master_key=kit.MASTER,
        node_id=kit.NODE,
        length="day",
        caps=lambda epoch: (25_000_000, 10**10),
        rng=kit.seeded(3),
        backfill_from_hour=HISTORY,
        window_kinds=("day",),
        **settings,
    )


def check_after(life: Life) -> None:
    """A new process finds what the dead one was told, and is of one mind about each epoch."""
    database = StateDatabase(life.folder / "state.db")
    vault = vault_on(database, life.folder)
    vault._keys._rng = vault._shelf._rng = kit.seeded(life.dies_at + 4)
    vault.recover(NOW * HOUR_S)
    for epoch in DAYS.values():
        check_epoch(life, vault, epoch)
    check_files(life, vault)
    assert "closed" not in life.done or vault.is_closed(DAYS[-1])
    if "finished" in life.done:
        assert vault.admit_hour(HISTORY, NOW, backfill=True) == Refusal("epoch_closed")
        assert vault.admit_hour(HISTORY + 24, NOW, backfill=True) == Refusal("epoch_closed")
        assert vault.due_windows(["day"], NOW * HOUR_S)[:2] == [DAYS[-15], DAYS[-14]]
    answer = vault.admit_hour(HISTORY + 60, NOW, backfill=True)  # and life goes on
    assert isinstance(answer, EpochAccess)
    vault.append({answer.epoch: rows_of(3, HISTORY + 60)}, 4)
    assert vault.read(answer.epoch).num_rows == 3
    vault.close()
    database.close()


def check_files(life: Life, vault: Vault) -> None:
    """Each segment on record has its file, and there is no other: nothing that was replaced, nothing half written."""
    assert database_says(vault, "SELECT count(*) FROM segment_removals") == 0
    named = {bytes(row[0]).hex() for row in vault._database.query("SELECT id FROM segments")}
    assert named == {path.stem for path in (life.folder / "segments").rglob("*.seg")}


def database_says(vault: Vault, sql: str) -> Any:
    return vault._database.query(sql)[0][0]


def check_epoch(life: Life, vault: Vault, epoch: Window) -> None:
    record = vault.epoch_record(epoch)
    keys = {path.name.split(".")[1] for path in (life.folder / "epochs").glob(f"{epoch.text[:10]}*.key*")}
    if record is None:
        assert epoch not in life.rows
        assert keys == set()
        return
    living = set() if record.is_keyless else {"pseudonym", "data"}
    if record.pseudonym_destroyed_at is not None:
        living.discard("pseudonym")
        assert vault.admit_hour(epoch.start_hour, epoch.start_hour, backfill=True) == Refusal("epoch_closed")
    if record.data_destroyed_at is not None:
        living.discard("data")
        assert not (life.folder / "segments" / epoch.text.replace("/", "_")).exists()
        with pytest.raises(EpochClosed):
            vault.read(epoch)
    assert keys == living
    had_keys = epoch in life.keys
    assert "pseudonym" not in life.done or not had_keys or record.pseudonym_destroyed_at is not None
    assert "data" not in life.done or not had_keys or record.data_destroyed_at is not None
    if "pseudonym" in living and had_keys:
        assert vault._keys.load(epoch.text, "pseudonym") == life.keys[epoch]
    if record.data_destroyed_at is None:
        found = rows_in(vault.read(epoch))
        assert len({row[3] for row in found}) == len(found)  # none twice, by event key
        keys_found = {row[3] for row in found}
        assert {row[3] for row in life.rows.get(epoch, [])} <= keys_found
        anns = life.anns.get(epoch, set()) & keys_found
        assert "ann stored" not in life.done or "compacted" in life.done or anns == life.anns.get(epoch, set())
        assert "forgotten" not in life.done or not anns


def lives(folder: Path, **faults: bool) -> Life:
    folder.mkdir()
    return Life(folder, Faults(**faults))


def points_of_a_life(folder: Path) -> int:
    life = lives(folder / "whole")
    life.run()
    check_after(life)
    return life.points


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what a crash leaves is played here, and hundreds of lives sync a lot."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("power", ["stays", "cut"])
def test_a_crash_at_any_point_loses_and_resurrects_nothing(memory: Path, power: str, every: int) -> None:
    """Every point of the life, one after the other; in the fast suite every third, another one with the power cut."""
    points = points_of_a_life(memory)
    assert points > 200
    for point in range((power == "cut") % every, points, every):
        life = lives(memory / f"{point}")
        life.dies_at = point
        with pytest.raises(Died):
            life.run()
        if power == "cut":
            life.faults.lose_power()
        try:
            check_after(life)
        except (AssertionError, StorageError) as error:
            raise AssertionError(f"dead after {life.faults.points[-1:]}, told {life.done[-1:]}") from error


@pytest.mark.parametrize("missing", ["fdatasync", "fsync"])
def test_the_test_above_notices_a_missing_sync(tmp_path: Path, missing: str) -> None:
    """With the sync taken out, a power cut after acknowledged rows loses them, and the check says so."""
    life = lives(tmp_path / "life", **{missing: False})
    life.dies_at = points_of_a_life(tmp_path) // 2
    with pytest.raises(Died):
        life.run()
    assert life.rows
    life.faults.lose_power()
    with pytest.raises((AssertionError, StorageError)):
        check_after(life)


def unmarked(self: SegmentShelf, epoch: str, slots: int) -> SegmentWriter:
    """A new segment whose id does not stand among the removals while it is written."""
    segment = Segment(SegmentId(self._rng(16)), epoch, slots)
    return SegmentWriter(self._disk, self._path(segment), segment, self._data_key(epoch))


def hasty(self: Upkeep, epoch: Window, sources: Sequence[Sealed], without: Persons | None) -> None:
    """The old files go before the switch."""
    slots = max(sealed.segment.slots for sealed in sources)
    frames = [frame for sealed in sources for frame in sealed.frames()]
    new = self._shelf.write_new(epoch.text, slots, merged(frames, slots, without=without))
    for sealed in sources:
        self._shelf._disk.destroy_file(sealed.path)
    self._shelf.switch(epoch.text, [sealed.segment.id for sealed in sources], new, keeps_rows=without is None)
    self._shelf.remove_marked()


def forgetful(
    connection: sqlite3.Connection, epoch: str, old: Iterable[bytes], new: Iterable[table.SegmentRecord]
) -> None:
    """The switch does not say that the old files must go."""
    replace_segments(connection, epoch, old, new)
    table.delete_removals(connection, old)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [(SegmentShelf, "_create_marked", unmarked), (Upkeep, "_rewrite", hasty), (table, "replace_segments", forgetful)],
)
def test_a_broken_rewriting_does_not_pass(
    memory: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, broken: object
) -> None:
    """Each of three broken variants is found out at some point of a life."""
    monkeypatch.setattr(owner, name, broken)
    for point in range(120, 220):
        life = lives(memory / f"{point}")
        life.dies_at = point
        with pytest.raises(Died):
            life.run()
        try:
            check_after(life)
        except (AssertionError, StorageError):
            return
    raise AssertionError("nobody noticed")
