"""What the vault's tests share: a vault in a temporary folder, believable rows, disks that fail on demand."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from node.state.database import StateDatabase
from node.vault.disk import Disk
from node.vault.vault import Vault
from privacy.rows import ROW_NAMES, Row
from privacy.units import Window

MASTER = b"m" * 32
NODE = b"n" * 32
TODAY = Window.parse("2026-11-20/P1D")
NOW = TODAY.start_hour + 8  # 08:00 UTC of the day the tests play on
HISTORY = TODAY.start_hour - 15 * 24  # D−15


def seeded(seed: int) -> Callable[[int], bytes]:
    """An Rng for tests."""
    return random.Random(seed).randbytes


def vault_at(folder: Path, *, disk: Disk | None = None, now_hour: int = NOW, **settings: Any) -> Vault:
    """A recovered vault of day epochs in `folder`; a second call on one folder is a restart."""
    settings = {
        "master_key": MASTER,
        "node_id": NODE,
        "length": "day",
        "caps": lambda epoch: (25_000_000, 10**10),
        "rng": random.randbytes,
        "window_kinds": ("day",),
        **settings,
    }
    vault = Vault(folder, StateDatabase(folder / "state.db"), disk=disk, **settings)
    vault.recover(now_hour * 3600)
    return vault


def rows_of(count: int, hour: int = NOW, *, seed: int = 1, people: int | None = None, hours: int = 1) -> list[Row]:
    """Rows as a plan with four attributes makes them: skewed countries, some sessions and attributes absent."""
    draw = random.Random(seed)
    persons = [draw.getrandbits(64) for _ in range(people or max(1, count * 3 // 5))]
    sessions = {person: draw.getrandbits(64) for person in persons}
    countries = (82, 82, 82, 485, 135, 10, 675, 523, 212)
    found: list[Row] = []
    for _ in range(count):
        person = draw.choice(persons)
        found.append(
            (
                person,
                1,
                sessions[person] if draw.random() < 0.8 else None,
                draw.getrandbits(64),
                hour + draw.randrange(hours),
                draw.randrange(30),
                draw.randrange(5),
                draw.randrange(6),
                draw.choice(countries),
                1,
                1,
                1_000_000,
                draw.randrange(5) if draw.random() < 0.9 else None,
                draw.randrange(12),
                draw.randrange(-50_000, 50_000),
                draw.randrange(2) if draw.random() < 0.5 else None,
            )
        )
    return found


def full(row: Row) -> Row:
    """The row as wide as ROW_COLUMNS."""
    return row + (None,) * (len(ROW_NAMES) - len(row))


def rows_in(table: pa.Table) -> list[Row]:
    """A table's rows as tuples, in order."""
    return [tuple(row.values()) for row in table.to_pylist()]


class Faults:
    """A disk that records its calls, fails where it is told to, and can lose its power.

    Losing power drops what was not synced: bytes after the last sync of their file, names after the last sync of
    their folder (new and renamed ones vanish, removed ones come back). SQLite is left to look after itself.
    """

    def __init__(self, *, fdatasync: bool = True, fsync: bool = True) -> None:
        self.points: list[str] = []
        self.synced = 0
        self.act: Callable[[str, Path], None] = lambda action, path: None
        self._does_fdatasync = fdatasync
        self._does_fsync = fsync
        self._real = Disk()
        self.disk = replace(self._real, hook=self._hook, fdatasync=self._fdatasync, fsync=self._fsync)
        self._durable: dict[Path, int] = {}  # bytes of each file that would survive, by present name
        self._new: set[Path] = set()  # names that would not
        self._removed: dict[Path, bytes] = {}  # names that would come back

    def lose_power(self) -> None:
        """Leave on disk only what a machine would find after its power came back."""
        for path in self._new:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path, content in self._removed.items():
            path.write_bytes(content)
        for path, size in self._durable.items():
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)

    def _hook(self, action: str, path: Path) -> None:
        self.points.append(f"{action}:{path.name}")
        self.act(action, path)
        if action in ("create", "mkdir"):
            self._new.add(path)
            self._removed.pop(path, None)
            if action == "create":
                self._durable[path] = 0
        elif action == "rename":
            temporary = path.with_name(path.name + ".tmp")
            if temporary in self._durable:  # a file put in place; the master key's renames are not played by power cuts
                self._durable[path] = self._durable.pop(temporary)
                self._new.add(path)
                self._new.discard(temporary)
        elif action == "remove" and path.exists():
            if path not in self._new:
                self._removed[path] = path.read_bytes()
            self._new.discard(path)

    def _fdatasync(self, descriptor: int) -> None:
        self.synced += 1
        if self._does_fdatasync:
            self._durable[Path(f"/proc/self/fd/{descriptor}").readlink()] = os.fstat(descriptor).st_size

    def _fsync(self, descriptor: int) -> None:
        if self._does_fsync:
            folder = Path(f"/proc/self/fd/{descriptor}").readlink()
            self._new = {path for path in self._new if path.parent != folder}
            self._removed = {path: kept for path, kept in self._removed.items() if path.parent != folder}
