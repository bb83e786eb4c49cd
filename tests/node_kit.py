"""A federation of one node, founded with everyone's commands and run in this process, with a clock moved by hand."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog.testing

from node.admin_client import AdminClient
from node.app import running_node
from node.cli import _murmur
from node.config import load_config
from node.running import Node
from node.vault.disk import Disk

PLAN = """
plan: shop
purposes: [analytics]
apps:
  shop:
    person: user
    consent: none
    actions:
      buy:
        kind: {type: category, values: [book, tool]}
        amount: {type: band, edges: ["10", "100"]}
"""
METRICS = {
    "people": 'from: any\nmeasure: people\nwindow: day\nprivacy: {max_cells: "1", rho: "1/400"}\n',
    "events": 'from: any\nmeasure: count\nwindow: day\nprivacy: {max_cells: "1", max_per_cell: "999", rho: "1/400"}\n',
}
HOUR_S = 3600
DAY_S = 24 * HOUR_S
START_S = int(datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp())


class HandClock:
    """Wall and monotonic clock that stand still until they are moved."""

    def __init__(self, at_s: float = START_S) -> None:
        self.wall_ms = round(at_s * 1000)
        self.mono_s = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall_ms += round(seconds * 1000)
        self.mono_s += seconds

    def set(self, seconds: float) -> None:
        """Only the wall clock jumps."""
        self.wall_ms += round(seconds * 1000)


@dataclass
class Shop:
    """The node's folder and its ports; `run` starts it."""

    folder: Path
    port: int
    token: str = field(default="", repr=False)
    logs: list[Any] = field(default_factory=list, repr=False)

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def admin(self) -> AdminClient:
        return AdminClient(self.data)

    @asynccontextmanager
    async def run(self, clock: HandClock, disk: Disk | None = None) -> AsyncIterator[tuple[Node, asyncio.Event]]:
        """The node in this process, its write key made at the first start."""
        stopped = asyncio.Event()
        with structlog.testing.capture_logs() as self.logs:  # they would stand among a command's answers
            async with self._run(clock, disk, stopped) as node:
                yield node, stopped

    @asynccontextmanager
    async def _run(self, clock: HandClock, disk: Disk | None, stopped: asyncio.Event) -> AsyncIterator[Node]:
        async with running_node(load_config(self.config), stopped, clock=clock, disk=disk) as node:
            if not self.token:
                self.token = node.create_token("write", [], "test")[0]
            yield node

    async def send(self, events: list[dict[str, Any]], **headers: str) -> tuple[int, dict[str, Any]]:
        """POST /v1/events from another thread; status and document."""
        return await asyncio.to_thread(self.post, events, **headers)

    def post(self, events: list[dict[str, Any]], **headers: str) -> tuple[int, dict[str, Any]]:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        return self.call("POST", "/v1/events", json.dumps(events).encode(), sent)

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw else {}
        finally:
            connection.close()


def found_shop(
    folder: Path,
    *,
    metrics: dict[str, str] = METRICS,
    plan: str = PLAN,
    tick_s: int = 1,
    issuers: Sequence[str] = (),
) -> Shop:
    """Make the node, its federation of one and its charter; counts from 1 November 2026."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics").mkdir()
    for name, body in metrics.items():
        (folder / "metrics" / f"{name}.yaml").write_text(f"metric: {name}\nquestion: How much?\n{body}")
    (folder / "plan.yaml").write_text(plan)
    shop = Shop(folder, free_port())
    key, charter = folder / "governance.key", folder / "charter.murmur"
    _verb(
        "init", "--data", shop.data, "--config", shop.config, "--name", "shop", "--organisation", "shop",
        "--listen", f"127.0.0.1:{shop.port}", "--advertise", f"http://127.0.0.1:{shop.port}",
        "--plan", folder / "plan.yaml", "--root-key", folder / "root.key", "--governance-key", key,
        "--request", folder / "request", "--anchor", folder / "anchor", "--epoch", "day",
    )  # fmt: skip
    shop.config.write_text(f"{shop.config.read_text()}\n[release]\ntick_s = {tick_s}\n")
    _verb(
        "federation", "create", "--with", folder / "request", "--metrics", folder / "metrics", "--name", "one shop",
        "--counts-from", "2026-11-01", "--threshold", 1, "--allow-private", "--out", charter,
        *(word for name in issuers for word in ("--token-issuer", name)),
    )  # fmt: skip
    _verb("charter", "sign", charter, "--governance-key", key)
    _verb("charter", "accept", charter, "--config", shop.config)
    return shop


def event(number: int, at_s: float = START_S, user: str | None = None, **attributes: Any) -> dict[str, Any]:
    """One purchase; its number makes its id and, if no user is given, its person."""
    return {
        "app": "shop", "action": "buy", "timestamp": int(at_s), "user_id": user or f"person-{number}",
        "event_id": f"event-{number}", "attributes": {"kind": "book", **attributes},
    }  # fmt: skip


async def until(what: Any, timeout_s: float = 60) -> None:
    """Wait until the callable is true, the node going on meanwhile."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not what():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on, away from those the system gives to clients."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _verb(*words: object) -> None:
    _murmur.main(["--quiet", *map(str, words)], prog_name="murmur", standalone_mode=False)
