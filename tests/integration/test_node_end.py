"""How a node ends: while a thread of it still signs, and with the program that started it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.node_kit import HandClock, found_shop
from tests.one_node import ROOT


async def test_what_signs_is_waited_for_before_the_database_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop in the middle of its first signatures, the node ends well: nothing failed, all was written."""
    shop = await asyncio.to_thread(found_shop, tmp_path / "shop")
    began, told = threading.Event(), []
    async with shop.run(HandClock()) as (node, _):

        def slowly() -> None:
            began.set()
            time.sleep(0.5)
            told.append(node.database.query("SELECT 1"))

        monkeypatch.setattr(type(node.own_log), "can_settle", property(lambda _: True))
        monkeypatch.setattr(type(node.own_log), "settle", lambda _: slowly())
        node.progressed()
        assert await asyncio.to_thread(began.wait, 20)
    assert node.failure is None
    assert told == [[(1,)]]


def test_until_eof_a_node_ends_with_whoever_holds_its_input(tmp_path: Path) -> None:
    """What comes on the pipe is not read for anything; its end is as SIGTERM, and nothing failed."""
    shop = found_shop(tmp_path / "shop")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "node", "run", "--until-eof", "--config", str(shop.config)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready ")
        process.stdin.write("stop\n")
        process.stdin.flush()
        time.sleep(0.5)
        assert process.poll() is None
        assert shop.admin.get("/v1/admin/status")["name"] == "shop"
        said = process.communicate(timeout=60)[1]  # closes its input first
    assert process.returncode == 0, said


def test_until_eof_without_any_input_a_node_starts_and_ends(tmp_path: Path) -> None:
    """Input that is no pipe and has ended already: ready is said, and the end is a good one."""
    shop = found_shop(tmp_path / "shop")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "node", "run", "--until-eof", "--config", str(shop.config)],
        stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout[:6]) == (0, "ready "), done.stderr
