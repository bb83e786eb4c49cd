"""Epoch keys: wrapped at rest, bound to node, epoch and kind, and gone when destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import StorageError
from node.vault.disk import Disk
from node.vault.epoch_keys import EpochKeyStore
from tests.vault_kit import MASTER, NODE, Faults, seeded

EPOCH = "2026-11-20/P1D"
PSEUDONYM = "2026-11-20_P1D.pseudonym.key"
DATA = "2026-11-20_P1D.data.key"


def store(folder: Path, *, master: bytes = MASTER, node: bytes = NODE, disk: Disk | None = None) -> EpochKeyStore:
    return EpochKeyStore(folder / "epochs", master_key=master, node_id=node, rng=seeded(1), disk=disk or Disk())


def test_keys_survive_a_restart_and_differ(tmp_path: Path) -> None:
    """Two random keys of 32 bytes, private files, no key in plain in any of them."""
    first = store(tmp_path)
    first.create(EPOCH)
    pseudonym, data = first.load(EPOCH, "pseudonym"), first.load(EPOCH, "data")
    assert len(pseudonym) == len(data) == 32
    assert pseudonym != data
    again = store(tmp_path)
    assert (again.load(EPOCH, "pseudonym"), again.load(EPOCH, "data")) == (pseudonym, data)
    files = sorted((tmp_path / "epochs").iterdir())
    assert [path.name for path in files] == [DATA, PSEUDONYM]
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert pseudonym not in path.read_bytes()
        assert data not in path.read_bytes()


def test_another_master_key_or_node_opens_nothing(tmp_path: Path) -> None:
    """A copied folder is worth nothing without both."""
    store(tmp_path).create(EPOCH)
    for stranger in (store(tmp_path, master=b"x" * 32), store(tmp_path, node=b"x" * 32)):
        with pytest.raises(StorageError) as caught:
            stranger.load(EPOCH, "data")
        assert caught.value.code == "epoch_key_damaged"


@pytest.mark.parametrize("other", ["2026-11-21_P1D.data.key", PSEUDONYM])
def test_a_key_of_another_epoch_or_kind_is_refused(tmp_path: Path, other: str) -> None:
    """Swapping files does not swap keys."""
    keys = store(tmp_path)
    keys.create(EPOCH)
    keys.create("2026-11-21/P1D")
    (tmp_path / "epochs" / DATA).write_bytes((tmp_path / "epochs" / other).read_bytes())
    with pytest.raises(StorageError):
        store(tmp_path).load(EPOCH, "data")


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    """Magic, nonce and wrapped key alike."""
    store(tmp_path).create(EPOCH)
    path = tmp_path / "epochs" / DATA
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StorageError):
            store(tmp_path).load(EPOCH, "data")


def test_destroying_overwrites_syncs_and_unlinks_in_this_order(tmp_path: Path) -> None:
    """An old handle on the file reads zeros, the folder is empty, and memory has forgotten the key."""
    faults = Faults()
    keys = store(tmp_path, disk=faults.disk)
    keys.create(EPOCH)
    keys.load(EPOCH, "data")
    faults.points.clear()
    with (tmp_path / "epochs" / DATA).open("rb") as handle:
        keys.destroy(EPOCH, "data")
        assert set(handle.read()) == {0}
    assert faults.points == [f"write:{DATA}", f"sync:{DATA}", f"remove:{DATA}", "sync-folder:epochs"]
    assert [path.name for path in (tmp_path / "epochs").iterdir()] == [PSEUDONYM]
    with pytest.raises(StorageError) as caught:
        keys.load(EPOCH, "data")
    assert caught.value.code == "file_missing"
    keys.destroy(EPOCH, "data")  # again: nothing happens


def test_a_key_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Written beside, synced, renamed, and the folder synced."""
    faults = Faults()
    store(tmp_path, disk=faults.disk).create(EPOCH)
    assert faults.points[-6:] == [
        f"remove:{DATA}.tmp",
        f"create:{DATA}.tmp",
        f"write:{DATA}.tmp",
        f"sync:{DATA}.tmp",
        f"rename:{DATA}",
        "sync-folder:epochs",
    ]


def test_keep_only_destroys_what_a_crash_left(tmp_path: Path) -> None:
    """Keys without a living record and temporary files go; wanted ones and foreign files stay."""
    keys = store(tmp_path)
    keys.create(EPOCH)
    keys.create("2026-11-21/P1D")
    (tmp_path / "epochs" / (DATA + ".tmp")).write_bytes(b"half")
    (tmp_path / "epochs" / "README").write_bytes(b"mine")
    keys.keep_only([(EPOCH, "data")])
    assert sorted(path.name for path in (tmp_path / "epochs").iterdir()) == [DATA, "README"]
