"""A full or failing disk: StorageError, nothing acknowledged, what was acknowledged stays readable."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.errors import StorageError
from node.vault.calendar import EpochAccess
from node.vault.vault import Vault
from privacy.units import Window
from tests.vault_kit import HISTORY, NOW, Faults, full, rows_in, rows_of, vault_at

TODAY = Window.containing("day", NOW)


def group(vault: Vault, seed: int) -> dict[Window, list[Any]]:
    """Rows of one epoch that exists and one that this may begin."""
    found = {}
    for hour in (NOW, HISTORY + 24 * seed):
        access = vault.admit_hour(hour, NOW, backfill=True)
        assert isinstance(access, EpochAccess)
        found[access.epoch] = rows_of(2, hour, seed=seed * 10**6 + hour)
    return found


def keys(vault: Vault) -> set[Any]:
    """Event keys of all rows, each checked to be there once."""
    found: list[Any] = []
    for epoch in (TODAY, *(Window("day", HISTORY + 24 * offset) for offset in range(5))):
        found += [row[3] for row in rows_in(vault.read(epoch))]
    assert len(found) == len(set(found))
    return set(found)


def keys_of(groups: dict[Window, list[Any]]) -> set[Any]:
    return {full(row)[3] for rows in groups.values() for row in rows}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_call_acknowledges_nothing_and_loses_nothing(tmp_path: Path, code: int) -> None:
    """At each call of a group that begins an epoch, rotates one segment and evicts another."""
    for at in range(100):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        faults = Faults()
        vault = vault_at(folder, backfill_from_hour=HISTORY, disk=faults.disk)
        vault._shelf._rotate_bytes, vault._shelf._max_open = 1, 2
        first = group(vault, 1)
        vault.append(first, 4)
        failed = arm(faults, code, at)
        second, error = attempt(vault)
        if error is None:
            assert not failed
            assert at > 20
            return
        assert error.code == ("disk_full" if code == errno.ENOSPC else "disk")
        assert error.fatal == failed[0].startswith("sync")
        assert keys_of(first) <= keys(vault)
        check_goes_on(vault, error)
        assert keys_of(first) <= keys(vault_at(folder)) <= keys_of(first) | keys_of(second) | keys_of(third())
    raise AssertionError("the group never got through")


def attempt(vault: Vault) -> tuple[dict[Window, list[Any]], StorageError | None]:
    """Admit and append the second group; what it was, and what went wrong."""
    second: dict[Window, list[Any]] = {}
    try:
        second = group(vault, 2)
        vault.append(second, 4)
    except StorageError as error:
        return second, error
    return second, None


def third() -> dict[Window, list[Any]]:
    return {TODAY: rows_of(2, NOW, seed=3)}


def check_goes_on(vault: Vault, error: StorageError) -> None:
    """After a failed write the next group is taken; after a failed sync of a segment nothing is."""
    before = keys(vault)
    if vault._shelf._failed:
        assert error.fatal
        with pytest.raises(StorageError) as refused:
            vault.append(third(), 4)
        assert refused.value.fatal
        assert keys(vault) == before
    else:
        vault.append(third(), 4)
        assert keys(vault) == before | keys_of(third())


def arm(faults: Faults, code: int, at: int) -> list[str]:
    """Let the disk fail once, `at` calls from now; the list says at which action."""
    start = len(faults.points)
    failed: list[str] = []

    def act(action: str, path: Path) -> None:
        if not failed and len(faults.points) > start + at:
            failed.append(action)
            raise OSError(code, "injected")

    faults.act = act
    return failed


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_frame_cut_short_by_the_kernel_is_not_acknowledged(tmp_path: Path) -> None:
    """A real short write: the segment ends there, its earlier frames and the next segment read back."""
    vault = vault_at(tmp_path)
    assert isinstance(vault.admit_hour(NOW, NOW, backfill=False), EpochAccess)
    vault.append({TODAY: rows_of(100, seed=1)}, 4)
    (path,) = (tmp_path / "segments").rglob("*.seg")
    with files_limited_to(path.stat().st_size + 100), pytest.raises(StorageError):
        vault.append({TODAY: rows_of(100, seed=2)}, 4)
    vault.append({TODAY: rows_of(100, seed=3)}, 4)
    wanted = {row[3] for seed in (1, 3) for row in rows_of(100, seed=seed)}
    for life in (vault, vault_at(tmp_path)):
        found = [row[3] for row in rows_in(life.read(TODAY))]
        assert set(found) == wanted
        assert len(found) == 200


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    """A file where the folder of segments should be: what, why and what to do; no stack of other errors."""
    vault = vault_at(tmp_path)
    (tmp_path / "segments").write_text("in the way")
    vault.admit_hour(NOW, NOW, backfill=False)
    with pytest.raises(StorageError) as caught:
        vault.append({TODAY: rows_of(1)}, 4)
    assert "segments" in caught.value.what
    assert caught.value.why
    assert caught.value.fix
