"""Contribution bounding in plain Python: what the SQL of `privacy.bounding` means.

Written for reading, row by row and person by person, and from the meaning of a row rather than its codes: a
row is decoded to labels by its plan, labels to a cell by the layout's key. Never used for a release.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction

from privacy.bounding import salt_text
from privacy.definition import Definition
from privacy.dimensions import NONE, OTHER, Dimension
from privacy.layout import Layout
from privacy.rows import COUNTRY_UNKNOWN, ROW_NAMES, Row, country_text, row_order
from privacy.tracking_plan import AttributeType, Band, Category, Flag, Number, Plan
from privacy.units import HOURS_PER_DAY, Window


def deduplicate(rows: Iterable[Row], window: Window | None = None) -> list[Row]:
    """One row per (person, event key), the smallest in row order; rows outside the window are cut first."""
    smallest: dict[tuple[int | None, int | None], Row] = {}
    person, event_key, hour = (ROW_NAMES.index(name) for name in ("person", "event_key", "hour"))
    for row in rows:
        if window is not None and not window.contains(row[hour] or 0):
            continue
        key = (row[person], row[event_key])
        if key not in smallest or row_order(row) < row_order(smallest[key]):
            smallest[key] = row
    return list(smallest.values())


def reference_vector(
    rows: Iterable[Row], definition: Definition, layout: Layout, plans: Mapping[int, Plan], salt: bytes
) -> list[int]:
    """The bounded vector of a window's rows, as `bind` and `Layout.vector` give it.

    Args:
        rows: The window's rows, already deduplicated.
        salt: The release's 32 bytes.
    """
    vector = [0] * layout.cells
    for person, events in _units_by_person(rows, definition, layout, plans).items():
        for unit in kept_units(person, events.keys(), layout.bounds.max_cells, salt):
            vector[unit] += definition.measure.value(events[unit], layout.bounds)
    return vector


def kept_units(person: int, units: Iterable[int], max_cells: int, salt: bytes) -> set[int]:
    """The units of one person that count: all of them, or the C of smallest SHA-256(salt, person, unit)."""

    def lot(unit: int) -> tuple[str, int]:
        return hashlib.sha256(f"{salt_text(salt)}:{person}:{unit}".encode()).hexdigest(), unit

    distinct = set(units)
    return distinct if len(distinct) <= max_cells else set(sorted(distinct, key=lot)[:max_cells])


def _units_by_person(
    rows: Iterable[Row], definition: Definition, layout: Layout, plans: Mapping[int, Plan]
) -> dict[int, Counter[int]]:
    """For each person, how many rows lie in each unit."""
    units: dict[int, Counter[int]] = defaultdict(Counter)
    for row in rows:
        values = dict(zip(ROW_NAMES, row, strict=True))
        plan = plans.get(values["plan"] or 0)
        unit = None if plan is None else _unit(values, definition, layout, plan)
        if unit is not None:
            units[values["person"] or 0][unit] += 1
    return units


def _unit(values: Mapping[str, int | None], definition: Definition, layout: Layout, plan: Plan) -> int | None:
    """The unit of one row, or None where the definition does not count it."""
    app = plan.apps[values["app"] or 0]
    action = app.actions[values["action"] or 0]
    if definition.source.app not in (None, app.name) or definition.source.action not in (None, action.name):
        return None
    attributes = {
        attribute.name: _decoded(values[f"a{slot}"], attribute.type) for slot, attribute in enumerate(action.attributes)
    }
    country = values["country"] or 0
    built_in = {
        "app": app.name,
        "action": action.name,
        "country": None if country == COUNTRY_UNKNOWN else country_text(country),
        "hour": str((values["hour"] or 0) % HOURS_PER_DAY),
    }
    key = {}
    for axis in layout.dimensions:
        meaning = attributes.get(axis.attribute) if axis.attribute else built_in[axis.source]
        label = _label(axis, meaning)
        if label is None:
            return None
        key[axis.name] = label
    return layout.index(key)


def _decoded(code: int | None, kind: AttributeType) -> str | Fraction | None:
    """What a slot's code stands for: a text, a number (of a band: its lower edge, below the first: far below)."""
    if code is None:
        return None
    match kind:
        case Category(values):
            return values[code] if code < len(values) else OTHER
        case Flag():
            return "yes" if code else "no"
        case Band(edges):
            return edges[code - 1] if code else edges[0] - 1
        case Number(quantum):
            return code * quantum


def _label(axis: Dimension, meaning: str | Fraction | None) -> str | None:
    """The label of a value on an axis, or None where the axis does not count it."""
    if meaning is None:
        return NONE
    if axis.edges:
        assert isinstance(meaning, Fraction)
        return axis.labels[sum(edge <= meaning for edge in axis.edges)]
    if meaning in axis.values:
        return str(meaning)
    return OTHER if OTHER in axis.labels else None
