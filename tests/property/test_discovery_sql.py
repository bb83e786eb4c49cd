"""The SQL of discovered keys means what the Python reference says, and a person's keys hang on nobody else's.

Random tables: keys in one slot and in three, a category under another plan version, ties, duplicates, crowded persons.
Each mutant goes through the very check that the real SQL passes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from privacy.bounding import Binding, bind
from privacy.bounding_reference import deduplicate, reference_keys
from privacy.coding import key_encoder_of
from privacy.definition import Definition, parse_definition
from privacy.layout import Layout, compile_layout
from privacy.projection import key_of_hex
from privacy.rows import ATTRIBUTE_SLOTS, Row
from privacy.tracking_plan import Category, Key, Number, Plan, parse_plan
from tests.property.bounding_tables import PERSONS, WINDOW, load

_QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_OPEN = {"app": "blog", "action": "open"}
_NUMBER = {"type": "number", "quantum": "1", "range": ["-3", "9"]}
# Bytes at both ends of a slot, more than a slot, letters beyond ASCII, a text that ends in the digit that is cut.
TEXTS = ("a", "p", "ap", "a page", "pppppppp", "ppppppppp", "other", "none", "ÿ", "ÿÿÿÿ", "é seed", "日本", "A", "0")


def _plan(first: object, second: object) -> Plan:
    actions = {"open": {"page": first, "stars": _NUMBER}, "close": {"stars": _NUMBER, "page": second}}
    return parse_plan({"plan": "p", "apps": {"blog": {"person": "user", "consent": "none", "actions": actions}}})


PLANS = (
    _plan({"type": "key", "max_bytes": "24"}, {"type": "key", "max_bytes": "8"}),
    _plan({"type": "key", "max_bytes": "9"}, {"type": "category", "values": ["a", "p", "ÿ", "other"]}),
    _plan({"type": "category", "values": list(TEXTS)}, {"type": "key", "max_bytes": "64"}),
)
MEASURES: tuple[object, ...] = (
    "count", "people", {"top": "3"},
    {"sum": "stars", "range": ["-2", "5"], "quantum": "1"}, {"mean": "stars", "range": ["0", "5"], "quantum": "1"},
)  # fmt: skip


def definition(measure: object, max_cells: int, max_per_cell: int, source: object = _OPEN) -> Definition:
    privacy = {"max_cells": str(max_cells), "rho": "1/400", "delta": "1/100000000"}
    if measure != "people":
        privacy["max_per_cell"] = str(max_per_cell)
    return parse_definition(
        {"metric": "m", "question": "?", "from": source, "measure": measure, "by": {"page": {"discover": "true"}},
         "window": "day", "privacy": privacy}
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    definition: Definition
    plans: Mapping[int, Plan]
    rows: tuple[Row, ...]
    salt: bytes

    def __repr__(self) -> str:
        return f"Case({self.definition}, plans {list(self.plans)}, rows {self.rows[:10]}, salt {self.salt[:1]!r})"

    @property
    def layout(self) -> Layout:
        return compile_layout(self.definition, WINDOW)

    @property
    def binding(self) -> Binding:
        binding = bind(self.definition, self.layout, self.plans)
        assert isinstance(binding, Binding), binding
        return binding


def row_of(number: int, plans: Mapping[int, Plan]) -> Row:
    """The row that an integer stands for; every choice is a digit of it."""

    def digit(base: int) -> int:
        nonlocal number
        number, value = divmod(number, base)
        return value

    person, version, action_code = PERSONS[digit(3)], sorted(plans)[digit(len(plans))], digit(2)
    slots: list[int | None] = [None] * ATTRIBUTE_SLOTS
    for slot, attribute in plans[version].apps[0].actions[action_code].placed:
        match attribute.type:
            case Key() as key:
                packed = key_encoder_of(key)(TEXTS[digit(len(TEXTS))]) if digit(8) else None
                slots[slot : slot + key.slots] = packed or (None,) * key.slots
            case Category(values):
                slots[slot] = digit(len(values) + 1) if digit(8) else None
            case Number():
                slots[slot] = digit(13) - 3 if digit(8) else None
    hour = WINDOW.start_hour + digit(3)
    return (person, 0, None, digit(40), hour, digit(3), 0, action_code, 0, 0, version, 1_000_000, *slots)


@st.composite
def cases(draw: st.DrawFn, measure: object = None) -> Case:
    numbers = draw(st.lists(st.sampled_from(range(len(PLANS))), min_size=1, max_size=3, unique=True))
    plans = {number: PLANS[version] for number, version in enumerate(numbers, 1)}
    source = draw(st.sampled_from([_OPEN, {"app": "blog"}]))
    asked = definition(
        measure or draw(st.sampled_from(MEASURES)), draw(st.integers(1, 4)), draw(st.integers(1, 3)), source
    )
    seed, size = draw(st.integers(0, 2**32)), draw(st.sampled_from([0, 1, 5, 40, 200]))
    source_of = random.Random(seed)
    rows = tuple(row_of(source_of.getrandbits(70), plans) for _ in range(size))
    return Case(asked, plans, rows, draw(st.integers(0, 255)).to_bytes(1, "big") * 32)


Mutate = Callable[[str], str]


def by_sql(
    connection: duckdb.DuckDBPyConnection, case: Case, rows: Sequence[Row], mutate: Mutate = lambda sql: sql
) -> dict[str, tuple[int, ...]]:
    load(connection, "window_rows", rows)
    found = connection.execute(mutate(case.binding.sql), Binding.parameters(case.salt)).fetchall()
    keys = {key_of_hex(digits): tuple(values) for digits, *values in found}
    assert len(keys) == len(found), "one row a key"
    return keys


def check(connection: duckdb.DuckDBPyConnection, case: Case, mutate: Mutate = lambda sql: sql) -> None:
    rows = deduplicate(case.rows, WINDOW)
    expected = reference_keys(rows, case.definition, case.layout, case.plans, case.salt)
    assert by_sql(connection, case, rows, mutate) == expected


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


@pytest.mark.parametrize("examples", [80, pytest.param(250, marks=pytest.mark.slow)])
def test_sql_and_reference_find_the_same_keys_and_cells(connection: duckdb.DuckDBPyConnection, examples: int) -> None:
    settings(_QUICK, max_examples=examples)(given(case=cases())(lambda case: check(connection, case)))()


@pytest.mark.parametrize("examples", [30, pytest.param(80, marks=pytest.mark.slow)])
def test_one_persons_keys_hang_on_nobody_else(connection: duckdb.DuckDBPyConnection, examples: int) -> None:
    """What all add is the sum of what each adds alone, within the bounds of every block."""
    drawn = given(case=cases())(lambda case: _check_each_alone(connection, case))
    settings(_QUICK, max_examples=examples)(drawn)()


def _check_each_alone(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    rows, blocks = deduplicate(case.rows, WINDOW), case.layout.blocks
    total: dict[str, list[int]] = {}
    for person in {row[0] for row in rows}:
        alone = by_sql(connection, case, [row for row in rows if row[0] == person])
        for place, block in enumerate(blocks):
            cells = [values[place] for values in alone.values()]
            assert sum(map(bool, cells)) <= block.l0
            assert sum(map(abs, cells)) <= block.l1
            assert sum(cell * cell for cell in cells) <= block.l2_squared
            assert all(abs(cell) <= block.linf for cell in cells)
        for key, values in alone.items():
            before = total.setdefault(key, [0] * len(blocks))
            total[key] = [one + other for one, other in zip(before, values, strict=True)]
    assert by_sql(connection, case, rows) == {key: tuple(values) for key, values in total.items()}


BROKEN: dict[str, tuple[Mutate, object]] = {
    "the number of keys of a person is not bounded": (lambda sql: sql.replace("place <= ", "0 * place <= "), "people"),
    "the cap of events is forgotten": (lambda sql: sql.replace("least(events, ", "greatest(events, "), "count"),
    "people are events": (lambda sql: sql.replace("count(*) AS v0", "sum(events) AS v0"), "count"),
    "the keys most people have are kept": (
        lambda sql: sql.replace(
            "1 + CAST((p.nth + (CAST(p.lot AS BIGINT) * $turn + $shift) % 2147483647) AS BIGINT) % p.units",
            "row_number() OVER (PARTITION BY p.person ORDER BY"
            " (SELECT count(*) FROM pieces q WHERE q.unit = p.unit) DESC, p.unit) + 0 * $turn + 0 * $shift",
        ),
        "count",
    ),
    "a key is its first slot": (lambda sql: re.sub(r' \|\| lpad\(to_hex\("a[0-9]+"\), 16, .0.\)', "", sql), "count"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sql_is_caught(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    mutate, measure = BROKEN[name]

    @settings(_QUICK, max_examples=300, database=None, phases=[Phase.generate])
    @given(case=cases(measure))
    def run(case: Case) -> None:
        check(connection, case, mutate)

    with pytest.raises((AssertionError, UnicodeDecodeError)):
        run()
