"""Contribution bounding in plain Python: what the SQL of `privacy.bounding` means.

Written for reading, row by row and person by person, and from the meaning of a row rather than its codes: a
row is decoded to labels by its plan, labels to a cell by the layout's key. Never used for a release.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from privacy.bounding import LOT_PRIME, lot_of
from privacy.coding import key_text
from privacy.definition import Definition
from privacy.dimensions import NONE, OTHER, Dimension
from privacy.fields import Field, Mark, Place, Quanta, Step
from privacy.layout import CLIPPED, PEOPLE, Layout
from privacy.measures.base import Event
from privacy.rows import COUNTRY_UNKNOWN, ROW_NAMES, Row, country_text, row_order
from privacy.tracking_plan import Action, App, AttributeType, Band, Category, Flag, Key, Number, Plan, slots_of
from privacy.units import HOURS_PER_DAY, Window


class Unlisted(str):
    """What a category's code for any unlisted value reads as: no text that anybody sent."""

    __slots__ = ()


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
    if layout.discovery is not None:
        raise ValueError("keys are discovered by reference_keys")
    return _vector(rows, definition, layout, plans, salt)


def reference_keys(
    rows: Iterable[Row], definition: Definition, layout: Layout, plans: Mapping[int, Plan], salt: bytes
) -> dict[str, tuple[int, ...]]:
    """The exact cells of every key that somebody's kept rows have, by block: what the SQL of `discover` finds.

    Keys are ordered as their texts; the order among one person's keys, on which the choice of C of them depends, is
    the same whatever others have.
    """
    rows = list(rows)
    assert layout.discovery is not None
    meanings = (_meaning_of(row, plans) for row in rows)
    name = f".{layout.discovery.axis.attribute}"
    texts = {
        text for meaning in meanings if isinstance(text := meaning.get(name), str) and not isinstance(text, Unlisted)
    }
    keyed = layout.with_keys(sorted(texts))
    vector = _vector(rows, definition, keyed, plans, salt)
    size = len(texts)
    cells = {key: tuple(vector[at::size]) for at, key in enumerate(sorted(texts))}
    return {key: values for key, values in cells.items() if values[0]}


def _meaning_of(row: Row, plans: Mapping[int, Plan]) -> dict[str, str | Fraction | None]:
    values = dict(zip(ROW_NAMES, row, strict=True))
    plan = plans.get(values["plan"] or 0)
    if plan is None:
        return {}
    app = plan.apps[values["app"] or 0]
    return _meaning(values, app, app.actions[values["action"] or 0])


def _vector(
    rows: Iterable[Row], definition: Definition, layout: Layout, plans: Mapping[int, Plan], salt: bytes
) -> list[int]:
    measure, frame = definition.measure, layout.frame
    counts_people = layout.discovery is not None and measure.word != PEOPLE
    offsets = {block.name: layout.offset(block) for block in layout.blocks}
    most = measure.kept(frame.bounds)
    vector = [0] * layout.cells
    for person, events in _events_by_person(rows, definition, layout, plans).items():
        pieces = measure.pieces(events, frame)
        for unit in kept_units(person, pieces.keys(), most, salt):
            for block, cell, value in measure.adds(unit, pieces[unit], frame):
                vector[offsets[block] + cell] += value
                for whole, parts in layout.partitions:
                    vector[offsets[whole]] += value if block == parts else 0
            if counts_people:
                vector[offsets[PEOPLE] + unit] += 1
        if definition.counts_clipped:
            is_cut = len(pieces) > most or any(measure.is_cut(piece, frame) for piece in pieces.values())
            vector[offsets[CLIPPED]] += is_cut
    return vector


def kept_units(person: int, units: Iterable[int], max_cells: int, salt: bytes) -> set[int]:
    """The units of one person that count: C in a row on the circle of all, from a start drawn for the person."""
    turn, shift = lot_of(salt)
    start = (person % 2**31 * turn + shift) % LOT_PRIME
    circle = sorted(set(units))
    return {unit for nth, unit in enumerate(circle) if (nth + start) % len(circle) < max_cells}


def _events_by_person(
    rows: Iterable[Row], definition: Definition, layout: Layout, plans: Mapping[int, Plan]
) -> dict[int, list[Event]]:
    """Each person's rows that count, with their groups and fields."""
    found: dict[int, list[Event]] = defaultdict(list)
    for row in rows:
        values = dict(zip(ROW_NAMES, row, strict=True))
        plan = plans.get(values["plan"] or 0)
        event = None if plan is None else _event(values, definition, layout, plan)
        if event is not None:
            found[values["person"] or 0].append(event)
    return found


def _event(values: Mapping[str, int | None], definition: Definition, layout: Layout, plan: Plan) -> Event | None:
    """One row by its meaning, or None where the definition does not count it."""
    app = plan.apps[values["app"] or 0]
    action = app.actions[values["action"] or 0]
    if not definition.source.has(app.name, action.name):
        return None
    meaning = _meaning(values, app, action)
    group = 0
    for axis in layout.by:
        place = _place(axis, meaning)
        if place is None:
            return None
        group = group * axis.size + place
    return Event(
        group,
        values["hour"] or 0,
        values["sequence"] or 0,
        values["event_key"] or 0,
        values["session"],
        {name: _field(field, app, action, meaning) for name, field in definition.measure.fields.items()},
    )


def _meaning(values: Mapping[str, int | None], app: App, action: Action) -> dict[str, str | Fraction | None]:
    """What the row says: its built-in dimensions, and its attributes as `.name`."""
    country = values["country"] or 0
    built_in: dict[str, str | Fraction | None] = {
        "app": app.name,
        "action": action.name,
        "country": None if country == COUNTRY_UNKNOWN else country_text(country),
        "hour": str((values["hour"] or 0) % HOURS_PER_DAY),
    }
    return built_in | {
        f".{attribute.name}": _decoded(
            [values[f"a{slot + part}"] for part in range(slots_of(attribute.type))], attribute.type
        )
        for slot, attribute in action.placed
    }


def _field(field: Field, app: App, action: Action, meaning: Mapping[str, str | Fraction | None]) -> int | None:
    match field:
        case Place(axis):
            return _place(axis, meaning)
        case Step(steps):
            return next((place for place, step in enumerate(steps, 1) if step.has(app.name, action.name)), None)
        case Mark(part):
            return 1 if part.has(app.name, action.name) else None
        case Quanta(name, quantum, part):
            value = meaning.get(f".{name}") if part.has(app.name, action.name) else None
            value = {"no": Fraction(0), "yes": Fraction(1)}[value] if isinstance(value, str) else value
            return None if value is None else int(value / quantum)
    raise TypeError(field)


def _place(axis: Dimension, meaning: Mapping[str, str | Fraction | None]) -> int | None:
    """The position of a row's label on an axis, or None where the axis does not count the row."""
    label = _label(axis, meaning.get(f".{axis.attribute}" if axis.attribute else axis.source))
    return None if label is None else axis.labels.index(label)


def _decoded(slots: Sequence[int | None], kind: AttributeType) -> str | Fraction | None:
    """What an attribute's slots stand for: a text, a number (of a band: its lower edge, below the first: far below)."""
    code = slots[0]
    if isinstance(kind, Key):
        return key_text(slots)
    if code is None:
        return None
    match kind:
        case Category(values):
            return values[code] if code < len(values) else Unlisted(OTHER)
        case Flag():
            return "yes" if code else "no"
        case Band(edges):
            return edges[code - 1] if code else edges[0] - 1
        case Number(quantum):
            return code * quantum


def _label(axis: Dimension, meaning: str | Fraction | None) -> str | None:
    """The label of a value on an axis, or None where the axis does not count it."""
    if axis.is_discovered:
        return str(meaning) if meaning is not None and not isinstance(meaning, Unlisted) else None
    if meaning is None:
        return NONE
    if axis.edges:
        assert isinstance(meaning, Fraction)
        return axis.labels[sum(edge <= meaning for edge in axis.edges)]
    if meaning in axis.values:
        return str(meaning)
    return OTHER if OTHER in axis.labels else None
