"""How many events does one CPU-second of a node make durable? (DESIGN 8, the ingest rows)

Question: events per CPU-second of the server's process tree, and the time from request to durable answer, at batches of
1, 25 and 500. Input: events of about 300 bytes with four declared attributes and one that is personal and undeclared,
the universal form, three events a session. Server: `murmur run` as shipped, founded with the commands everyone has;
sealing, receipts and event keys on. Load: another process, 64 connections. Yardsticks of the same run: the same server
decoding only; with `--peers`, FastAPI + PostgreSQL and DuckDB committed per batch, each skipped where it is not
installed. CPU time is user and system time from /proc of the process and its children. Rounds alternate; medians.

    .venv/bin/python tests/bench/bench_ingest.py [--seconds 4] [--rounds 3] [--batches 1,25,500] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KEYS = ("--root-key", "--governance-key", "--request", "--anchor")
TICKS = os.sysconf("SC_CLK_TCK")
PLAN = """
plan: bench
purposes: [analytics]
apps:
  runway-calculator:
    person: session
    consent: analytics
    actions:
      calculate:
        industry: {type: category, values: [software, health, finance, education]}
        runway_months: {type: band, edges: ["0", "1", "2", "3", "6", "9", "12", "18", "24"]}
        amount: {type: number, quantum: "0.01", range: ["0", "500"]}
        remote: {type: flag}
"""
METRIC = """
metric: calculations
question: How many calculations?
from: any
measure: count
window: day
privacy: {max_cells: "1", max_per_cell: "4", rho: "1/400"}
"""


def event(number: int) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(seconds=number % 7200)
    return {
        "app": "runway-calculator", "action": "calculate",
        "attributes": {
            "industry": ("software", "health", "finance", "fishing")[number % 4], "runway_months": number % 30,
            "amount": number % 977 / 100, "remote": number % 3 == 0, "email": f"person{number % 1000}@example.org",
        },
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.123Z"), "geo_hint": "DE",
        "session_id": f"session-{number // 3:08}", "event_id": f"event-{number:012}", "consent": ["analytics"],
    }  # fmt: skip


def write_bodies(path: Path, batch: int) -> None:
    """Some 50,000 different events (at batch 1: 20,000) in bodies of `batch`."""
    events = 20_000 if batch == 1 else 50_000
    with path.open("wb") as file:
        for start in range(0, events - batch + 1, batch):
            found = [event(number) for number in range(start, start + batch)]
            body = json.dumps(found[0] if batch == 1 else found, separators=(",", ":")).encode()
            file.write(len(body).to_bytes(4, "big") + body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def child(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child process, from its readiness line to the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), (command, line)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def murmur_node(folder: Path) -> Iterator[tuple[int, int, str]]:
    """A founded node, running: its pid, port and a write key."""

    def murmur(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "node", *map(str, words)], capture_output=True, text=True, cwd=folder, env=env
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    port = free_port()
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "metrics").mkdir()
    (folder / "metrics/calculations.yaml").write_text(METRIC)
    files = [word for key in KEYS for word in (key, folder / key.strip("-"))]
    day = datetime.now(UTC).date().isoformat()
    murmur("init", "--data", folder / "data", "--config", folder / "node.toml", "--name", "bench", "--organisation",
           "bench", "--listen", f"127.0.0.1:{port}", "--advertise", f"http://127.0.0.1:{port}", "--plan",
           folder / "plan.yaml", *files)  # fmt: skip
    murmur("federation", "create", "--with", folder / "request", "--metrics", folder / "metrics", "--name", "bench",
           "--counts-from", day, "--threshold", 1, "--allow-private", "--out", folder / "charter")  # fmt: skip
    murmur("charter", "sign", folder / "charter", "--governance-key", folder / "governance-key")
    murmur("charter", "accept", folder / "charter", "--config", folder / "node.toml")
    command = [sys.executable, "-P", "-m", "node", "run", "--config", str(folder / "node.toml")]
    with (folder / "log").open("w") as log, child(command, stderr=log, cwd=folder, env=env) as process:
        yield process.pid, port, murmur("tokens", "create", "--config", folder / "node.toml")


@contextlib.contextmanager
def decode_only(folder: Path) -> Iterator[tuple[int, int, str]]:
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with child([sys.executable, str(HERE / "decode_only.py"), str(port), "mw_bench"], env=env) as process:
        yield process.pid, port, "mw_bench"


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, its waited-for children, and its living ones."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    total = sum(map(int, fields[11:15])) / TICKS
    for task in Path(f"/proc/{pid}/task").iterdir():
        for one in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                total += cpu_s(int(one))
    return total


def measure(server: tuple[int, int, str], bodies: Path, batch: int, connections: int, seconds: float) -> dict[str, Any]:
    pid, port, key = server
    before, start = cpu_s(pid), time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "load.py"),
            "127.0.0.1",
            str(port),
            str(bodies),
            str(connections),
            str(seconds),
            key,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    used = cpu_s(pid) - before
    assert found["refused"] == 0, found
    events = found["answered"] * batch
    return {
        **found,
        "per_cpu_s": events / used,
        "per_s": events / seconds,
        "cpu_share": used / (time.monotonic() - start),
    }


def peers(folder: Path, stack: contextlib.ExitStack) -> dict[str, tuple[int, int, str]]:
    """The other collectors, those that can run here."""
    import bench_peers

    found: dict[str, tuple[int, int, str]] = {}
    for name, start in bench_peers.STARTS.items():
        try:
            found[name] = stack.enter_context(start(folder))
        except bench_peers.Missing as missing:
            print(f"leg skipped: {name}: {missing}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", default="1,25,500")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--peers", action="store_true", help="also FastAPI + PostgreSQL, and DuckDB per batch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[tuple[str, int], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="murmur-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "node").mkdir()
        servers = {
            "murmur run": stack.enter_context(murmur_node(folder / "node")),
            "decode only": stack.enter_context(decode_only(folder)),
        }
        if options.peers:
            servers |= peers(folder, stack)
        for batch in map(int, options.batches.split(",")):
            bodies = folder / f"bodies-{batch}"
            write_bodies(bodies, batch)
            for turn in range(options.rounds + 1):
                for server, place in servers.items():
                    seconds = 1.0 if turn == 0 else options.seconds  # the first turn warms up
                    found = measure(place, bodies, batch, options.connections, seconds)
                    if turn:
                        results.setdefault((server, batch), []).append(found)
    _tell(results, options.json)


def _tell(results: dict[tuple[str, int], list[dict[str, Any]]], as_json: bool) -> None:
    rows = []
    for (server, batch), turns in results.items():
        rates = [turn["per_cpu_s"] for turn in turns]
        node = statistics.median(turn["per_cpu_s"] for turn in results["murmur run", batch])
        ceiling = statistics.median(turn["per_cpu_s"] for turn in results["decode only", batch])
        rows.append(
            {
                "server": server,
                "batch": batch,
                "events_per_cpu_s": round(statistics.median(rates)),
                "least": round(min(rates)),
                "most": round(max(rates)),
                "of_decode_only": round(statistics.median(rates) / ceiling, 3),
                "node_is_times": round(node / statistics.median(rates), 2),
                "events_per_s": round(statistics.median(turn["per_s"] for turn in turns)),
                "p50_ms": round(statistics.median(turn["p50_ms"] for turn in turns), 1),
                "p99_ms": round(statistics.median(turn["p99_ms"] for turn in turns), 1),
                "cores": round(statistics.median(turn["cpu_share"] for turn in turns), 2),
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for row in rows:
        print(
            f"{row['server']:<22} batch {row['batch']:>3}: {row['events_per_cpu_s']:>8,} events/CPU-s "
            f"({row['least']:,}–{row['most']:,}; {row['of_decode_only']:.0%} of decode only; the node is "
            f"{row['node_is_times']}×), "
            f"{row['events_per_s']:,}/s on {row['cores']} cores, p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms"
        )


if __name__ == "__main__":
    main()
