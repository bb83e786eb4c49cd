"""Binding a definition to plans: each version's codes, reasons to abstain, and tables one can check by eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from privacy.abstaining import ABSTAIN_REASONS, abstain_for_epoch
from privacy.bounding import Binding, bind, deduplicate_sql, lot_of
from privacy.bounding_reference import deduplicate, kept_units, reference_vector
from privacy.definition import parse_definition
from privacy.errors import InvalidParameterError
from privacy.layout import compile_layout
from privacy.measures import MEASURES
from privacy.rows import ATTRIBUTE_SLOTS, ROW_COLUMNS, ROW_NAMES, Row, country_code
from privacy.tracking_plan import Plan, parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-02/P1D")
SALT = bytes(range(32))
_ARROW = {"u8": pa.uint8(), "u16": pa.uint16(), "u32": pa.uint32(), "u64": pa.uint64(), "i64": pa.int64()}
_SCHEMA = pa.schema([(column.name, _ARROW[column.type]) for column in ROW_COLUMNS])

BAND = {"type": "band", "edges": ["0", "6", "12", "24"]}
KIND = {"type": "category", "values": ["red", "green"]}


def _plan(apps: dict[str, Any], person: str = "session") -> Plan:
    """Apps of actions of attributes; Any: parts of a tree."""
    tree = {name: {"person": person, "consent": "none", "actions": actions} for name, actions in apps.items()}
    return parse_plan({"plan": "p", "apps": tree})


PLAN = _plan({"shop": {"buy": {"kind": KIND, "months": BAND}, "leave": {}}})
TURNED = _plan({"blog": {"read": {}}, "shop": {"leave": {}, "buy": {"months": BAND, "kind": KIND}}})


def _tree(**parts: Any) -> dict[str, Any]:
    return {
        "metric": "m",
        "question": "?",
        "from": {"app": "shop"},
        "measure": "count",
        "window": "day",
        "privacy": {"max_cells": "2", "max_per_cell": "2", "rho": "1/400"},
        **parts,
    }


def _row(person: int, key: int, **values: int | None) -> Row:
    """A row of shop/buy in DE under PLAN, but for these values."""
    row: dict[str, int | None] = dict.fromkeys(ROW_NAMES, 0)
    row |= dict.fromkeys((f"a{slot}" for slot in range(ATTRIBUTE_SLOTS)), None)
    row |= {"person": person, "event_key": key, "hour": WINDOW.start_hour, "country": country_code("DE"), "plan": 1}
    row |= {"session": None, "sampling": 1_000_000, **values}
    assert len(row) == len(ROW_NAMES)
    return tuple(row[name] for name in ROW_NAMES)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


def _vector(
    engine: duckdb.DuckDBPyConnection, tree: dict[str, Any], rows: Sequence[Row], plans: dict[int, Plan]
) -> dict[str, int]:
    """Cells that are not zero, by their labels; equal by SQL and by reference."""
    definition = parse_definition(tree)
    layout = compile_layout(definition, WINDOW)
    binding = bind(definition, layout, plans)
    assert isinstance(binding, Binding), binding
    columns = zip(*rows, strict=True) if rows else [()] * len(ROW_COLUMNS)
    table = pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)
    engine.register("window_rows", table)
    vector = layout.vector(engine.execute(binding.sql, Binding.parameters(SALT)).fetchall())
    assert vector == reference_vector(rows, definition, layout, plans, SALT)
    return {"/".join(layout.key(cell).values()): value for cell, value in enumerate(vector) if value}


def test_each_plan_version_is_read_with_its_own_codes(engine: duckdb.DuckDBPyConnection) -> None:
    """The same purchase, coded by two versions that order everything differently."""
    rows = [
        _row(1, 1, plan=1, app=0, action=0, a0=1, a1=2),  # green, [6, 12)
        _row(2, 2, plan=2, app=1, action=1, a0=2, a1=1),
        _row(3, 3, plan=2, app=0, action=0),  # the blog
    ]
    tree = _tree(measure={"histogram": "months", "edges": ["6", "12"]}, by={"kind": ["red", "green"]})
    assert _vector(engine, tree, rows, {1: PLAN, 2: TURNED}) == {"green/[6, 12)": 2}


def test_rows_of_a_plan_that_is_not_bound_do_not_count(engine: duckdb.DuckDBPyConnection) -> None:
    """Without its plan a code means nothing."""
    assert _vector(engine, _tree(), [_row(1, 1), _row(1, 2, plan=9)], {1: PLAN}) == {"": 1}


def test_an_empty_window_is_a_vector_of_zeros(engine: duckdb.DuckDBPyConnection) -> None:
    """No data is an answer like any other (PRIVACY 6)."""
    assert _vector(engine, _tree(by={"country": ["DE"]}), [], {1: PLAN}) == {}


def test_one_person_with_a_thousand_rows_adds_what_the_bounds_say(engine: duckdb.DuckDBPyConnection) -> None:
    """C = 2 cells of K = 2 events, whatever one does."""
    countries = [country_code(name) for name in ("DE", "FR", "US", "IT")]
    rows = [_row(1, key, country=countries[key % 4]) for key in range(1000)] + [_row(2, 5000)]
    tree = _tree(by={"country": ["DE", "FR", "US", "IT"]})
    both = _vector(engine, tree, rows, {1: PLAN})
    other = _vector(engine, tree, rows[-1:], {1: PLAN})
    assert sum(both.values()) - sum(other.values()) == 4
    assert sum(both.get(key, 0) != other.get(key, 0) for key in both) == 2


def test_other_and_none(engine: duckdb.DuckDBPyConnection) -> None:
    """What the plan knows and the definition does not is `other`; what is absent is `none`."""
    rows = [
        _row(1, 1, a0=0),
        _row(2, 2, a0=1),
        _row(3, 3, a0=2),  # any value the plan does not list
        _row(4, 4, a0=None),
        _row(5, 5, action=1),  # an action without the attribute
    ]
    assert _vector(engine, _tree(by={"kind": ["red", "unheard"]}), rows, {1: PLAN}) == {"red": 1, "other": 2, "none": 2}


def test_countries(engine: duckdb.DuckDBPyConnection) -> None:
    """ZZ is `none`."""
    rows = [_row(n, n, country=country_code(name)) for n, name in enumerate(("DE", "FR", "ZZ", "AA"))]
    tree = _tree(by={"country": ["FR", "DE"]})
    assert _vector(engine, tree, rows, {1: PLAN}) == {"FR": 1, "DE": 1, "other": 1, "none": 1}


def test_hours_that_are_not_listed_do_not_count(engine: duckdb.DuckDBPyConnection) -> None:
    """Time has no `other`."""
    rows = [_row(n, n, hour=WINDOW.start_hour + n) for n in range(24)]
    assert _vector(engine, _tree(by={"hour": ["3", "22"]}), rows, {1: PLAN}) == {"3": 1, "22": 1}


def test_apps_and_actions_over_all_apps(engine: duckdb.DuckDBPyConnection) -> None:
    """An action's name is looked up in each app."""
    rows = [
        _row(1, 1, plan=2, app=0, action=0),
        _row(2, 2, plan=2, app=1, action=0),
        _row(3, 3, plan=2, app=1, action=1),
    ]
    tree = _tree(**{"from": "any"}, by={"app": ["shop"], "action": ["leave", "read"]})
    assert _vector(engine, tree, rows, {2: TURNED}) == {"read/other": 1, "leave/shop": 1, "other/shop": 1}


@pytest.mark.parametrize("measure", ["count", "people"])
def test_a_crowded_person_keeps_the_smallest_hashes(engine: duckdb.DuckDBPyConnection, measure: str) -> None:
    """C in a row on the circle of the units, from a start of the salt and the person."""
    names = ("DE", "FR", "US", "IT", "ES")
    rows = [_row(7, n, country=country_code(name)) for n, name in enumerate(names)]
    privacy = {"max_cells": "2", "rho": "1/400", **({"max_per_cell": "1"} if measure == "count" else {})}
    tree = _tree(measure=measure, by={"country": list(names)}, privacy=privacy)
    kept = kept_units(7, range(5), 2, SALT)
    assert _vector(engine, tree, rows, {1: PLAN}) == {names[unit]: 1 for unit in kept}
    assert len(kept) == 2


ABSTAINS: list[tuple[str, dict[str, Any], dict[int, Plan], str]] = [
    ("no plan at all", {}, {}, "not_in_plan"),
    ("an unknown app", {"from": {"app": "bank"}}, {1: PLAN}, "not_in_plan"),
    ("an unknown action", {"from": {"app": "shop", "action": "steal"}}, {1: PLAN}, "not_in_plan"),
    ("an unknown attribute", {"by": {"colour": ["red"]}}, {1: PLAN}, "plan_incompatible"),
    ("another action's attribute", {"from": {"app": "shop", "action": "leave"}, "by": {"kind": ["red"]}}, {1: PLAN},
     "plan_incompatible"),
    ("an edge the plan does not have", {"measure": {"histogram": "months", "edges": ["3"]}}, {1: PLAN},
     "plan_incompatible"),
    ("values of a band", {"by": {"months": ["6"]}}, {1: PLAN}, "plan_incompatible"),
    ("edges over a category", {"by": {"kind": {"edges": ["6"]}}}, {1: PLAN}, "plan_incompatible"),
    ("one version that does not fit", {"by": {"kind": ["red"]}}, {1: PLAN, 2: _plan({"shop": {"buy": {"kind": BAND}}})},
     "plan_incompatible"),
    ("a session where a user is asked", {"unit": "user"}, {1: PLAN}, "unit_too_weak"),
    ("an address where a session is asked", {"unit": "session"}, {1: _plan({"shop": {"buy": {}}}, "address")},
     "unit_too_weak"),
    ("one weak app among all", {"from": "any", "unit": "user"},
     {1: _plan({"shop": {"buy": {}}}, "user"), 2: _plan({"blog": {"read": {}}}, "session")}, "unit_too_weak"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "plans", "reason"), [row[1:] for row in ABSTAINS], ids=[row[0] for row in ABSTAINS])
def test_a_node_abstains_for_its_plans_sake(parts: dict[str, Any], plans: dict[int, Plan], reason: str) -> None:
    """A reason of the closed list; no row is looked at."""
    definition = parse_definition(_tree(**parts))
    assert bind(definition, compile_layout(definition, WINDOW), plans) == reason
    assert reason in ABSTAIN_REASONS


@pytest.mark.parametrize(
    ("parts", "plans"),
    [
        ({"unit": "session"}, {1: _plan({"shop": {"buy": {}}}, "user")}),
        ({"unit": "address"}, {1: PLAN}),
        ({}, {1: PLAN, 2: _plan({"blog": {"read": {}}})}),  # one version has the app, another not yet
        ({"measure": {"histogram": "months", "edges": ["0", "24"]}}, {1: PLAN, 2: TURNED}),
    ],
)
def test_a_node_answers_where_it_can(parts: dict[str, Any], plans: dict[int, Plan]) -> None:
    """A stronger key, a plan that came later, some of the plan's edges."""
    definition = parse_definition(_tree(**parts))
    assert isinstance(bind(definition, compile_layout(definition, WINDOW), plans), Binding)


def test_edges_over_a_number_are_whole_quanta() -> None:
    """0.005 lies inside a quantum of 0.01: rounding would have moved values over the edge."""
    plan = _plan({"shop": {"buy": {"amount": {"type": "number", "quantum": "0.01", "range": ["0", "5"]}}}})
    answers = []
    for edge in ("0.02", "0.005"):
        definition = parse_definition(_tree(measure={"histogram": "amount", "edges": [edge]}))
        answers.append(bind(definition, compile_layout(definition, WINDOW), {1: plan}))
    assert isinstance(answers[0], Binding)
    assert answers[1] == "plan_incompatible"


def test_a_week_in_a_month_epoch_abstains() -> None:
    """PRIVACY 1, whatever the date."""
    week = Window.parse("2026-11-02/P1W")
    assert abstain_for_epoch(week, "month") == "window_not_in_one_epoch"
    assert abstain_for_epoch(week, "week") is None


def test_the_smallest_row_of_an_event_counts() -> None:
    """By hour, then sequence, before any other column; nulls first."""
    late, early = _row(1, 1, sequence=9), _row(1, 1, sequence=2, country=700 - 90, a0=1)
    absent = _row(1, 1, sequence=2, country=700 - 90, a0=None)
    assert deduplicate([late, early, absent]) == [absent]
    assert deduplicate([late, early]) == [early]
    assert deduplicate([_row(1, 1), _row(2, 1)]) == [_row(1, 1), _row(2, 1)]


@pytest.mark.parametrize("name", ["rows; DROP TABLE x", "", "a.b", '"x"'])
def test_a_relation_has_a_plain_name(name: str) -> None:
    """The one name that enters the SQL from outside."""
    with pytest.raises(ValueError):
        deduplicate_sql(name)


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_a_salt_is_32_bytes(salt: bytes) -> None:
    """A short one would be guessed."""
    with pytest.raises(InvalidParameterError):
        lot_of(salt)


def test_every_measure_file_is_named() -> None:
    """A file in privacy/measures that nobody named would never be reachable."""
    from pathlib import Path

    import privacy.measures

    folder = Path(privacy.measures.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    assert files == set(MEASURES)
