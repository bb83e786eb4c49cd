"""How fast is an answer over millions of released cells, what does it cost the server, and how long is a rebuild?

The logs of `commons_logs.py` (ten members, 250 days, metrics of 100 cells) are written once and kept in FOLDER. A
process of its own reads and judges them as a node does at start and serves the research routes on loopback; this one
asks over one connection: one metric, the last 30 days, by country; one day; two countries (`where`); the total; beside
the span before (`compare`); each first of a metric not asked before, and then again. Said are the time until the answer
is here and the processor time that the server's event loop took for it (/proc, nanoseconds), for the machine may be
shared. Answers of the first metric are compared with those of a second server, byte for byte. The commons is then built
from nothing by its child, twice, and both files compared row for row.

    .venv/bin/python tests/bench/bench_commons.py [--cells 10000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [str(ROOT / "tests")]

import duckdb  # noqa: E402
from aiohttp import web  # noqa: E402

from node.commons_db.researcher import SqlLimits  # noqa: E402
from node.http.access import read_gate  # noqa: E402
from node.http.problems import problem_middleware  # noqa: E402
from node.http.releases import ReleasesEndpoint  # noqa: E402
from node.http.research import ResearchEndpoint  # noqa: E402
from tests.bench.commons_logs import DAYS, MEMBERS, founded, metrics_of, stored  # noqa: E402
from tests.research_kit import ResearchNode  # noqa: E402
from tests.simulation.author import day  # noqa: E402

AGAIN = 200
QUESTIONS = (
    ("30 days by country", "last=30d"),
    ("30 days by country, raw", "last=30d&raw=1"),
    ("two countries (where)", "last=30d&where=country:AA,AB"),
    ("one day", f"window={day(DAYS - 1)}"),
    ("30 days, total", "last=30d&by=total"),
    ("30 days and the 30 before", "last=30d&compare=previous"),
)


async def serve(folder: Path, metrics: int) -> None:
    """A node's research surface over the stored logs; says its port, then builds the commons when told to."""
    began = time.perf_counter()
    node = ResearchNode.stored(folder, founded(metrics), SqlLimits(time_s=300))
    gc.collect()
    gate = read_gate(None, is_open=True)  # type: ignore[arg-type]  # an open gate asks for no key
    app = web.Application(middlewares=[problem_middleware])
    app.router.add_routes(
        [*ResearchEndpoint(node.commons, gate).routes(), *ReleasesEndpoint(node.commons, gate).routes()]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(json.dumps({"port": port, "start_s": time.perf_counter() - began}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    node.projection.start()
    await node.projection.settled()
    (took, mark), (again, same) = [await rebuilt(node) for _ in range(2)]
    began = time.perf_counter()
    answer = await node.researcher.ask("SELECT metric, sum(value) FROM released_cells GROUP BY metric", {}, "json")
    sql_s = time.perf_counter() - began
    said = {"rebuilt_s": [took, again], "equal": mark == same, "sql_s": sql_s, "sql_rows": answer.rows}
    print(json.dumps({**said, "mb": node.projection.file.stat().st_size / 1e6}), flush=True)
    await runner.cleanup()
    await node.close()


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


class Server:
    """The other process, and one connection to it."""

    def __init__(self, folder: Path, metrics: int) -> None:
        command = [sys.executable, __file__, "--serve", str(metrics), "--folder", str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self._line()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.ready["port"], timeout=600)

    def ask(self, path: str) -> bytes:
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def timed(self, path: str) -> tuple[float, float]:
        """Milliseconds until the answer is here, and of processor time of the server's event loop."""
        cpu, began = self._loop_ns(), time.perf_counter()
        self.ask(path)
        return (time.perf_counter() - began) * 1000, (self._loop_ns() - cpu) / 1e6

    def memory(self) -> str:
        lines = dict(line.split(":\t") for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return ", ".join(
            f"{name} {int(lines[name].split()[0]) / 1024:.0f} MB" for name in ("VmRSS", "RssAnon", "VmHWM")
        )

    def _loop_ns(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat").read_text().split()[0])

    def end(self) -> dict[str, object]:
        """Let it build the commons and end; what it says of that."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said: dict[str, object] = self._line()
        self.process.wait()
        return said

    def _line(self) -> dict[str, Any]:
        """The next line that is JSON; the node's log is not."""
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if line.startswith("{"))
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def served(folder: Path, metrics: int) -> Iterator[Server]:
    """A server that ends with the block, whatever happens."""
    server = Server(folder, metrics)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def said(what: str, pairs: Sequence[tuple[float, float]]) -> None:
    walls, loops = (sorted(column) for column in zip(*pairs, strict=True))
    at = min(len(walls) - 1, int(0.95 * len(walls)))
    print(
        f"{what:<36} median {statistics.median(walls):6.1f} ms, p95 {walls[at]:6.1f} ms;"
        f" processor {statistics.median(loops):6.1f}, {loops[at]:6.1f} ms   of {len(walls)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.folder, options.serve))
        return
    metrics = metrics_of(options.cells)
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    if not (folder / "state.db").exists():
        began = time.perf_counter()
        stored(folder / "state.db", metrics)
        print(f"logs written in {time.perf_counter() - began:.0f} s")
    releases = MEMBERS * DAYS * metrics
    with served(folder, metrics) as server:
        print(f"{releases * 100:,} cells in {releases:,} releases, read and judged in {server.ready['start_s']:.0f} s")
        print(f"server before the first question: {server.memory()}")
        for what, asked in QUESTIONS:
            paths = [f"/v1/insights/metric_{number:02}?{asked}" for number in range(metrics)]
            said(f"{what}, first", [server.timed(path) for path in paths])
            said(f"{what}, again", [server.timed(paths[number % metrics]) for number in range(AGAIN)])
        print(f"server after {len(QUESTIONS) * (metrics + AGAIN):,} questions: {server.memory()}")
        said("/v1/releases, first", [server.timed("/v1/releases")])
        said("/v1/releases, again", [server.timed("/v1/releases") for _ in range(20)])
        said("/v1/budget, first", [server.timed("/v1/budget")])
        said("/v1/budget, again", [server.timed("/v1/budget") for _ in range(20)])
        print(f"server at the end: {server.memory()}")
        answers = [server.ask(f"/v1/insights/metric_00?{asked}") for _, asked in QUESTIONS]
        told = server.end()
    with served(folder, metrics) as other:
        same = answers == [other.ask(f"/v1/insights/metric_00?{asked}") for _, asked in QUESTIONS]
    print(f"a second server gives the same bytes: {same}")
    took, again = told["rebuilt_s"]  # type: ignore[misc]  # as `serve` wrote it
    print(f"commons rebuilt in {took:.1f} s and {again:.1f} s, {told['mb']:.0f} MB, equal: {told['equal']}")
    print(f"SQL over all cells {told['sql_s']:.2f} s, {told['sql_rows']} rows")


if __name__ == "__main__":
    main()
