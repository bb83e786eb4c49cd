"""From a timestamp as clients write it to seconds since 1970-01-01T00Z.

ISO 8601 with `Z` or an offset; or a number: unix seconds, above 10¹¹ milliseconds (10¹¹ seconds is the year
5138). A text without a zone is refused: whose noon is it? Texts in UTC come out cut to their hour, which is
all that is ever kept of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from math import nan
from typing import Final

from privacy.filtering import MAX_HOUR

_MILLISECONDS_FROM: Final = 10**11
_MAX_TEXT: Final = 40
_HOUR_LENGTH: Final = len("2026-11-01T05")
_REST: Final = r":[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?)?Z"
_REST_IN_UTC: Final = re.compile(_REST)
_RESTS_IN_UTC: Final = re.compile(f"{_REST}(?:\n{_REST})*+")
_MAX_KNOWN_HOURS: Final = 2048

# Seconds at which each hour seen lately starts. Hours only: nothing of a person stays in memory.
_known_hours: dict[str, int] = {}


def seconds_of(timestamp: str | int | float | None) -> int | float:
    """Seconds since 1970-01-01T00Z, or NaN where the timestamp says no moment."""
    if type(timestamp) is str:
        if _REST_IN_UTC.fullmatch(timestamp, _HOUR_LENGTH) is not None:
            known = _known_hours.get(timestamp[:_HOUR_LENGTH])
            return _learn(timestamp[:_HOUR_LENGTH]) if known is None else known
        return _parse(timestamp)
    if type(timestamp) is int:
        return timestamp // 1000 if timestamp > _MILLISECONDS_FROM else timestamp
    if type(timestamp) is float:
        return timestamp / 1000 if timestamp > _MILLISECONDS_FROM else timestamp
    return nan


def hours_of(timestamps: Sequence[str | int | float | None]) -> list[int | None]:
    """The hour, since 1970-01-01T00Z, of each; None where it says no moment that may be stored."""
    if set(map(type, timestamps)) == {str}:
        texts: Sequence[str] = timestamps  # type: ignore[assignment]  # just seen
        rests = "\n".join([text[_HOUR_LENGTH:] for text in texts])
        if _RESTS_IN_UTC.fullmatch(rests) is not None and rests.count("\n") == len(texts) - 1:
            prefixes = [text[:_HOUR_LENGTH] for text in texts]
            hours = {prefix: _hour(seconds_of(prefix + ":00Z")) for prefix in set(prefixes)}
            return [hours[prefix] for prefix in prefixes]
    return [_hour(seconds_of(timestamp)) for timestamp in timestamps]


def _hour(seconds: int | float) -> int | None:
    return int(seconds // 3600) if 0 <= seconds < MAX_HOUR * 3600 else None


def _learn(hour: str) -> int | float:
    seconds = _parse(hour + ":00Z")
    if seconds == seconds and type(seconds) is int:
        if len(_known_hours) >= _MAX_KNOWN_HOURS:
            _known_hours.clear()
        _known_hours[hour] = seconds
    return seconds


def _parse(text: str) -> int | float:
    if len(text) > _MAX_TEXT or not text.isascii():
        return nan
    try:
        moment = datetime.fromisoformat(text)
        return nan if moment.tzinfo is None else int(moment.timestamp())
    except (ValueError, OverflowError):
        return nan
