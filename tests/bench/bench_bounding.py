"""How long does a release spend in the engine? Bounding, by definition, as a ratio to the plain GROUP BY.

Tables of 30,000 rows (a busy day of the demo) and 1,000,000 rows, heavy users among them, one DuckDB thread, rows
already in memory. Each query runs seven times after one warm-up; median and spread. The plain query groups the same
rows by the same groups without looking at persons: what an analytics database would do.

    .venv/bin/python tests/bench/bench_bounding.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import duckdb

from privacy.bounding import Binding, bind, deduplicate_sql
from privacy.definition import parse_definition
from privacy.layout import compile_layout
from privacy.rows import country_text
from privacy.tracking_plan import parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-02/P1D")
HOURS = [str(hour) for hour in range(24)]
ACTION = {
    "kind": {"type": "category", "values": [f"v{value}" for value in range(10)]},
    "months": {"type": "band", "edges": ["0", "1", "2", "3", "6", "9", "12"]},
    "amount": {"type": "number", "quantum": "0.01", "range": ["0", "500"]},
}
PLAN = parse_plan(
    {
        "plan": "bench",
        "apps": {
            f"app{app}": {"person": "session", "consent": "none", "actions": {f"act{a}": ACTION for a in range(5)}}
            for app in range(3)
        },
    }
)
_APP, _ACTION = {"app": "app1"}, {"app": "app1", "action": "act3"}
# name, from, measure, by, C, K
METRICS: list[tuple[str, object, object, dict[str, object], int, int]] = [
    ("people", "any", "people", {}, 1, 1),
    ("people by 30 countries", "any", "people", {"country": [country_text(c) for c in range(0, 600, 20)]}, 2, 1),
    ("count by 200 countries", "any", "count", {"country": [country_text(c) for c in range(0, 600, 3)]}, 4, 3),
    ("count by hour, nobody over C", "any", "count", {"hour": HOURS}, 24, 3),
    ("count by hour, many over C", "any", "count", {"hour": HOURS}, 2, 3),
    ("count by kind of one app", _APP, "count", {"kind": ["v1", "v2", "v3"]}, 3, 3),
    ("histogram over bands", _ACTION, {"histogram": "months", "edges": ["0", "3", "12"]}, {"kind": ["v1", "v2"]}, 2, 1),
    ("histogram over numbers", _ACTION, {"histogram": "amount", "edges": ["0", "0.03", "0.05"]}, {}, 2, 1),
]


def _tree(source: object, measure: object, by: dict[str, object], c: int, k: int) -> dict[str, Any]:
    bounds = {"max_cells": str(c), "rho": "1/400", **({} if measure == "people" else {"max_per_cell": str(k)})}
    parts = {"metric": "m", "question": "?", "measure": measure, "by": by, "window": "day", "privacy": bounds}
    return {**parts, "from": source}


def _filled(rows: int) -> duckdb.DuckDBPyConnection:
    """Sealed rows; a tenth of all persons makes a third of the events, one event in a thousand is sent twice."""
    connection = duckdb.connect(":memory:", config={"threads": 1})
    slots = ", ".join(
        f"CASE WHEN random() < 0.9 THEN CAST(random() * 7 AS BIGINT) END AS a{slot}" for slot in range(16)
    )
    connection.execute("SELECT setseed(0.5)").fetchall()
    connection.execute(f"""
        CREATE TABLE sealed AS SELECT
          CAST(hash(CAST(pow(random(), 2) * {rows // 4} AS BIGINT)) AS UBIGINT) AS person,
          CAST(1 AS UTINYINT) AS person_kind,
          CAST(NULL AS UBIGINT) AS "session", hash(i - CAST(i % 1000 = 0 AS BIGINT)) AS event_key,
          CAST({WINDOW.start_hour} + i % 24 AS UINTEGER) AS "hour", CAST(i AS UINTEGER) AS sequence,
          CAST(i % 3 AS USMALLINT) AS app, CAST(i % 5 AS USMALLINT) AS "action",
          CAST(floor(random() * 676) AS USMALLINT) AS country, CAST(0 AS USMALLINT) AS purposes,
          CAST(1 AS USMALLINT) AS plan, CAST(1000000 AS UINTEGER) AS sampling, {slots}
        FROM range({rows}) t(i)""").fetchall()
    return connection


def _timed(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, str] | None = None) -> list[float]:
    milliseconds = []
    for _ in range(8):
        start = time.perf_counter()
        connection.execute(sql, parameters).fetchall()
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return milliseconds[1:]


def _measure(rows: int) -> None:
    connection = _filled(rows)
    reading = _timed(connection, f"CREATE OR REPLACE TABLE window_rows AS {deduplicate_sql('sealed', WINDOW)}")
    copying = _timed(connection, "CREATE OR REPLACE TABLE plain_copy AS SELECT * FROM sealed")
    print(f"\n{rows:,} rows, {rows // 4:,} persons at most")
    print(f"reading, once per window: {_text(reading)}; a plain copy: {_text(copying)}")
    print(f"{'':30}{'bounded':>28}{'plain GROUP BY':>28}{'ratio':>7}")
    for name, *parts in METRICS:
        definition = parse_definition(_tree(*parts))
        layout = compile_layout(definition, WINDOW)
        binding = bind(definition, layout, {1: PLAN})
        assert isinstance(binding, Binding)
        bounded = _timed(connection, binding.sql, Binding.parameters(bytes(32)))
        seen = binding.amounts.split("\nSELECT person, unit")[0]  # WITH seen AS (…): groups and fields, no persons
        plain = _timed(connection, f"{seen} SELECT grp, count(*) FROM seen GROUP BY grp")
        ratio = statistics.median(bounded) / statistics.median(plain)
        print(f"{name:30}{_text(bounded):>28}{_text(plain):>28}{ratio:>7.1f}")


def _text(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.1f} ({min(milliseconds):.1f}-{max(milliseconds):.1f}) ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="default: 30000 and 1000000")
    for size in parser.parse_args().rows or (30_000, 1_000_000):
        _measure(size)
