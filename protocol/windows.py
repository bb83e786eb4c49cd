"""Windows and hours as the texts the protocol carries.

`2026-11-01T05/PT1H`, `2026-11-01/P1D`, `2026-11-02/P1W`, `2026-11-01/P1M`; an hour alone is `2026-11-01T05`.

One text per window, UTC, half-open; a week starts on Monday, a month on its first day. Hours count from
1970-01-01T00Z. `privacy.units` has the type the engine computes with; this module only reads and writes the
wire form, since neither core may import the other (a test holds them together).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from protocol.canonical import Value
from protocol.errors import MalformedMessage
from protocol.fields import check_text

LAST_YEAR: Final = 2999  # room enough, and every hour count stays small

_EPOCH: Final = date(1970, 1, 1)
_WINDOW: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}))?/(PT1H|P1D|P1W|P1M)", re.ASCII)
_HOUR: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})", re.ASCII)
_KINDS: Final = {"PT1H": "hour", "P1D": "day", "P1W": "week", "P1M": "month"}


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """A window read from its text: hours [start_hour, end_hour) since 1970-01-01T00Z."""

    text: str
    kind: str
    start_hour: int
    end_hour: int


def parse_window(value: Value, what: str = "window") -> WindowSpan:
    """The window a text names.

    Raises:
        MalformedMessage: not text, not one of the four forms, no such day or hour, or a start no such window has.
    """
    return _span(value, what) if type(value) is str else _span(check_text(value, what), what)


@lru_cache(maxsize=8_192)  # logs name the same few windows again and again
def _span(value: str, what: str) -> WindowSpan:
    text = check_text(value, what, 24)
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise _refused(what, text)
    kind = _KINDS[match[3]]
    if (match[2] is None) == (kind == "hour"):
        raise _refused(what, text)
    day = _day(match[1], what)
    start = _hours(day)
    if kind == "hour":
        hour = int(match[2])
        if hour > 23:
            raise _refused(what, text)
        return WindowSpan(text, kind, start + hour, start + hour + 1)
    if kind == "day":
        return WindowSpan(text, kind, start, start + 24)
    if kind == "week":
        if day.weekday() != 0:
            raise _refused(what, text)
        return WindowSpan(text, kind, start, start + 24 * 7)
    if day.day != 1:
        raise _refused(what, text)
    return WindowSpan(text, kind, start, _hours((day + timedelta(days=32)).replace(day=1)))


def parse_hour(value: Value, what: str = "hour") -> int:
    """Hours since 1970-01-01T00Z from `2026-11-05T00`.

    Raises:
        MalformedMessage: another form, or no such day or hour.
    """
    text = check_text(value, what, 13)
    match = _HOUR.fullmatch(text)
    if match is None or int(match[2]) > 23:
        raise _refused(what, text)
    return _hours(_day(match[1], what)) + int(match[2])


def hour_text(hour: int) -> str:
    """The text of an hour, `2026-11-05T00`; `hour` counts from 1970-01-01T00Z and is >= 0."""
    days, rest = divmod(hour, 24)
    return f"{_EPOCH + timedelta(days=days)}T{rest:02d}"


def _day(text: str, what: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _refused(what, text) from None
    if not _EPOCH.year <= day.year <= LAST_YEAR:
        raise _refused(what, text)
    return day


def _hours(day: date) -> int:
    return (day - _EPOCH).days * 24


def _refused(what: str, text: str) -> MalformedMessage:
    return MalformedMessage(
        what=f"{what} refused",
        why=f"'{text}' is no window or hour",
        fix="Write 2026-11-01T05/PT1H, 2026-11-01/P1D, 2026-11-02/P1W (a Monday) or 2026-11-01/P1M",
    )
