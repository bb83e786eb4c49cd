"""A federation of a few small nodes as real processes, founded with the commands that everyone has."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from node.demo.fleet import Fleet, Place, RunningNode, found
from node.demo.relay import Relay

NAMES = ("amber", "birch", "cedar", "dune")
PLAN = """
plan: {name}
purposes: [analytics]
apps:
  {name}:
    person: user
    consent: analytics
    actions:
      buy:
        kind: {{type: category, values: [book, tool]}}
"""
METRICS = {
    "people": "from: any\nmeasure: people\n",
    "events_by_country": "from: any\nmeasure: count\nby: {country: [DE, FR]}\n",
}
PRIVACY = 'window: day\nprivacy: {max_cells: "1", max_per_cell: "4", rho: "1/400"}\n'
DAYS = 3


def free_ports(count: int) -> int:
    """A base so that base … base+count and the relay's ports above are free."""
    for _ in range(100):
        base = random.SystemRandom().randrange(20_000, 30_000, 100)
        probes = []
        try:
            for port in (*range(base, base + count), *range(base + 10, base + 10 + count)):
                probe = socket.socket()
                probes.append(probe)
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return base
    raise RuntimeError("no free ports on this machine")


@dataclass
class Federation:
    """Founded nodes; `start` and `stop` by name. Relay and fleet end with `close`."""

    root: Path
    tick_s: dict[str, int] = field(default_factory=dict)
    alter: Any = None

    def __post_init__(self) -> None:
        today = datetime.now(UTC).date()
        self.first = today - timedelta(days=DAYS + 1)
        self.through = today - timedelta(days=2)
        base = free_ports(len(NAMES))
        self.places = {name: Place(name, self.root / name, base + index) for index, name in enumerate(NAMES)}
        self._write_texts()
        stage = SimpleNamespace(
            plans={name: self.root / f"{name}.yaml" for name in NAMES},
            epoch="day",
            counts_from=self.first,
            metrics_folder=self.root / "metrics",
        )
        places = list(self.places.values())
        found(stage, places, self.root / "charter.murmur", 1.0, 1)  # type: ignore[arg-type]  # all that `found` reads
        for name, tick in self.tick_s.items():
            self.set_tick(name, tick)
        self.relay = Relay([place.relay_port for place in places], [place.port for place in places], alter=self.alter)
        self.relay.start()
        self.fleets: dict[str, Fleet] = {}
        self.nodes: dict[str, RunningNode] = {}
        self.tokens: dict[str, str] = {}

    def close(self) -> None:
        for fleet in self.fleets.values():
            fleet.stop()
        self.relay.stop()

    def set_tick(self, name: str, tick_s: int) -> None:
        config = self.places[name].config
        text = config.read_text()
        before = text.index("tick_s")
        config.write_text(f"{text[:before]}tick_s = {tick_s}\n")

    def start(self, *names: str) -> None:
        """All at once: a node takes a second to start, most of it on one core."""

        def run(name: str) -> RunningNode:
            self.fleets[name] = Fleet()
            return self.fleets[name].start([self.places[name]])[0]

        with ThreadPoolExecutor(len(names)) as pool:
            self.nodes.update(zip(names, pool.map(run, names), strict=True))

    def kill(self, name: str) -> None:
        self.nodes[name].process.kill()
        self.nodes[name].process.wait()

    def play(self, name: str, people: int) -> None:
        """Each person buys twice on each day; returns when every event is acknowledged."""
        if name not in self.tokens:
            scopes = {"kind": "write", "scopes": ["events", "backfill"], "label": "test"}
            self.tokens[name] = self.places[name].admin.post("/v1/admin/tokens", scopes)["token"]
        for day in range(DAYS):
            receipt = self.send(name, self.events(name, self.first + timedelta(days=day), people))
            assert receipt["accepted"] == 2 * people, receipt

    def events(self, name: str, day: date, people: int) -> list[dict[str, Any]]:
        return [
            {
                "app": name, "action": "buy", "timestamp": f"{day}T1{turn}:00:00Z",
                "user_id": f"{name}-person-{person:05}",
                "event_id": f"{name}-{day}-{person:05}-{turn}", "geo_hint": "DE" if person % 2 else "FR",
                "attributes": {"kind": "book"}, "consent": ["analytics"],
            }
            for person in range(people)
            for turn in (0, 1)
        ]  # fmt: skip

    def send(self, name: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        status, document = self.post_events(name, events)
        assert status == 202, document
        return document

    def post_events(self, name: str, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json"}
        return self.call(name, "POST", "/v1/events", json.dumps(events).encode(), headers)

    def finish(self, name: str) -> None:
        self.places[name].admin.post("/v1/admin/backfill/finish", {"through": str(self.through)})

    def answer(self, name: str, metric: str) -> dict[str, Any]:
        span = f"from={self.first}&to={self.through + timedelta(days=1)}"
        status, document = self.call(name, "GET", f"/v1/insights/{metric}?{span}&raw=1")
        assert status == 200, document
        return document

    def call(
        self, name: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.places[name].port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def _write_texts(self) -> None:
        (self.root / "metrics").mkdir()
        for name in NAMES:
            (self.root / f"{name}.yaml").write_text(PLAN.format(name=name))
        for name, body in METRICS.items():
            text = f"metric: {name}\nquestion: How much?\n{body}{PRIVACY}"
            if "people" in body:
                text = text.replace(', max_per_cell: "4"', "")
            (self.root / "metrics" / f"{name}.yaml").write_text(text)


def child_env() -> dict[str, str]:
    """The environment of a command run as a person would, without this test's folder on the path."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
