"""From coded rows to groups and fields: the part of the bounding SQL that knows the tracking plans.

A row's codes are positions in the plan version that coded it, so each version gets its own SELECT with the
codes written in as integers; versions that code alike share one. The result has the columns person, grp (the
row-major index over the axes of `by`, NULL where the row belongs to no group), one column a field of the
measure (privacy/fields.py), and at_hour, sequence, session, event_key as they are.

| axis | how a row finds its label |
|---|---|
| app, action, country, a category, a flag (`no`, `yes`) | equality with the code of a listed value, else `other` |
| hour | equality with the hour of the day, else NULL |
| edges over a band | the band's code against each edge's position; the edges are edges of the plan's band |
| edges over a number | the quanta against each edge in quanta; the edges are whole quanta |
| discovered, over a key or a category | the text itself, as hexadecimal digits (`key_of_hex`), instead of a position |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from privacy.abstaining import AbstainReason
from privacy.definition import Definition
from privacy.dimensions import Dimension
from privacy.fields import Field, Mark, Place, Quanta, Step
from privacy.rows import COUNTRY_UNKNOWN, PERSON_STRENGTH, country_code
from privacy.sources import Source
from privacy.tracking_plan import Action, App, AttributeType, Band, Category, Flag, Key, Number, Plan
from privacy.units import HOURS_PER_DAY

WINDOW_ROWS: Final = "window_rows"
FLAG_VALUES: Final[Mapping[str, int]] = {"no": 0, "yes": 1}
_TIME: Final = 'CAST("hour" AS BIGINT) AS at_hour, CAST("sequence" AS BIGINT) AS sequence, "session", "event_key"'
_MAX_QUANTA: Final = 1 << 61  # of one value: a plan that could pass it cannot answer, whatever its rows hold
_CODES: Final = 1 << 16  # app and action codes are u16
_SHORT: Final = 8  # codes compared one after the other; measured: beyond, halving first is faster


class _Incompatible(Exception):
    """A plan cannot give an axis its meaning; `project` turns it into a reason."""


def counted(definition: Definition, plan: Plan) -> list[tuple[App, Action]]:
    """The actions of one plan version that the definition counts, in plan order."""
    return [
        (app, action) for app in plan.apps for action in app.actions if definition.source.has(app.name, action.name)
    ]


def abstain_for_plans(definition: Definition, plans: Mapping[int, Plan]) -> AbstainReason | None:
    """not_in_plan or unit_too_weak where these plans, together, are a reason to abstain; else None."""
    apps = [app for plan in plans.values() for app, _ in counted(definition, plan)]
    if not apps:
        return "not_in_plan"
    if definition.unit is not None:
        least = PERSON_STRENGTH[definition.unit]
        if any(PERSON_STRENGTH[app.person_kind] < least for app in apps):
            return "unit_too_weak"
    return None


def project(
    definition: Definition, by: Sequence[Dimension], plans: Mapping[int, Plan]
) -> tuple[str, ...] | AbstainReason:
    """SELECTs of (person, grp, fields, time) over `window_rows`, disjoint in rows, or the reason why these
    plans cannot answer.

    Args:
        definition: What is counted.
        by: The layout's axes of groups.
        plans: Every plan version in force at some time of the window, by number; never "those found in the
            rows", for whether a node answers must not depend on data.
    """
    reason = abstain_for_plans(definition, plans)
    if reason is not None:
        return reason
    versions: dict[tuple[str, str], list[int]] = {}
    try:
        for number in sorted(plans):
            for piece in _pieces(definition, by, plans[number]):
                versions.setdefault(piece, []).append(number)
    except _Incompatible:
        return "plan_incompatible"
    return tuple(
        f'  SELECT "person" AS person, {columns}, {_TIME} FROM {WINDOW_ROWS}\n'
        f'  WHERE "plan" IN ({", ".join(map(str, numbers))}) AND ({condition})'
        for (columns, condition), numbers in versions.items()
    )


def _pieces(definition: Definition, by: Sequence[Dimension], plan: Plan) -> Iterator[tuple[str, str]]:
    """(columns, condition) for the actions of one plan version; those coded alike come together."""
    found = counted(definition, plan)
    fields = definition.measure.fields
    for attribute in definition.attributes:
        if found and all(action.attribute(attribute) is None for _, action in found):
            raise _Incompatible(attribute)
    for field in fields.values():
        if isinstance(field, Place) and found and not _knows_a_label(field.axis, found):
            raise _Incompatible(field.axis.name)
        for part in _parts(field):
            if found and not any(part.has(app.name, action.name) for app, action in found):
                raise _Incompatible(part.text)
            if isinstance(field, Quanta) and not any(
                action.attribute(field.attribute) for app, action in found if part.has(app.name, action.name)
            ):
                raise _Incompatible(field.attribute)
    alike: dict[str, list[tuple[App, Action]]] = {}
    for app, action in found:
        columns = [f"{_index(by, plan, action)} AS grp"]
        columns += [f"{_field(field, plan, app, action)} AS {name}" for name, field in fields.items()]
        alike.setdefault(", ".join(columns), []).append((app, action))
    for text, actions in alike.items():
        yield text, _condition(plan, actions)


def _knows_a_label(axis: Dimension, found: Sequence[tuple[App, Action]]) -> bool:
    """Whether any listed app or action is counted here: else all moves of a journey would be between others."""
    if axis.source == "app":
        return any(app.name in axis.values for app, _ in found)
    if axis.source == "action":
        return any(action.name in axis.values for _, action in found)
    return True


def _parts(field: Field) -> tuple[Source, ...]:
    """The narrower sources that a field names: a plan without one of them cannot answer."""
    match field:
        case Step(steps):
            return steps
        case Mark(part) | Quanta(part=part):
            return () if part == Source() else (part,)
    return ()


def _field(field: Field, plan: Plan, app: App, action: Action) -> str:
    """SQL of one field of the action's rows."""
    match field:
        case Place(axis):
            return _place(axis, plan, action)
        case Step(steps):
            places = [place for place, step in enumerate(steps, 1) if step.has(app.name, action.name)]
            return str(places[0]) if places else "CAST(NULL AS INTEGER)"
        case Mark(part):
            return "1" if part.has(app.name, action.name) else "CAST(NULL AS INTEGER)"
        case Quanta(name, quantum, part):
            if not part.has(app.name, action.name) or action.attribute(name) is None:
                return "CAST(NULL AS BIGINT)"
            return _quanta(name, quantum, action)
    raise TypeError(field)


def _quanta(name: str, quantum: Fraction, action: Action) -> str:
    """SQL of a number in whole quanta: the plan's quantum is a whole multiple of this one."""
    attribute = action.attribute(name)
    column = f'"a{action.slot(name)}"'
    match attribute.type if attribute else None:
        case Number() as number:
            factor = number.quantum / quantum
            most = max(abs(number.low_quanta), abs(number.high_quanta)) * factor
            if factor.denominator != 1 or most > _MAX_QUANTA:
                raise _Incompatible(name)
            return f"{column} * {factor}"
        case Flag() if (1 / quantum).denominator == 1 and 1 / quantum <= _MAX_QUANTA:
            return f"{column} * {1 / quantum}"
    raise _Incompatible(name)


def _condition(plan: Plan, actions: Sequence[tuple[App, Action]]) -> str:
    """SQL that is true for rows of these actions of the plan."""
    if len(actions) == sum(len(app.actions) for app in plan.apps):
        return "true"
    parts = []
    for app_code, app in enumerate(plan.apps):
        codes = [str(app.action_code(action.name)) for owner, action in actions if owner == app]
        if len(codes) == len(app.actions):
            parts.append(f'"app" = {app_code}')
        elif codes:
            parts.append(f'"app" = {app_code} AND "action" IN ({", ".join(codes)})')
    return " OR ".join(parts)


def _index(axes: Sequence[Dimension], plan: Plan, action: Action) -> str:
    """SQL of the row-major index over the axes; NULL as soon as one axis has no label for the row."""
    index = ""
    for axis in axes:
        place = _place(axis, plan, action)
        index = f"({index}) * {axis.size} + {place}" if index else place
    return index or "0"


def _place(axis: Dimension, plan: Plan, action: Action) -> str:
    """SQL of the position of a row's label on one axis."""
    if axis.attribute is not None:
        return _attribute_place(axis, axis.attribute, action)
    if axis.source == "country":
        codes = {country_code(value): place for place, value in enumerate(axis.values)}
        return _switch('"country"', {**codes, COUNTRY_UNKNOWN: axis.size - 1}, str(axis.size - 2))
    if axis.source == "hour":
        hours = {int(value): place for place, value in enumerate(axis.values)}
        return _switch(f'"hour" % {HOURS_PER_DAY}', hours, "NULL")
    places = {value: place for place, value in enumerate(axis.values)}
    if axis.source == "app":
        codes = {code: places[app.name] for code, app in enumerate(plan.apps) if app.name in places}
        return _switch('"app"', codes, str(axis.size - 1))
    codes = {
        app_code * _CODES + code: places[known.name]
        for app_code, app in enumerate(plan.apps)
        for code, known in enumerate(app.actions)
        if known.name in places
    }
    return _switch(f'CAST("app" AS BIGINT) * {_CODES} + "action"', codes, str(axis.size - 1))


def _attribute_place(axis: Dimension, name: str, action: Action) -> str:
    none = axis.size - 1
    attribute = action.attribute(name)
    if attribute is None:
        return (
            "NULL" if axis.is_discovered else str(none)
        )  # this action never carries it; another of the same source does
    if axis.is_discovered:
        return _key_hex(action, name, attribute.type)
    column = f'"a{action.slot(name)}"'
    match attribute.type:
        case Band(edges) if axis.edges and set(axis.edges) <= set(edges):
            return _steps(column, [edges.index(edge) + 1 for edge in axis.edges], none)
        case Number(quantum) if axis.edges and all((edge / quantum).denominator == 1 for edge in axis.edges):
            return _steps(column, [int(edge / quantum) for edge in axis.edges], none)
        case Category(values) if axis.values:
            codes = {values.index(value): place for place, value in enumerate(axis.values) if value in values}
            return _switch(column, codes, str(none - 1), null=none)
        case Flag() if axis.values and set(axis.values) <= FLAG_VALUES.keys():
            codes = {FLAG_VALUES[value]: place for place, value in enumerate(axis.values)}
            return _switch(column, codes, str(none - 1), null=none)
    raise _Incompatible(name)


def key_of_hex(digits: str) -> str:
    """The key that the SQL of a discovered axis names: zeros at its end are cut, so a last digit may be missing."""
    return bytes.fromhex(digits + "0" * (len(digits) % 2)).decode()


def _key_hex(action: Action, name: str, kind: AttributeType) -> str:
    """SQL of a key as hexadecimal digits without the zeros at its end: no key holds a zero byte, so none are mixed up.

    Texts are ordered by these digits as by their own bytes. NULL where there is no key, or an unlisted category.
    """
    first = action.slot(name)
    assert first is not None, "the caller has found the attribute"
    match kind:
        case Key():
            words = " || ".join(f"lpad(to_hex(\"a{first + n}\"), 16, '0')" for n in range(kind.slots))
            return f"rtrim({words}, '0')"
        case Category(values):
            listed = ", ".join(f"'{value.encode().hex().upper().rstrip('0')}'" for value in values)
            return f'([{listed}])[CAST("a{first}" AS BIGINT) + 1]'
    raise _Incompatible(name)


def _switch(column: str, places: Mapping[int, int], otherwise: str, *, null: int | None = None) -> str:
    """SQL of the place by equality with a code."""
    found = _search(column, _runs(sorted(places.items())), otherwise)
    return found if null is None else f"CASE WHEN {column} IS NULL THEN {null} ELSE {found} END"


def _runs(places: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(first code, last code, first place) of codes that follow each other as their places do.

    A definition that lists values in the plan's order is one run, however many values there are.
    """
    runs: list[tuple[int, int, int]] = []
    for code, place in places:
        if runs and code == runs[-1][1] + 1 and place - code == runs[-1][2] - runs[-1][0]:
            runs[-1] = (runs[-1][0], code, runs[-1][2])
        else:
            runs.append((code, code, place))
    return runs


def _search(column: str, runs: Sequence[tuple[int, int, int]], otherwise: str) -> str:
    """SQL that compares with each run of a short list, and halves a long one: 200 countries in 11 steps, not 200."""
    if len(runs) > _SHORT:
        half = len(runs) // 2
        lower, upper = (_search(column, part, otherwise) for part in (runs[:half], runs[half:]))
        return f"CASE WHEN {column} < {runs[half][0]} THEN {lower} ELSE {upper} END"
    whens = "".join(_when(column, *run) for run in runs)
    return f"CASE{whens} ELSE {otherwise} END" if whens else otherwise


def _when(column: str, first: int, last: int, place: int) -> str:
    if first == last:
        return f" WHEN {column} = {first} THEN {place}"
    shift = place - first
    moved = f"CAST({column} AS INTEGER)" + (f" + ({shift})" if shift else "")
    return f" WHEN {column} BETWEEN {first} AND {last} THEN {moved}"


def _steps(column: str, thresholds: Sequence[int], none: int) -> str:
    """SQL of how many thresholds are <= the value; thresholds rise strictly."""
    whens = "".join(f" WHEN {column} < {step} THEN {place}" for place, step in enumerate(thresholds))
    return f"CASE WHEN {column} IS NULL THEN {none}{whens} ELSE {len(thresholds)} END"
