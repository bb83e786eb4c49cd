"""Windows, epochs and hours: one text each, tiles without gaps, and what fits in an epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InvalidWindow, PrivacyError
from privacy.units import (
    EPOCH_LENGTHS,
    WINDOW_KINDS,
    EpochLength,
    Window,
    WindowKind,
    datetime_of_hour,
    epoch_of,
    hour_of,
    window_lies_in_one_epoch,
    windows_between,
)

HOURS = st.integers(24 * 40, 24 * 366 * 300)
KINDS = st.sampled_from(WINDOW_KINDS)


@pytest.mark.parametrize(
    ("text", "hours", "following"),
    [
        ("2026-11-01T05/PT1H", 1, "2026-11-01T06/PT1H"),
        ("2026-11-01T23/PT1H", 1, "2026-11-02T00/PT1H"),
        ("2026-11-01/P1D", 24, "2026-11-02/P1D"),
        ("2026-11-02/P1W", 168, "2026-11-09/P1W"),
        ("2026-12-28/P1W", 168, "2027-01-04/P1W"),
        ("2026-11-01/P1M", 720, "2026-12-01/P1M"),
        ("2028-02-01/P1M", 29 * 24, "2028-03-01/P1M"),
        ("1970-01-01/P1M", 31 * 24, "1970-02-01/P1M"),
    ],
)
def test_a_window_has_one_text(text: str, hours: int, following: str) -> None:
    """Parsed, printed, measured and followed."""
    window = Window.parse(text)
    assert window.text == str(window) == text
    assert window.hours == hours
    assert window.next.text == following
    assert window.end == window.next.start


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-01",
        "2026-11-01/P2D",
        "2026-11-01T05/P1D",
        "2026-11-01/PT1H",
        "2026-11-01T24/PT1H",
        "2026-11-01/P1W",  # a Sunday
        "2026-11-02/P1M",
        "2026-02-30/P1D",
        "0000-01-01/P1D",
        "1969-12-29/P1W",
        "9999-12-31/P1D",
        "2026-11-01/P1D ",
        "２０２６-11-01/P1D",
        "2026-11-01/P1D\n",
        "9" * 10_000,
    ],
)
def test_another_text_is_refused(text: str) -> None:
    """Only the family's error leaves the parser."""
    with pytest.raises(InvalidWindow):
        Window.parse(text)


@given(st.text(max_size=24))
def test_any_text_parses_or_raises_the_family(text: str) -> None:
    """What parses prints as it was written."""
    try:
        window = Window.parse(text)
    except PrivacyError:
        return
    assert window.text == text


@given(KINDS, HOURS)
def test_windows_tile_time(kind: WindowKind, hour: int) -> None:
    """Each hour lies in exactly one window of a kind; neighbours touch."""
    window = Window.containing(kind, hour)
    assert window.contains(hour)
    assert Window.parse(window.text) == window
    assert Window.containing(kind, window.end_hour) == window.next
    assert Window.containing(kind, window.end_hour - 1) == window
    assert Window.containing(kind, window.start_hour - 1).next == window


@given(KINDS, HOURS, st.integers(0, 24 * 70))
def test_windows_between_are_all_that_lie_wholly_inside(kind: WindowKind, start: int, length: int) -> None:
    """Those and no others, oldest first."""
    end = start + length
    touched = sorted({Window.containing(kind, hour) for hour in range(start, end)})
    inside = [window for window in touched if start <= window.start_hour and window.end_hour <= end]
    assert list(windows_between(kind, start, end)) == inside


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("hour", {"day", "week", "month"}),
        ("day", {"day", "week", "month"}),
        ("week", {"week"}),
        ("month", {"month"}),
    ],
)
def test_which_windows_lie_in_one_epoch(kind: WindowKind, fits: set[str]) -> None:
    """PRIVACY 1, and never a matter of the date."""
    window = Window.containing(kind, hour_of(datetime(2026, 11, 4, tzinfo=UTC)))
    assert {length for length in EPOCH_LENGTHS if window_lies_in_one_epoch(window, length)} == fits


@given(KINDS, HOURS, st.sampled_from(EPOCH_LENGTHS))
def test_a_window_that_fits_is_inside_its_epoch(kind: WindowKind, hour: int, length: EpochLength) -> None:
    """The static rule implies the arithmetic one."""
    window = Window.containing(kind, hour)
    if window_lies_in_one_epoch(window, length):
        epoch = epoch_of(length, window.start_hour)
        assert epoch.start_hour <= window.start_hour
        assert window.end_hour <= epoch.end_hour


def test_a_week_begins_on_monday() -> None:
    """ISO weeks, UTC."""
    assert Window.containing("week", hour_of(datetime(2026, 11, 8, 23, 59, tzinfo=UTC))).text == "2026-11-02/P1W"


def test_an_hour_is_the_utc_hour() -> None:
    """Another zone's clock does not move it; a naive moment is refused."""
    zone = timezone(timedelta(hours=5, minutes=30))
    assert hour_of(datetime(2026, 11, 1, 5, 59, tzinfo=zone)) == hour_of(datetime(2026, 11, 1, 0, 29, tzinfo=UTC))
    assert datetime_of_hour(hour_of(datetime(2026, 11, 1, 0, 29, tzinfo=UTC))) == datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(InvalidWindow):
        hour_of(datetime(2026, 11, 1))  # noqa: DTZ001  # the naive moment is the point


@pytest.mark.parametrize(("kind", "start"), [("day", 1), ("week", 0), ("decade", 0), ("day", -24), ("hour", True)])
def test_a_window_off_its_boundary_cannot_exist(kind: str, start: int) -> None:
    """The constructor checks, so a Window in hand is a window."""
    with pytest.raises(InvalidWindow):
        Window(kind, start)  # type: ignore[arg-type]
