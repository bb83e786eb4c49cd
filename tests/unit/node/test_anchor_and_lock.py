"""The anchor and the data lock: two small files that keep a node from contradicting itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.anchor import EMPTY_LOG, AnchoredPosition, load_anchor, save_anchor
from node.datalock import DataLock
from node.errors import ConfigError, StorageError


def test_an_anchor_comes_back_as_written(tmp_path: Path) -> None:
    """The last position saved is the one loaded."""
    path = tmp_path / "deep" / "anchor"
    assert load_anchor(path) is None
    for position in (EMPTY_LOG, AnchoredPosition(0, 7), AnchoredPosition(1, 3)):
        save_anchor(path, position)
        assert load_anchor(path) == position
    assert [item.name for item in path.parent.iterdir()] == ["anchor"]


@pytest.mark.parametrize(
    "text", ["", "murmur-anchor 1\n", "murmur-anchor 1\n1 x\n", "other\n1 2\n", "murmur-anchor 1\n0 -2\n"]
)
def test_a_broken_anchor_is_not_taken_for_an_empty_log(tmp_path: Path, text: str) -> None:
    """A damaged witness stops the start; it never reads as 'nothing signed yet'."""
    path = tmp_path / "anchor"
    path.write_text(text)
    with pytest.raises(StorageError) as caught:
        load_anchor(path)
    assert caught.value.code == "anchor_unreadable"


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    """One process owns a data folder, and the lock goes with the process."""
    script = (
        "from node.datalock import DataLock; from pathlib import Path\n"
        f"DataLock(Path({str(tmp_path)!r})); print('ok', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ok\n"
        with pytest.raises(StorageError, match=f"Process {child.pid} owns it"):
            DataLock(tmp_path)
        child.kill()
        child.wait()
    DataLock(tmp_path).release()


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    """A typo in the path must not make a second, empty node."""
    with pytest.raises(ConfigError, match="cannot be opened"):
        DataLock(tmp_path / "absent")
