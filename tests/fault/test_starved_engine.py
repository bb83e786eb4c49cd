"""DuckDB without memory refuses and touches no disk, wherever: each call of the process that would is seen (rig.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fault.rig import FIELDS, PATTERN_BYTES, SOURCE, compiled

CHILD = Path(__file__).with_name("starved_child.py")


def played(folder: Path, how: str) -> tuple[str, list[str]]:
    """What the child said, and every call of its process that changed something under `/`."""
    folder.mkdir()
    control, log = folder / "control", folder / "log"
    control.write_bytes(bytes(8 * len(FIELDS) + PATTERN_BYTES))
    env = {**os.environ, "LD_PRELOAD": str(compiled(SOURCE)), "SHIM_ROOT": "/", "SHIM_CONTROL": str(control),
           "SHIM_LOG": str(log), "SHIM_SHADOW": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder),
           "TMPDIR": str(folder)}  # fmt: skip
    done = subprocess.run([sys.executable, CHILD, how], env=env, capture_output=True, text=True, cwd=folder, check=True)
    lines = log.read_text().splitlines() if log.exists() else []
    return done.stdout.split()[-1], [line for line in lines if " dev/" not in line]


def test_a_starved_engine_touches_no_disk(tmp_path: Path) -> None:
    """No file made, written, renamed or removed anywhere: not beside it, not in HOME, not in a temporary folder."""
    said, touched = played(tmp_path / "own", "connect")
    assert said == "refused"
    assert touched == []


def test_an_engine_that_may_spill_would_be_seen(tmp_path: Path) -> None:
    """The same query with a temporary folder writes rows to it, and removes them again: only the calls tell."""
    spill = tmp_path / "spill"
    _, touched = played(tmp_path / "other", str(spill))
    assert any(str(spill)[1:] in line for line in touched)
