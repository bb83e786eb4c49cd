"""A node with weeks for epochs: who comes back, a charter that is proposed, a platform that asks to join.

Three founders, one of them up: what its operator sees does not need the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from node.demo.fleet import Fleet, Place, RunningNode, found
from tests.integration.small_federation import PLAN, child_env, free_ports

NAMES = ("amber", "birch", "cedar")
PEOPLE = 400
METRICS = {
    "people": "question: How many people are active?\nfrom: any\nmeasure: people\n",
    "returns": 'question: Who comes back?\nfrom: any\nmeasure: {retention: day, ages: "4"}\n',
}
PRIVACY = 'window: week\nprivacy: {max_cells: "1", rho: "1/200"}\n'


class Direct(Place):
    """A node that advertises where it listens."""

    @property
    def relay_port(self) -> int:
        return self.port


class Week:
    """The founded nodes; `start` starts the first, `close` ends it."""

    def __init__(self, root: Path) -> None:
        base = free_ports(len(NAMES) + 2)
        self.root = root
        self.places = {name: Direct(name, root / name, base + index) for index, name in enumerate(NAMES)}
        self.amber = Direct("amber", root / "amber", base, base + len(NAMES))
        self.places["amber"] = self.amber
        self.newcomer_port = base + len(NAMES) + 1
        (root / "metrics").mkdir()
        for name, body in METRICS.items():
            (root / "metrics" / f"{name}.yaml").write_text(f"metric: {name}\n{body}{PRIVACY}")
        for name in (*NAMES, "dune"):
            (root / f"{name}.yaml").write_text(PLAN.format(name=name))
        today = datetime.now(UTC).date()
        self.monday = today - timedelta(days=today.weekday() + 14)
        stage = SimpleNamespace(
            plans={name: root / f"{name}.yaml" for name in NAMES}, epoch="week", counts_from=self.monday,
            metrics_folder=root / "metrics",
        )  # fmt: skip
        found(stage, list(self.places.values()), root / "charter.murmur", 1.0, 1)  # type: ignore[arg-type]
        self.fleet = Fleet()
        self.node: RunningNode | None = None

    def start(self) -> None:
        self.node = self.fleet.start([self.amber])[0]

    def close(self) -> None:
        self.fleet.stop()

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.amber.url + path, timeout=20) as reply:
            document: dict[str, Any] = json.load(reply)
        return document

    def play(self) -> None:
        """A week: everybody on its Monday, three quarters the day after, a quarter on a third; then it is released."""
        admin = self.amber.admin
        token = admin.post("/v1/admin/tokens", {"kind": "write", "scopes": ["events", "backfill"], "label": "test"})
        events = [
            {
                "app": "amber", "action": "buy", "timestamp": f"{self.monday + timedelta(days=day)}T12:00:00Z",
                "user_id": f"person-{person:05}", "event_id": f"{day}-{person:05}", "geo_hint": "DE",
                "attributes": {"kind": "book"}, "consent": ["analytics"],
            }
            for person in range(PEOPLE)
            for day in range(1 + (person % 4 < 3) + (person % 4 < 1))
        ]  # fmt: skip
        headers = {"Authorization": f"Bearer {token['token']}", "Content-Type": "application/json"}
        for start in range(0, len(events), 400):
            body = json.dumps(events[start : start + 400]).encode()
            request = urllib.request.Request(f"{self.amber.url}/v1/events", body, headers)
            with urllib.request.urlopen(request, timeout=20) as reply:
                assert json.load(reply)["rejected"] == []
        admin.post("/v1/admin/backfill/finish", {"through": str(self.monday + timedelta(days=6))})

    def murmur(self, *words: object, code: int = 0) -> dict[str, Any]:
        """What a command says as JSON; `code` is how it must end."""
        ended = subprocess.run(
            [sys.executable, "-m", "node", *map(str, words), "--json"], capture_output=True, text=True, env=child_env(),
            check=False,
        )  # fmt: skip
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stderr}"
        said: dict[str, Any] = json.loads(ended.stdout) if code == 0 else {}
        return said

    def propose(self) -> None:
        """Amber proposes another cap; two approvals are needed, and only its own is there."""
        key = ("--governance-key", self.amber.folder / "governance.key")
        self.murmur("charter", "propose", "--cap", "week=1/30", *key, "--yes", "--config", self.amber.config)

    def ask_to_join(self) -> None:
        """A fourth platform follows amber's invitation, and waits."""
        link = self.murmur("federation", "invite", "--config", self.amber.config)["link"]
        dune = self.root / "dune"
        dune.mkdir()
        self.murmur(
            "init", "--data", dune / "data", "--config", dune / "node.toml", "--name", "dune",
            "--listen", f"127.0.0.1:{self.newcomer_port}", "--plan", self.root / "dune.yaml", "--epoch", "week",
            "--root-key", dune / "root.key", "--governance-key", dune / "governance.key", "--request", dune / "request",
            "--anchor", dune / "anchor", "--backfill-from", self.monday,
        )  # fmt: skip
        join = ("federation", "join", link, "--request", dune / "request", "--governance-key", dune / "governance.key")
        self.murmur(*join, "--yes", "--config", dune / "node.toml", "--wait-s", "0", code=75)
