"""Badges of an answer: what stands beside the plain sum, so that one member cannot move it unseen (metrics.md 9.8).

Sums with each organisation capped and without the extremes, each organisation's influence, and for each member whether
its level changed or it is too exact (`federation.influence`, `federation.own_series`). Rules:

- A badge excludes nobody. What is left out of a sum is left out by judgement alone.
- They are made of the same released numbers as the answer, in exact arithmetic: equal logs give equal badges. The
  answer's identity does not cover them.
- All speak of the headline's cells; "too exact" of every block's.
- Where the charter demands several organisations in an answer nothing is told of one: all badges are withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Final

from federation.answers import CharterView
from federation.combine import BlockSum, Combined, Contributor, WindowInput, combine
from federation.figure_rows import Json
from federation.influence import LEAST, SHARE, driver, robust, share_of
from federation.organisations import TOO_FEW
from federation.own_series import CHANGE_ERROR, EXACT_ERROR, TIMES, State, change_point, stillness
from federation.query import Query
from privacy.estimates import Estimate, total
from privacy.measures.retention import Retention
from privacy.quantiles import decimal_text, round_half_even

SCHEMA: Final = "murmur.badges/1"
MOST_CELLS: Final = 1000  # of an answer with more cells the sums of single cells are left out
DRIVER_ERROR: Final = Fraction(1, 10**6)
_SHARE_DIGITS: Final = 3
_MOST_DIGITS: Final = 6

RULES: Final[dict[str, Json]] = {
    "share": str(SHARE),
    "organisations": LEAST,
    "times": TIMES,
    "false_alarm": {
        "driven_by_one": str(DRIVER_ERROR),
        "change_point": str(CHANGE_ERROR),
        "too_exact": str(EXACT_ERROR),
    },
}


_Key = tuple[tuple[str, Json], ...]
"""(axis, label), by axis."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one member released, combined by itself."""

    member: Contributor
    own: Sequence[WindowInput]
    combined: Combined
    headline: BlockSum
    series: tuple[tuple[str, Estimate], ...]


def badges(
    query: Query,
    members: Sequence[Contributor],
    inputs: Sequence[WindowInput],
    charter: CharterView,
    data: Mapping[str, Json],
) -> Json:
    """The badges of an answer.

    Args:
        query, members, inputs, charter: As answered.
        data: The answer: its quantum, and which cells it shows.
    """
    if charter.min_organisations > 1:
        return withheld_badges()
    quantum, shown = Fraction(str(data["quantum"])), _keys_of(data["cells"])
    spoken = _by_node(inputs)
    parts = [part for member in members if (part := _part(query, member, spoken.get(member.node, []))) is not None]
    write = _Writer(quantum)
    by_organisation: dict[str, list[_Part]] = {}
    for part in parts:
        by_organisation.setdefault(part.member.organisation, []).append(part)
    sums = {
        name: total(_whole(query, part.headline) for part in theirs) for name, theirs in sorted(by_organisation.items())
    }
    influence, alarms = _influence(sums, by_organisation, write)
    rows: list[Json] = []
    for part in parts:
        row, theirs = _own(part, write)
        rows.append(row)
        alarms += theirs
    return {
        "schema": SCHEMA,
        "alarms": alarms,
        "sums": _sums([one.value for one in sums.values()], write),
        "cells": _cells(by_organisation, shown, write) if len(shown) <= MOST_CELLS else [],
        "influence": influence,
        "members": rows,
        "rules": RULES,
    }


def withheld_badges() -> Json:
    """The same shape without any badge, and why."""
    empty: list[Json] = []
    return {
        "schema": SCHEMA,
        "alarms": empty,
        "sums": None,
        "cells": empty,
        "influence": empty,
        "members": empty,
        "rules": RULES,
        "withheld": TOO_FEW,
    }


class _Writer:
    """Numbers on the answer's quantum: whole where that is, else decimals of fixed digits."""

    def __init__(self, quantum: Fraction) -> None:
        self._quantum = quantum
        self._digits = 0
        while (quantum * 10**self._digits).denominator != 1 and self._digits < _MOST_DIGITS:
            self._digits += 1

    def value(self, value: Fraction) -> str | int:
        rounded = round_half_even(value, self._quantum)
        return int(rounded) if self._digits == 0 else decimal_text(rounded, self._digits)


def _by_node(inputs: Sequence[WindowInput]) -> dict[bytes, list[WindowInput]]:
    """For each node the windows it released, with its release alone."""
    found: dict[bytes, list[WindowInput]] = {}
    for one in inputs:
        for release in one.releases:
            own = WindowInput(one.window, one.definition_hash, one.layout, (release,))
            found.setdefault(release.node, []).append(own)
    return found


def _part(query: Query, member: Contributor, own: Sequence[WindowInput]) -> _Part | None:
    """One member's releases added up; None when it has none that names a cell."""
    definition = query.row.definition
    axes = (*definition.by, *definition.measure.axes)
    combined = combine((), own, axes, (*query.by, *(axis.name for axis in definition.measure.axes)))
    if not combined.has_numbers:
        return None
    headline = combined.block(definition.measure.headline)
    at = combined.blocks.index(headline)
    series = tuple(
        (window.text, totals[at].times(headline.quantum))
        for window, totals in zip(combined.windows, combined.totals, strict=True)
        if totals
    )
    return _Part(member, own, combined, headline, series)


def _whole(query: Query, block: BlockSum) -> Estimate:
    """All cells together, in the measure's unit; of retention only age 0, as in the answer."""
    measure = query.row.definition.measure
    cells = block.cells[:: measure.ages] if isinstance(measure, Retention) else block.cells
    return total(cells).times(block.quantum)


def _sums(values: Sequence[Fraction], write: _Writer) -> Json:
    found = robust(values)
    if found is None:
        return None
    return {
        "organisations": len(values),
        "plain": write.value(found.plain),
        "capped": write.value(found.capped),
        "cap": None if found.cap is None else write.value(found.cap),
        "trimmed": write.value(found.trimmed),
        "left_out": found.left_out,
    }


def _keys_of(cells: Json) -> list[_Key]:
    """The keys of an answer's cells, in its order."""
    assert isinstance(cells, list), "an answer lists its cells"
    return [tuple(sorted(cell["key"].items())) for cell in cells]  # type: ignore[index, call-overload, union-attr]  # Json


def _cells(by_organisation: Mapping[str, Sequence[_Part]], shown: Sequence[_Key], write: _Writer) -> list[Json]:
    """Of each shown cell that `LEAST` organisations released, in the answer's order."""
    found: dict[_Key, dict[str, Fraction]] = {key: {} for key in shown}
    for name, theirs in by_organisation.items():
        for part in theirs:
            names = [axis.name for axis in part.headline.axes]
            labels = product(*(axis.labels for axis in part.headline.axes))
            for key, cell in zip(labels, part.headline.cells, strict=True):
                of_key = found.get(tuple(sorted(zip(names, key, strict=True))))
                if of_key is not None:
                    of_key[name] = of_key.get(name, Fraction(0)) + cell.value * part.headline.quantum
    rows: list[Json] = []
    for labelled, values in found.items():
        sums = robust(list(values.values()))
        if sums is not None:
            capped, trimmed = write.value(sums.capped), write.value(sums.trimmed)
            rows.append({"key": dict(labelled), "capped": capped, "trimmed": trimmed})
    return rows


def _influence(
    sums: Mapping[str, Estimate], by_organisation: Mapping[str, Sequence[_Part]], write: _Writer
) -> tuple[list[Json], list[Json]]:
    """The answer without each organisation, the most influential first; and the alarm of the one that drives it."""
    whole = sum((one.value for one in sums.values()), Fraction(0))
    rows: list[Json] = []
    alarms: list[Json] = []
    driving = driver(sums)
    for name in sorted(sums, key=lambda name: (-abs(sums[name].value), name)):
        share = share_of(name, sums)
        row: dict[str, Json] = {
            "organisation": name,
            "names": [part.member.name for part in by_organisation[name]],
            "nodes": [part.member.node.hex() for part in by_organisation[name]],
            "without": write.value(whole - sums[name].value),
            "share": None if share is None else decimal_text(share, _SHARE_DIGITS),
        }
        rows.append(row)
        if name == driving:
            alarms.append({"badge": "driven_by_one", **row})
    return rows, alarms


def _own(part: _Part, write: _Writer) -> tuple[Json, list[Json]]:
    """How a member stands to its own past, and its alarms."""
    member = part.member
    who: dict[str, Json] = {"organisation": member.organisation, "names": [member.name], "nodes": [member.node.hex()]}
    state: State
    state, change = ("not_tested", None) if part.combined.is_discovering else change_point([n for _, n in part.series])
    still = stillness(part.own, member.node)
    alarms: list[Json] = []
    if change is not None:
        alarms.append(
            {
                "badge": "change_point",
                **who,
                "window": part.series[change.place][0],
                "before": write.value(change.before),
                "after": write.value(change.after),
            }
        )
    if still.state == "alarm":
        alarms.append({"badge": "too_exact", **who, "still": still.small, "of": still.cells})
    row: Json = {
        "node": member.node.hex(),
        "name": member.name,
        "organisation": member.organisation,
        "windows": len(part.series),
        "change_point": state,
        "too_exact": still.state,
    }
    return row, alarms
