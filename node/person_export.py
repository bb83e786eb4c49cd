"""A stored row in words: what `murmur export-person` shows a person of what is kept about them.

Pure. A code is shown as what the plan says it stands for: a category's value or `other`, a band as `[3, 6)`, a number
in its unit, a flag as true or false, a key as its text. Pseudonyms are left out: they are the node's, and mean nothing
outside it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from privacy.coding import key_text
from privacy.rows import FIXED_COLUMNS, PERSON_KINDS, ROW_NAMES, SAMPLING_ALL, Row, country_text
from privacy.tracking_plan import AttributeType, Band, Category, Key, Number, Plan, slots_of


def event_of(row: Row, plan: Plan) -> dict[str, Any]:
    """The row as JSON, by the plan it was coded by."""
    values = dict(zip(ROW_NAMES, row, strict=True))
    app = plan.apps[_whole(values["app"])]
    action = app.actions[_whole(values["action"])]
    consented = _whole(values["purposes"])
    found: dict[str, Any] = {
        "hour": datetime.fromtimestamp(_whole(values["hour"]) * 3600, UTC).strftime("%Y-%m-%dT%H:00Z"),
        "person": PERSON_KINDS[_whole(values["person_kind"])],
        "app": app.name,
        "action": action.name,
        "country": country_text(_whole(values["country"])),
        "purposes": [name for bit, name in enumerate(plan.purposes) if consented >> bit & 1],
        "attributes": {
            attribute.name: _value(row[first : first + slots_of(attribute.type)], attribute.type)
            for slot, attribute in action.placed
            if row[first := len(FIXED_COLUMNS) + slot] is not None
        },
    }
    if values["sampling"] != SAMPLING_ALL:
        found["sampled"] = f"{_whole(values['sampling']) / SAMPLING_ALL:g} of all persons"
    return found


def _value(slots: Row, kind: AttributeType) -> object:
    if isinstance(kind, Key):
        return key_text(slots)
    code = _whole(slots[0])
    if isinstance(kind, Category):
        return kind.values[code] if code < len(kind.values) else "other"
    if isinstance(kind, Band):
        if code == 0:
            return f"below {kind.edges[0]}"
        low = kind.edges[code - 1]
        return f"[{low}, {kind.edges[code]})" if code < len(kind.edges) else f"{low} or more"
    if isinstance(kind, Number):
        exact = code * kind.quantum
        return int(exact) if exact.denominator == 1 else float(exact)
    return bool(code)


def _whole(value: int | None) -> int:
    if value is None:
        raise ValueError("a column of every row is null")
    return value
