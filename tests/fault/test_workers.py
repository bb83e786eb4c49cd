"""Door workers: every request finds its way through any of them, and no kill loses what was acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.one_node import OneNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """With two processes at its door; gone at the end, however that comes."""
    node = OneNode(tmp_path / "node")
    config = node.folder / "node.toml"
    config.write_text(config.read_text().replace("[listen]\n", "[listen]\nworkers = 2\n"))
    yield node
    node.stop(signal.SIGKILL)


def _event(number: int) -> dict[str, Any]:
    return {
        "app": "shop", "action": "buy", "timestamp": int(time.time()), "session_id": f"s{number}",
        "event_id": f"e{number}", "attributes": {"kind": "book", "revenue_amount": number % 40_000 / 100},
    }  # fmt: skip


def _children(pid: int) -> list[int]:
    """Its door workers."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # threads and other children come and go
            for child in (task / "children").read_text().split():
                if b"node.http.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def _until(what: Any, timeout_s: float = 15) -> None:
    end_s = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.05)


class Crowd:
    """Senders that go on until told to stop, and try each event until it is acknowledged, on a new connection whenever
    one breaks."""

    def __init__(self, node: OneNode, key: str, senders: int) -> None:
        self._node, self._key, self._each = node, key, 5_000
        self.acknowledged: set[int] = set()
        self._is_enough = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(senders)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each ends once its event in hand is acknowledged."""
        self._is_enough.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self, sender: int) -> None:
        connection: http.client.HTTPConnection | None = None
        for number in range(sender * self._each, (sender + 1) * self._each):
            if self._is_enough.wait(0.005):  # some 1,600 events a second in all: the last number is far
                return
            body = json.dumps(_event(number)).encode()
            for _ in range(600):
                try:
                    connection = connection or http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=10)
                    connection.request("POST", "/v1/events", body, {"Authorization": f"Bearer {self._key}"})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 202:
                        self.acknowledged.add(number)
                        break
                    assert answer.status in (500, 503), answer.status
                except (OSError, http.client.HTTPException):
                    if connection is not None:
                        connection.close()
                    connection = None
                time.sleep(0.05)


def test_both_processes_answer_everything(node: OneNode) -> None:
    """Events, refusals, health and pages, over connections that land in either; the worker is shown, and ends."""
    node.start()
    assert node.process is not None
    key, (worker,) = node.key(), _children(node.process.pid)
    for number in range(24):  # the system spreads connections over both
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
        told = []
        requests: list[tuple[str, str, str | None, dict[str, str]]] = [
            ("POST", "/v1/events", json.dumps(_event(number)), {"Authorization": f"Bearer {key}"}),
            ("POST", "/v1/events", "{", {"Authorization": f"Bearer {key}"}),
            ("POST", "/v1/events", json.dumps(_event(number)), {}),
            ("GET", "/healthz", None, {}),
            ("POST", "/v1/events", json.dumps(_event(100 + number)), {"Authorization": f"Bearer {key}"}),
            ("GET", "/nothing", None, {}),
        ]
        for request in requests:
            connection.request(*request)
            answer = connection.getresponse()
            answer.read()
            told.append(answer.status)
        assert told == [202, 400, 401, 200, 202, 404]
        connection.close()
    assert json.loads(node.murmur("status", "--output", "json"))["workers"] == {"running": 1, "restarts": 0}
    node.stop()
    assert not Path(f"/proc/{worker}").exists()
    assert len(node.stored()) == 48


@pytest.mark.parametrize("victim", ["worker", "node"])
def test_a_kill_under_load_loses_nothing_acknowledged(node: OneNode, victim: str) -> None:
    """kill -9 of the worker twice, or of the node and a new start: each event is there, once."""
    node.start()
    assert node.process is not None
    crowd = Crowd(node, node.key(), senders=8)
    for _ in range(2 if victim == "worker" else 1):
        _more(crowd)
        (worker,) = _children(node.process.pid)
        if victim == "worker":
            os.kill(worker, signal.SIGKILL)
            _until(lambda worker=worker: node.process and [one for one in _children(node.process.pid) if one != worker])
        else:
            node.stop(signal.SIGKILL)
            _until(lambda worker=worker: not Path(f"/proc/{worker}").exists() or _is_zombie(worker))
            node.start()
    _more(crowd)
    crowd.stop()
    node.stop()
    assert sorted(row["revenue_amount"] for row in node.stored()) == sorted(crowd.acknowledged)  # in quanta of a cent


def _more(crowd: Crowd) -> None:
    """Until a hundred more are acknowledged: the door is at work."""
    had = len(crowd.acknowledged)
    _until(lambda: len(crowd.acknowledged) > had + 100, timeout_s=60)


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
