"""Days pass for real nodes: whatever is started from then on, and every command, has clocks that much further on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.rig import compiled

DAY_S = 86_400


def days_pass(patched: pytest.MonkeyPatch, days: int) -> None:
    """Wall clock and monotonic clock of every process started from now on are so many days past the present."""
    patched.setenv("LD_PRELOAD", str(compiled(Path(__file__).with_name("clock_skew.c"))))
    patched.setenv("SKEW_S", str(days * DAY_S))
    patched.setenv("SKEW_SLEPT", "1")
