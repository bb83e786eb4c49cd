"""The SQL of reading and bounding means what the Python reference says; mutants of it are caught.

PRIVACY 3 and 7, on random and adversarial tables: ties, duplicates, crowded persons, one person with hundreds of
rows, empty tables, several plan versions. Each mutant goes through the very check that the real SQL passes.
The fast suite draws fewer examples of each property than the slow one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from privacy.bounding import Binding
from privacy.bounding_reference import deduplicate, reference_vector
from privacy.measures import MEASURES
from tests.property.bounding_tables import (
    Case,
    cases,
    load,
    one_session,
    vector_by_sql,
    vector_of_sealed_rows,
    window_rows_by_sql,
)

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


def _draws(fast: int, slow: int) -> pytest.MarkDecorator:
    """How many examples each suite draws."""
    return pytest.mark.parametrize("examples", [fast, pytest.param(slow, marks=pytest.mark.slow)])


ANY = cases()


def _for_each_case(examples: int, check: Callable[[Case], None], drawn: SearchStrategy[Case] = ANY) -> None:
    """So many random cases pass the check."""
    settings(_QUICK, max_examples=examples)(given(case=drawn)(lambda case: check(case)))()


@_draws(500, 2000)
def test_sql_and_reference_give_one_vector(connection: duckdb.DuckDBPyConnection, examples: int) -> None:
    """The vector a release is made from is the one the readable code describes."""
    _for_each_case(examples, lambda case: _check_bounding(connection, case))


@_draws(50, 200)
@pytest.mark.parametrize("word", MEASURES)
def test_every_measure_gives_one_vector_of_crowded_persons(
    connection: duckdb.DuckDBPyConnection, word: str, examples: int
) -> None:
    """Where every bound and order is put to the test."""
    _for_each_case(examples, lambda case: _check_bounding(connection, case), cases(word, is_dense=True))


@_draws(150, 500)
def test_reading_keeps_the_smallest_row_of_each_event(connection: duckdb.DuckDBPyConnection, examples: int) -> None:
    """Row for row, and whatever the order in which they were sealed."""

    def check(case: Case) -> None:
        _check_reading(connection, case)
        forward, backward = (deduplicate(rows, case.layout.window) for rows in (case.rows, case.rows[::-1]))
        assert sorted(forward, key=repr) == sorted(backward, key=repr)

    _for_each_case(examples, check)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """One more, in which the rows of a window are a table that the reading SQL makes, as in a node."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


@_draws(60, 200)
def test_no_person_changes_what_another_adds(engine: duckdb.DuckDBPyConnection, examples: int) -> None:
    """The vector of all is the sum of those of each alone, each within the bounds (PRIVACY 7: 2, 3, 16, 17)."""

    def check(case: Case) -> None:
        total = [0] * case.layout.cells
        for person in {row[0] for row in case.rows}:
            alone = vector_of_sealed_rows(engine, case, [row for row in case.rows if row[0] == person])
            _check_sensitivities(case, alone)
            total = [before + value for before, value in zip(total, alone, strict=True)]
        assert vector_of_sealed_rows(engine, case, case.rows) == total

    _for_each_case(examples, check)


def _check_sensitivities(case: Case, alone: list[int]) -> None:
    """One person's vector lies within the bounds of every block."""
    for block in case.layout.blocks:
        start = case.layout.offset(block)
        cells = alone[start : start + block.cells]
        assert sum(value != 0 for value in cells) <= block.l0
        assert max(map(abs, cells)) <= block.linf
        assert sum(map(abs, cells)) <= block.l1
        assert sum(value * value for value in cells) <= block.l2_squared
        assert block.is_signed or min(cells) >= 0


@_draws(70, 200)
def test_kept_cells_give_the_same_vector(connection: duckdb.DuckDBPyConnection, examples: int) -> None:
    """Pieces stored once are as good as the rows (specs/metrics.md 8)."""

    def check(case: Case) -> None:
        load(connection, "window_rows", deduplicate(case.rows, case.layout.window))
        binding = case.binding
        connection.execute(f"CREATE OR REPLACE TABLE kept_cells AS {binding.pieces}").fetchall()
        found = [
            case.layout.vector(connection.execute(sql, Binding.parameters(case.salt)).fetchall())
            for sql in (binding.sql, binding.sql_over("kept_cells"))
        ]
        assert found[0] == found[1]

    _for_each_case(examples, check)


def _replace(old: str, new: str) -> Mutate:
    """A mutant that swaps one text of the SQL for another wherever it stands."""
    return lambda sql: sql.replace(old, new)


_LOT = "1 + CAST((p.nth + (CAST(p.lot AS BIGINT) * $turn + $shift) % 2147483647) AS BIGINT) % p.units"
_POPULARITY = "(SELECT count(*) FROM pieces q WHERE q.unit = p.unit) DESC"


def _ranked(order: str) -> str:
    """A choice by an order of the person's units instead of the lot."""
    return f"row_number() OVER (PARTITION BY p.person ORDER BY {order}, p.unit) + 0 * $turn + 0 * $shift"


# name: (the mutant, the measure in which it shows; None where it does in any)
BROKEN_BOUNDING: dict[str, tuple[Mutate, str | None]] = {
    "the cap of events per cell is forgotten": (_replace("least(events, ", "greatest(events, "), "count"),
    "the cap comes after the sum over persons": (
        lambda sql: re.sub(r"CAST\(sum\(least\(events, (\d+)\)\)", r"CAST(least(sum(events), \1)", sql),
        "count",
    ),
    "the cap of cells is forgotten": (lambda sql: re.sub(r"place <= \d+", "true", sql), None),
    "one cell too few is kept": (_replace("place <= ", "place < "), None),
    "crowded persons are dropped": (lambda sql: re.sub(r"place <= \d+", "false", sql), None),
    "the fullest cells are kept": (_replace(_LOT, _ranked("p.events DESC")), "count"),
    "the cells most people use are kept": (_replace(_LOT, _ranked(_POPULARITY)), None),
    "the choice is not salted": (_replace("+ $shift)", "+ 0 * $shift)"), None),
    "one lot for all persons": (_replace("CAST(p.lot AS BIGINT) * $turn", "0 * $turn"), "count"),
    "codes of one plan version are read into all": (lambda sql: re.sub(r'"plan" IN \([^)]*\)', "true", sql), None),
    "values are not clamped": (lambda sql: re.sub(r"least\(greatest\(value, -?\d+\), -?\d+\)", "value", sql), "sum"),
    "the sum is not cut with the events": (lambda sql: re.sub(r" \* least\(events, \d+\)", " * events", sql), "sum"),
    "the sum is divided before it is multiplied": (
        lambda sql: re.sub(r"\* (least\(events, \d+\)) // events", r"// events * \1", sql),
        "sum",
    ),
    "the mean rounds down": (
        lambda sql: re.sub(r"sum\((\(2 .*?) // events\)", r"sum(CAST(floor(\1 / events) AS BIGINT))", sql),
        "mean",
    ),
    "steps count in any order": (_replace(" AND r0.moment > r.moment", ""), "funnel"),
    "steps at one moment follow each other": (_replace("r0.moment > r.moment", "r0.moment >= r.moment"), "funnel"),
    "moves run by event key": (_replace("ORDER BY at_hour, sequence, event_key", "ORDER BY event_key"), "journey"),
    "staying is a move": (_replace("before <> label", "before >= 0"), "journey"),
    "moves cross persons": (_replace("OVER (PARTITION BY person ORDER", "OVER (ORDER"), "journey"),
    "everybody is in the first cohort": (_replace("min(number) AS cohort", "CAST(0 AS BIGINT) AS cohort"), "retention"),
    "points are not clipped": (lambda sql: re.sub(r"least\(greatest\((points\d+), -\d+\), \d+\)", r"\1", sql), "score"),
    "repeats within an hour are activity": (_replace("count(DISTINCT CASE", "count(CASE"), "score"),
    "the whole is of all pieces, not of the kept ones": (
        lambda sql: re.sub(r"(AS part FROM) kept", r"\1 pieces", sql),
        "count",
    ),
    "people who lost cells are not clipped": ((lambda sql: re.sub(r"units > \d+ OR", "", sql)), "people"),
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
    mutate, word = BROKEN_BOUNDING[name]
    _check_catches(lambda case, mutate: _check_bounding(connection, case, mutate), mutate, word)


def test_a_session_that_counts_where_it_began_is_caught(connection: duckdb.DuckDBPyConnection) -> None:
    """Random tables meet this mutant too rarely: sessions that go far in one country and begin in another are made."""
    began = _replace("r0.step = far.step AND r0.moment = far.moment", "true")
    made = [one_session(random.Random(number)) for number in range(20)]
    assert any(began(case.binding.sql) != case.binding.sql for case in made)
    for case in made:
        _check_bounding(connection, case)
    assert any(_fails(connection, case, began) for case in made)


def _fails(connection: duckdb.DuckDBPyConnection, case: Case, mutate: Mutate) -> bool:
    try:
        _check_bounding(connection, case, mutate)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("name", BROKEN_READING)
def test_a_broken_reading_is_caught(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each mutant fails the check above."""
    _check_catches(lambda case, mutate: _check_reading(connection, case, mutate), BROKEN_READING[name])


def _check_catches(check: Callable[[Case, Mutate], None], mutate: Mutate, word: str | None = None) -> None:
    """The check fails for the mutant, on a case where the real SQL passes it; a mutant must change the text."""
    changed: list[bool] = []

    def watched(sql: str) -> str:
        changed.append(mutate(sql) != sql)
        return mutate(sql)

    @settings(
        _QUICK, max_examples=2_000, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False
    )
    @given(case=cases(word, is_dense=word is not None))
    def broken(case: Case) -> None:
        try:
            check(case, watched)
        except AssertionError as caught:
            try:
                check(case, _same)
            except AssertionError:
                raise RuntimeError("the check fails for the real SQL, too") from caught
            raise

    with pytest.raises(AssertionError):
        broken()
    assert any(changed), "the mutant no longer applies to the SQL"
