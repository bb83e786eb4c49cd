"""The combined histogram of five nodes by Flower and NVFlare, as released: time to number, processes, memory, leaks.

Question: five nodes hold 100,000 values each, exponential with mean 12; how many lie in each of eleven bins, over all
of them? Each peer runs as its documentation says for one machine, without TLS and without noise, because neither has
any by default; Murmur's nodes release noised histograms and any of them answers.

    python tests/bench/bench_federated_peers.py --peers PYTHON

PYTHON is an interpreter with `flwr` and `nvflare` installed (not ours: their dependencies are many). Times are wall
clock from the request to the printed number, server and clients started before where the peer allows it (Flower), else
with them (NVFlare's simulator). Memory is the sum of private and shared RSS over all its processes at its highest.
What leaks is read from what the server's own code was given.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NODES = 5
PATIENCE_S = 90

FLOWER_PROJECT = """
[project]
name = "hist"
version = "1.0.0"
license = {{ file = "LICENSE" }}
dependencies = ["flwr>={version}"]
[tool.flwr.app]
publisher = "bench"
fab-format-version = 1
flwr-version-target = "{version}"
[tool.flwr.app.components]
serverapp = "hist.app:server"
clientapp = "hist.app:client"
"""
FLOWER_CONFIG = """
[superlink]
default = "bench"
[superlink.bench]
address = "127.0.0.1:{port}"
insecure = true
"""
COMMON = """
import numpy as np
EDGES = [0, 1, 2, 3, 6, 9, 12, 18, 24, 36, 60, 10**9]
def counted(place):
    values = np.random.default_rng(place).exponential(12.0, 100_000)
    return np.histogram(values, bins=EDGES)[0].tolist()
"""
FLOWER_APP = """
import json, pathlib, time
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
client = ClientApp()
server = ServerApp()

@client.query()
def query(message, context):
    counts = counted(int(context.node_config["place"]))
    return Message(RecordDict({"histogram": MetricRecord({"counts": counts})}), reply_to=message)

@server.main()
def main(grid, context):
    while len(nodes := list(grid.get_node_ids())) < 5:
        time.sleep(0.05)
    ask = [Message(RecordDict({"ask": ConfigRecord({"a": 1})}), dst_node_id=n, message_type="query") for n in nodes]
    seen = [list(reply.content["histogram"]["counts"]) for reply in grid.send_and_receive(ask)]
    told = {"number": [sum(column) for column in zip(*seen)], "seen": sorted(seen)}
    pathlib.Path("OUT.new").write_text(json.dumps(told))
    pathlib.Path("OUT.new").rename("OUT")
"""
NVFLARE_APP = """
import json, pathlib, sys
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.impl.controller import Controller, Task
from nvflare.apis.shareable import Shareable
from nvflare.job_config.api import FedJob

class Count(Executor):
    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        place = int(fl_ctx.get_identity_name().rsplit("-", 1)[1])
        return DXO(DataKind.COLLECTION, {"counts": counted(place)}).to_shareable()

class Combine(Controller):
    def start_controller(self, fl_ctx):
        self.seen = []
    def stop_controller(self, fl_ctx):
        pass
    def control_flow(self, abort_signal, fl_ctx):
        def got(client_task, fl_ctx):
            self.seen.append(from_shareable(client_task.result).data["counts"])
        task = Task("count", Shareable(), result_received_cb=got)
        self.broadcast_and_wait(task, fl_ctx, min_responses=5, abort_signal=abort_signal)
        told = {"number": [sum(column) for column in zip(*self.seen)], "seen": sorted(self.seen)}
        pathlib.Path("OUT.new").write_text(json.dumps(told))
        pathlib.Path("OUT.new").rename("OUT")
    def process_result_of_unknown_task(self, *args, **more):
        pass
"""
NVFLARE_RUN = """
from histogram_job import Combine, Count
from nvflare.job_config.api import FedJob
if __name__ == "__main__":
    job = FedJob(name="histogram", min_clients=5)
    job.to_server(Combine())
    for place in range(5):
        job.to(Count(), f"site-{place}")
    job.simulator_run("WORKSPACE", threads=5)
"""


@dataclass
class Use:
    """What a process tree used at its highest, sampled a few times a second."""

    root: int
    processes: int = 0
    mib: float = 0.0
    pids: set[int] = field(default_factory=set)

    def sample(self) -> None:
        parents: dict[int, list[int]] = {}
        sizes: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, StopIteration, ValueError):
                    lines = (entry / "status").read_text().splitlines()
                    named = dict(line.split(":", 1) for line in lines if ":" in line)
                    parents.setdefault(int(named["PPid"]), []).append(int(entry.name))
                    sizes[int(entry.name)] = int(named.get("VmRSS", "0 kB").split()[0])
        found, waiting = [], list(parents.get(self.root, []))
        while waiting:
            pid = waiting.pop()
            if sizes.get(pid):
                found.append(pid)
            waiting += parents.get(pid, [])
        self.pids |= set(found)
        self.processes = max(self.processes, len(found))
        self.mib = max(self.mib, sum(sizes[pid] for pid in found) / 1024)


def is_of(pid: int, tools: Path) -> bool:
    """Whether a process runs a program of the peers' folder."""
    return str(tools) in Path(f"/proc/{pid}/cmdline").read_text()


@contextmanager
def watched(tools: Path) -> Iterator[Use]:
    """The use of everything this script starts, while the block runs; what is left of it is ended after."""
    use, is_over = Use(os.getpid()), threading.Event()

    def watch() -> None:
        while not is_over.wait(0.25):
            use.sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield use
    finally:
        is_over.set()
        thread.join()
        for pid in use.pids:  # what left its parent's session
            with suppress(OSError):
                if is_of(pid, tools):
                    os.kill(pid, signal.SIGKILL)


def waited_for(out: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, list[object]]:
    """What the peer's server wrote.

    Raises:
        SystemExit: it ended or took too long without an answer.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not out.exists():
        if time.monotonic() > deadline or (process.poll() not in (None, 0)):
            raise SystemExit(f"no number; the last lines of its log:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.02)
    told: dict[str, list[object]] = json.loads(out.read_text())
    return told


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def flower(python: Path, folder: Path) -> tuple[float, float, Use, dict[str, list[object]]]:
    """A superlink and five supernodes as processes, then `flwr run`; (ready after, number after, use, told)."""
    tools = python.parent
    app, home, out = folder / "app", folder / "home", folder / "out.json"
    (app / "hist").mkdir(parents=True)
    home.mkdir()
    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('flwr'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (app / "pyproject.toml").write_text(FLOWER_PROJECT.format(version=version))
    (app / "LICENSE").write_text("None needed: this app lives for one run.\n")
    (app / "hist/__init__.py").write_text("")
    (app / "hist/app.py").write_text(COMMON + FLOWER_APP.replace("OUT", str(out)))
    port = free_port()
    (home / "config.toml").write_text(FLOWER_CONFIG.format(port=port))
    env = {**os.environ, "FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1",
           "PATH": f"{tools}:{os.environ['PATH']}"}  # fmt: skip
    log = folder / "log"
    with watched(tools) as use, log.open("ab") as said, ending() as started:

        def start(*words: object) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [str(word) for word in words], stdout=said, stderr=said, env=env, cwd=folder, start_new_session=True
            )
            started.append(process)
            return process

        began = time.monotonic()
        start(tools / "flower-superlink", "--insecure", "--port", port)
        wait_for_port(port)
        for place in range(NODES):
            start(tools / "flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}",
                  "--node-config", f"place={place}", "--port", free_port())  # fmt: skip
        time.sleep(5)  # until all have told the superlink that they are there
        asked = time.monotonic()
        process = start(tools / "flwr", "run", app, "bench")
        told = waited_for(out, process, log)
        return asked - began, time.monotonic() - asked, use, told


def nvflare(python: Path, folder: Path) -> tuple[float, float, Use, dict[str, list[object]]]:
    """NVFlare's simulator with five clients in processes of their own."""
    out, log = folder / "out.json", folder / "log"
    (folder / "histogram_job.py").write_text(COMMON + NVFLARE_APP.replace("OUT", str(out)))
    (folder / "run.py").write_text(NVFLARE_RUN.replace("WORKSPACE", str(folder / "workspace")))
    env = {**os.environ, "PYTHONPATH": str(folder)}
    with watched(python.parent) as use, log.open("ab") as said, ending() as started:
        asked = time.monotonic()
        process = subprocess.Popen(
            [str(python), str(folder / "run.py")], stdout=said, stderr=said, env=env, cwd=folder, start_new_session=True
        )
        started.append(process)
        told = waited_for(out, process, log)
        return 0.0, time.monotonic() - asked, use, told


@contextmanager
def ending() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes with a session each, which ends with the block."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield started
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nobody listens on port {port}") from None
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="an interpreter with flwr and nvflare")
    parser.add_argument("--only", choices=("flower", "nvflare"), help="one of the two")
    chosen = parser.parse_args()
    if chosen.peers is None:
        print("optional: give --peers PYTHON, an interpreter with flwr and nvflare installed")
        return
    python = chosen.peers.absolute()
    for name, leg in (("flower", flower), ("nvflare", nvflare)):
        if chosen.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix=f"peer-{name}-") as folder:
            before, took, use, told = leg(python, Path(folder))
        alone = len(told["seen"])
        print(f"{name}: {took:.1f} s to the number (ready after {before:.1f} s), {use.processes} processes, "
              f"{use.mib:.0f} MiB; its server was given {alone} histograms of single nodes, exact: "
              f"{told['seen'][0]}; the sum {told['number']}; load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
