"""kill -9 and power cuts under load, through the whole node: HTTP in, the exact vector of the release out.

Senders repeat what was not acknowledged, with the same event ids, as a client does. In the end every event must stand
in the released vector once: a lost one makes it smaller, one counted twice larger. The process dies at random moments
and at disk calls and transactions chosen by a hook (keys, segments, frames, syncs, compaction, state). test_disk_points
dies at system calls, and takes the syncs out.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from node.vault.offline import verify_offline
from tests.conftest import Measure
from tests.node_kit import DAY_S, START_S, Shop, event, found_shop

CHILD = Path(__file__).with_name("node_child.py")
SENDERS = 3
BATCH = 25
RELEASED_S = START_S + 2 * DAY_S  # the day has closed; its pseudonym key lives


class DidNotStart(Exception):
    """The node refused its own data folder."""


@dataclass
class Load:
    """What the senders know: batches not acknowledged yet, and events that were."""

    shop: Shop
    next_number: int = 0
    acknowledged: set[int] = field(default_factory=set)
    pending: deque[list[int]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, stop: threading.Event, *, only_pending: bool = False) -> None:
        """Send batch after batch until told to stop or, with `only_pending`, until none is left."""
        while not stop.is_set():
            with self.lock:
                if not self.pending:
                    if only_pending:
                        return
                    self.pending.append(list(range(self.next_number, self.next_number + BATCH)))
                    self.next_number += BATCH
                batch = self.pending.popleft()
            try:
                status, receipt = self.shop.post([event(number) for number in batch])
                is_done = status == 202 and receipt["accepted"] == BATCH
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                is_done = False  # the node died; nobody knows whether the batch is in
            with self.lock:
                if is_done:
                    self.acknowledged.update(batch)
                else:
                    self.pending.append(batch)
                    stop.wait(0.01)


@contextmanager
def child(
    shop: Shop,
    vectors: Path,
    *,
    wall_s: float = START_S,
    point: int = 0,
    mode: str = "kill",
    stderr: IO[bytes] | int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A node that is ready; killed at the end."""
    command = [sys.executable, CHILD, shop.config, str(wall_s), str(point), mode, vectors]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=env) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line == b"ready\n":
                    break
            else:
                raise DidNotStart
            yield process
        finally:
            process.kill()


@contextmanager
def senders(load: Load) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=load.run, args=(stop,)) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def play(folder: Path, rounds: int, seed: int, modes: tuple[str, ...]) -> tuple[Load, list[int], dict[str, int]]:
    """Rounds of load and death, then the rest is sent and the day released: (load, vector sums, deaths by kind)."""
    draw = random.Random(seed)
    shop, vectors = found_shop(folder / "shop"), folder / "vectors"
    load = Load(shop)
    deaths: dict[str, int] = {}
    with child(shop, vectors):
        shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
    for number in range(rounds):
        mode = modes[number % len(modes)]
        point = 0 if mode == "random" else draw.randrange(1, 400)
        with child(shop, vectors, point=point, mode="kill" if mode == "random" else mode) as process, senders(load):
            if point:
                try:
                    assert process.wait(20) == -signal.SIGKILL
                except subprocess.TimeoutExpired:
                    process.kill()  # a slow machine did not come that far
            else:
                time.sleep(draw.uniform(0.05, 1.2))
                process.send_signal(signal.SIGKILL)
                process.wait()
        deaths[mode] = deaths.get(mode, 0) + 1
        assert verify_offline(shop.data) == []  # as a dead node is found
    with child(shop, vectors):
        load.run(threading.Event(), only_pending=True)
    assert len(load.acknowledged) == load.next_number
    vectors.unlink(missing_ok=True)
    with child(shop, vectors, wall_s=RELEASED_S) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and len(answered(shop)) < 4:
            time.sleep(0.1)
        process.terminate()
        process.wait(20)
    sums = [sum(json.loads(line)) for line in vectors.read_text().splitlines()]
    return load, [one for one in sums if one], deaths


def answered(shop: Shop) -> list[object]:
    return [None] * int(shop.admin.get("/v1/admin/status")["releases"]["answered_slots"])


def test_a_node_killed_under_load_counts_every_event_once(tmp_path: Path) -> None:
    """Three deaths: at a random moment, at a point of the disk, and by a power cut."""
    load, sums, _ = play(tmp_path, 3, 31, ("random", "kill", "power"))
    assert load.next_number >= 100
    assert sums == [load.next_number] * 2  # people, and events


@pytest.mark.slow
def test_twenty_deaths_lose_nothing_and_count_nothing_twice(tmp_path: Path, measured: Measure) -> None:
    """As above, twenty rounds on one folder."""
    load, sums, deaths = play(tmp_path, 20, 7, ("random", "kill", "power"))
    is_exact = sums == [load.next_number] * 2
    told = ", ".join(f"{count} {mode}" for mode, count in deaths.items())
    measured(f"acknowledged events lost or doubled, of {load.next_number}, 20 deaths ({told})",
             "0" if is_exact else f"vectors {sums}", "0", is_exact)  # fmt: skip
    assert is_exact
