"""A doubtful clock closes nothing and destroys nothing."""

from __future__ import annotations

from pathlib import Path

from node.jobs.clock_guard import ClockGuard
from node.state.database import StateDatabase

DAY_MS = 86_400_000


class HandClock:
    """A clock moved by hand."""

    def __init__(self, at_ms: int) -> None:
        self.wall_ms = at_ms
        self.mono_s = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def pass_time(self, seconds: float) -> None:
        self.wall_ms += int(seconds * 1000)
        self.mono_s += seconds


def test_time_that_just_passes_is_trusted(tmp_path: Path) -> None:
    """Both clocks move together, over any span."""
    clock = HandClock(10 * DAY_MS)
    guard = ClockGuard(clock, StateDatabase(tmp_path / "state.db"))
    for seconds in (0, 1, 3600, 86_400):
        clock.pass_time(seconds)
        assert guard.is_trusted()


def test_a_jump_either_way_is_doubted_until_it_is_undone(tmp_path: Path) -> None:
    """A day forward would close windows too early; a day back would open what is closed."""
    clock = HandClock(10 * DAY_MS)
    guard = ClockGuard(clock, StateDatabase(tmp_path / "state.db"))
    for jump in (DAY_MS, -DAY_MS):
        clock.wall_ms += jump
        assert not guard.is_trusted()
        assert guard.doubt is not None
        clock.wall_ms -= jump
        assert guard.is_trusted()


def test_a_clock_set_back_while_the_node_was_down_is_doubted(tmp_path: Path) -> None:
    """The latest time seen is kept on disk."""
    clock = HandClock(10 * DAY_MS)
    database = StateDatabase(tmp_path / "state.db")
    assert ClockGuard(clock, database).is_trusted()
    clock.wall_ms -= DAY_MS
    again = ClockGuard(clock, database)
    assert not again.is_trusted()
    assert "before the latest time" in str(again.doubt)
    clock.pass_time(86_400)
    assert again.is_trusted()
