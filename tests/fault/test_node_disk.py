"""A full, failing or read-only disk under a running node: 503 with a reason, nothing acknowledged, nothing lost.

After an error that leaves unknown what is on disk the process ends; the next start has every acknowledged event, once.
"""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.errors import StorageError
from node.running import Node
from node.vault.vault import Vault
from privacy.person_key import Pseudonyms
from privacy.units import Window, epoch_of
from tests.node_kit import DAY_S, START_S, HandClock, Shop, event, found_shop
from tests.vault_kit import Faults, seeded

CODES = [errno.ENOSPC, errno.EIO, errno.EROFS]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop", tick_s=3600)  # no round of releases: ingest alone writes


def keys_stored(vault: Vault, seconds: list[float]) -> list[int]:
    """The event keys of all rows of these days."""
    found: list[int] = []
    for day in {epoch_of("day", int(at // 3600)) for at in seconds}:
        found += vault.read(day).column("event_key").to_pylist()
    return found


def key_of(vault: Vault, number: int, at_s: float) -> int:
    epoch = Window.containing("day", int(at_s // 3600))
    names = Pseudonyms(vault._keys.load(epoch.text, "pseudonym"), seeded(1))
    return names.event(names.person(0, f"person-{number}"), f"event-{number}")


def check(node: Node, acknowledged: dict[int, float], sent: dict[int, float]) -> None:
    """Every acknowledged event is stored once, and nothing that was never sent."""
    stored = keys_stored(node.vault, list(sent.values()))
    assert len(stored) == len(set(stored))
    assert {key_of(node.vault, number, at) for number, at in acknowledged.items()} <= set(stored)
    assert len(stored) <= len(sent)


@pytest.mark.parametrize("code", CODES)
async def test_an_error_at_any_disk_call_of_the_way_in(shop: Shop, code: int) -> None:
    """At each call, in turn, of a request whose events begin a day: keys, folders, segment, frame, each sync."""
    clock = HandClock()
    acknowledged: dict[int, float] = {}
    sent: dict[int, float] = {}
    outcomes = {"refused": 0, "ended": 0}
    at, is_through = 0, False
    while not is_through:
        faults = Faults()
        async with shop.run(clock, faults.disk) as (node, stopped):
            check(node, acknowledged, sent)
            while not stopped.is_set() and not is_through:
                clock.pass_time(DAY_S)
                now_s = clock.now_ms() / 1000
                arm(faults, code, at)
                status, document = await shop.send([event(2 * at, now_s), event(2 * at + 1, now_s)])
                faults.act = lambda action, path: None
                sent |= {2 * at: now_s, 2 * at + 1: now_s}
                if status == 202:
                    is_through = True
                    acknowledged |= {2 * at: now_s, 2 * at + 1: now_s}
                    continue
                assert (status, document["code"]) == (503, "ingest_unavailable")
                assert ("full" in document["detail"]) == (code == errno.ENOSPC)
                assert str(shop.folder) not in json.dumps(document)
                at += 1
                if node.failure is not None:
                    outcomes["ended"] += 1
                    assert isinstance(node.failure, StorageError)
                    assert node.failure.fatal
                    assert (await shop.send([event(10**6)]))[0] == 503
                    break
                outcomes["refused"] += 1
                assert node.is_ready()[1]["ingest"] in ("disk_full", "disk")
                number = 10**5 + at
                assert (await shop.send([event(number, now_s)]))[0] == 202  # there is room again
                sent[number] = acknowledged[number] = now_s
                assert node.is_ready()[1]["ingest"] == "ok"
    assert at >= 15
    assert outcomes["refused"] >= 8
    assert outcomes["ended"] >= 5
    async with shop.run(clock) as (node, _):
        check(node, acknowledged, sent)


def arm(faults: Faults, code: int, at: int) -> None:
    start = len(faults.points)

    def act(action: str, path: Path) -> None:
        if len(faults.points) == start + at + 1:
            raise OSError(code, "injected")

    faults.act = act


class FailingConnection:
    """The database's connection, with one statement that fails."""

    def __init__(self, real: sqlite3.Connection, statement: str) -> None:
        self._real, self._statement = real, statement

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql.startswith(self._statement):
            raise sqlite3.OperationalError("disk I/O error")
        return self._real.execute(sql, *parameters)


@pytest.mark.parametrize(
    ("statement", "is_fatal"), [("BEGIN", False), ("INSERT INTO epochs", False), ("COMMIT", True), ("ROLLBACK", False)]
)
async def test_a_state_database_that_fails_acknowledges_nothing(shop: Shop, statement: str, is_fatal: bool) -> None:
    """Before COMMIT the node goes on; at COMMIT it ends; either way a start has what was acknowledged."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        assert (await shop.send([event(1)]))[0] == 202
        clock.pass_time(DAY_S)
        real = node.database._connection
        node.database._connection = FailingConnection(real, statement)  # type: ignore[assignment]
        status, document = await shop.send([event(2, clock.now_ms() / 1000)])
        if statement == "ROLLBACK":  # nothing needed one
            assert status == 202
        else:
            assert (status, document["code"]) == (503, "ingest_unavailable")
        assert (node.failure is not None) == is_fatal
        node.database._connection = real
        assert (await shop.send([event(3, clock.now_ms() / 1000)]))[0] == (503 if is_fatal else 202)
    async with shop.run(clock) as (node, _):
        check(node, {1: START_S}, {1: START_S, 2: START_S + DAY_S, 3: START_S + DAY_S})


async def test_a_state_database_without_room_refuses_until_there_is(shop: Shop) -> None:
    """SQLite's own "database or disk is full" at an insert: 503, then 202 once it may grow."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        pages = node.database.query("PRAGMA page_count")[0][0]
        node.database.query(f"PRAGMA max_page_count = {pages}")
        statuses = []
        for number in range(400):
            clock.pass_time(DAY_S)
            statuses.append((await shop.send([event(number, clock.now_ms() / 1000)]))[0])
            if statuses[-1] == 503:
                break
        assert statuses[-1] == 503
        assert node.failure is None
        node.database.query("PRAGMA max_page_count = 1000000")
        assert (await shop.send([event(10**6, clock.now_ms() / 1000)]))[0] == 202


# ── a real process, limited by the kernel ────────────────────────────────────────────────────────────────


@pytest.fixture
def process(shop: Shop) -> Iterator[subprocess.Popen[bytes]]:
    """`murmur run` as an operator starts it, ready."""
    command = [sys.executable, "-m", "node", "run", "--config", str(shop.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith(b"ready ")
        shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
        yield running
        running.kill()


def test_a_process_that_may_write_no_more_refuses_and_goes_on_later(
    shop: Shop, process: subprocess.Popen[bytes]
) -> None:
    """The kernel lets no file grow (RLIMIT_FSIZE): 503 and not ready; lifted: 202; every 202 is there after the end."""
    now_s = time.time()
    assert shop.post([event(0, now_s)])[0] == 202
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    for number in (1, 2):
        status, document = shop.post([event(number, now_s)])
        assert (status, document["code"]) == (503, "ingest_unavailable")
        assert "full" in document["detail"]
    assert shop.call("GET", "/readyz")[0] == 503
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    assert shop.post([event(3, now_s)])[0] == 202
    assert shop.call("GET", "/readyz")[0] == 200
    process.kill()
    process.wait()
    asyncio.run(_check_after(shop, now_s))


async def _check_after(shop: Shop, now_s: float) -> None:
    async with shop.run(HandClock(now_s)) as (node, _):
        check(node, {0: now_s, 3: now_s}, dict.fromkeys(range(4), now_s))
