"""How fast is an answer over millions of released cells, and how long does the commons take to be rebuilt?

Ten members, 250 days, as many metrics of 100 cells (country) as make up the number asked for; every entry signed,
stored and judged as in life. Questions are those people ask: one metric, the last 30 days, by country; one day; the
total; each first of a metric not asked before and then again, in one process, JSON included; CPU time, for the machine
may be shared. The commons is then built from nothing by its child, twice, and both files compared row for row.

    .venv/bin/python tests/bench/bench_commons.py [--cells 10000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [str(ROOT / "tests")]

import duckdb  # noqa: E402

from federation.answers import canonical_json  # noqa: E402
from node.http.insights import ask  # noqa: E402
from tests.research_kit import ResearchNode  # noqa: E402
from tests.simulation import founding  # noqa: E402
from tests.simulation.author import Author, day  # noqa: E402

MEMBERS, DAYS, CELLS = 10, 250, 100
ROUNDS = 5


def trees(count: int) -> tuple[dict[str, object], ...]:
    """Definitions of 100 cells: 98 countries, other, none."""
    countries = [f"{chr(65 + place // 26)}{chr(65 + place % 26)}" for place in range(CELLS - 2)]
    return tuple(
        {**founding.tree(f"metric_{number:02}", rho="1/100000"), "by": {"country": countries}}
        for number in range(count)
    )


def written(metrics: int) -> list[Author]:
    """Every member's log."""
    founding.TREES = trees(metrics)  # type: ignore[assignment]  # the founding of this run
    made = founding.found(MEMBERS)
    authors = [Author(made, member) for member in made.members]
    for place, author in enumerate(authors):
        author.born()
        for number in range(DAYS):
            for metric in range(metrics):
                cells = [(place + 1) * (cell + 1) + number for cell in range(CELLS)]
                author.summary(made.named(f"metric_{metric:02}"), day(number), cells)
    return authors


def timed(node: ResearchNode, metric: str, asked: dict[str, str]) -> float:
    """Milliseconds of CPU of one answer, from parameters to JSON; it waits for nothing but SQLite's cache."""
    began = time.process_time()
    canonical_json(ask(node.commons, metric, asked).data)
    return (time.process_time() - began) * 1000


def said(what: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{what:<34} median {statistics.median(ordered):7.1f} ms   p95 {p95:7.1f} ms   of {len(ordered)}")


async def rebuilt(node: ResearchNode) -> tuple[float, bytes]:
    """Seconds of a build from nothing, and a fingerprint of all its rows."""
    node.projection.file.unlink(missing_ok=True)
    began = time.perf_counter()
    node.projection.look_again()
    await node.projection.settled()
    took = time.perf_counter() - began
    connection = duckdb.connect(str(node.projection.file), read_only=True)
    marks = [
        connection.execute(f"SELECT count(*), bit_xor(hash(COLUMNS(*)))::VARCHAR FROM {table}").fetchall()
        if table == "releases"
        else connection.execute(
            "SELECT count(*), sum(units), sum(hash(release, cell, units)) FROM released_cells"
        ).fetchall()
        for table in ("releases", "released_cells")
    ]
    connection.close()
    return took, repr(marks).encode()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    metrics = max(1, options.cells // (MEMBERS * DAYS * CELLS))
    folder = options.folder or Path(tempfile.mkdtemp())
    began = time.perf_counter()
    authors = written(metrics)
    node = ResearchNode(folder, authors)
    releases = MEMBERS * DAYS * metrics
    print(
        f"{releases * CELLS:,} cells in {releases:,} releases, made and judged in {time.perf_counter() - began:.0f} s"
    )
    newest = day(DAYS - 1)
    gc.collect()
    gc.freeze()  # what wrote the logs is no part of a node
    for what, asked in (
        ("30 days by country", {"last": "30d"}),
        ("30 days by country, raw", {"last": "30d", "raw": "1"}),
        ("one day by country", {"window": newest}),
        ("30 days, total", {"last": "30d", "by": "total"}),
    ):
        cold = [timed(node, f"metric_{number:02}", asked) for number in range(metrics)]
        warm = [timed(node, f"metric_{number % min(metrics, 8):02}", asked) for number in range(100)]
        said(f"{what}, first", cold)
        said(f"{what}, again", warm)
    node.projection.start()
    await node.projection.settled()
    took, mark = await rebuilt(node)
    again, same = await rebuilt(node)
    size = node.projection.file.stat().st_size
    print(f"commons rebuilt in {took:.1f} s and {again:.1f} s, {size / 1e6:.0f} MB, equal: {mark == same}")
    began = time.perf_counter()
    answer = await node.researcher.ask("SELECT metric, sum(value) FROM released_cells GROUP BY metric", {}, "json")
    print(f"SQL over all cells {time.perf_counter() - began:.2f} s, {answer.rows} rows")
    print(f"most memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    await node.close()


if __name__ == "__main__":
    asyncio.run(main())
