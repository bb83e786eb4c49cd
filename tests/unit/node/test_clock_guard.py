"""A doubtful clock closes nothing and destroys nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import StorageError
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


HOUR_MS = 3_600_000


def guard_with(tmp_path: Path, skews: dict[bytes, int], **options: str | None) -> tuple[ClockGuard, HandClock]:
    clock = HandClock(10 * DAY_MS)
    return ClockGuard(clock, StateDatabase(tmp_path / "state.db"), skews=lambda: skews, **options), clock


@pytest.mark.parametrize(
    ("skews", "is_trusted"),
    [
        ([], True),
        ([HOUR_MS], True),  # one peer cannot stop a node
        ([HOUR_MS, 0], True),
        ([HOUR_MS, -HOUR_MS], False),
        ([HOUR_MS, HOUR_MS, 500, -500], False),  # as many as agree
        ([HOUR_MS, HOUR_MS, 0, 0, 0], True),  # a majority agrees
        ([119_000, -119_000, 90_000], True),  # within two minutes
    ],
)
def test_two_peers_can_raise_a_doubt_and_one_cannot(tmp_path: Path, skews: list[int], is_trusted: bool) -> None:
    """Two or more, and no fewer than agree."""
    guard, _ = guard_with(tmp_path, {bytes([peer]): skew for peer, skew in enumerate(skews)})
    assert guard.is_trusted() is is_trusted
    assert ("peers" in str(guard.doubt)) is not is_trusted


def test_the_operator_decides_against_peers_until_they_change(tmp_path: Path) -> None:
    """Accepted skews raise no doubt any more, also when they drift a little; another clock does."""
    skews = {b"a": HOUR_MS, b"b": HOUR_MS}
    guard, _ = guard_with(tmp_path, skews)
    assert "peers" in str(guard.accept())
    assert guard.is_trusted()
    skews[b"a"] += 60_000
    assert guard.is_trusted()
    skews[b"a"] = skews[b"b"] = -HOUR_MS
    assert not guard.is_trusted()


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS])
def test_accepting_makes_a_moved_clock_the_measure(tmp_path: Path, jump_ms: int) -> None:
    """Either way, durably: a restart finds the accepted time, and the old time is the wrong one from then on."""
    clock = HandClock(10 * DAY_MS)
    database = StateDatabase(tmp_path / "state.db")
    guard = ClockGuard(clock, database, boot="one")
    assert guard.is_trusted()
    clock.wall_ms += jump_ms
    assert not guard.is_trusted()
    assert "monotonic" in str(guard.accept())
    assert guard.accept() is None
    assert guard.is_trusted()
    assert ClockGuard(clock, database, boot="one").is_trusted()
    clock.wall_ms -= jump_ms
    assert not guard.is_trusted()


def test_a_restart_does_not_make_a_moved_clock_right(tmp_path: Path) -> None:
    """Set forward while the node was down, in the same boot: doubted; after a reboot nobody can tell but peers."""
    clock = HandClock(10 * DAY_MS)
    database = StateDatabase(tmp_path / "state.db")
    assert ClockGuard(clock, database, boot="one").is_trusted()
    clock.pass_time(3600)
    assert ClockGuard(clock, database, boot="one").is_trusted()
    clock.wall_ms += DAY_MS
    assert not ClockGuard(clock, database, boot="one").is_trusted()
    clock.mono_s = 5
    assert ClockGuard(clock, database, boot="two").is_trusted()


def test_a_clock_that_cannot_be_recorded_is_not_accepted(tmp_path: Path) -> None:
    """The doubt stays when the state database fails."""
    clock = HandClock(10 * DAY_MS)
    database = StateDatabase(tmp_path / "state.db")
    guard = ClockGuard(clock, database)
    clock.wall_ms += DAY_MS
    database.close()
    with pytest.raises(StorageError):
        guard.accept()
    assert guard.doubt is not None
