"""Changing the master key: whole after a crash at any disk call, old key gone, nothing sealed is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node import keyfiles
from node.errors import ConfigError, StorageError
from node.vault.calendar import EpochAccess
from node.vault.master_key import MasterKey
from node.vault.vault import Vault
from privacy.units import Window
from tests.vault_kit import NOW, Faults, rows_in, rows_of, vault_at

TODAY = Window.containing("day", NOW)
OLD = b"o" * 32


class Died(BaseException):
    """The process is gone."""


def begun(folder: Path) -> None:
    """A data folder with a master key and rows of two days."""
    (folder / "keys").mkdir(parents=True)
    keyfiles.write_key(folder / "keys/master.key", keyfiles.KeyFile("master", OLD))
    vault = opened(folder, MasterKey(folder / "keys"))
    for hour in (NOW, NOW - 24):
        access = vault.admit_hour(hour, NOW, backfill=False)
        assert isinstance(access, EpochAccess)
        vault.append({access.epoch: rows_of(3, hour)}, 4)
    vault.close()
    vault._database.close()


def opened(folder: Path, master: MasterKey, faults: Faults | None = None) -> Vault:
    disk = None if faults is None else faults.disk
    return vault_at(folder, master_key=master.current, retiring_master=master.retiring, disk=disk)


def rotate(folder: Path, faults: Faults) -> None:
    """As the node does it, epochs being begun in the middle."""
    master = MasterKey(folder / "keys", faults.disk)
    vault = opened(folder, master, faults)
    master.begin(os.urandom)
    assert master.retiring is not None
    vault.upkeep.wrap_again(master.current, master.retiring)
    master.finish()
    vault._database.close()


def check(folder: Path) -> None:
    """A start finishes what had begun: one master key file, every key opens with it, every row is there."""
    master = MasterKey(folder / "keys")
    vault = opened(folder, master)
    if master.retiring is not None:
        vault.upkeep.wrap_again(master.current, master.retiring)
        master.finish()
    vault._database.close()
    assert [path.name for path in (folder / "keys").iterdir()] == ["master.key"]
    only = MasterKey(folder / "keys")
    assert only.retiring is None
    vault = opened(folder, only)
    for hour in (NOW, NOW - 24):
        assert len(rows_in(vault.read(Window.containing("day", hour)))) == 3
    assert vault.upkeep.verify() == []
    vault._database.close()


def test_a_crash_at_any_call_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """Every disk call of a change, one after the other."""
    for at in range(200):
        folder = tmp_path / f"{at}"
        begun(folder)
        faults = Faults()

        def act(action: str, path: Path, faults: Faults = faults, at: int = at) -> None:
            if len(faults.points) > at:
                raise Died

        faults.act = act
        try:
            rotate(folder, faults)
        except Died:
            check(folder)
            continue
        check(folder)
        assert at > 20
        return
    raise AssertionError("the change never got through")


def test_an_error_stops_a_change_and_the_next_try_finishes_it(tmp_path: Path) -> None:
    """A full disk in the middle: both keys are kept, nothing is lost, and asking again goes on."""
    begun(tmp_path)
    master = MasterKey(tmp_path / "keys")
    vault = opened(tmp_path, master)
    faults = Faults()
    calls = []

    def act(action: str, path: Path) -> None:
        calls.append(action)
        if action == "write" and len(calls) > 8:
            raise OSError(28, "injected")

    faults.act = act
    vault._keys._disk = faults.disk
    master.begin(os.urandom)
    new = master.current
    with pytest.raises(StorageError):
        vault.upkeep.wrap_again(master.current, OLD)
    assert isinstance(vault.admit_hour(NOW, NOW, backfill=False), EpochAccess)
    faults.act = lambda action, path: None
    master.begin(os.urandom)
    assert master.current == new
    vault.upkeep.wrap_again(master.current, OLD)
    master.finish()
    vault._database.close()
    check(tmp_path)


def test_the_old_key_opens_nothing_and_stands_nowhere(tmp_path: Path) -> None:
    """No file under the folder holds it, and a vault opened with it is refused."""
    begun(tmp_path)
    rotate(tmp_path, Faults())
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert OLD.hex().encode() not in path.read_bytes()
    with pytest.raises(StorageError, match="does not open"):
        vault_at(tmp_path, master_key=OLD)


def test_what_a_crash_left_of_a_key_file_is_destroyed(tmp_path: Path) -> None:
    """Temporary files of a key, overwritten before they are unlinked; nothing else in the folder is touched."""
    begun(tmp_path)
    left = [
        tmp_path / "keys" / name for name in (".master.key.77.new", ".master.next.key.1.new", "master.next.key.tmp")
    ]
    for path in left:
        path.write_text(keyfiles.KeyFile("master", OLD).text)
    kept = tmp_path / "keys" / ".signing.key.77.new"  # another part's to sweep
    kept.write_text("x")
    held = [os.open(path, os.O_RDONLY) for path in left]
    assert MasterKey(tmp_path / "keys").current == OLD
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {"master.key", kept.name}
    assert [set(os.read(one, 4096)) for one in held] == [{0}] * 3


def test_rows_come_in_while_it_changes(tmp_path: Path) -> None:
    """Between any two files an epoch can begin; its keys are wrapped with the new master key."""
    begun(tmp_path)
    master = MasterKey(tmp_path / "keys")
    vault = opened(tmp_path, master)
    master.begin(os.urandom)
    faults = Faults()
    hours = iter(range(NOW + 24, NOW + 24 * 50, 24))

    def act(action: str, path: Path) -> None:
        if action == "rename" and not vault_is_beginning[0]:
            vault_is_beginning[0] = True
            hour = next(hours)
            access = vault.admit_hour(hour, hour, backfill=False)
            assert isinstance(access, EpochAccess)
            vault.append({access.epoch: rows_of(1, hour)}, 4)
            vault_is_beginning[0] = False

    vault_is_beginning = [False]
    faults.act = act
    vault._keys._disk = faults.disk
    assert master.retiring is not None
    vault.upkeep.wrap_again(master.current, master.retiring)
    faults.act = lambda action, path: None
    master.finish()
    vault._database.close()
    check(tmp_path)


def test_no_master_key_is_said_plainly(tmp_path: Path) -> None:
    """A lost master key is never replaced by a new one."""
    (tmp_path / "keys").mkdir()
    with pytest.raises(ConfigError):
        MasterKey(tmp_path / "keys")
    assert list((tmp_path / "keys").iterdir()) == []
