"""A question, as asked: which metric, which windows, which axes, at which level.

Read from texts (query parameters, CLI options) into a value that no clock and no order of parameters
changes. Rules:

- `window` names one window of the metric's kind, or a longer one that holds several of them.
- `from` and `to` are UTC dates (2026-11-01) or hours (2026-11-01T05); half-open, `to` is not included.
- `last` counts back from the newest window that anybody released, not from today: equal logs give equal
  answers. `last=7d`, `24h`, `4w`, or `last=12` for that many windows. Windows at its beginning in which no
  node released, declined or was refused are left out: they lie before the federation.
- Without any of them: the last 30 days (`DEFAULT_LAST`).
- The newest catalogue row that holds a window governs it. Windows of one question must be governed by
  definitions that count the same thing; only their privacy parameters and wording may differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import ClassVar, Final

from privacy.definition import Definition
from privacy.errors import InvalidParameterError, InvalidWindow
from privacy.quantiles import DEFAULT_LEVEL, LEVELS, parse_level
from privacy.units import HOURS_PER_DAY, Window, hour_of, windows_between

DEFAULT_LAST: Final = "30d"
MAX_WINDOWS: Final = 1000
PARAMETERS: Final = frozenset({"window", "from", "to", "last", "by", "level", "raw"})

Where = tuple[tuple[str, tuple[str, ...]], ...]
"""(dimension, labels kept) in the order of the axes."""

_LAST: Final = re.compile(r"([1-9][0-9]{0,3})([hdw]?)")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2})?")
_HOURS: Final = {"h": 1, "d": HOURS_PER_DAY, "w": 7 * HOURS_PER_DAY}
_MAX_SHOWN: Final = 40


class QueryRefused(Exception):
    """A question that cannot be answered as asked; the one who asked mends it. Nothing was spent."""

    code: ClassVar[str] = "query_refused"

    def __init__(self, *, what: str = "Query refused", why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. {self.fix}."


class UnknownMetric(QueryRefused):
    """No catalogue row has this name."""

    code = "unknown_metric"


class UnknownDimension(QueryRefused):
    """The metric has no such axis."""

    code = "unknown_dimension"


class BadWindow(QueryRefused):
    """The windows asked for cannot be read, are too many, or do not fit the metric."""

    code = "bad_window"


class BadParameter(QueryRefused):
    """A parameter is unknown, given twice, or has a value that cannot be read."""

    code = "bad_parameter"


class DefinitionChanged(QueryRefused):
    """The windows asked for are governed by definitions that count different things."""

    code = "definition_changed"


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One catalogue row with its definition.

    Args:
        name: The metric's name.
        definition_hash: 32 bytes.
        definition: The parsed definition.
        from_hour: First hour it holds for.
        until_hour: First hour it no longer holds for, or None.
    """

    name: str
    definition_hash: bytes
    definition: Definition
    from_hour: int
    until_hour: int | None = None

    def holds(self, window: Window) -> bool:
        """True when the whole window lies in the row."""
        return self.from_hour <= window.start_hour and (self.until_hour is None or window.end_hour <= self.until_hour)


@dataclass(frozen=True, slots=True)
class Query:
    """A question ready to be answered.

    Args:
        metric: The metric's name.
        windows: (window, row that governs it), oldest first; may be empty when nothing was released yet.
        by: Names of the axes of `by` to keep, in layout order.
        level: Of the privacy interval, one of LEVELS.
        raw: True for released integers as they are; False for values as a screen shows them.
        row: The newest row, whose definition names the axes.
        is_relative: True when the span counts back (`last`); it then begins with the first window in which
            any node said anything.
        where: Labels kept, by dimension; what is not named is kept whole (federation/selection.py).
        nodes: Ids (hex) of the members summed, in charter order; empty: all.
    """

    metric: str
    windows: tuple[tuple[Window, MetricRow], ...]
    by: tuple[str, ...]
    level: str
    raw: bool
    row: MetricRow
    is_relative: bool = False
    where: Where = ()
    nodes: tuple[str, ...] = ()


def parse_query(metric: str, rows: Sequence[MetricRow], parameters: Mapping[str, str], newest: Window | None) -> Query:
    """The question that these texts ask.

    Args:
        metric: The metric's name.
        rows: The catalogue rows of that name.
        parameters: Texts by name, `PARAMETERS` only; "" counts as absent.
        newest: The newest window of this metric that anybody released, if any.

    Raises:
        QueryRefused: one of its classes, saying what to mend.
    """
    if not rows:
        raise UnknownMetric(why=f"the catalogue has no metric {_shown(metric)}", fix="GET /v1/metrics lists the names")
    unknown = sorted(parameters.keys() - PARAMETERS)
    if unknown:
        raise BadParameter(
            why=f"there is no parameter {_shown(unknown[0])}", fix=f"Use only: {', '.join(sorted(PARAMETERS))}"
        )
    given = {name: text for name, text in parameters.items() if text != ""}
    row = max(rows, key=lambda one: (one.from_hour, one.definition_hash))
    windows = _governed(_windows(given, row.definition, newest), rows)
    hold_readable(windows, row)
    return Query(
        metric=metric,
        windows=windows,
        by=_parse_by(given.get("by"), row.definition),
        level=_parse_level(given.get("level", DEFAULT_LEVEL)),
        raw=_parse_raw(given.get("raw", "0")),
        row=row,
        is_relative=not {"window", "from"} & given.keys(),
    )


def governing_row(rows: Sequence[MetricRow], window: Window) -> MetricRow | None:
    """The row that governs a window: of those that hold it the one that began last."""
    return max(
        (row for row in rows if row.definition.window == window.kind and row.holds(window)),
        key=lambda row: (row.from_hour, row.definition_hash),
        default=None,
    )


def count_the_same(one: Definition, other: Definition) -> bool:
    """True when cells of the two may be added: same source, measure, axes and kind of window."""
    return (one.source, one.measure, one.by, one.window) == (
        other.source,
        other.measure,
        other.by,
        other.window,
    )


def hold_readable(windows: Iterable[tuple[Window, MetricRow]], row: MetricRow) -> None:
    """Nothing, where the newest row's cells hold those of every window's definition.

    Raises:
        DefinitionChanged: a window's definition measures otherwise, or has a label that the newest row lacks.
    """
    labels = {axis.name: frozenset(axis.labels) for axis in row.definition.by}
    for window, governing in windows:
        definition = governing.definition
        lacking = (
            axis.name
            for axis in definition.by
            if not labels.get(axis.name, frozenset(axis.labels)).issuperset(axis.labels)
        )
        if definition.measure != row.definition.measure or next(lacking, None) is not None:
            raise DefinitionChanged(
                why=f"in {window.text} the metric counted what its present definition has no cells for",
                fix="Ask for later windows; GET /v1/releases has the earlier numbers as they were released",
            )


def _governed(windows: Sequence[Window], rows: Sequence[MetricRow]) -> tuple[tuple[Window, MetricRow], ...]:
    governed = [(window, row) for window in windows if (row := governing_row(rows, window)) is not None]
    if windows and not governed:
        raise BadWindow(
            why="the metric was not in the catalogue in these windows",
            fix="GET /v1/metrics says from when it holds",
        )
    for before, after in pairwise(governed):
        if not count_the_same(before[1].definition, after[1].definition):
            raise DefinitionChanged(
                why=f"from {after[0].text} on the metric counts something else",
                fix="Ask for the windows before and after separately",
            )
    return tuple(governed)


def _windows(given: Mapping[str, str], definition: Definition, newest: Window | None) -> list[Window]:
    ways = [name for name in ("window", "last") if name in given]
    if "from" in given or "to" in given:
        ways.append("from and to")
    if len(ways) > 1:
        raise BadWindow(why=f"{ways[0]} and {ways[1]} exclude each other", fix="Give one of them")
    if "window" in given:
        start, end = _parse_window(given["window"], definition)
    elif ways == ["from and to"]:
        if "from" not in given or "to" not in given:
            raise BadWindow(why="from and to come together", fix="Give both; to is not included")
        start, end = _parse_hour(given["from"]), _parse_hour(given["to"])
    elif newest is None:
        return []
    else:
        start, end = _parse_last(given.get("last", DEFAULT_LAST), newest), newest.end_hour
    if end - start > MAX_WINDOWS * Window.containing(definition.window, start).hours + 31 * HOURS_PER_DAY:
        raise _too_many()
    windows = list(windows_between(definition.window, start, end))
    if len(windows) > MAX_WINDOWS:
        raise _too_many()
    if not windows:
        raise BadWindow(
            why=f"no whole {definition.window} lies in this span",
            fix=f"The metric is computed by {definition.window}; ask for a longer span",
        )
    return windows


def _parse_window(text: str, definition: Definition) -> tuple[int, int]:
    try:
        window = Window.parse(text)
    except InvalidWindow as error:
        raise BadWindow(why=f"window: {error.why}", fix=error.fix) from None
    return window.start_hour, window.end_hour


def _parse_hour(text: str) -> int:
    if _INSTANT.fullmatch(text) is None:
        raise BadWindow(why=f"{_shown(text)} is no UTC date or hour", fix="Write 2026-11-01 or 2026-11-01T05")
    try:
        hour = hour_of(datetime.fromisoformat(text if "T" not in text else f"{text}:00").replace(tzinfo=UTC))
        return Window("hour", hour).start_hour
    except (ValueError, InvalidWindow):
        raise BadWindow(why=f"there is no date or hour {_shown(text)}", fix="Write one that exists") from None


def _parse_last(text: str, newest: Window) -> int:
    """First hour of the span that ends with the newest window."""
    match = _LAST.fullmatch(text)
    if match is None:
        raise BadWindow(why=f"last is {_shown(text)}", fix="Write last=7d, 24h, 4w, or a number of windows")
    number, unit = int(match.group(1)), match.group(2)
    if number > MAX_WINDOWS and not unit:
        raise _too_many()
    if unit:
        return max(0, newest.end_hour - number * _HOURS[unit])
    start = newest
    for _ in range(number - 1):
        if start.start_hour == 0:
            break
        start = Window.containing(newest.kind, start.start_hour - 1)
    return start.start_hour


def _parse_by(text: str | None, definition: Definition) -> tuple[str, ...]:
    """The axes to keep; absent: all of them; "total": none."""
    names = tuple(axis.name for axis in definition.by)
    if text is None:
        return names
    wanted = [] if text == "total" else text.split(",")
    for name in wanted:
        if name not in names:
            known = ", ".join(names) if names else "none"
            raise UnknownDimension(
                why=f"the metric has no dimension {_shown(name)}",
                fix=f"Its dimensions are: {known}; by=total sums over all of them",
            )
    if len(set(wanted)) != len(wanted):
        raise BadParameter(why="by names a dimension twice", fix="Name each once")
    return tuple(name for name in names if name in wanted)


def _parse_level(text: str) -> str:
    try:
        return parse_level(text)
    except InvalidParameterError as error:
        raise BadParameter(why=f"level {error.why}", fix=f"Use one of: {', '.join(LEVELS)}") from None


def _parse_raw(text: str) -> bool:
    if text not in ("0", "1"):
        raise BadParameter(why=f"raw is {_shown(text)}", fix="Use raw=1 for released integers, raw=0 for a screen")
    return text == "1"


def _too_many() -> BadWindow:
    return BadWindow(
        why=f"the span holds more than {MAX_WINDOWS} windows", fix="Ask for a shorter span, or a longer window"
    )


def _shown(text: str) -> str:
    """A text from outside, made short and plain for a message."""
    return ascii(text[:_MAX_SHOWN])
