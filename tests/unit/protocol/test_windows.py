"""Windows and hours as texts: one text per window, and the same meaning as in privacy.units."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from protocol.errors import MalformedMessage
from protocol.windows import hour_text, parse_hour, parse_window


def hours(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) // 3600  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind", "start", "end"),
    [
        ("2026-11-01T05/PT1H", "hour", hours(2026, 11, 1, 5), hours(2026, 11, 1, 6)),
        ("1970-01-01T00/PT1H", "hour", 0, 1),
        ("2026-11-01/P1D", "day", hours(2026, 11, 1), hours(2026, 11, 2)),
        ("2024-02-29/P1D", "day", hours(2024, 2, 29), hours(2024, 3, 1)),
        ("2026-11-02/P1W", "week", hours(2026, 11, 2), hours(2026, 11, 9)),
        ("2026-12-01/P1M", "month", hours(2026, 12, 1), hours(2027, 1, 1)),
        ("2026-02-01/P1M", "month", hours(2026, 2, 1), hours(2026, 3, 1)),
    ],
)
def test_window_texts(text: str, kind: str, start: int, end: int) -> None:
    """Half-open hours since 1970."""
    span = parse_window(text)
    assert (span.text, span.kind, span.start_hour, span.end_hour) == (text, kind, start, end)


@pytest.mark.requirement("M-ENC-10")
@pytest.mark.parametrize(
    "text",
    [
        "", "2026-11-01", "2026-11-01/P1Y", "2026-11-01/P2D", "2026-11-01/PT1H", "2026-11-01T05/P1D",
        "2026-11-01T24/PT1H",
        "2026-02-30/P1D", "2026-13-01/P1D", "2026-11-03/P1W", "2026-11-02/P1M", "1969-12-31/P1D", "3000-01-01/P1D",
        "2026-11-01/p1d", " 2026-11-01/P1D", "2026-11-01/P1D ", "2026-11-1/P1D", "20261101/P1D", "٢٠٢٦-11-01/P1D",
        "2026-11-01T5/PT1H", "+026-11-01/P1D", 5, None, b"2026-11-01/P1D",
    ],
)  # fmt: skip
def test_every_other_text_is_refused(text: str) -> None:
    """Including those a lenient date library would read."""
    with pytest.raises(MalformedMessage):
        parse_window(text)


def test_hours_round_trip() -> None:
    """The form of `counts_from` and of catalogue rows."""
    for hour in (0, 23, 24, hours(2026, 11, 5, 7), hours(2999, 12, 31, 23)):
        assert parse_hour(hour_text(hour)) == hour
    assert hour_text(hours(2026, 11, 5, 7)) == "2026-11-05T07"
    for text in ("2026-11-05", "2026-11-05T24", "2026-11-05T7", "2026-02-30T00", "2026-11-05T00Z", "1969-12-31T00"):
        with pytest.raises(MalformedMessage):
            parse_hour(text)


def test_same_windows_as_the_privacy_core() -> None:
    """The two cores may not import each other, so this test holds their windows together."""
    units = pytest.importorskip("privacy.units")
    for text in ("2026-11-01T05/PT1H", "2024-02-29/P1D", "2026-11-02/P1W", "2026-12-01/P1M"):
        window, span = units.Window.parse(text), parse_window(text)
        assert (window.text, window.kind, window.start_hour, window.end_hour) == (
            span.text, span.kind, span.start_hour, span.end_hour,
        )  # fmt: skip
