"""The SQL of reading and bounding means what the Python reference says; mutants of it are caught.

PRIVACY 3 and 7, on random and adversarial tables: ties, duplicates, crowded persons, one person with hundreds of
rows, empty tables, several plan versions. Each mutant goes through the very check that the real SQL passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from privacy.bounding_reference import deduplicate, reference_vector
from tests.property.bounding_tables import Case, cases, vector_by_sql, window_rows_by_sql

Mutate = Callable[[str], str]

# The connection is one for all examples on purpose: each replaces the relations of the one before.
_QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """One in-memory engine with one thread."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


def _same(sql: str) -> str:
    return sql


def _check_reading(connection: duckdb.DuckDBPyConnection, case: Case, mutate: Mutate = _same) -> None:
    kept = deduplicate(case.rows, case.layout.window)
    found = window_rows_by_sql(connection, case.rows, case.layout.window, mutate)
    assert sorted(found, key=repr) == sorted(kept, key=repr)


def _check_bounding(connection: duckdb.DuckDBPyConnection, case: Case, mutate: Mutate = _same) -> None:
    rows = deduplicate(case.rows, case.layout.window)
    expected = reference_vector(rows, case.definition, case.layout, case.plans, case.salt)
    assert vector_by_sql(connection, case, rows, mutate) == expected


@settings(_QUICK, max_examples=2000)
@given(case=cases())
def test_sql_and_reference_give_one_vector(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """The vector a release is made from is the one the readable code describes."""
    _check_bounding(connection, case)


@settings(_QUICK, max_examples=500)
@given(case=cases())
def test_reading_keeps_the_smallest_row_of_each_event(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """Row for row, and whatever the order in which they were sealed."""
    _check_reading(connection, case)
    forward, backward = (deduplicate(rows, case.layout.window) for rows in (case.rows, case.rows[::-1]))
    assert sorted(forward, key=repr) == sorted(backward, key=repr)


@settings(_QUICK, max_examples=200)
@given(case=cases())
def test_no_person_changes_what_another_adds(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """The vector of all is the sum of those of each alone, each within the bounds (PRIVACY 7: 2, 3, 16, 17)."""
    (block,) = case.layout.blocks
    total = [0] * case.layout.cells
    for person in {row[0] for row in case.rows}:
        rows = [row for row in case.rows if row[0] == person]
        alone = vector_by_sql(connection, case, window_rows_by_sql(connection, rows, case.layout.window))
        assert sum(value != 0 for value in alone) <= block.l0
        assert max(alone) <= block.linf
        assert sum(alone) <= block.l1
        assert sum(value * value for value in alone) <= block.l2_squared
        total = [before + value for before, value in zip(total, alone, strict=True)]
    together = window_rows_by_sql(connection, case.rows, case.layout.window)
    assert vector_by_sql(connection, case, together) == total


def _replace(old: str, new: str) -> Mutate:
    """A mutant that swaps one text of the SQL for another wherever it stands."""
    return lambda sql: sql.replace(old, new)


_LOT = "sha256($salt || ':' || CAST(p.person AS VARCHAR) || ':' || CAST(p.unit AS VARCHAR))"
_POPULARITY = "(SELECT count(*) FROM pieces q WHERE q.unit = p.unit) DESC, $salt"

BROKEN_BOUNDING: dict[str, Mutate] = {
    "the cap of events per cell is forgotten": _replace("least(events, ", "greatest(events, "),
    "the cap comes after the sum over persons": lambda sql: re.sub(
        r"CAST\(sum\(least\(events, (\d+)\)\)", r"CAST(least(sum(events), \1)", sql
    ),
    "the cap of cells is forgotten": lambda sql: re.sub(r"place <= \d+", "true", sql),
    "one cell too few is kept": _replace("place <= ", "place < "),
    "crowded persons are dropped": lambda sql: re.sub(r"place <= \d+", "false", sql),
    "the fullest cells are kept": _replace(_LOT, "p.events DESC, $salt"),
    "the cells most people use are kept": _replace(_LOT, _POPULARITY),
    "the choice is not salted": _replace("sha256($salt || ", "sha256(left($salt, 0) || "),
    "one lot for all persons": _replace("CAST(p.person AS VARCHAR) || ':' || ", ""),
    "codes of one plan version are read into all": lambda sql: re.sub(r'"plan" IN \([^)]*\)', "true", sql),
}
BROKEN_READING: dict[str, Mutate] = {
    "duplicates count": _replace("HAVING count(*) > 1", "HAVING false"),
    "the largest duplicate is kept": _replace(" NULLS FIRST", " DESC NULLS LAST"),
    "nulls come last": _replace(" NULLS FIRST", " NULLS LAST"),
    "one person's event hides another's": lambda sql: (
        sql.replace('d."person" = r."person" AND ', "")
        .replace('PARTITION BY r."person", ', "PARTITION BY ")
        .replace('GROUP BY r."person", ', "GROUP BY ")
        .replace('SELECT r."person", r."event_key" FROM', 'SELECT min(r."person") AS "person", r."event_key" FROM')
    ),
    "the window is not cut": lambda sql: re.sub(r'r\."hour" >= \d+ AND r\."hour" < \d+', "true", sql),
}


@pytest.mark.parametrize("name", BROKEN_BOUNDING)
def test_a_broken_bounding_is_caught(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each mutant fails the check above."""
    _check_catches(lambda case, mutate: _check_bounding(connection, case, mutate), BROKEN_BOUNDING[name])


@pytest.mark.parametrize("name", BROKEN_READING)
def test_a_broken_reading_is_caught(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each mutant fails the check above."""
    _check_catches(lambda case, mutate: _check_reading(connection, case, mutate), BROKEN_READING[name])


def _check_catches(check: Callable[[Case, Mutate], None], mutate: Mutate) -> None:
    """The check passes for the real SQL and fails for the mutant on the same cases; a mutant must change the text."""
    changed: list[bool] = []

    def watched(sql: str) -> str:
        changed.append(mutate(sql) != sql)
        return mutate(sql)

    @settings(_QUICK, max_examples=500, derandomize=True, database=None, phases=[Phase.generate])
    @given(case=cases())
    def broken(case: Case) -> None:
        check(case, _same)
        check(case, watched)

    with pytest.raises(AssertionError):
        broken()
    assert any(changed), "the mutant no longer applies to the SQL"
