"""A process whose disk is in the test's hands, below every library: kills, errors and power cuts at any system call.

`disk_shim.c` stands between the process and the kernel. A point is a call that changes something under the rig's
folder: making, writing, cutting, syncing, renaming, linking or unlinking a file or folder, by whomever (SQLite, too).
After a power cut only what was synced is left: contents by the last sync of their file, names by that of their folder.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).with_name("disk_shim.c")
FIELDS: Final = ("points", "matched", "kill_at", "fail_at", "fail_to", "error", "torn", "full", "failures")
FOREVER: Final = 1 << 62
PATTERN_BYTES: Final = 128
MEMORY: Final = Path("/dev/shm")  # a file system that gives no inode twice, and syncs at once


@cache
def compiled(source: Path) -> Path:
    """A library for LD_PRELOAD; skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    target = Path(tempfile.mkdtemp(prefix="murmur-shim-")) / f"{source.stem}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@dataclass(frozen=True)
class Tree:
    """Files and folders by inode: contents, and names with (inode, is it a folder)."""

    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)


class Rig:
    """A folder and the processes that run on it with `env`. `begin` before each one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = Path(tempfile.mkdtemp(prefix="murmur-rig-", dir=MEMORY))
        self._shadow = self._aside / "shadow"
        self._log = self._aside / "points"
        control = self._aside / "control"
        control.write_bytes(bytes(8 * len(FIELDS) + PATTERN_BYTES))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 0)
        self._at_start = Tree()

    def close(self) -> None:
        self._control.close()
        shutil.rmtree(self._aside)

    def begin(self, unsynced: Sequence[str] = ()) -> dict[str, str]:
        """The environment of a process to start now. `unsynced`: paths with one of these words are never synced."""
        self._rule("")
        for name in FIELDS:
            self._set(name, 0)
        shutil.rmtree(self._shadow, ignore_errors=True)
        self._shadow.mkdir()
        self._log.unlink(missing_ok=True)
        self._at_start = self.tree()
        return {
            **os.environ, "LD_PRELOAD": str(compiled(SOURCE)),
            "SHIM_ROOT": str(self.folder), "SHIM_SHADOW": str(self._shadow),
            "SHIM_CONTROL": str(self._aside / "control"), "SHIM_LOG": str(self._log),
            "SHIM_UNSYNCED": ":".join(unsynced),
        }  # fmt: skip

    # -- while it runs

    @property
    def points(self) -> int:
        """How many points it has passed."""
        return self._get("points")

    @property
    def failures(self) -> int:
        return self._get("failures")

    def names(self) -> list[str]:
        """`action /path` of each point so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def kill_at(self, points: int, pattern: str = "", *, torn: bool = False) -> None:
        """Let it die before its `points`-th point from now, 1 being the next, of those whose line fits the pattern.

        `torn`: in the middle of it, if that is a write.
        """
        self._rule(pattern)
        self._set("torn", torn)
        self._set("kill_at", points)

    def fail_at(self, points: int, error: int, pattern: str = "", *, times: int = 1) -> None:
        """Let points fail with this errno, from the `points`-th from now on; ENOSPC for long spares what needs no room.

        `pattern`: as in fnmatch, for the whole line.
        """
        self._rule(pattern)
        self._set("failures", 0)
        self._set("error", error)
        self._set("full", error == errno.ENOSPC and times > 1)
        self._set("fail_to", points + times - 1)
        self._set("fail_at", points)

    def mend(self) -> None:
        """The disk works again."""
        self._set("fail_at", 0)

    # -- when it is dead

    def lose_power(self, draw: random.Random | None = None) -> None:
        """Leave what was synced; with `draw`, each thing else may have reached the disk or not."""
        now = self.tree()
        kept = self._kept()
        files = {**self._at_start.files, **kept.files}
        folders = {**self._at_start.folders, **kept.folders}
        if draw is not None:
            files |= {inode: content for inode, content in now.files.items() if draw.random() < 0.5}
            folders |= {inode: names for inode, names in now.folders.items() if draw.random() < 0.5}
        self.put(Tree(files, folders))

    def put(self, tree: Tree) -> None:
        """Let the folder hold this and nothing else."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._make(self.folder, tree.folders.get(self.folder.stat().st_ino, {}), tree.files, tree.folders)

    def _make(
        self,
        folder: Path,
        names: dict[str, tuple[int, bool]],
        files: dict[int, bytes],
        folders: dict[int, dict[str, tuple[int, bool]]],
    ) -> None:
        for name, (inode, is_folder) in names.items():
            path = folder / name
            if is_folder:
                path.mkdir(mode=0o700)
                self._make(path, folders.get(inode, {}), files, folders)
            else:
                path.write_bytes(files.get(inode, b""))
                path.chmod(0o600)

    def tree(self) -> Tree:
        """All there is now; `put` puts it back."""
        tree = Tree()
        waiting = [self.folder]
        while waiting:
            folder = waiting.pop()
            names = tree.folders[folder.stat().st_ino] = {}
            for path in folder.iterdir():
                if path.is_socket():
                    continue
                names[path.name] = path.stat().st_ino, path.is_dir()
                if path.is_dir():
                    waiting.append(path)
                else:
                    tree.files[path.stat().st_ino] = path.read_bytes()
        return tree

    def _kept(self) -> Tree:
        tree = Tree()
        for path in self._shadow.iterdir():
            if path.suffix == ".new":
                continue  # killed while it was kept: the sync had not returned
            inode = int(path.name[1:])
            if path.name[0] == "f":
                tree.files[inode] = path.read_bytes()
            else:
                lines = (line.split(" ", 2) for line in path.read_text().splitlines())
                tree.folders[inode] = {name: (int(number), is_folder == "1") for number, is_folder, name in lines}
        return tree

    def _rule(self, pattern: str) -> None:
        for name in ("kill_at", "fail_at", "matched"):
            self._set(name, 0)
        start = 8 * len(FIELDS)
        self._control[start : start + PATTERN_BYTES] = pattern.encode().ljust(PATTERN_BYTES, b"\0")

    def _get(self, name: str) -> int:
        return int(struct.unpack_from("<q", self._control, 8 * FIELDS.index(name))[0])

    def _set(self, name: str, value: int) -> None:
        struct.pack_into("<q", self._control, 8 * FIELDS.index(name), value)


@pytest.fixture
def rigs() -> Iterator[Callable[[], Rig]]:
    """Makes rigs, each on a new folder in memory; they end with the test."""
    made: list[Rig] = []

    def make() -> Rig:
        if not os.access(MEMORY, os.W_OK):
            pytest.skip("no /dev/shm")
        made.append(Rig(Path(tempfile.mkdtemp(prefix="murmur-disk-", dir=MEMORY))))
        return made[-1]

    yield make
    for rig in made:
        rig.close()
        shutil.rmtree(rig.folder, ignore_errors=True)
