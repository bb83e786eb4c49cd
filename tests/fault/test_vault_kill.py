"""kill -9 in the middle of an append loop: what was acknowledged is readable afterwards, nothing is there twice.

Bounded: ROUNDS children on one folder, each killed after a random number of acknowledged groups. The long version
under HTTP load runs in the slow suite of the ingest.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from privacy.units import Window
from tests.vault_kit import HISTORY, NOW, vault_at

ROUNDS = 4
HOURS = (NOW, NOW - 24, HISTORY, HISTORY + 24)


def killed_round(folder: Path, first: int, groups: int) -> tuple[int, int]:
    """(last acknowledged number, last number that may have been written) of a child killed after some groups."""
    command = [sys.executable, Path(__file__).with_name("vault_child.py"), folder, str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged = first
    for _ in range(groups):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split(b"\n")[:-1]  # acknowledged before the signal arrived
    acknowledged = int(rest[-1]) if rest else acknowledged
    assert process.wait() == -signal.SIGKILL
    return acknowledged, acknowledged + 25 * len(HOURS)


def stored_numbers(folder: Path) -> list[int]:
    vault = vault_at(folder)
    found: list[int] = []
    for hour in HOURS:
        found += vault.read(Window.containing("day", hour)).column("event_key").to_pylist()
    vault._database.close()
    return found


def test_kill_9_loses_no_acknowledged_row_and_doubles_none(tmp_path: Path) -> None:
    """Four children on one folder; at most the group in flight is there without having been acknowledged."""
    draw = random.Random(20)
    wanted: set[int] = set()
    allowed: set[int] = set()
    first = 0
    for _ in range(ROUNDS):
        acknowledged, possible = killed_round(tmp_path, first, draw.randrange(1, 120))
        wanted |= set(range(first, acknowledged))
        allowed |= set(range(first, possible))
        first = possible
        found = stored_numbers(tmp_path)
        assert len(found) == len(set(found))
        assert wanted <= set(found) <= allowed
    assert len(wanted) > 1000
