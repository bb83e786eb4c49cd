"""Releases leave at ticks (PRIVACY 5, specs/privacy.md 4.10), and a disk without room only delays them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from node.anchor import load_anchor
from node.errors import RejectedInput
from node.running import Node
from privacy.units import Window
from protocol.endpoints import Endpoint
from protocol.entries import ENDPOINT
from protocol.kind_data import EndpointData
from tests.node_kit import DAY_S, HandClock, Shop, event, found_shop, until

TODAY = Window.parse("2026-11-10/P1D")


async def tick(node: Node) -> int:
    """One round, as the worker does it."""
    return await asyncio.to_thread(node.worker._work, lambda: False)


def known(node: Node) -> int:
    """Height of the own log as peers, answers and heads see it."""
    return node.mesh.core.logs.heads()[node._own_place()].seq + 1


def written(node: Node) -> int:
    head = node.logs.head(node.membership.node)
    return 0 if head is None else head[0].seq + 1


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop", tick_s=86_400)  # the test makes the ticks


async def test_a_round_is_known_to_nobody_before_the_next_tick(shop: Shop) -> None:
    """On disk at once; in heads, answers and anchor with the next tick; a node that ends before sends at its start."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await shop.send([event(1)])
        await tick(node)
        clock.pass_time(2 * DAY_S)
        answered = await tick(node)
        assert answered >= 2
        await asyncio.sleep(0.1)  # what was sent at the tick's beginning arrives
        assert known(node) == written(node) - answered > 0
        anchor = load_anchor(node.config.anchor)
        assert anchor is not None
        assert anchor.seq == known(node) - 1
        status, document = await asyncio.to_thread(shop.call, "GET", f"/v1/insights/people?window={TODAY.text}")
        assert (status, document.get("status")) != (200, "success")
        assert await tick(node) == 0
        await until(lambda: known(node) == written(node))
        anchor = load_anchor(node.config.anchor)
        assert anchor is not None
        assert anchor.seq == written(node) - 1
        clock.pass_time(DAY_S)
        assert await tick(node) == 2
        await asyncio.sleep(0.1)
        assert known(node) == written(node) - 2
    async with shop.run(clock) as (node, _):
        assert known(node) == written(node)


async def test_keys_turn_after_what_waits_has_left(shop: Shop) -> None:
    """A rotation between two ticks: the log stays one line, and the next round goes on."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await tick(node)
        clock.pass_time(2 * DAY_S)
        await tick(node)
        assert known(node) < written(node)
        await asyncio.to_thread(node.turns.rotate)
        await until(lambda: known(node) == written(node))
        assert node.holds_back() is not None  # it looks again who holds its log, at the next tick
        clock.pass_time(DAY_S)
        assert await tick(node) == 2
        await tick(node)
        await until(lambda: known(node) == written(node))
        assert node.holds_back() is None


async def test_an_anchor_without_room_delays_releases_and_is_told(tmp_path: Path) -> None:
    """Nothing leaves, /readyz says why, nothing is signed twice; with room all of it leaves."""
    shop, clock = found_shop(tmp_path / "shop", tick_s=1), HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        before = known(node)
        in_the_way = node.config.anchor.with_name(node.config.anchor.name + ".new")
        in_the_way.mkdir()
        clock.pass_time(2 * DAY_S)
        await until(lambda: node.worker.trouble == "anchor_unwritable")
        assert known(node) == before < written(node)
        assert node.is_ready() == (False, {**node.is_ready()[1], "releases": "anchor_unwritable"})
        assert node.failure is None
        clock.pass_time(DAY_S)
        in_the_way.rmdir()
        await until(lambda: known(node) == written(node) >= before + 4)
        await until(lambda: node.is_ready()[0])
        assert node.holds_back() is None


async def test_nobody_else_can_call_a_round_out_before_its_tick(shop: Shop) -> None:
    """What peers bring about waits while releases do; what the operator asks for takes them along, in their order."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await tick(node)
        clock.pass_time(2 * DAY_S)
        answered = await tick(node)
        await asyncio.sleep(0.1)
        before = written(node)
        said = [(ENDPOINT, EndpointData((Endpoint("http://192.0.2.1:1", None),)).encode())]
        with pytest.raises(RejectedInput, match="wait for their tick"):
            await asyncio.to_thread(node.publish, said, can_wait=True)
        assert (written(node), known(node)) == (before, before - answered)
        await asyncio.to_thread(node.publish, said)
        await until(lambda: known(node) == written(node) == before + 1)
        assert node.holds_back() is None
