"""The answer to a question: exact, JSON-able, and the same bytes on every node that holds the same log.

- `data` holds strings, integers, booleans, null, lists and maps; never a float (DESIGN 7). `canonical_json`
  refuses one.
- Nothing in it depends on the answering node, its clock or the order of arrival.
- A number stands with its interval, or not at all: where nothing was released there is no zero.
- Screen values (raw = false) are rounded once, half-even, to `quantum`, the largest of 1, 2, 5, 10, 20, …
  that is at most half of the smallest sigma; cells too small to show are one `hidden` row. Raw values are
  the sums of released integers, every cell, sigma beside it.

What the rows count is said in `counts`: people over several windows are person-days (-hours, -weeks,
-months); people summed over cells count once in each cell they were kept in (note `people_per_cell`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from federation.combine import BlockSum, Combined, Contributor, Place, WindowInput, combine, summed_out
from federation.consistency_rows import NOTHING, agreed
from federation.figure_rows import Json, changes, figure_rows, ranking_rows
from federation.organisations import enough_organisations, refuse_single, sums_row, withheld_row
from federation.query import Query
from privacy.dimensions import BIN, NONE, Dimension
from privacy.estimates import (
    SIGMA_DIGITS,
    Estimate,
    QuantileEstimate,
    histogram_median,
    is_shown,
    is_wide,
    privacy_interval,
    total,
)
from privacy.layout import CLIPPED, WHOLE, compile_layout
from privacy.measures.base import Measure
from privacy.measures.funnel import Funnel
from privacy.measures.histogram import Histogram
from privacy.measures.retention import Retention
from privacy.measures.sum import Sum
from privacy.quantiles import decimal_text, round_half_even
from privacy.units import Window

SCHEMA: Final = "murmur.answer/1"

_IDENTITY_DOMAIN: Final = b"murmur answer identity 1\n"
_PEOPLE: Final = frozenset({"people", "score", "retention"})  # their headline cells count person keys
_WHAT: Final = {"sum": "sum", "journey": "moves", "funnel": "furthest steps"}  # else people, as below, or events
_ONE_PERSON: Final = {"user": "users", "session": "sessions", "address": "addresses"}


@dataclass(frozen=True, slots=True)
class CharterView:
    """Which charter an answer was computed under, and of how many organisations at least it shows sums."""

    version: int
    hash: bytes
    min_organisations: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        data: What all nodes agree on.
        data_points: Released cells that were summed.
        releases: How many releases were summed.
        combined: The sums it was made of.
    """

    data: dict[str, Json]
    data_points: int
    releases: int
    combined: Combined


def canonical_json(value: Json) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, ASCII.

    Raises:
        TypeError: a float, or anything else that JSON has no exact form for.
    """
    _check_exact(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def answer(
    query: Query, contributors: Sequence[Contributor], inputs: Sequence[WindowInput], charter: CharterView
) -> Answer:
    """The answer to a query from everything that counts.

    Args:
        query: The question, windows resolved.
        contributors: Members of the charter, in its order.
        inputs: One for each window of the query.
        charter: The charter in force.

    Raises:
        TooFewOrganisations: members are chosen where the charter demands several organisations.
    """
    inputs = enough_organisations(inputs, contributors, charter.min_organisations)
    if query.nodes:
        refuse_single("Choosing members tells what is between two choices", charter.min_organisations)
    if query.is_relative:
        query, inputs = _from_first_word(query, inputs)
    definition = query.row.definition
    axes = (*definition.by, *definition.measure.axes)
    keep = (*query.by, *(axis.name for axis in definition.measure.axes))
    combined = combine(contributors, inputs, axes, keep)
    rows = _rows(combined, query)
    data: dict[str, Json] = {
        "schema": SCHEMA,
        "identity": identity(query, combined, charter),
        "metric": query.metric,
        "question": definition.question,
        "measure": definition.measure.word,
        "counts": _counts(definition.measure.word, combined),
        "definitions": _hexes(combined.definitions),
        "charter": {"version": charter.version, "hash": charter.hash.hex()},
        "windows": _windows(combined, definition.window),
        "by": list(query.by),
        "dimensions": [{"name": axis.name, "labels": list(axis.labels)} for axis in _axes(query, combined)],
        "level": query.level,
        "raw": query.raw,
        "mechanisms": list(combined.mechanisms),
        "person_keys": _kinds(combined),
        "notes": _notes(query, combined),
        **rows,
        **_discovered(query, combined),
        **withheld_row(inputs, charter.min_organisations),
        **_members(combined),
    }
    _check_exact(data)
    points = sum(len(release.cells) for one in inputs for release in one.releases)
    return Answer(data, points, len(combined.release_ids), combined)


def identity(query: Query, combined: Combined, charter: CharterView) -> str:
    """Hash of (charter, query, sorted release ids): equal identities mean equal answers.

    Where the charter demands several organisations, of the sums and their members instead of release ids.
    """
    asked: dict[str, Json] = {
        "metric": query.metric,
        "windows": [window.text for window, _ in query.windows],
        "by": list(query.by),
        "level": query.level,
        "raw": query.raw,
    }
    if query.where:
        asked["where"] = {name: list(labels) for name, labels in query.where}
    if query.nodes:
        asked["nodes"] = list(query.nodes)
    stands_on = _hexes(combined.release_ids) if charter.min_organisations <= 1 else sums_row(combined)
    body: Json = [charter.hash.hex(), asked, stands_on]
    return hashlib.sha256(_IDENTITY_DOMAIN + canonical_json(body)).hexdigest()


def screen_quantum(variances: Iterable[Fraction]) -> Fraction:
    """The largest of 1, 2, 5, 10, 20, 50, … that is at most half of the smallest sigma, at least 1."""
    smallest = min((variance for variance in variances if variance > 0), default=Fraction(0))
    quantum, scale = 1, 1
    while 4 * scale * scale <= smallest:  # (2·scale)² <= σ²: exact, without a root
        for step in (1, 2, 5):
            if 4 * (step * scale) ** 2 <= smallest:
                quantum = step * scale
        scale *= 10
    return Fraction(quantum)


def _from_first_word(query: Query, inputs: Sequence[WindowInput]) -> tuple[Query, Sequence[WindowInput]]:
    """A span that counts back, without the windows before anybody said anything."""
    spoken = [one.window for one in inputs if one.releases or one.abstentions or one.voided or one.withheld]
    first = min(spoken, default=None)
    if first is None:
        return query, inputs
    kept = tuple(pair for pair in query.windows if pair[0] >= first)
    return replace(query, windows=kept), [one for one in inputs if one.window >= first]


def _rows(combined: Combined, query: Query) -> dict[str, Json]:
    """Cells, hidden row, total, series, medians, figures, ranking; null or empty where nothing was released."""
    if combined.is_empty:
        nothing: dict[str, Json] = {"quantum": "1", "hidden": None, "total": None, "clipped": None}
        nothing |= {"consistency": NOTHING, "whole": None}
        return {**nothing, "cells": [], "series": [], "medians": [], "figures": [], "ranking": []}
    measure = query.row.definition.measure
    block = combined.block(measure.headline)
    number = combined.blocks.index(block)
    worth = _worth(block)
    quantum = Fraction(1) if query.raw else screen_quantum(cell.variance for cell in block.cells)
    write = _Writer(query.level, quantum * block.quantum)
    shown = _shown_cells(measure, block)
    keys = _keys(block.axes)
    cells: list[Json] = []
    hidden: list[Estimate] = []
    # Of some labels only (`where`) the cells are no longer parts of the released whole.
    whole = None if query.where else next((_worth(one)[0] for one in combined.blocks if one.name == WHOLE), None)
    made = agreed(measure, worth, whole)
    for key, cell, is_seen, consistent in zip(keys, worth, shown, made.values, strict=True):
        if not is_seen:
            hidden.append(cell)
        if is_seen or query.raw:
            cells.append(
                {"key": dict(key), **write.number(cell), "shown": is_seen, "consistent": write.value(consistent)}
            )
    hidden_row: Json = {"cells": len(hidden), **write.number(total(hidden))} if hidden else None
    verdicts = changes(combined, number, query.level)
    series: list[Json] = [
        {"window": window.text, **write.number(totals[number].times(block.quantum)), "change": change}
        for window, totals, change in zip(combined.windows, combined.totals, verdicts, strict=True)
        if totals and not isinstance(measure, Retention)
    ]
    ranking: list[Json] = [
        {"rank": rank, "key": dict(keys[place]), **write.number(worth[place]), "ahead": ahead}
        for rank, (place, ahead) in enumerate(ranking_rows(measure, block, query.level), start=1)
    ]
    edge_quantum = _tenth_of_least_width(block.axes[-1]) if isinstance(measure, Histogram) else Fraction(1)
    clipped = next((one.cells[0] for one in combined.blocks if one.name == CLIPPED), None)
    return {
        "quantum": write.text(write.quantum),
        "cells": cells,
        "consistency": made.row(),
        "hidden": hidden_row,
        "total": write.number(_whole(measure, worth)) if combined.has_numbers else None,
        "series": series,
        "medians": _medians(block, query.level),
        "figures": figure_rows(combined, measure, len(query.by), query.level, query.raw, write.quantum, edge_quantum),
        "ranking": ranking,
        "clipped": None if clipped is None else write.number(clipped),
        "whole": None
        if whole is None or made.whole is None
        else {
            **write.number(whole),
            "consistent": write.value(made.whole),
        },
    }


def _discovered(query: Query, combined: Combined) -> dict[str, Json]:
    """Where keys are discovered: the price in δ, the threshold, and which members name each key; else nothing.

    A member that does not name a key had fewer people there than its threshold, noise included: never "none".
    """
    definition = query.row.definition
    if definition.discovers is None:
        return {}
    window = query.windows[0][0] if query.windows else Window.containing(definition.window, query.row.from_hour)
    discovery = compile_layout(definition, window).discovery
    assert discovery is not None, "the definition discovers"
    members = [member for member, _ in combined.places]  # in charter order
    keys: list[Json] = [
        {
            "key": key,
            "members": [member.name for member in members if member.node in nodes],
            "of": len(combined.released),
        }
        for key, nodes in sorted(combined.publishers.items())
    ]
    return {
        "discovered": {
            "dimension": discovery.axis.name,
            "delta": str(discovery.delta),
            "threshold": discovery.threshold,
            "keys": keys,
        }
    }


def _axes(query: Query, combined: Combined) -> tuple[Dimension, ...]:
    """The axes of the cells: those of the headline block."""
    return combined.axes if combined.is_empty else combined.block(query.row.definition.measure.headline).axes


def _whole(measure: Measure, worth: Sequence[Estimate]) -> Estimate:
    """All cells together; of retention only age 0, for the other ages are of the same people."""
    return total(worth[:: measure.ages] if isinstance(measure, Retention) else worth)


class _Writer:
    """Writes numbers of one unit: integers where the unit is whole, else decimals of fixed digits."""

    def __init__(self, level: str, quantum: Fraction) -> None:
        self.level = level
        self.quantum = quantum
        self._digits = _digits_of(quantum)

    def number(self, estimate: Estimate) -> dict[str, Json]:
        interval = privacy_interval(estimate, self.level, self.quantum)
        return {
            "estimate": self._value(interval.estimate),
            "lower": self._value(interval.lower),
            "upper": self._value(interval.upper),
            "sigma": estimate.sigma(SIGMA_DIGITS),
            "wide": is_wide(interval),
        }

    def text(self, value: Fraction) -> str:
        return decimal_text(value, self._digits)

    def value(self, value: Fraction) -> str | int:
        """One number, rounded to the quantum."""
        return self._value(round_half_even(value, self.quantum))

    def _value(self, value: Fraction) -> str | int:
        return int(value) if self._digits == 0 else self.text(value)


def _shown_cells(measure: Measure, block: BlockSum) -> list[bool]:
    """Which cells are shown (DESIGN 7).

    Each by itself; those of a histogram or a funnel by their group, over bins or steps; those of retention by the size
    of their cohort; those of a sum always, for they count neither people nor events.
    """
    if isinstance(measure, Sum):
        return [True] * len(block.cells)
    if isinstance(measure, Retention):
        sizes = block.cells[:: measure.ages]
        return [is_shown(size) for size in sizes for _ in range(measure.ages)]
    if not isinstance(measure, (Histogram, Funnel)):
        return [is_shown(cell) for cell in block.cells]
    *groups, own = block.axes  # innermost is the measure's own
    _, sums = summed_out(block.cells, block.axes, [axis.name for axis in groups])
    return [is_shown(group) for group in sums for _ in range(own.size)]


def _medians(block: BlockSum, level: str) -> list[Json]:
    """One row for each group of a histogram that is shown; values without the attribute are left out."""
    if not block.axes or block.axes[-1].name != BIN:
        return []
    *groups, bins = block.axes
    quantum = _tenth_of_least_width(bins)
    digits = _digits_of(quantum)
    rows: list[Json] = []
    for number, key in enumerate(_keys(groups)):
        cells = block.cells[number * bins.size : (number + 1) * bins.size]
        if not is_shown(total(cells)):
            continue
        valued = [cell for cell, label in zip(cells, bins.labels, strict=True) if label != NONE]
        median = histogram_median(valued, bins.edges, level, quantum)
        rows.append({"key": dict(key), **_median(median, bins, digits)})
    return rows


def _median(median: QuantileEstimate, bins: Dimension, digits: int) -> dict[str, Json]:
    texts = dict(zip(bins.edges, bins.edge_texts, strict=True))
    return {
        "estimate": None if median.value is None else decimal_text(median.value, digits),
        "lower": None if median.lower is None else texts[median.lower],
        "upper": None if median.upper is None else texts[median.upper],
        "status": median.status,
    }


def _tenth_of_least_width(bins: Dimension) -> Fraction:
    """The power of ten that is at most a tenth of the narrowest bin: what a median is rounded to."""
    pairs = zip(bins.edges, bins.edges[1:], strict=False)
    least = min((high - low for low, high in pairs), default=Fraction(1)) / 10
    power = Fraction(1)
    while power > least:
        power /= 10
    while power * 10 <= least:
        power *= 10
    return power


def _members(combined: Combined) -> dict[str, Json]:
    """Who is in, and why the others are not; `reporting` is "n of m", m the expected less the abstained."""
    rows: list[Json] = []
    included = expected = 0
    texts = [window.text for window in combined.windows]
    for member, places in combined.places:
        state = _state(places)
        if state is None:
            continue
        included += state == "included"
        expected += state in ("included", "partial", "missing", "void", "withheld")
        rows.append(_member(member, places, state, combined, texts))
    return {"reporting": f"{included} of {expected}", "members": rows}


def _member(
    member: Contributor, places: Sequence[Place | None], state: str, combined: Combined, texts: Sequence[str]
) -> dict[str, Json]:
    """`texts`: the windows'."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for place, text in zip(places, texts, strict=True):
        if place is not None and place.standing != "included":
            reasons.setdefault((place.standing, place.reason), []).append(text)
    return {
        "node": member.node.hex(),
        "name": member.name,
        "organisation": member.organisation,
        "state": state,
        "windows": sum(place is not None and place.standing == "included" for place in places),
        "person_keys": list(combined.units.get(member.node, ())),
        "sampled": member.node in combined.sampled,
        "without": [
            {"standing": standing, "reason": reason, "windows": list(windows)}
            for (standing, reason), windows in sorted(reasons.items())
        ],
    }


def _state(places: Sequence[Place | None]) -> str | None:
    """One word for a member over all windows; None when it is expected in none."""
    standings = {place.standing for place in places if place is not None}
    if not standings:
        return None
    if standings & {"missing", "void", "withheld"}:
        if "included" in standings:
            return "partial"
        if "withheld" in standings:
            return "withheld"
        return "missing" if "missing" in standings else "void"
    if "included" in standings:
        return "included"
    return "excluded" if "excluded" in standings else "abstained"


def _windows(combined: Combined, kind: str) -> Json:
    texts = [window.text for window in combined.windows]
    return {
        "kind": kind,
        "count": len(texts),
        "first": texts[0] if texts else None,
        "last": texts[-1] if texts else None,
    }


def _kinds(combined: Combined) -> list[Json]:
    """The person-key kinds of all releases, sorted."""
    kinds: list[Json] = []
    kinds.extend(sorted({kind for of_node in combined.units.values() for kind in of_node}))
    return kinds


def _counts(word: str, combined: Combined) -> str:
    """What the numbers count, in words."""
    if word in _WHAT:
        return _WHAT[word]
    if word not in _PEOPLE:
        return "events"
    kinds = {kind for of_node in combined.units.values() for kind in of_node}
    if len(combined.windows) > 1:
        return f"person-{combined.windows[0].kind}s"
    return _ONE_PERSON.get(kinds.pop(), "person keys") if len(kinds) == 1 else "person keys"


def _notes(query: Query, combined: Combined) -> list[Json]:
    """Codes for what a reader must know beside the numbers."""
    notes: list[Json] = []
    definition = query.row.definition
    if definition.measure.word in _PEOPLE:
        if definition.max_cells > 1 and definition.by:
            notes.append("people_per_cell")
        if len(combined.windows) > 1:
            notes.append("people_per_window")
        if len(combined.units) > 1:
            notes.append("people_per_platform")
    if combined.sampled:
        notes.append("sampled")
    if definition.discovers is not None:
        notes.append("discovered")
    return notes


def _worth(block: BlockSum) -> list[Estimate]:
    """The cells in the measure's unit."""
    if block.quantum == 1:
        return list(block.cells)
    return [cell.times(block.quantum) for cell in block.cells]


def _keys(axes: Sequence[Dimension]) -> list[Mapping[str, Json]]:
    keys: list[dict[str, Json]] = [{}]
    for axis in axes:
        keys = [{**key, axis.name: label} for key in keys for label in axis.labels]
    return list(keys)


def _digits_of(quantum: Fraction) -> int:
    """Decimals needed to write multiples of a decimal quantum."""
    digits = 0
    while (quantum * 10**digits).denominator != 1:
        digits += 1
        if digits > SIGMA_DIGITS:
            return SIGMA_DIGITS
    return digits


def _hexes(ids: Iterable[bytes]) -> list[Json]:
    return [one.hex() for one in ids]


def _check_exact(value: object) -> None:
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, list):
        for item in value:
            _check_exact(item)
        return
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for item in value.values():
            _check_exact(item)
        return
    raise TypeError(f"an answer holds no {type(value).__name__}: only text, whole numbers, lists and maps")
