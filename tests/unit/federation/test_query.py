"""Questions as texts: read the same way everywhere, refused with what to mend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.comparison import previous_query
from federation.query import (
    MAX_WINDOWS,
    BadParameter,
    BadWindow,
    DefinitionChanged,
    MetricRow,
    Query,
    QueryRefused,
    UnknownDimension,
    UnknownMetric,
    governing_row,
    parse_query,
)
from privacy.units import Window
from tests.unit.federation.combining import COUNTRIES, DAY, HOURS, RUNWAY, row

ROWS = [row(COUNTRIES)]


def asked(rows: list[MetricRow] | None = None, newest: Window | None = DAY, **parameters: str) -> Query:
    named = {name.rstrip("_"): text for name, text in parameters.items()}
    chosen = ROWS if rows is None else rows
    return parse_query("people_by_country", chosen, named, newest)


def texts(query: Query) -> list[str]:
    return [window.text for window, _ in query.windows]


def test_one_window_by_its_text() -> None:
    assert texts(asked(window="2026-10-07/P1D")) == ["2026-10-07/P1D"]


def test_a_longer_window_holds_several() -> None:
    assert len(asked(window="2026-10-05/P1W").windows) == 7
    assert len(asked(window="2026-10-01/P1M").windows) == 31


def test_from_and_to_are_half_open() -> None:
    assert texts(asked(from_="2026-10-07", to="2026-10-09")) == ["2026-10-07/P1D", "2026-10-08/P1D"]
    assert texts(asked(from_="2026-10-07T01", to="2026-10-09T23")) == ["2026-10-08/P1D"]


@pytest.mark.parametrize(
    ("last", "first"),
    [("7d", "2026-10-26/P1D"), ("2", "2026-10-31/P1D"), ("1w", "2026-10-26/P1D"), ("48h", "2026-10-31/P1D")],
)
def test_last_counts_back_from_the_newest_release(last: str, first: str) -> None:
    windows = texts(asked(last=last))
    assert (windows[0], windows[-1]) == (first, "2026-11-01/P1D")


def test_without_a_span_the_last_thirty_days() -> None:
    windows = texts(asked())
    assert (len(windows), windows[0], windows[-1]) == (30, "2026-10-03/P1D", "2026-11-01/P1D")


def test_before_anything_was_released_there_are_no_windows() -> None:
    assert asked(newest=None).windows == ()
    assert texts(asked(newest=None, window="2026-10-07/P1D")) == ["2026-10-07/P1D"]


def test_windows_before_the_row_are_not_asked() -> None:
    assert texts(asked(from_="2026-09-28", to="2026-10-03")) == ["2026-10-01/P1D", "2026-10-02/P1D"]
    with pytest.raises(BadWindow, match="not in the catalogue"):
        asked(from_="2026-09-01", to="2026-09-03")


def test_by_keeps_layout_order_and_total_keeps_nothing() -> None:
    runway = [row(RUNWAY)]
    assert asked(runway).by == ("industry", "remote")
    assert asked(runway, by="remote,industry").by == ("industry", "remote")
    assert asked(runway, by="remote").by == ("remote",)
    assert asked(runway, by="total").by == ()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"window": "yesterday"}, BadWindow),
        ({"window": "2026-11-01T05/PT1H"}, BadWindow),
        ({"window": "2026-11-03/P1W"}, BadWindow),
        ({"window": "2026-10-07/P1D", "last": "7d"}, BadWindow),
        ({"from_": "2026-10-07"}, BadWindow),
        ({"from_": "2026-10-07", "to": "2026-10-07"}, BadWindow),
        ({"from_": "2026-10-07", "to": "2026-02-30"}, BadWindow),
        ({"from_": "1960-01-01", "to": "2026-02-03"}, BadWindow),
        ({"from_": "1971-01-01", "to": "2026-02-03"}, BadWindow),
        ({"last": "0d"}, BadWindow),
        ({"last": "7 days"}, BadWindow),
        ({"last": "1001"}, BadWindow),
        ({"last": "9999d"}, BadWindow),
        ({"by": "city"}, UnknownDimension),
        ({"by": "country,country"}, BadParameter),
        ({"level": "0.9"}, BadParameter),
        ({"raw": "yes"}, BadParameter),
        ({"format": "csv"}, BadParameter),
    ],
)
def test_what_cannot_be_read_is_refused(parameters: dict[str, str], error: type[QueryRefused]) -> None:
    with pytest.raises(error) as refusal:
        asked(**parameters)
    assert str(refusal.value).endswith(".")
    assert refusal.value.fix


def test_unknown_metrics_are_refused() -> None:
    with pytest.raises(UnknownMetric):
        asked(rows=[])


@given(
    st.dictionaries(st.sampled_from(["window", "from", "to", "last", "by", "level", "raw", "x"]), st.text(max_size=30))
)
def test_any_texts_are_answered_or_refused(parameters: dict[str, str]) -> None:
    """Never another error, and a message plain enough for a terminal."""
    message = ""
    try:
        assert len(parse_query("people_by_country", ROWS, parameters, DAY).windows) <= MAX_WINDOWS
    except QueryRefused as error:
        message = str(error)
    assert message.isascii()
    assert message.isprintable()


def test_the_row_that_began_last_governs() -> None:
    finer = row(COUNTRIES, "2026-10-15/P1D", privacy={"max_cells": "1", "rho": "1/200"})
    rows = [finer, *ROWS]
    assert governing_row(rows, DAY) == finer
    assert governing_row(rows, Window.parse("2026-10-14/P1D")) == ROWS[0]
    query = asked(rows, from_="2026-10-14", to="2026-10-16")
    assert [one.from_hour for _, one in query.windows] == [ROWS[0].from_hour, finer.from_hour]


def test_a_changed_meaning_is_not_added_up() -> None:
    wider = row(COUNTRIES, "2026-10-15/P1D", by={"country": ["DE", "FR", "PT"]})
    with pytest.raises(DefinitionChanged, match="2026-10-15"):
        asked([wider, *ROWS], from_="2026-10-14", to="2026-10-16")


def test_what_the_present_definition_has_no_cells_for_is_refused() -> None:
    """A label or a measure that only the earlier definition has; in a span before, too. A label more is no harm."""
    narrower = row(COUNTRIES, "2026-10-15/P1D", by={"country": ["DE"]})
    other = row(
        COUNTRIES, "2026-10-15/P1D", measure="count", privacy={"max_cells": "1", "max_per_cell": "1", "rho": "1/200"}
    )
    wider = row(COUNTRIES, "2026-10-15/P1D", by={"country": ["DE", "FR", "PT"]})
    for later in (narrower, other):
        with pytest.raises(DefinitionChanged, match="2026-10-10"):
            asked([later, *ROWS], from_="2026-10-10", to="2026-10-12")
        now = asked([later, *ROWS], from_="2026-10-15", to="2026-10-17")
        with pytest.raises(DefinitionChanged, match=r"2026-10-1[34]"):
            previous_query(now, [later, *ROWS])
    assert len(asked([wider, *ROWS], from_="2026-10-10", to="2026-10-12").windows) == 2


def test_hour_metrics_take_a_day() -> None:
    assert len(asked([row(HOURS)], window="2026-11-01/P1D").windows) == 24
