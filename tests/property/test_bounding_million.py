"""One person with a million rows: the SQL gives the reference's vector, and the person moves it within the bounds."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from privacy.bounding import Binding, bind
from privacy.bounding_reference import reference_vector
from privacy.definition import parse_definition
from privacy.layout import compile_layout
from privacy.rows import ATTRIBUTE_SLOTS, ROW_COLUMNS, country_code
from privacy.tracking_plan import parse_plan
from privacy.units import Window

ROWS = 1_000_000
WINDOW = Window.parse("2026-11-01/P1M")
SALT = bytes(range(32))
NUMBER = {"size": {"type": "number", "quantum": "1", "range": ["-1000000", "1000000"]}}
PLAN = parse_plan(
    {
        "plan": "p",
        "apps": {"app": {"person": "user", "consent": "none", "actions": dict.fromkeys(("a", "b", "c"), NUMBER)}},
    }
)
ONCE = {"max_cells": "2", "rho": "1/400"}
EVENTS = {**ONCE, "max_per_cell": "3"}
QUESTIONS: dict[str, tuple[Any, dict[str, str]]] = {
    "count": ("count", {**EVENTS, "clipped_people": "yes"}),
    "sum": ({"sum": "size", "range": ["-1000", "1000"], "quantum": "1"}, EVENTS),
    "mean": ({"mean": "size", "range": ["-1000", "7"], "quantum": "1"}, EVENTS),
    "funnel": ({"funnel": ["a", "b", "c"], "per": "epoch"}, ONCE),
    "funnel by session": ({"funnel": ["c", "a"], "per": "session"}, {"max_per_cell": "2", "rho": "1/400"}),
    "journey": ({"journey": "action", "values": ["a", "b"]}, EVENTS),
    "retention": ({"retention": "week", "ages": "3"}, ONCE),
    "score": ({"score": {"deeds": {"count": "a", "points": "2", "most": "9"},
                         "mood": {"value": "size", "in": "b", "quantum": "1", "most": "5"}}}, ONCE),
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(4)
    lands = np.array([country_code(land) for land in ("DE", "FR", "US", "ZZ")])
    columns: dict[str, Any] = {column.name: np.zeros(ROWS, np.int64) for column in ROW_COLUMNS}
    columns |= {f"a{slot}": pa.nulls(ROWS, pa.int64()) for slot in range(1, ATTRIBUTE_SLOTS)}
    columns |= {
        "person": np.full(ROWS, 2**63 + 7, np.uint64),
        "session": rng.integers(1, 500, ROWS),
        "event_key": np.arange(ROWS),
        "hour": WINDOW.start_hour + rng.integers(0, WINDOW.hours, ROWS),
        "sequence": rng.integers(0, 1000, ROWS),
        "action": rng.integers(0, 3, ROWS),
        "country": lands[rng.integers(0, 4, ROWS)],
        "plan": np.ones(ROWS, np.int64),
        "a0": rng.integers(-1_000_000, 1_000_000, ROWS),
    }
    types = {"u8": pa.uint8(), "u16": pa.uint16(), "u32": pa.uint32(), "u64": pa.uint64(), "i64": pa.int64()}
    return pa.table({column.name: pa.array(columns[column.name]).cast(types[column.type]) for column in ROW_COLUMNS})


@pytest.mark.slow
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_million_rows_of_one_person(table: pa.Table, name: str) -> None:
    measure, privacy = QUESTIONS[name]
    definition = parse_definition(
        {"metric": "m", "question": "?", "from": {"app": "app"}, "measure": measure, "by": {"country": ["DE", "FR"]},
         "window": "month", "privacy": privacy}
    )  # fmt: skip
    layout = compile_layout(definition, WINDOW)
    binding = bind(definition, layout, {1: PLAN})
    assert isinstance(binding, Binding)
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("window_rows", table)
        vector = layout.vector(connection.execute(binding.sql, Binding.parameters(SALT)).fetchall())
    rows = zip(*(table[column.name].to_pylist() for column in ROW_COLUMNS), strict=True)
    assert vector == reference_vector(rows, definition, layout, {1: PLAN}, SALT)
    for block in layout.blocks:
        cells = vector[layout.offset(block) :][: block.cells]
        assert sum(map(abs, cells)) <= block.l1
        assert sum(cell * cell for cell in cells) <= block.l2_squared
