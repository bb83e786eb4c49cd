"""How much slower than a plain GROUP BY is a bounded release, from sealed rows and from kept per-person cells?

10,000,000 events of 1,000,000 people over 200 groups (a category of 198 values, `other`, `none`), heavy-tailed, so that
most people lie in more than C groups; C = 4, K = 3; three definitions: count, people and the sum of a number. The rows
rest sealed in a vault as compaction leaves them; the release goes the way a node's does. One DuckDB thread, the shipped
memory limit. Seconds are CPU seconds of one process a leg; ratios within one run.

| line | what it holds |
|---|---|
| plain GROUP BY | `SELECT group, count(*), sum(number) GROUP BY group`, the same rows as Arrow, before and after |
| opening | reading, decrypting, decoding the frames; in no ratio, as the baseline starts from opened rows, too |
| from rows | parting by person, one row per event key, per-person cells for all three in one pass, three selections |
| from kept cells | the three selections, the cells being in memory: the second definition over the same groups |
| from sealed cells | the same after opening the kept files: a definition that comes another day |
| beyond the SQL | compile, bind, noise, release of 200 cells; also as Laplace, whose child was started ahead |

    .venv/bin/python tests/bench/bench_release.py [--rows 10000000] [--opendp] [--pipelinedp] [--peers PYTHON]

`--opendp` adds OpenDP's Polars face, `--pipelinedp` PipelineDP's local backend (at 1,000,000 rows, with a plain
GROUP BY of as many), each at its recommended settings, run by the interpreter of `--peers` where they are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [str(ROOT / "tests")]
FRAME_ROWS = 1 << 16
VALUES = [f"v{value}" for value in range(198)]
START_HOUR = 498264  # 2026-11-04T00Z
DAY = "2026-11-04/P1D"
ACTION = {
    "kind": {"type": "category", "values": VALUES},
    "amount": {"type": "number", "quantum": "0.01", "range": ["0", "500"]},
}
BOUNDS = {"max_cells": "4", "rho": "1/400"}
MEASURES: dict[str, tuple[object, dict[str, str]]] = {
    "count": ("count", {**BOUNDS, "max_per_cell": "3"}),
    "people": ("people", BOUNDS),
    "sum": ({"sum": "amount", "range": ["0", "100"], "quantum": "0.01"}, {**BOUNDS, "max_per_cell": "3"}),
}
LAPLACE = {"max_cells": "4", "max_per_cell": "3", "mechanism": "laplace", "epsilon": "1/10"}
SALT = bytes(range(32))
PEER_ROWS = 1_000_000  # of PipelineDP, which takes minutes for ten times as many


def _events(rows: int) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Persons, event keys, hours, groups and numbers, frame by frame: the same in every leg."""
    rng = np.random.default_rng(1)
    people = rng.integers(0, 2**64, rows // 10, dtype=np.uint64)
    for start in range(0, rows, FRAME_ROWS):
        size = min(FRAME_ROWS, rows - start)
        yield {
            "person": people[rng.integers(0, len(people), size)],
            "event_key": rng.integers(0, 2**64, size, dtype=np.uint64),
            "hour": (START_HOUR + rng.integers(0, 24, size)).astype(np.uint32),
            "sequence": rng.integers(0, 30, size).astype(np.uint32),
            "a0": np.minimum(rng.zipf(1.3, size) - 1, 198).astype(np.uint64),
            "a1": rng.integers(0, 50_000, size).astype(np.uint64),
        }


def _seconds(work: Callable[[], Any], repeat: int) -> list[float]:
    found = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found


# ── legs, each a process of its own ─────────────────────────────────────────────────────────────────────────


def build(folder: Path, rows: int) -> dict[str, float]:
    """The rows, sealed as compaction leaves them: full frames, sorted by person."""
    from node.vault.frames import DecodedColumn, DecodedFrame
    from node.vault.rewriting import merged
    from privacy.rows import ROW_COLUMNS
    from privacy.units import Window

    constant = {
        "person_kind": 0,
        "app": 0,
        "action": 0,
        "country": 675,
        "purposes": 0,
        "plan": 1,
        "sampling": 1_000_000,
    }

    def frames() -> Iterator[DecodedFrame]:
        for columns in _events(rows):
            varying = {name: DecodedColumn(0, values, None) for name, values in columns.items()}
            fixed = {name: DecodedColumn(value, None, None) for name, value in constant.items()}
            everything = {**varying, **fixed}
            yield DecodedFrame(len(columns["person"]), tuple(everything.get(column.name) for column in ROW_COLUMNS))

    vault = _vault(folder)
    day = Window.parse(DAY)
    vault.admit_hour(day.start_hour, day.start_hour, backfill=False)
    (folder / "segments" / DAY.replace("/", "_")).mkdir(parents=True)
    new = vault._shelf.write_new(DAY, 2, merged(frames(), 2))
    vault._shelf.switch(DAY, [], new, keeps_rows=True)
    vault.close_window(day, (day.end_hour + 24) * 3600)
    vault.close()
    return {}


def plain(rows: int, repeat: int) -> dict[str, float]:
    """The baseline: groups and numbers as Arrow, in the types of the row."""
    import duckdb
    import pyarrow as pa

    parts = [(columns["a0"].astype(np.int64), columns["a1"].astype(np.int64)) for columns in _events(rows)]
    opened = pa.table(
        {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(("a0", "a1"))}
    )
    connection = duckdb.connect(":memory:", config={"threads": 1})
    connection.register("opened", opened)
    sql = "SELECT a0, count(*), sum(a1) FROM opened GROUP BY a0"
    found = _seconds(lambda: connection.execute(sql).fetchall(), 2 * repeat + 2)
    return {"seconds": statistics.median(found[1:])}


def ours(folder: Path, repeat: int) -> dict[str, float]:
    """A release of three metrics from the sealed rows, then from cells; peak memory of the process."""
    from node.vault.engine import run_window
    from privacy.units import Window

    vault = _vault(folder)
    bindings = {name: _bound(name)[2] for name in MEASURES}
    found: dict[str, float] = {}
    with run_window(vault.window(Window.parse(DAY))) as engine:
        found["opening"] = _seconds(lambda: engine._rows, 1)[0]
        found["rows"] = float(engine._rows.rows)
        engine.expect(bindings.values())
        found["from rows"] = _seconds(lambda: [engine.vector(one, SALT) for one in bindings.values()], 1)[0]
        found["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        for name, binding in bindings.items():
            found[name] = statistics.median(_seconds(lambda one=binding: engine.vector(one, SALT), repeat))
        found["cells"] = float(engine._query(f"SELECT count(*) FROM {engine._keep(bindings['count'].amounts)}")[0][0])
        found["saving"] = _seconds(engine.save_cells, 1)[0]
    kept = list((folder / "segments").rglob("*.kept"))
    found["kept MB"] = sum(path.stat().st_size for path in kept) / 1e6
    with run_window(vault.window(Window.parse(DAY))) as engine:
        engine.expect(bindings.values())
        found["from sealed"] = _seconds(lambda: [engine.vector(one, SALT) for one in bindings.values()], 1)[0]
        assert engine._opened is None, "the rows were not needed"
    vault.close()
    return found


def beyond() -> dict[str, float]:
    """Milliseconds of a 200-cell release without its SQL, Gaussian and Laplace; seconds of 10⁶ noise cells."""
    from node.jobs.workshop import Workshop
    from privacy.ledger import Charge
    from privacy.release import ExactVector, Slot, draw_noise, make_release
    from privacy.sampling import draw_gaussian, keystream
    from privacy.units import Window

    def release(name: str, workshop: Workshop) -> None:
        _, layout, _ = _bound(name)
        noise = draw_noise(layout, os.urandom, workshop.geometric)
        cost = Charge.of(layout.rho)
        slot = Slot(bytes(32), Window.parse(DAY), bytes(32))
        vector = ExactVector([7] * layout.cells)
        make_release(slot, layout, noise, vector, ((DAY, cost.rho_nano, 0),), "user", Fraction(1))

    found: dict[str, float] = {}
    with Workshop() as workshop:
        began = time.perf_counter()
        workshop.start()
        release("count", workshop)
        found["gaussian ms"] = statistics.median(_seconds(lambda: release("count", workshop), 20)) * 1e3
        time.sleep(max(0.0, 4.0 - (time.perf_counter() - began)))  # what the release worker starts it ahead
        began = time.perf_counter()
        release("laplace", workshop)
        found["laplace ms, wall"] = (time.perf_counter() - began) * 1e3
    with Workshop() as workshop:
        began = time.perf_counter()
        release("laplace", workshop)
        found["laplace ms, wall, child not started ahead"] = (time.perf_counter() - began) * 1e3
    stream = keystream(os.urandom)
    draw_gaussian(Fraction(200), 1000, stream)
    found["noise"] = statistics.median(_seconds(lambda: draw_gaussian(Fraction(200), 1_000_000, stream), 5))
    return found


def opendp(rows: int) -> dict[str, float]:
    """OpenDP's Polars face: count and clamped sum per group, groups thresholded, ε = 1, δ = 10⁻⁶.

    Bounded as ours: 4 groups a person, 3 rows a group (`keep="first"`, as its default fails on this data); the first
    rows and groups of a person are kept, ours are a fair lot. No people: a third column would need another query.
    """
    import opendp.prelude as dp
    import polars as pl

    dp.enable_features("contrib")
    columns = list(_events(rows))
    frame = pl.DataFrame(
        {
            "person": np.concatenate([one["person"] for one in columns]).view(np.int64),
            "a0": np.concatenate([one["a0"] for one in columns]).astype(np.int32),
            "a1": np.concatenate([one["a1"] for one in columns]).astype(np.int64),
        }
    )
    del columns
    context = dp.Context.compositor(
        data=frame.lazy(),
        privacy_unit=dp.unit_of(contributions=36, identifier=pl.col("person")),
        privacy_loss=dp.loss_of(epsilon=1.0, delta=1e-6),
        split_evenly_over=1,
        margins=[dp.polars.Margin(by=["a0"], invariant="keys", max_length=rows, max_groups=200)],
    )
    query = (
        context.query()
        .truncate_per_group(3, by=["a0"], keep="first")
        .truncate_num_groups(5, by=["a0"], keep="first")  # 0.16 keeps one group fewer than asked
        .group_by("a0")
        .agg(dp.len(), pl.col("a1").dp.sum((0, 10_000)))
    )
    start = time.process_time()
    found = query.release().collect()
    return {
        "seconds": time.process_time() - start,
        "groups": float(len(found)),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def pipelinedp(rows: int) -> dict[str, float]:
    """PipelineDP, local backend: count, people and clamped sum per group with public groups, ε = 1, δ = 10⁻⁶."""
    import pipeline_dp

    persons: list[int] = []
    groups: list[int] = []
    numbers: list[int] = []
    for one in _events(rows):
        persons += one["person"].tolist()
        groups += one["a0"].tolist()
        numbers += one["a1"].tolist()
    data = list(zip(persons, groups, numbers, strict=True))
    accountant = pipeline_dp.NaiveBudgetAccountant(total_epsilon=1, total_delta=1e-6)
    metrics = pipeline_dp.Metrics
    params = pipeline_dp.AggregateParams(
        noise_kind=pipeline_dp.NoiseKind.GAUSSIAN, metrics=[metrics.COUNT, metrics.PRIVACY_ID_COUNT, metrics.SUM],
        max_partitions_contributed=4, max_contributions_per_partition=3, min_value=0, max_value=10_000,
    )  # fmt: skip
    extractors = pipeline_dp.DataExtractors(
        privacy_id_extractor=lambda row: row[0], partition_extractor=lambda row: row[1],
        value_extractor=lambda row: row[2],
    )  # fmt: skip
    start = time.process_time()
    engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
    result = engine.aggregate(data, params, extractors, public_partitions=list(range(199)))
    accountant.compute_budgets()
    found = list(result)
    return {
        "seconds": time.process_time() - start,
        "groups": float(len(found)),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


# ── helpers of the legs ─────────────────────────────────────────────────────────────────────────────────────


def _vault(folder: Path) -> Any:
    from tests.vault_kit import vault_at

    return vault_at(folder, now_hour=START_HOUR)


def _bound(name: str) -> tuple[Any, Any, Any]:
    from privacy.bounding import Binding, bind
    from privacy.definition import parse_definition
    from privacy.layout import compile_layout
    from privacy.tracking_plan import parse_plan
    from privacy.units import Window

    plan = {"plan": "bench", "apps": {"shop": {"person": "user", "consent": "none", "actions": {"buy": ACTION}}}}
    measure, privacy = ("count", LAPLACE) if name == "laplace" else MEASURES[name]
    tree = {"metric": name, "question": "?", "from": {"app": "shop"}, "measure": measure, "by": {"kind": VALUES},
            "window": "day", "privacy": privacy}  # fmt: skip
    definition = parse_definition(tree)
    layout = compile_layout(definition, Window.parse(DAY))
    binding = bind(definition, layout, {1: parse_plan(plan)})
    assert isinstance(binding, Binding)
    return definition, layout, binding


def _import_ms() -> float:
    """CPU milliseconds of `import privacy` and what a release imports of it, over a bare interpreter; best of 5."""
    times = {}
    for code in ("pass", "import privacy, privacy.definition, privacy.bounding, privacy.release"):
        found = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        times[code] = min(found)
    bare, whole = times.values()
    return (whole - bare) * 1e3


def _leg(name: str, options: argparse.Namespace, folder: Path, *, rows: int | None = None, python: str = "") -> Any:
    """What a leg found, in a process of its own; its last line where it failed."""
    command = [python or sys.executable, __file__, "--leg", name, "--folder", str(folder), "--repeat",
               str(options.repeat), "--rows", str(rows or options.rows)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no word"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


def _run_leg(options: argparse.Namespace) -> dict[str, float]:
    folder = Path(options.folder)
    legs: dict[str, Callable[[], dict[str, float]]] = {
        "build": lambda: build(folder, options.rows),
        "plain": lambda: plain(options.rows, options.repeat),
        "ours": lambda: ours(folder, options.repeat),
        "beyond": beyond,
        "opendp": lambda: opendp(options.rows),
        "pipelinedp": lambda: pipelinedp(options.rows),
    }
    return legs[options.leg]()


def _tell(options: argparse.Namespace, folder: Path) -> None:
    built = _leg("build", options, folder)
    assert built == {}, built
    before, found, after = (_leg(name, options, folder) for name in ("plain", "ours", "plain"))
    assert isinstance(found, dict), found
    baseline = statistics.mean([before["seconds"], after["seconds"]])

    def line(what: str, seconds: float, note: str = "") -> None:
        print(f"{what:<42} {seconds:8.3f} s  {seconds / baseline:6.1f}   {note}")

    print(
        f"{found['rows']:,.0f} rows, {options.rows // 10:,} people, 200 groups, {found['cells']:,.0f} cells, one thread"
    )
    line("plain GROUP BY", baseline, f"before {before['seconds']:.3f}, after {after['seconds']:.3f}")
    line("opening the sealed rows", found["opening"], "in no ratio below")
    line("from rows, repeats taken out", found["from rows"], "(target 60, goal 25)")
    line("from kept cells, count + people + sum", sum(found[name] for name in MEASURES), "(target 10, goal 5)")
    for name in MEASURES:
        line(f"    {name}", found[name])
    line(
        "from sealed cells",
        found["from sealed"],
        f"two sets, {found['kept MB']:.0f} MB; sealed in {found['saving']:.2f} s",
    )
    print(f"peak memory of the process {found['peak MB']:,.0f} MB (target < 1,000 MB)")
    rest = _leg("beyond", options, folder)
    assert isinstance(rest, dict), rest
    print(f"1,000,000 noise cells {rest['noise']:.3f} s (target < 0.2)")
    for what in ("gaussian ms", "laplace ms, wall", "laplace ms, wall, child not started ahead"):
        print(f"a 200-cell release beyond the SQL, {what}: {rest[what]:.1f} (target < 100)")
    print(f"import privacy {_import_ms():.1f} ms CPU (target < 150)")
    for name, is_wanted, rows in (
        ("opendp", options.opendp, options.rows),
        ("pipelinedp", options.pipelinedp, min(options.rows, PEER_ROWS)),
    ):
        if is_wanted:
            peer = _leg(name, options, folder, rows=rows, python=options.peers)
            if not isinstance(peer, dict):
                print(f"{name}: not run ({peer})")
                continue
            base = baseline if rows == options.rows else _leg("plain", options, folder, rows=rows)["seconds"]
            told = f"{peer['seconds']:.2f} s, {peer['seconds'] / base:,.0f} times a plain GROUP BY of as many"
            print(f"{name}, {rows:,} rows: {told}, peak {peer['peak MB']:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--opendp", action="store_true")
    parser.add_argument("--pipelinedp", action="store_true")
    parser.add_argument("--peers", default="", help="interpreter that has them installed")
    parser.add_argument("--leg", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.leg:
        print(json.dumps(_run_leg(options)))
        return
    folder = Path(tempfile.mkdtemp(prefix="bench_release_"))
    try:
        _tell(options, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
