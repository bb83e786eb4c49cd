"""One question over two spans: what changed, and whether it is more than noise could do.

The earlier span holds as many windows as the later one and ends where that begins. A difference has the variance of
both sums; where the members included are not the same, every row says so (`same_members` false) and no verdict stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product

from federation.answers import CharterView, identity, screen_quantum
from federation.combine import BlockSum, Combined, Contributor, WindowInput, combine
from federation.figure_rows import Json
from federation.organisations import enough_organisations
from federation.query import BadWindow, MetricRow, Query, governing_row, hold_readable
from privacy.estimates import Estimate, total
from privacy.estimates.differences import difference
from privacy.quantiles import decimal_text, round_half_even
from privacy.units import Window

_DIGITS = 6


def previous_query(query: Query, rows: Sequence[MetricRow]) -> Query:
    """The same question over as many windows before it.

    Raises:
        BadWindow: the metric was not in the catalogue then.
        DefinitionChanged: it counted then what its present definition has no cells for.
    """
    windows: list[tuple[Window, MetricRow]] = []
    if query.windows:
        window = query.windows[0][0]
        for _ in query.windows:
            row = None
            if window.start_hour > 0:
                window = Window.containing(window.kind, window.start_hour - 1)
                row = governing_row(rows, window)
            if row is None:
                raise BadWindow(
                    why="the metric was not in the catalogue in the span before", fix="Ask for a later or shorter span"
                )
            windows.append((window, row))
        hold_readable(windows, query.row)
    return replace(query, windows=tuple(reversed(windows)), is_relative=False)


def compared(
    query: Query,
    earlier: Query,
    members: Sequence[Contributor],
    now_sum: Combined,
    before: Sequence[WindowInput],
    charter: CharterView,
) -> dict[str, Json]:
    """The rows of `compare`: estimate before, difference with its privacy interval, verdict; then all together.

    Args:
        query, earlier: The question over both spans.
        members: Of the charter, in its order, as far as the question asks for them.
        now_sum: What the later span sums up to (`Answer.combined`).
        before: Everything known of the earlier span.
        charter: The charter in force.
    """
    then_sum = _combined(query, members, enough_organisations(before, members, charter.min_organisations))
    windows: list[Json] = [window.text for window, _ in earlier.windows]
    data: dict[str, Json] = {
        "windows": windows,
        "identity": identity(earlier, then_sum, charter),
        "same_members": _included(now_sum) == _included(then_sum),
        "cells": [],
        "total": None,
    }
    if now_sum.is_empty or then_sum.is_empty:
        return data
    headline = query.row.definition.measure.headline
    now, then = now_sum.block(headline), then_sum.block(headline)
    quantum = now.quantum * (1 if query.raw else screen_quantum(cell.variance for cell in (*now.cells, *then.cells)))
    write = _Rows(query.level, quantum, now.quantum, bool(data["same_members"]))
    names = [axis.name for axis in now.axes]
    earlier_cells = dict(zip(_labels(then), then.cells, strict=True))
    cells: list[Json] = [
        {"key": dict(zip(names, key, strict=True)), **write.row(one, earlier_cells[key])}
        for key, one in zip(_labels(now), now.cells, strict=True)
        # Of discovered keys those that the same members name in both spans: a missing one is no zero.
        if key in earlier_cells and _publishers(now_sum, key) == _publishers(then_sum, key)
    ]
    if query.row.definition.discovers is not None:
        return {**data, "cells": cells}  # the totals are of other keys
    return {**data, "cells": cells, "total": write.row(total(now.cells), total(then.cells))}


class _Rows:
    def __init__(self, level: str, quantum: Fraction, worth: Fraction, is_fair: bool) -> None:
        self._level = level
        self._quantum = quantum
        self._worth = worth
        self._is_fair = is_fair

    def row(self, now: Estimate, then: Estimate) -> dict[str, Json]:
        one, other = now.times(self._worth), then.times(self._worth)
        gap = difference(one, other, self._level)
        return {
            "before": self._text(other.value),
            "difference": self._text(gap.value),
            "lower": self._text(gap.lower),
            "upper": self._text(gap.upper),
            "verdict": gap.verdict if self._is_fair else None,
        }

    def _text(self, value: Fraction | None) -> Json:
        if value is None:
            return None
        rounded = round_half_even(value, self._quantum)
        return int(rounded) if rounded.denominator == 1 else decimal_text(rounded, _DIGITS)


def _publishers(combined: Combined, key: tuple[str, ...]) -> object:
    return combined.publishers.get(key[0]) if len(key) == 1 else None


def _labels(block: BlockSum) -> list[tuple[str, ...]]:
    return list(product(*(axis.labels for axis in block.axes)))


def _combined(query: Query, members: Sequence[Contributor], inputs: Sequence[WindowInput]) -> Combined:
    definition = query.row.definition
    axes = (*definition.by, *definition.measure.axes)
    return combine(members, inputs, axes, (*query.by, *(axis.name for axis in definition.measure.axes)))


def _included(combined: Combined) -> list[tuple[bytes, int]]:
    """Each member with the number of its windows that count."""
    return [
        (member.node, sum(place is not None and place.standing == "included" for place in places))
        for member, places in combined.places
    ]
