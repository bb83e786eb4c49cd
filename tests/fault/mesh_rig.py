"""A federation of real processes on bad wires, whose nodes die by `kill -9` while they release day after day.

Each node has a writer: it sends one past day's events until they are acknowledged, ends that day until that is
acknowledged, and goes on with the next; whatever fails it repeats, as a client does. Each day has its own number of
people, so the exact vectors that releases were made of tell which events they counted.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from node.admin_client import AdminClient
from node.cli import _murmur
from node.errors import NodeError
from node.state.database import StateDatabase
from protocol.entries import SUMMARY, parse_header
from protocol.summaries import parse_summary

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("mesh_child.py")
PLAN = """
plan: shop
purposes: [analytics]
apps:
  shop:
    person: user
    consent: none
    actions:
      buy: {}
"""
METRICS = {
    "people": 'from: any\nmeasure: people\nwindow: day\nprivacy: {max_cells: "1", rho: "1/400"}\n',
    "events": 'from: any\nmeasure: count\nwindow: day\nprivacy: {max_cells: "1", max_per_cell: "4", rho: "1/400"}\n',
}
FEWEST = 10
BATCH = 400  # events sent at once; a node takes 500
START_S = 60.0


class Wires(Protocol):
    """What lies between the nodes."""

    what: str
    count: int

    def command(self, place: int) -> list[str]: ...
    def environment(self) -> dict[str, str]: ...
    def listen(self, place: int) -> str: ...
    def advertise(self, place: int) -> str: ...
    def configured(self, place: int, text: str) -> str: ...
    def client(self, place: int) -> http.client.HTTPConnection: ...
    def heal(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class Member:
    """One node of the mesh, running or not."""

    place: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    write_key: str = ""
    read_key: str = ""
    days_done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)  # held while it is killed and started

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def admin(self) -> AdminClient:
        return AdminClient(self.data)


class Mesh:
    """The founded federation. `run` plays and kills, `agree` waits for equal answers, `stop` ends all processes."""

    def __init__(self, folder: Path, wires: Wires, *, days: int, seed: int) -> None:
        self.folder, self.wires, self.days = folder, wires, days
        self.deaths = 0
        self._past = 0.0  # of the dying, between 0 and 1
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._failures: list[BaseException] = []
        today = datetime.now(UTC).date()
        self.first = today - timedelta(days=days + 2)
        self.members = [Member(place, folder / str(place)) for place in range(wires.count)]
        self._found()

    def start(self, members: Sequence[Member]) -> None:
        """Start these nodes, all at once, and wait until each is ready."""
        environment = {**os.environ, **self.wires.environment(), "PYTHONPATH": str(ROOT)}
        for member in members:
            command = [*self.wires.command(member.place), sys.executable, "-P", str(CHILD)]
            with (member.folder / "log").open("ab") as log:
                member.process = subprocess.Popen(
                    [*command, str(member.folder / "node.toml"), str(member.folder / "vectors")],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=member.folder, env=environment,
                )  # fmt: skip
        for member in members:
            assert member.process is not None
            assert member.process.stdout is not None
            line = member.process.stdout.readline()
            assert line.startswith(b"ready"), (member.folder / "log").read_text()[-3000:]

    def run(self, deaths: int, for_s: float, pause_s: float) -> None:
        """Writers write while nodes die, at least so often and so long; days are spread over it."""
        self.start(self.members)
        for member in self.members:
            member.write_key = self._key(member, "write", "events", "backfill")
            member.read_key = self._key(member, "read")
        writers = [threading.Thread(target=self._write, args=(member,), daemon=True) for member in self.members]
        for writer in writers:
            writer.start()
        began = time.monotonic()
        while self._past < 1 and not self._failures:
            passed = (time.monotonic() - began) / for_s if for_s else 1.0
            self._past = min(passed, self.deaths / deaths)
            victim = self._random.choice(self.members)
            with victim.lock:
                assert victim.process is not None
                victim.process.kill()
                victim.process.wait()
                self.deaths += 1
                time.sleep(self._random.uniform(0, pause_s))  # others go on without it
                self.start([victim])
            time.sleep(self._random.uniform(0, pause_s))
        self.wires.heal()
        assert not self._failures, self._failures
        for writer in writers:
            writer.join(START_S * 4)
            assert not self._failures, self._failures
            assert not writer.is_alive(), "a writer got no answer"

    def agree(self, timeout_s: float = 120) -> dict[str, str]:
        """The answer to each metric, once all nodes give the same bytes and every member's every day is in it."""
        answers: dict[str, str] = {}
        for metric in METRICS:
            self._until(lambda metric=metric: self._is_whole(metric), f"equal answers to {metric}", timeout_s)  # type: ignore[misc]
            answers[metric] = self._answer(self.members[0], metric)
        self._until(lambda: len({self.digest(member) for member in self.members}) == 1, "equal heads", timeout_s)
        return answers

    def stop(self) -> None:
        """End every process."""
        self._ended.set()
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.terminate()
        for member in self.members:
            if member.process is not None:
                try:
                    member.process.wait(30)
                except subprocess.TimeoutExpired:
                    member.process.kill()
                    member.process.wait()
        self.wires.close()

    def day(self, number: int) -> date:
        """A day that is played, by its number."""
        return self.first + timedelta(days=number)

    def digest(self, member: Member) -> str:
        """What the node says of all its heads."""
        return str(member.admin.get("/v1/admin/status")["mesh"]["heads_digest"])

    # -- what is asserted, once all have stopped

    def stored(self) -> list[frozenset[bytes]]:
        """Ids of all entries of each node."""
        return [frozenset(row[0] for row in self._rows(member, "SELECT id FROM entries")) for member in self.members]

    def releases(self) -> dict[tuple[bytes, bytes, str], Counter[bytes]]:
        """Entries of each release id by slot: (author, definition, window)."""
        found: dict[tuple[bytes, bytes, str], Counter[bytes]] = {}
        for header_bytes, data in self._rows(
            self.members[0], "SELECT header, data FROM entries WHERE kind = ?", SUMMARY
        ):
            header = parse_header(header_bytes)
            summary = parse_summary(data, header.author)
            found.setdefault((header.author, summary.definition, summary.window), Counter())[summary.release] += 1
        return found

    def vectors(self, member: Member) -> set[int]:
        """Sums of the exact vectors that were made, those without an event left out."""
        lines = (member.folder / "vectors").read_text().splitlines()
        return {total for line in lines if (total := sum(json.loads(line)))}

    def expected(self, member: Member) -> set[int]:
        """Sums of the vectors of all its days: people, and events."""
        people = [self._people(member, day) for day in range(self.days)]
        return {*people, *(2 * count for count in people)}

    # -- helpers

    def _people(self, member: Member, day: int) -> int:
        return FEWEST + self.days * member.place + day

    def _rows(self, member: Member, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        database = StateDatabase(member.data / "state.db")
        try:
            return database.query(sql, parameters)
        finally:
            database.close()

    def _write(self, member: Member) -> None:
        try:
            for day in range(self.days):
                while self._past < day / self.days and not self._ended.is_set():
                    self._ended.wait(0.1)
                when = self.day(day)
                events = [
                    {"app": "shop", "action": "buy", "timestamp": f"{when}T1{turn}:00:00Z", "user_id": f"person-{one}",
                     "event_id": f"{when}-{one}-{turn}"}
                    for one in range(self._people(member, day)) for turn in (0, 1)
                ]  # fmt: skip
                for start in range(0, len(events), BATCH):
                    self._insist(lambda some=events[start : start + BATCH]: self._sent(member, some))  # type: ignore[misc]
                self._insist(lambda when=when: self._finished(member, str(when)))  # type: ignore[misc]
                member.days_done = day + 1
        except BaseException as error:  # told to the test, which runs elsewhere
            self._failures.append(error)

    def _insist(self, what: Callable[[], bool]) -> None:
        """Again and again, as a client does: nobody knows whether a node that died did it."""
        deadline = time.monotonic() + START_S * 4
        said: Counter[str] = Counter()
        while not self._ended.is_set():
            try:
                if what():
                    return
                said["not now"] += 1
            except (OSError, http.client.HTTPException, json.JSONDecodeError, NodeError) as error:
                said[str(error)] += 1
            assert time.monotonic() < deadline, f"no answer for four minutes: {said.most_common(5)}"
            self._ended.wait(0.05)

    def _sent(self, member: Member, events: list[dict[str, Any]]) -> bool:
        headers = {"Authorization": f"Bearer {member.write_key}", "Content-Type": "application/json"}
        status, receipt = self._call(member, "POST", "/v1/events", json.dumps(events).encode(), headers)
        assert status in (202, 429, 503), receipt
        if status != 202 or receipt["accepted"] != len(events):
            raise OSError(f"HTTP {status}: {receipt}")  # try again, and tell it if that goes on
        return True

    def _finished(self, member: Member, date: str) -> bool:
        member.admin.post("/v1/admin/backfill/finish", {"through": date})
        return True

    def _is_whole(self, metric: str) -> bool:
        answers = {self._answer(member, metric) for member in self.members}
        members = json.loads(next(iter(answers)))["members"]
        return len(answers) == 1 and all(one["state"] == "included" for one in members)

    def _answer(self, member: Member, metric: str) -> str:
        span = f"from={self.first}&to={self.first + timedelta(days=self.days)}"
        headers = {"Authorization": f"Bearer {member.read_key}"}
        status, document = self._call(member, "GET", f"/v1/insights/{metric}?{span}&raw=1", None, headers)
        assert status == 200, document
        return json.dumps(document["data"])

    def _key(self, member: Member, kind: str, *scopes: str) -> str:
        wanted = {"kind": kind, "scopes": list(scopes), "label": "test"}
        return str(member.admin.post("/v1/admin/tokens", wanted)["token"])

    def _call(
        self, member: Member, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = self.wires.client(member.place)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def _until(self, what: Callable[[], bool], named: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < deadline, f"no {named} within {timeout_s:g} s"
            time.sleep(0.2)

    def _found(self) -> None:
        """With everyone's commands, in this process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "metrics").mkdir()
        (self.folder / "plan.yaml").write_text(PLAN)
        for name, body in METRICS.items():
            (self.folder / "metrics" / f"{name}.yaml").write_text(f"metric: {name}\nquestion: How many?\n{body}")
        charter, plan = self.folder / "charter", self.folder / "plan.yaml"
        for member in self.members:
            name = f"node{member.place}"
            member.folder.mkdir()
            _verb(
                "init", "--data", member.data, "--config", member.folder / "node.toml", "--name", name,
                "--organisation", name, "--listen", self.wires.listen(member.place),
                "--advertise", self.wires.advertise(member.place), "--plan", plan,
                "--root-key", member.folder / "root.key", "--governance-key", member.folder / "governance.key",
                "--request", member.folder / "request", "--anchor", member.folder / "anchor", "--epoch", "day",
                "--backfill-from", self.first,
            )  # fmt: skip
            config = member.folder / "node.toml"
            text = self.wires.configured(member.place, config.read_text())
            config.write_text(text.replace("[mesh]\n", "[mesh]\nsync_interval_s = 2\n") + "\n[release]\ntick_s = 1\n")
        requests = [word for member in self.members for word in ("--with", member.folder / "request")]
        _verb(
            "federation", "create", *requests, "--metrics", self.folder / "metrics", "--name", "bad wires",
            "--counts-from", self.first, "--threshold", len(self.members) // 2 + 1, "--allow-private", "--out", charter,
        )  # fmt: skip
        for member in self.members:
            _verb("charter", "sign", charter, "--governance-key", member.folder / "governance.key")
        for member in self.members:
            _verb("charter", "accept", charter, "--config", member.folder / "node.toml")


def _verb(*words: object) -> None:
    _murmur.main(["--quiet", *map(str, words)], prog_name="murmur", standalone_mode=False)
