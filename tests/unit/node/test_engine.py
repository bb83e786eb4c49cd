"""The engine: deduplicates, answers the bounding query, and can reach nothing outside its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import StorageError
from node.vault.engine import EngineLimits, connect, run_window
from node.vault.frames import decode_frame, encode_rows, table_of
from node.vault.opened import OpenedRows
from privacy.bounding import Binding
from privacy.bounding_reference import deduplicate, reference_keys, reference_vector
from privacy.projection import key_of_hex
from privacy.rows import Row
from privacy.units import Window
from tests.property.bounding_tables import WINDOW, Case, cases
from tests.property.test_discovery_sql import Case as Keyed
from tests.property.test_discovery_sql import cases as keyed_cases
from tests.vault_kit import NOW, full, rows_in, rows_of

SALT = b"s" * 32


def table_from(rows: list[Row]):  # type: ignore[no-untyped-def]  # a pyarrow table
    return table_of([decode_frame(encode_rows(rows, 4), 4)] if rows else [])


def test_a_window_holds_one_row_per_person_and_event_key() -> None:
    """Repeats, later hours and other people's events with the same key: as the plain reference says."""
    rows = rows_of(200, hours=3)
    again = [(*row[:4], row[4] + 1, *row[5:]) for row in rows[:50]]  # type: ignore[operator]
    others = [(row[0] ^ 1, *row[1:]) for row in rows[50:100]]  # type: ignore[operator]
    everything = [full(row) for row in [*rows, *again, *others, *rows[:20]]]
    window = Window.containing("hour", NOW + 1)
    for cut in (None, window):
        with run_window(table_from(everything), cut) as engine:
            found = engine.run("SELECT * FROM window_rows")
        assert sorted(found, key=repr) == sorted(deduplicate(everything, cut), key=repr)
        assert found


def test_an_empty_window_gives_a_vector_of_zeros() -> None:
    """No data is not a reason: the vector is there."""
    with run_window(table_from([])) as engine:
        binding = Binding("SELECT 0 AS cell, count(*) AS value FROM window_rows WHERE $turn + $shift >= 0", 3)
        assert engine.vector(binding, SALT) == [0, 0, 0]


def test_the_vector_is_dense_and_of_integers() -> None:
    """Cells the query leaves out are zero."""
    counted = "SELECT app + 1 AS cell, CAST(count(*) AS BIGINT) AS value FROM window_rows"
    sql = f"{counted} WHERE $turn + $shift >= 0 GROUP BY app"
    rows = rows_of(100)
    with run_window(table_from(rows)) as engine:
        vector = engine.vector(Binding(sql, 7), SALT)
    assert vector == [0, *(sum(row[6] == app for row in rows) for app in range(5)), 0]
    assert all(type(value) is int for value in vector)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{file}'",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_csv('{file}')",
        "ATTACH '{file}' AS elsewhere",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SET temp_directory = '{file}'",
        "RESET memory_limit",
        "SELECT * FROM a_variable",
    ],
)
def test_nothing_outside_can_be_reached_or_changed(tmp_path: Path, statement: str) -> None:
    """No file, extension, setting or Python variable; and the error quotes nothing."""
    a_variable = table_from(rows_of(1))
    (tmp_path / "f.csv").write_text("secret\n42\n")
    with run_window(a_variable) as engine:
        with pytest.raises(StorageError) as caught:
            engine.run(statement.format(file=tmp_path / "f.csv"))
        assert "secret" not in str(caught.value)
        assert engine.run("SELECT count(*) FROM window_rows") == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv"]


def test_an_error_never_quotes_a_value() -> None:
    """DuckDB puts the value it cannot cast into its message; ours does not, nor does its cause."""
    with run_window(table_from(rows_of(1))) as engine, pytest.raises(StorageError) as caught:
        engine.run("SELECT CAST(person || 'x' AS BIGINT) FROM window_rows")
    assert str(rows_of(1)[0][0]) not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_starved_engine_refuses_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little memory it says so; it never spills rows to disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rows = table_from(rows_of(20_000))
    with run_window(rows, limits=EngineLimits(memory_mb=1)) as engine, pytest.raises(StorageError) as caught:
        engine.run("SELECT person, event_key, count(*) FROM window_rows GROUP BY person, event_key")
    assert caught.value.code == "engine_memory"
    assert list(tmp_path.iterdir()) == []


def test_the_settings_are_what_the_design_says() -> None:
    """A DuckDB that renames one of them must not pass silently."""
    with connect(EngineLimits(memory_mb=500, threads=2)) as connection:
        settings = dict(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    expected = {
        "temp_directory": "",
        "max_temp_directory_size": "0 bytes",
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "lock_configuration": "true",
        "threads": "2",
        "memory_limit": "476.8 MiB",
    }
    assert {name: settings[name] for name in expected} == expected


def test_rows_survive_the_way_through_the_engine() -> None:
    """What the table holds is what the queries see."""
    rows = rows_of(50)
    with run_window(table_from(rows)) as engine:
        assert sorted(engine.run("SELECT * FROM window_rows"), key=repr) == sorted(rows_in(table_from(rows)), key=repr)


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_sealed_rows_give_the_vector_of_the_reference(case: Case) -> None:
    """From frames through engine and bounding query, several queries on one engine: as plain Python counts."""
    half = len(case.rows) // 2
    frames = [decode_frame(encode_rows(part, 16), 16) for part in (case.rows[:half], case.rows[half:]) if part]
    rows = deduplicate(case.rows, case.layout.window)
    with run_window(table_of(frames), case.layout.window) as engine:
        for salt in (case.salt, SALT):
            wanted = reference_vector(rows, case.definition, case.layout, case.plans, salt)
            assert engine.vector(case.binding, salt) == wanted


def test_cells_are_kept_for_the_next_definition() -> None:
    """Two definitions over the same groups make their per-person cells once, and a full shelf forgets the oldest."""
    made = [f"SELECT person, app AS unit, 1 AS events FROM window_rows WHERE app < {most}" for most in range(1, 12)]
    sums = "kept AS (SELECT * FROM pieces WHERE $turn + $shift >= 0) SELECT 0 AS cell, count(*) AS value FROM kept"
    with run_window(table_from(rows_of(100))) as engine:
        bindings = [Binding("SELECT 'not asked for'", 1, one, "", sums) for one in (*made, *made[::-1])]
        found = [engine.vector(binding, SALT)[0] for binding in bindings]
        assert found[:11] == found[11:][::-1] == sorted(found[:11])
        sets = engine.run("SELECT count(*) FROM duckdb_views() WHERE regexp_matches(view_name, '^kept_cells_[0-9]+$')")
        assert sets == [(8,)]


@pytest.mark.parametrize("examples", [15, pytest.param(40, marks=pytest.mark.slow)])
def test_parts_of_the_persons_give_the_vector_of_the_whole(examples: int) -> None:
    """A window of many parts, made in one pass or in several: as plain Python counts."""
    drawn = given(case=cases(), part_rows=st.integers(1, 8))(_check_parts)
    settings(max_examples=examples, deadline=None)(drawn)()


def _check_parts(case: Case, part_rows: int) -> None:
    half = len(case.rows) // 2
    frames = [decode_frame(encode_rows(part, 16), 16) for part in (case.rows[:half], case.rows[half:]) if part]
    rows = deduplicate(case.rows, case.layout.window)
    wanted = reference_vector(rows, case.definition, case.layout, case.plans, case.salt)
    with run_window(OpenedRows(frames, case.layout.window, part_rows=part_rows)) as engine:
        engine.expect(
            [case.binding, Binding("", 1, "SELECT person, 3 AS unit FROM window_rows WHERE hour < 0", "", "")]
        )
        assert engine.vector(case.binding, case.salt) == wanted


@pytest.mark.parametrize("examples", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_discovered_keys_are_those_of_the_reference(examples: int) -> None:
    """Keys of any length, in one part or many: as plain Python counts."""
    drawn = given(case=keyed_cases(), part_rows=st.sampled_from([2, 10**6]))(_check_keys)
    settings(max_examples=examples, deadline=None)(drawn)()


def _check_keys(case: Keyed, part_rows: int) -> None:
    frames = [decode_frame(encode_rows(case.rows, 16), 16)] if case.rows else []
    rows = deduplicate(case.rows, WINDOW)
    with run_window(OpenedRows(frames, WINDOW, part_rows=part_rows)) as engine:
        found = {key_of_hex(digits): tuple(values) for digits, *values in engine.keys(case.binding, case.salt)}
    assert found == reference_keys(rows, case.definition, case.layout, case.plans, case.salt)


def test_a_window_of_many_parts_is_seen_by_no_one_statement() -> None:
    """Half of the persons would look like all of them."""
    frames = [decode_frame(encode_rows(rows_of(100), 4), 4)]
    with run_window(OpenedRows(frames, part_rows=10)) as engine, pytest.raises(ValueError, match="several parts"):
        engine.run("SELECT count(*) FROM window_rows")
