"""What the vault's tests share: a vault in a temporary folder, believable rows, disks that fail on demand."""

from __future__ import annotations

import random
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
    """A disk that counts its calls and fails or dies where it is told to."""

    def __init__(self) -> None:
        self.points: list[str] = []
        self.synced = 0
        self.act: Callable[[str], None] = lambda point: None
        real = Disk()
        self.disk = replace(real, hook=self._hook, fdatasync=self._fdatasync)
        self._real = real

    def _hook(self, point: str) -> None:
        self.points.append(point)
        self.act(point)

    def _fdatasync(self, descriptor: int) -> None:
        self.synced += 1
        self._real.fdatasync(descriptor)
