"""How much slower than a plain GROUP BY is a bounded release? From rows, and from kept per-person cells (DESIGN 8).

10,000,000 rows of 1,000,000 people over 200 groups (a category of 198 values, `other`, `none`), C = 4, K = 3, three
definitions: count, people and the sum of a number. One DuckDB thread, rows already in memory, heavy-tailed groups, so
that most people lie in more than C of them. Baseline: `SELECT group, count(*), sum(number) GROUP BY group` over the
same rows. Seconds are CPU seconds of this process, the median of `--repeat` runs, ratios within one run.

- *from kept cells*: the three selections, their per-person cells being there; what a node does for the second
  definition over the same groups, or when it made cells ahead of the release.
- *from rows*: cells made first: once for count and people together, once for the sum.
- *a release beyond the SQL*: compile, bind, noise, the release itself, for the 200 cells of one definition.

Peak memory is of the whole process, the rows themselves included; the rows' share is stated beside it.

    .venv/bin/python tests/bench/bench_release.py [--rows 10000000] [--opendp]

`--opendp` adds OpenDP's Polars face on the same data when `opendp[polars]` is installed, and says so when it is not.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from privacy.bounding import Binding, bind
from privacy.definition import Definition, parse_definition
from privacy.layout import Layout, compile_layout
from privacy.ledger import Charge
from privacy.release import ExactVector, Slot, draw_noise, make_release
from privacy.rows import ATTRIBUTE_SLOTS, ROW_NAMES
from privacy.tracking_plan import parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-02/P1D")
VALUES = [f"v{value}" for value in range(198)]
ACTION = {
    "kind": {"type": "category", "values": VALUES},
    "amount": {"type": "number", "quantum": "0.01", "range": ["0", "500"]},
}
PLAN = parse_plan(
    {"plan": "bench", "apps": {"shop": {"person": "user", "consent": "none", "actions": {"buy": ACTION}}}}
)
BOUNDS = {"max_cells": "4", "rho": "1/400"}
MEASURES: dict[str, tuple[object, dict[str, str]]] = {
    "count": ("count", {**BOUNDS, "max_per_cell": "3"}),
    "people": ("people", BOUNDS),
    "sum": ({"sum": "amount", "range": ["0", "100"], "quantum": "0.01"}, {**BOUNDS, "max_per_cell": "3"}),
}
SALT = bytes(range(32))


def _rows(count: int) -> pa.Table:
    rng = np.random.default_rng(1)
    pseudonyms = rng.integers(0, 2**64, count // 10, dtype=np.uint64)
    columns = {
        "person": pseudonyms[rng.integers(0, len(pseudonyms), count)],
        "a0": np.minimum(rng.zipf(1.3, count) - 1, 198).astype(np.int64),
        "a1": rng.integers(0, 50_000, count),
    }
    return pa.table(columns)


def _connect(rows: pa.Table) -> duckdb.DuckDBPyConnection:
    """The rows as `window_rows`; columns that are one value for all rows take no memory, as in a node."""
    constant = {"hour": WINDOW.start_hour, "plan": 1, "sampling": 1_000_000}
    empty = {"session", *(f"a{slot}" for slot in range(2, ATTRIBUTE_SLOTS))}
    columns = [
        f'"{name}"' if name in rows.column_names
        else f'CAST(NULL AS BIGINT) AS "{name}"' if name in empty
        else f'CAST({constant.get(name, 0)} AS UINTEGER) AS "{name}"'
        for name in ROW_NAMES
    ]  # fmt: skip
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "1000MB", "temp_directory": ""})
    connection.register("opened", rows)
    connection.execute(f"CREATE VIEW window_rows AS SELECT {', '.join(columns)} FROM opened").fetchall()
    return connection


def _bound(name: str) -> tuple[Definition, Layout, Binding]:
    measure, privacy = MEASURES[name]
    tree = {"metric": name, "question": "?", "from": {"app": "shop"}, "measure": measure, "by": {"kind": VALUES},
            "window": "day", "privacy": privacy}  # fmt: skip
    definition = parse_definition(tree)
    layout = compile_layout(definition, WINDOW)
    binding = bind(definition, layout, {1: PLAN})
    assert isinstance(binding, Binding)
    return definition, layout, binding


def _seconds(work: Callable[[], Any], repeat: int) -> float:
    found = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def _beyond_the_sql() -> float:
    """Milliseconds of a 200-cell release without its SQL: the median of 20, after one to warm the noise table."""

    def release() -> None:
        _, layout, _ = _bound("count")
        noise = draw_noise(layout, os.urandom)
        cost = Charge.of(layout.rho)
        vector = ExactVector([7] * layout.cells)
        slot = Slot(bytes(32), WINDOW, bytes(32))
        make_release(slot, layout, noise, vector, ((WINDOW.text, cost.rho_nano, 0),), "user", Fraction(1))

    release()
    return _seconds(release, 20) * 1e3


def _import_ms() -> float:
    """CPU milliseconds of `import privacy` and what a release imports of it, over a bare interpreter; best of 5."""
    times = {}
    for code in ("pass", "import privacy, privacy.definition, privacy.bounding, privacy.release"):
        found = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        times[code] = min(found)
    bare, whole = times.values()
    return (whole - bare) * 1e3


def _opendp(rows: pa.Table) -> str:
    """Seconds of OpenDP's Polars face: count and sum per group with the same bounds, or why not."""
    if find_spec("opendp") is None or find_spec("polars") is None:
        return "skipped: opendp[polars] is not installed"
    import opendp.prelude as dp
    import polars as pl

    dp.enable_features("contrib")
    frame = pl.from_arrow(rows).lazy()
    context = dp.Context.compositor(
        data=frame,
        privacy_unit=dp.unit_of(contributions=[dp.polars.Bound(per_group=3), dp.polars.Bound(by=["a0"], num_groups=4)],
                                identifier="person"),
        privacy_loss=dp.loss_of(epsilon=1.0, delta=1e-6),
        split_evenly_over=1,
        margins=[dp.polars.Margin(by=["a0"], invariant="keys", max_length=len(rows))],
    )  # fmt: skip
    query = context.query().group_by("a0").agg(dp.len(), pl.col("a1").cast(pl.Int32).dp.sum(bounds=(0, 10_000)))
    start = time.process_time()
    query.release().collect()
    return f"{time.process_time() - start:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--opendp", action="store_true")
    options = parser.parse_args()
    rows = _rows(options.rows)
    connection = _connect(rows)
    bindings = {name: _bound(name)[2] for name in MEASURES}
    assert bindings["count"].pieces == bindings["people"].pieces

    def run(sql: str, parameters: dict[str, int] | None = None) -> None:
        connection.execute(sql, parameters).fetchall()

    plain = "SELECT a0, count(*), sum(a1) FROM window_rows GROUP BY a0"
    run(plain)
    baseline = _seconds(lambda: run(plain), 2 * options.repeat + 1)
    making = sum(
        _seconds(lambda name=name: run(f"CREATE OR REPLACE TABLE cells_{name} AS {bindings[name].pieces}"), 1)
        for name in ("count", "sum")
    )
    tables = {"count": "cells_count", "people": "cells_count", "sum": "cells_sum"}
    parameters = Binding.parameters(SALT)
    selecting = {
        name: _seconds(lambda name=name: run(bindings[name].sql_over(tables[name]), parameters), options.repeat)
        for name in MEASURES
    }
    kept = sum(selecting.values())
    (cells,) = connection.execute("SELECT count(*) FROM cells_count").fetchall()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{options.rows:,} rows, {options.rows // 10:,} people, 200 groups, {cells[0]:,} per-person cells, one thread"
    )
    print(f"plain GROUP BY                          {baseline:8.3f} s      1")
    print(f"from kept cells, count + sum + people   {kept:8.3f} s  {kept / baseline:5.1f}   (target 10, goal 5)")
    for name, seconds in selecting.items():
        print(f"    {name:<35} {seconds:8.3f} s  {seconds / baseline:5.1f}")
    whole = kept + making
    print(f"from rows                               {whole:8.3f} s  {whole / baseline:5.1f}   (target 60, goal 25)")
    print(f"peak memory {peak_mb:,.0f} MB, of which rows {rows.nbytes / 1e6:,.0f} MB   (target < 1,000 MB)")
    print(f"a 200-cell release beyond the SQL       {_beyond_the_sql():8.1f} ms         (target < 100)")
    print(f"import privacy                          {_import_ms():8.1f} ms         (target < 150)")
    if options.opendp:
        print(f"OpenDP Polars                           {_opendp(rows)}")


if __name__ == "__main__":
    main()
