"""One founded node as a real process, for tests of what comes in; and what it stored, read when it has stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node import keyfiles
from node.state.database import StateDatabase
from node.state.plans import PlanBook
from node.vault.vault import Vault
from privacy.rows import country_text
from privacy.units import Window
from protocol.identity import parse_inception

ROOT = Path(__file__).parent.parent
METRIC = "metric: all\nquestion: How many?\nfrom: any\nmeasure: count\nwindow: day\n"
METRIC += 'privacy: {max_cells: "1", max_per_cell: "4", rho: "1/400"}\n'
PLAN = """
plan: shop
purposes: [analytics]
apps:
  shop:
    person: session
    consent: none
    actions:
      view: {}
      buy:
        kind: {type: category, values: [book, tool]}
        revenue_amount: {type: number, quantum: "0.01", range: ["0", "500"]}
  shop.example:
    person: address
    consent: none
    actions:
      pageview:
        path: {type: category, values: [/, /a]}
      purchase:
        kind: {type: category, values: [book, tool]}
        revenue_amount: {type: number, quantum: "0.01", range: ["0", "500"]}
  server:
    person: user
    consent: analytics
    actions:
      order_completed:
        kind: {type: category, values: [book, tool]}
      page: {}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OneNode:
    """A node alone in its federation; `start` and `stop` as often as a test likes."""

    def __init__(self, folder: Path, plan: str = PLAN, extra: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plan.yaml").write_text(plan)
        (folder / "metrics").mkdir()
        (folder / "metrics/all.yaml").write_text(METRIC)
        keys = ("root-key", "governance-key", "request", "anchor")
        files = [word for key in keys for word in (f"--{key}", folder / key)]
        listen = ("--listen", f"127.0.0.1:{self.port}", "--advertise", self.url, "--plan", folder / "plan.yaml")
        self.murmur("init", "--data", folder / "data", "--name", "one", "--organisation", "one", *listen, *files)
        config = folder / "node.toml"
        config.write_text(config.read_text() + extra)
        self.murmur("federation", "create", "--with", folder / "request", "--metrics", folder / "metrics", "--name",
                    "one", "--counts-from", datetime.now(UTC).date(), "--threshold", 1, "--allow-private", "--out",
                    folder / "charter", config=False)  # fmt: skip
        self.murmur("charter", "sign", folder / "charter", "--governance-key", folder / "governance-key", config=False)
        self.murmur("charter", "accept", folder / "charter")

    def murmur(self, *words: object, config: bool = True, stdin: bytes | None = None, ok: bool = True) -> str:
        """One command's stdout; with `ok` it must not fail."""
        chosen = ["--config", str(self.folder / "node.toml")] if config else []
        done = subprocess.run(
            [sys.executable, "-P", "-m", "node", *map(str, words), *chosen],
            input=stdin, capture_output=True, cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert not ok or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode() + ("" if ok else done.stderr.decode())

    def start(self, *script: str) -> None:
        """Run the node; `script` with its arguments stands in for `murmur run`."""
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-P", *(script or ("-m", "node", "run", "--config", str(self.folder / "node.toml")))],
            stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready"), (self.folder / "log").read_text()[-2000:]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def key(self, *options: str) -> str:
        return self.murmur("tokens", "create", *options).strip()

    def stored(self) -> list[dict[str, Any]]:
        """Every row of the last two days, each (person, event key) once, names for codes. Stop the node first."""
        data = self.folder / "data"
        node_id = parse_inception((data / "inception").read_bytes()).node_id
        database = StateDatabase(data / "state.db")
        try:
            master = keyfiles.read_key(data / "keys" / "master.key", "master").secret
            now = datetime.now(UTC).timestamp()
            vault = Vault(data, database, master_key=master, node_id=node_id, length="day", caps=lambda _: (0, 0),
                          rng=os.urandom, window_kinds=("day",))  # fmt: skip
            vault.recover(now)
            plans = PlanBook(database).plans
            today = Window.containing("day", int(now // 3600))
            rows: dict[tuple[int, int], dict[str, Any]] = {}
            for day in (Window.containing("day", today.start_hour - 1), today):
                for row in vault.read(day).to_pylist():
                    app = plans[row["plan"]].apps[row["app"]]
                    action = app.actions[row["action"]]
                    slots = {a.name: row[f"a{slot}"] for slot, a in enumerate(action.attributes)}
                    rows[row["person"], row["event_key"]] = {
                        "app": app.name,
                        "action": action.name,
                        **slots,
                        "country": country_text(row["country"]),
                    }
            return sorted(rows.values(), key=json.dumps)
        finally:
            database.close()
