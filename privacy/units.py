"""Windows, epochs and hours: the units of time in which everything is counted.

An *hour* is an int: whole hours since 1970-01-01T00Z. A *window* is a half-open UTC interval of one hour,
day, week (from Monday) or month; an *epoch* is a window too, of a day, a week or a month. Windows of one
kind tile time.

A release's window lies inside one epoch and charges exactly that epoch (PRIVACY 1): hour and day windows in
any epoch, a week in a week, a month in a month. A week is never taken inside a month epoch, not even when
it happens to fit: whether a metric can be answered must not depend on the date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Literal

from privacy.errors import InvalidWindow

WindowKind = Literal["hour", "day", "week", "month"]
EpochLength = Literal["day", "week", "month"]

WINDOW_KINDS: Final[tuple[WindowKind, ...]] = ("hour", "day", "week", "month")
EPOCH_LENGTHS: Final[tuple[EpochLength, ...]] = ("day", "week", "month")

HOURS_PER_DAY: Final = 24
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_END_HOUR: Final = (date(9999, 12, 1).toordinal() - _EPOCH_ORDINAL) * HOURS_PER_DAY  # the calendar ends soon after

_DURATIONS: Final[dict[str, WindowKind]] = {"PT1H": "hour", "P1D": "day", "P1W": "week", "P1M": "month"}
_DURATION_OF: Final[dict[str, str]] = {kind: text for text, kind in _DURATIONS.items()}
_TEXT: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}))?/(PT1H|P1D|P1W|P1M)")
_MAX_TEXT: Final = 18  # "2026-11-01T05/PT1H"

_FITS: Final[dict[WindowKind, frozenset[EpochLength]]] = {
    "hour": frozenset(EPOCH_LENGTHS),
    "day": frozenset(EPOCH_LENGTHS),
    "week": frozenset({"week"}),
    "month": frozenset({"month"}),
}


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One whole UTC hour, day, week or month; orders by kind's name, then start.

    Args:
        kind: "hour", "day", "week" (Monday to Sunday) or "month" (calendar month).
        start_hour: First hour, in hours since 1970-01-01T00Z; >= 0 and on the kind's boundary.

    Raises:
        InvalidWindow: the kind is unknown or the start is not a boundary.
    """

    kind: WindowKind
    start_hour: int

    def __post_init__(self) -> None:
        if self.kind not in _DURATION_OF:
            raise _bad(str(self.kind), "its kind is not one of hour, day, week, month")
        if isinstance(self.start_hour, bool) or not isinstance(self.start_hour, int):
            raise _bad(self.kind, "its start is not a whole number of hours")
        if _start_of(self.kind, self.start_hour) != self.start_hour:
            raise _bad(f"{self.kind} from hour {self.start_hour}", f"no {self.kind} starts at this hour (UTC)")

    @classmethod
    def parse(cls, text: str) -> Window:
        """The window a text like `2026-11-01T05/PT1H`, `2026-11-01/P1D`, `2026-11-02/P1W`, `2026-11-01/P1M`
        names.

        Raises:
            InvalidWindow: any other text, a date that does not exist, or one that is not the kind's first.
        """
        match = _TEXT.fullmatch(text) if len(text) <= _MAX_TEXT else None
        if match is None:
            raise _bad(text[:_MAX_TEXT], "expected START/DURATION such as 2026-11-01/P1D or 2026-11-01T05/PT1H")
        year, month, day, hour, duration = match.groups()
        kind = _DURATIONS[duration]
        if (hour is not None) != (kind == "hour") or (hour is not None and int(hour) >= HOURS_PER_DAY):
            raise _bad(text, "only an hour window names its hour, 00 to 23")
        try:
            ordinal = date(int(year), int(month), int(day)).toordinal()
        except ValueError:
            raise _bad(text, "there is no such date") from None
        return cls(kind, (ordinal - _EPOCH_ORDINAL) * HOURS_PER_DAY + int(hour or 0))

    @classmethod
    def containing(cls, kind: WindowKind, hour: int) -> Window:
        """The one window of this kind that contains the hour."""
        return cls(kind, _start_of(kind, hour))

    @property
    def end_hour(self) -> int:
        """First hour after the window."""
        if self.kind == "hour":
            return self.start_hour + 1
        if self.kind == "day":
            return self.start_hour + HOURS_PER_DAY
        if self.kind == "week":
            return self.start_hour + 7 * HOURS_PER_DAY
        return _start_of("month", self.start_hour + 31 * HOURS_PER_DAY)

    @property
    def hours(self) -> int:
        """Length in hours."""
        return self.end_hour - self.start_hour

    @property
    def text(self) -> str:
        """The one text of this window; `parse` reads it back."""
        start = self.start
        if self.kind == "hour":
            return f"{start:%Y-%m-%dT%H}/PT1H"
        return f"{start:%Y-%m-%d}/{_DURATION_OF[self.kind]}"

    @property
    def start(self) -> datetime:
        """Start, UTC-aware."""
        return datetime_of_hour(self.start_hour)

    @property
    def end(self) -> datetime:
        """First instant after the window, UTC-aware."""
        return datetime_of_hour(self.end_hour)

    @property
    def next(self) -> Window:
        """The window of the same kind that follows."""
        return Window(self.kind, self.end_hour)

    def contains(self, hour: int) -> bool:
        return self.start_hour <= hour < self.end_hour

    def __str__(self) -> str:
        return self.text


def windows_between(kind: WindowKind, start_hour: int, end_hour: int) -> Iterator[Window]:
    """Windows of this kind that lie wholly in [start_hour, end_hour), oldest first."""
    window = Window.containing(kind, start_hour)
    if window.start_hour < start_hour:
        window = window.next
    while window.end_hour <= end_hour:
        yield window
        window = window.next


def epoch_of(length: EpochLength, hour: int) -> Window:
    """The epoch of this length that contains the hour."""
    if length not in EPOCH_LENGTHS:
        raise _bad(str(length), "an epoch is a day, a week or a month")
    return Window.containing(length, hour)


def window_lies_in_one_epoch(window: Window, length: EpochLength) -> bool:
    """True when windows of this kind always lie in one epoch of this length (PRIVACY 1)."""
    return length in _FITS[window.kind]


def hour_of(moment: datetime) -> int:
    """The UTC hour that contains an aware moment."""
    if moment.tzinfo is None:
        raise _bad("hour", "the moment has no time zone")
    utc = moment.astimezone(UTC)
    return (utc.toordinal() - _EPOCH_ORDINAL) * HOURS_PER_DAY + utc.hour


def datetime_of_hour(hour: int) -> datetime:
    """The instant, UTC-aware, at which an hour begins."""
    day, rest = divmod(_checked(hour), HOURS_PER_DAY)
    start = date.fromordinal(day + _EPOCH_ORDINAL)
    return datetime(start.year, start.month, start.day, rest, tzinfo=UTC)


def _start_of(kind: WindowKind, hour: int) -> int:
    """First hour of the window of this kind around the hour."""
    _checked(hour)
    if kind == "hour":
        return hour
    day = hour // HOURS_PER_DAY
    if kind == "week":
        day -= (day + 3) % 7  # day 0, 1970-01-01, was a Thursday
    elif kind == "month":
        day = date.fromordinal(day + _EPOCH_ORDINAL).replace(day=1).toordinal() - _EPOCH_ORDINAL
    return _checked(day * HOURS_PER_DAY)


def _checked(hour: int) -> int:
    if not 0 <= hour < _END_HOUR:
        raise _bad(f"hour {hour}", "it lies outside the calendar from 1970-01-01 to 9999-11-30")
    return hour


def _bad(window: str, why: str) -> InvalidWindow:
    return InvalidWindow(
        what=f"Window {window!r} refused",
        why=why,
        fix="Name a whole UTC hour, day, week (from Monday) or month, such as 2026-11-01/P1D",
    )
