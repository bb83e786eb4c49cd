"""Killed at each write, `federation join`, `charter propose | approve` and `metrics add` leave nothing half done.

The command's process dies before and after each of its requests and before each operation on the disk. The node's
death is told by what its folder held at each of its writes: a node started from any of them is whole, and the same
command run again comes to its end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.cli.kit.files import write_new
from node.state.database import StateDatabase
from tests.cli.commands import init_arguments
from tests.conftest import ROOT
from tests.integration.typed import Typed
from tests.node_kit import HandClock, Shop, found_shop, until

BUYERS = """\
metric: buyers
question: How many people buy?
from: any
measure: people
window: day
privacy: {max_cells: "1", rho: "1/800"}
"""
# Runs a command and ends the process, without any clean-up, at the n-th step: a request, before and after, or a write.
KILLED = """
import os, sys
steps = int(sys.argv[1])
def step():
    global steps
    steps -= 1
    if steps < 0:
        os._exit(99)
def guard(name):
    original = getattr(os, name)
    def counted(*arguments, **options):
        step()
        return original(*arguments, **options)
    setattr(os, name, counted)
from node.cli import main
from node.admin_client import AdminClient
from node.mesh.transport import MeshTransport
ask, send = AdminClient.post, MeshTransport.post
def asked(*arguments, **options):
    step()
    told = ask(*arguments, **options)
    step()
    return told
async def sent(*arguments, **options):
    step()
    told = await send(*arguments, **options)
    step()
    return told
AdminClient.post, MeshTransport.post = asked, sent
for name in ("open", "mkdir", "link", "rename", "replace", "unlink", "fsync"):
    guard(name)
main(sys.argv[2:])
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = found_shop(tmp_path / "shop")
    (made.folder / "buyers.yaml").write_text(BUYERS)
    return made


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def killed_at(steps: int, *words: object) -> int:
    """How a command ended: 99 where it was killed."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-P", "-c", KILLED, str(steps), *map(str, words)], capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, 75, 99), done.stderr
    return done.returncode


def copied(shop: Shop, to: Path) -> None:
    """What a killed node's disk holds: without the lock, the socket, and what is derived from the logs."""
    shutil.copytree(shop.data, to / "data", ignore=shutil.ignore_patterns("commons", "lock", "*socket*"))
    shutil.copy(shop.folder / "anchor", to / "anchor")


@contextmanager
def watched(shop: Shop, into: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """A copy of the folder before and after each transaction of the state database, while it is locked."""
    found: list[Path] = []
    plain = StateDatabase.transaction

    def keep() -> None:
        found.append(into / str(len(found)))
        found[-1].mkdir(parents=True)
        copied(shop, found[-1])

    @contextmanager
    def transaction(database: StateDatabase) -> Iterator[Any]:
        with database._lock:
            keep()
            with plain(database) as connection:
                yield connection
            keep()

    with monkeypatch.context() as patched:
        patched.setattr(StateDatabase, "transaction", transaction)
        yield found


@pytest.mark.parametrize("is_signed_at_once", [pytest.param(True, marks=pytest.mark.slow), False])
async def test_a_node_killed_at_each_write_of_a_proposal_is_whole_and_the_command_runs_again(
    shop: Shop, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_signed_at_once: bool
) -> None:
    """`metrics add` proposes and carries the definition, `charter approve` signs: in one step, and in two."""
    key = ("--governance-key", shop.folder / "governance.key", "--yes")
    add = ("metrics", "add", shop.folder / "buyers.yaml", "--from", "2026-12-01", "--yes")

    async def decide(node: Any) -> None:
        if is_signed_at_once:
            await typed(*add, *key[:2])
        elif not node.governing.state()["proposals"]:
            await typed(*add)
            await until(lambda: "propose" in kinds(node))
        if node.membership.charter.version == 1:
            await typed("charter", "approve", *key)
        await until(lambda: node.membership.charter.version == 2)

    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        with watched(shop, tmp_path / "moments", monkeypatch) as moments:
            await decide(node)
    assert len(moments) >= 4
    seen = set()
    for moment in moments:
        shutil.rmtree(shop.data)
        shutil.copytree(moment / "data", shop.data)
        shutil.copy(moment / "anchor", shop.folder / "anchor")
        async with shop.run(HandClock()) as (node, _):
            await until(lambda node=node: node.holds_back() is None)
            seen.add((node.membership.charter.version, len(node.governing.state()["proposals"])))
            if node.membership.charter.version == 1:
                await decide(node)
            [shown] = (await typed.json("metrics", "show", "buyers"))["definitions"]
            assert len(shown["rows"]) == 1
            assert not (await typed.json("federation", "show"))["open"]["proposals"]
            assert kinds(node).count("propose") <= 1
    assert seen == {(1, 0), (2, 0)} | ({(1, 1)} if not is_signed_at_once else set())


def kinds(node: Any) -> list[str]:
    return [entry.header.kind for entry in node.logs.replay(node.membership.node)]


async def test_a_command_killed_at_any_step_has_proposed_and_approved_all_or_nothing(shop: Shop, typed: Typed) -> None:
    """`metrics add`, `charter approve`, `charter propose --out`, `charter sign`, one after the other, on one node."""
    key = ("--governance-key", shop.folder / "governance.key")
    ballot = shop.folder / "a.ballot"
    config = ("--config", shop.config)
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)

        def standing() -> tuple[int, int]:
            return node.membership.charter.version, len(node.governing.state()["proposals"])

        add = ("metrics", "add", shop.folder / "buyers.yaml", "--from", "2026-12-01", "--yes", *config)
        assert await to_the_end(add, standing) == {(1, 0), (1, 1)}
        assert len(node.governing.state()["definitions"]) == len(node.membership.charter.catalogue) + 1
        assert await to_the_end(("charter", "approve", *key, "--yes", *config), standing) == {(1, 1), (2, 0)}
        written = await to_the_end(
            ("charter", "propose", "--name", "renamed", "--out", ballot, *config), lambda: (ballot.exists(), 0)
        )
        assert written == {(False, 0), (True, 0)}
        assert (await typed.json("charter", "diff", ballot))["approvals"] == 0
        unsigned = ballot.read_bytes()
        signed = await to_the_end(
            ("charter", "sign", ballot, *key, "--yes"), lambda: (ballot.read_bytes() == unsigned, 0)
        )
        assert signed == {(True, 0), (False, 0)}
        assert (await typed.json("charter", "diff", ballot))["approvals"] == 1
        assert not [path for path in shop.folder.iterdir() if path.suffix == ".new"]
        assert (await typed.json("charter", "assemble", ballot))["is_trusted"]


async def to_the_end(words: tuple[object, ...], standing: Any) -> set[Any]:
    """A command killed at its first step, its second, and so on, until it has done its work; what stood in between."""
    seen, before = {standing()}, standing()
    for steps in range(40):
        code = await killed_at(steps, *words)
        seen.add(standing())
        if standing() != before:
            break
        assert code == 99
    assert standing() != before
    return seen


async def test_a_join_killed_at_any_step_goes_on_and_installs_all_or_nothing(shop: Shop, typed: Typed) -> None:
    """Asked, shown, signed, admitted, fetched, installed: each next attempt begins where the last was killed."""
    folder = shop.folder / "joiner"
    folder.mkdir()
    places = {"request": folder / "request", "governance_key": folder / "governance.key", "name": "joiner"}
    await Typed(shop, typed.capsys, has_config=False)(
        *init_arguments(str(folder), shop.folder / "plan.yaml", **places)  # type: ignore[arg-type]
    )
    key = ("--governance-key", shop.folder / "governance.key")
    installed = folder / "data" / "charter"
    clock = HandClock(time.time())
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        link = (await typed.json("federation", "invite"))["link"]
        join = ("federation", "join", link, "--request", folder / "request", "--governance-key",
                folder / "governance.key", "--config", folder / "node.toml", "--yes", "--wait-s", "0")  # fmt: skip
        asked = 0
        while (code := await killed_at(asked, *join)) == 99:
            asked += 1
            clock.pass_time(2.0)  # strangers may ask once a second
            assert asked < 40
        assert code == 75  # not admitted yet
        assert asked > 1
        assert not installed.exists()
        assert [one["name"] for one in (await typed.json("federation", "requests"))["requests"]] == ["joiner"]
        await typed("federation", "approve", "joiner", *key, "--yes")
        seen = set()
        for steps in range(60):
            clock.pass_time(2.0)
            code = await killed_at(steps, *join)
            is_there = installed.exists()
            seen.add((code, is_there))
            assert not is_there or [path.name for path in installed.iterdir()] == ["charter.chain"]
            if code == 0:
                break
            if is_there:
                shutil.rmtree(installed)  # killed after it: to see the later steps, too
        assert seen >= {(99, False), (0, True)}
        assert node.membership.charter.version == 2
        assert [member.name for member in node.membership.charter.members if member.name == "joiner"] == ["joiner"]
    assert not [path.name for path in (folder / "data").iterdir() if path.name.startswith(".charter")]


async def test_a_newcomer_whose_clock_is_days_off_joins_all_the_same(shop: Shop, typed: Typed) -> None:
    """The member's clock stands days away from the newcomer's: its challenge excuses each request (mesh.md 6)."""
    folder = shop.folder / "joiner"
    folder.mkdir()
    places = {"request": folder / "request", "governance_key": folder / "governance.key", "name": "joiner"}
    await Typed(shop, typed.capsys, has_config=False)(
        *init_arguments(str(folder), shop.folder / "plan.yaml", **places)  # type: ignore[arg-type]
    )
    key = ("--governance-key", shop.folder / "governance.key")
    async with shop.run(HandClock(time.time() - 3 * 86_400)) as (node, _):
        await until(lambda: node.holds_back() is None)
        link = (await typed.json("federation", "invite"))["link"]
        await typed("federation", "approve", folder / "request", *key, "--yes")
        join = ("federation", "join", link, "--request", folder / "request", "--governance-key",
                folder / "governance.key", "--config", folder / "node.toml", "--yes", "--wait-s", "30")  # fmt: skip
        assert await killed_at(1000, *join) == 0
    assert (folder / "data" / "charter" / "charter.chain").exists()


def test_what_a_killed_command_left_is_removed_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    """By the number of the process in the name; nothing else of that folder is touched."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f".a.ballot.{os.getppid()}.new", f".b.ballot.{ended.pid}.new", ".a.ballot.x.new"]
    for name in (*kept, f".a.ballot.{ended.pid}.new"):
        (tmp_path / name).write_text("")
    write_new(tmp_path / "a.ballot", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.ballot", *kept}
