"""A node that dies where it is told: the child of test_node_kill.

Run as `python node_child.py CONFIG WALL_S POINT MODE VECTORS`. The clock stands at WALL_S. At the POINT-th disk call or
transaction from readiness on, the process kills itself; 0 means never. MODE: `kill` leaves the disk as it is; `power`
takes back what was not synced first; `plain` leaves the disk to whoever stands below (rig.py). Each exact vector that a
release is made of goes to the file VECTORS, before its noise: for this test's eyes only.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from node_kit import HandClock  # noqa: E402
from vault_kit import Faults  # noqa: E402

from node.app import running_node  # noqa: E402
from node.config import load_config  # noqa: E402
from node.jobs import publishing  # noqa: E402
from node.logs import configure_logs  # noqa: E402
from node.state.database import StateDatabase  # noqa: E402


class Fate:
    """Counts points from `begin` on and ends the process at the chosen one."""

    def __init__(self, point: int, faults: Faults, *, loses_power: bool) -> None:
        self._point = point
        self._faults = faults
        self._loses_power = loses_power
        self._lock = threading.Lock()
        self._passed = -1

    def begin(self) -> None:
        self._passed = 0

    def act(self, *_: object) -> None:
        with self._lock:  # whoever comes second waits here until the process is gone
            if self._passed >= 0 and self._point:
                self._passed += 1
                if self._passed == self._point:
                    if self._loses_power:
                        self._faults.lose_power()
                    os.kill(os.getpid(), signal.SIGKILL)


def make_mortal(fate: Fate) -> None:
    """Each transaction is a point before it and after it."""
    real = StateDatabase.transaction

    @contextmanager
    def transaction(self: StateDatabase) -> Iterator[sqlite3.Connection]:
        fate.act()
        with real(self) as connection:
            yield connection
        fate.act()

    StateDatabase.transaction = transaction  # type: ignore[method-assign]


def keep_vectors(file: Path) -> None:
    """Write each exact vector down as it is made."""
    real = publishing.ExactVector

    def kept(cells: list[int]) -> Any:
        with file.open("a") as lines:
            lines.write(json.dumps(list(cells)) + "\n")
        return real(cells)

    publishing.ExactVector = kept  # type: ignore[assignment,misc]


async def main(config: Path, wall_s: float, point: int, mode: str, vectors: Path) -> None:
    faults = Faults()
    fate = Fate(point, faults, loses_power=mode != "kill")
    faults.act = fate.act
    make_mortal(fate)
    keep_vectors(vectors)
    configure_logs("debug")  # the log goes to stderr, as that of `murmur run`
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    disk = None if mode == "plain" else faults.disk
    async with running_node(load_config(config), stopped, clock=HandClock(wall_s), disk=disk) as node:
        node.vault.upkeep.many_frames = 64  # so that compaction is under way when the process dies
        fate.begin()
        os.write(1, b"ready\n")
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4], Path(sys.argv[5])))
