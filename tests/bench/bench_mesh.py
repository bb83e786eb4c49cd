"""How soon is a summary everywhere, how fast does a node catch up, and what does it all cost on the wire?

    .venv/bin/python tests/bench/bench_mesh.py [visible catch-up wire thousand] [--entries 100000] [--folder DIR]

- `visible`: ten real nodes (`murmur run`, loopback, no faults). A node releases two summaries, five times each; from
  the tick at which they leave (its anchor is written) to the moment each of the nine others holds them, judged.
  Databases are watched.
  `--real-time` lets the nodes go before whatever else runs on a busy machine.
- `catch-up`: two processes with the real core, store and HTTP (mesh_peer.py); the one that has nothing fetches the
  logs of fourteen members from the other. Wall clock from its first request to its last stored entry, and the CPU
  time of the receiver; beside it, what one Ed25519 verification costs in this very run.
- `wire`: the real core on the simulation's network: bodies sent over the least possible under 10 % loss, with and
  without churn; idle bytes a peer and hour.
- `thousand`: the same with 1,000 nodes that have run for a while, above the 150 from which on entries are announced;
  `--churn` has them go down and come back, too. Some minutes of one core, and 4 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
sys.modules["tests"] = types.ModuleType("tests")  # else a package "tests" of some library is found first
sys.modules["tests"].__path__ = [str(ROOT / "tests")]

from federation.settings import Settings  # noqa: E402
from protocol.keys import SigningKey, verify  # noqa: E402
from tests.bench.mesh_logs import write_logs  # noqa: E402
from tests.bench.mesh_sim import idle_bytes, spread  # noqa: E402
from tests.fault.lossy_relay import LossyRelay  # noqa: E402
from tests.fault.mesh_rig import Member, Mesh  # noqa: E402

PEERS = 15
PARTS = ("visible", "catch-up", "wire", "thousand")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", default=["visible", "catch-up", "wire"], metavar="PART", help=", ".join(PARTS)
    )
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=1_000, help="of the part `thousand`")
    parser.add_argument("--items", type=int, default=16, help="published in the part `thousand`")
    parser.add_argument("--real-time", action="store_true", help="in the part `visible`; needs root")
    parser.add_argument("--churn", action="store_true", help="in the part `thousand`")
    parser.add_argument("--folder", type=Path, help="keeps the logs of `catch-up` between runs")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="murmur-bench-") as scratch:
        folder = Path(scratch)
        if "visible" in chosen.parts:
            visible(folder, is_real_time=chosen.real_time)
        if "catch-up" in chosen.parts:
            catch_up(folder, chosen.folder or folder, chosen.entries)
    if "wire" in chosen.parts:
        wire()
    if "thousand" in chosen.parts:
        thousand(chosen.nodes, chosen.items, churn=chosen.churn)


# -- a summary everywhere


class Watched:
    """The database of a running node, looked into from outside."""

    def __init__(self, member: Member) -> None:
        self._connection = sqlite3.connect(f"file:{member.data}/state.db?mode=ro", uri=True, timeout=5)

    def summaries(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM entries WHERE kind = 'summary'").fetchone()[0])


def visible(folder: Path, days: int = 5, *, is_real_time: bool = False) -> None:
    mesh = Mesh(folder / "mesh", LossyRelay(10, 1, loss=0.0, delay_s=0.0), days=days, seed=1)
    try:
        mesh.start(mesh.members)
        watched = [Watched(member) for member in mesh.members]
        _wait(lambda: len({mesh.digest(member) for member in mesh.members}) == 1)
        time.sleep(5)  # by then each has greeted each; before, what is new goes by the first session
        for process in (member.process for member in mesh.members if is_real_time):
            assert process is not None
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(5))
        if is_real_time:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))  # who watches, too
        took: list[float] = []
        held = 0
        for day in range(days):
            for member in mesh.members:
                member.admin.post("/v1/admin/backfill/finish", {"through": str(mesh.day(day))})
                ends: dict[int, float] = {}
                while len(ends) < len(watched):
                    for place, one in enumerate(watched):
                        if place not in ends and one.summaries() >= held + 2:
                            ends[place] = time.time()
                    time.sleep(0.001)
                sent = (member.folder / "anchor").stat().st_mtime
                took += [end - sent for place, end in ends.items() if place != member.place]
                held += 2
        _say("summary visible on a peer, of ten nodes", f"median {statistics.median(took) * 1000:.0f} ms, "
             f"p95 {_p95(took) * 1000:.0f} ms, of {len(took)}", "p95 100 ms")  # fmt: skip
        slowest = [max(took[at : at + 9]) for at in range(0, len(took), 9)]
        _say("summary visible on all ten nodes", f"median {statistics.median(slowest) * 1000:.0f} ms, "
             f"p95 {_p95(slowest) * 1000:.0f} ms, of {len(slowest)}", "p95 100 ms")  # fmt: skip
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        mesh.stop()


# -- catching up


def catch_up(scratch: Path, folder: Path, entries: int) -> None:
    source = folder / f"mesh-{PEERS}-{entries}" / "0.db"
    write_logs(source, PEERS, entries, but_for=1)
    with _Peer(0, source.parent) as server, _Peer(1, scratch) as receiver:
        began = time.monotonic()
        lines: list[list[float]] = []
        while not lines or lines[-1][1] < entries:
            lines.append(receiver.next())
        took, cpu = lines[-1][0] - began, lines[-1][2] - receiver.cpu_at_start
        pages = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(lines, lines[8:], strict=False)]
        del server
    _say(f"{entries:,} entries of absence caught up", f"{took:.1f} s", "30 s for 100,000")
    _say("verified, judged and stored", f"{entries / took:,.0f} entries/s (fastest stretch {max(pages):,.0f})", "8,000")
    _say("the same by the receiver's CPU", f"{entries / cpu:,.0f} entries a CPU second", "")
    _say("one Ed25519 verification meanwhile", f"{_verification_us():.0f} us, at best", "")


class _Peer:
    """A child running mesh_peer.py."""

    def __init__(self, place: int, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("mesh_peer.py"), str(place), str(PEERS), folder],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self._line() != "ready\n":
            raise SystemExit("a peer did not start; is something else at the ports from 7700 on?")
        ticks = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu_at_start = (int(ticks[11]) + int(ticks[12])) / 100

    def __enter__(self) -> _Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def next(self) -> list[float]:
        found: list[float] = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _verification_us() -> float:
    key, message = SigningKey(bytes(32)), bytes(330)
    signature = key.sign(message)
    best = 1.0
    for _ in range(20):
        start = time.process_time()
        for _ in range(200):
            verify(key.public_key, message, signature)
        best = min(best, (time.process_time() - start) / 200)
    return best * 1e6


# -- the wire


def wire() -> None:
    for size in (10, 100):
        for churn in (False, True):
            seeds = range(3 if size == 10 else 1)
            runs = [
                spread(size, 24, 10, churn=churn, seed=seed, settings=Settings(), acquainted=True) for seed in seeds
            ]
            value = f"{_middle(runs, 'bodies'):.2f} (all hold all {_middle(runs, 'seconds'):g} s after the last)"
            _say(f"{size} nodes, 10 % loss{', churn' if churn else ''}: bodies over the least possible", value, "1.3")
    for size in (4, 10):
        _say(f"idle, {size} nodes: a peer and hour", f"{idle_bytes(size, 1) / 1000:.1f} kB", "")


def thousand(size: int, items: int, *, churn: bool) -> None:
    start = time.monotonic()
    found = spread(size, items, 10, churn=churn, seed=1, settings=Settings(), acquainted=True)
    traffic = f"{found['bytes_a_node'] / 1000:.0f} kB and {found['requests_a_node']:.0f} requests a node"
    took = f"simulated in {time.monotonic() - start:.0f} s"
    value = f"{found['seconds']:g} s, {found['rounds']:.1f} rounds, bodies {found['bodies']:.2f}, {traffic} ({took})"
    _say(f"{size} nodes, 10 % loss{', churn' if churn else ''}, {items} items", value, "")


def _middle(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _wait(what: Any) -> float:
    """When it was so."""
    deadline = time.monotonic() + 120
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come")
        time.sleep(0.002)
    return time.monotonic()


def _say(what: str, value: str, target: str) -> None:
    print(f"| {what} | {value} | {target} |", flush=True)


if __name__ == "__main__":
    main()
