"""A clock set wrong while the node was down, or while it runs: nothing closes and no key goes before its time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import node.app
from node.running import Node
from privacy.units import Window
from tests.node_kit import DAY_S, HOUR_S, START_S, HandClock, Shop, event, found_shop

BEFORE, TODAY = Window.parse("2026-11-09/P1D"), Window.parse("2026-11-10/P1D")
ALMOST = DAY_S + 11.5 * HOUR_S  # from the start to half an hour before a window closes and a pseudonym key goes


async def tick(running: Node) -> None:
    await asyncio.to_thread(running.worker._work, lambda: False)


def found(running: Node, shop: Shop) -> tuple[Any, set[str]]:
    return running.vault.closed_windows(), {path.name for path in (shop.data / "epochs").iterdir()}


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 100 * DAY_S, -30 * DAY_S])
@pytest.mark.parametrize("is_down", [False, True])
async def test_a_clock_set_wrong_ends_nothing_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: float, is_down: bool
) -> None:
    """Live, and across a restart in the same boot: nothing moves while it is wrong, all in its time later."""
    monkeypatch.setattr(node.app, "boot_of", lambda _clock: "one boot")
    shop, clock = found_shop(tmp_path / "shop", tick_s=86_400), HandClock()
    async with shop.run(clock) as (running, _):
        assert (await shop.send([event(1), event(2, START_S - DAY_S)]))[1]["accepted"] == 2
        clock.pass_time(ALMOST)
        await tick(running)
        before = found(running, shop)
        assert TODAY not in before[0]
        assert f"{BEFORE.text.replace('/', '_')}.pseudonym.key" in before[1]
        if not is_down:
            clock.set(jump_s)
            await tick(running)
            assert found(running, shop) == before
            clock.set(-jump_s)
    if is_down:
        clock.set(jump_s)
        async with shop.run(clock) as (running, _):
            await tick(running)
            assert found(running, shop) == before
            assert "clock" in str(running.is_ready()[1]["releases"])
        clock.set(-jump_s)
    async with shop.run(clock) as (running, _):
        await tick(running)
        assert found(running, shop) == before
        clock.pass_time(HOUR_S)
        await tick(running)
        closed, keys = found(running, shop)
        assert TODAY in closed
        assert f"{BEFORE.text.replace('/', '_')}.pseudonym.key" not in keys
