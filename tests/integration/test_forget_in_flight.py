"""A person is forgotten while a window is being released: a release holds all of their events or none (vault 7.3)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from node.jobs import publishing
from tests.node_kit import DAY_S, HOUR_S, START_S, HandClock, event, found_shop


async def test_forgetting_waits_for_the_window_in_hand_and_no_later_release_has_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both metrics of the window that was begun have her; once it returned, the next window's have not."""
    shop, clock = found_shop(tmp_path / "shop", tick_s=86_400), HandClock()
    vectors: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    real = publishing.ExactVector

    def held(cells: list[int]) -> Any:
        if any(cells):  # the day before is empty
            vectors.append(sum(cells))
            begun.set()
            assert go_on.wait(20)
        return real(cells)

    async with shop.run(clock) as (node, _):
        await asyncio.to_thread(node.worker._work, lambda: False)
        await shop.send([event(1, user="ann"), event(2, user="ann"), event(3, user="bob")])
        clock.pass_time(DAY_S)
        await shop.send([event(4, START_S + DAY_S, "ann"), event(5, START_S + DAY_S, "bob")])
        monkeypatch.setattr(publishing, "ExactVector", held)
        clock.pass_time(13 * HOUR_S)  # the first day has closed, the second goes on
        tick = asyncio.create_task(asyncio.to_thread(node.worker._work, lambda: False))
        assert await asyncio.to_thread(begun.wait, 20)
        forgetting = asyncio.create_task(asyncio.to_thread(node.custody.forget, "user", ["ann"], is_dry_run=False))
        looking = asyncio.create_task(asyncio.to_thread(node.custody.forget, "user", ["ann"], is_dry_run=True))
        assert (await looking)["events"] == 3  # who only looks waits for nobody
        assert (await shop.send([event(6, START_S + DAY_S, "bob")]))[0] == 202  # nor does the way in
        await asyncio.sleep(0.3)
        assert not forgetting.done()
        go_on.set()
        assert (await forgetting)["events"] == 3
        assert await tick >= 2
        assert sorted(vectors) == [2, 3]  # people, and events, of the same rows
        vectors.clear()
        clock.pass_time(DAY_S)
        assert await asyncio.to_thread(node.worker._work, lambda: False) == 2
        assert sorted(vectors) == [1, 2]  # bob, and his two events
