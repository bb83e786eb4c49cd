"""What a thief said in slots that the owner never answered: after a recovery the log says that it was taken back."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.jobs.mending import Mending
from node.running import Node
from node.state.slots import SlotStore
from privacy.units import Window
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry
from protocol.ids import DefinitionHash
from protocol.kind_data import parse_abstain
from tests.integration.thief import Thief, key_in
from tests.integration.typed import Typed
from tests.node_kit import HandClock, Shop, found_shop, until

FALSE = ("2026-11-05/P1D", "2026-11-07/P1D")  # ended, counted from, and before the node began: it never answers them
MADE_UP = ("2026-10-20/P1D", "2031-01-01/P1D")  # not counted from; not ended


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def rob(shop: Shop, node: Node, typed: Typed, words: str = "--keys-only") -> list[ParsedEntry]:
    """A thief's releases reach the node, whose owner recovers from before them."""
    await until(lambda: node.holds_back() is None)
    own = node.mesh.core.logs.log(node.membership.node)
    assert own is not None
    charter = await asyncio.to_thread(shop.admin.get, "/v1/admin/charter")
    thief = Thief(node.membership.node, key_in(shop.data / "keys/signing.key"), (0, 0, own.ids[0]), charter)
    false = [thief.summary("people", window, [77_777], at=1_793_000_000) for window in (*FALSE, FALSE[0], *MADE_UP)]
    node.logs.append(false)
    await typed("keys", "recover", "--from", 0, "--root-key", shop.folder / "root.key", "--yes", words)
    return false


def abstained(node: Node) -> Counter[tuple[str, str]]:
    """(window, reason) of the node's own abstentions that stand."""
    own = node.mesh.core.logs.log(node.membership.node)
    assert own is not None
    said = (one for one in node.logs.of_kind(node.membership.node, ABSTAIN) if one.id in own.ids)
    return Counter((data.window, data.reason) for one in said for data in [parse_abstain(one.entry.data)])


def charged(node: Node) -> list[str]:
    return [line.epoch.text for line in node.ledger.lines() if line.charged.rho_nano]


ONCE = Counter({(window, "recovered"): 1 for window in FALSE})


async def test_what_only_a_thief_said_reads_taken_back_and_costs_the_owner_nothing(shop: Shop, typed: Typed) -> None:
    """Once a slot, for slots that somebody may ask for; nothing is charged or answered, at the next start neither."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await rob(shop, node, typed)
        clock.pass_time(3)
        await until(lambda: abstained(node) == ONCE)
        told = await typed("query", "people", "--from", "2026-11-04", "--to", "2026-11-08")
        assert "shop: abstained (taken back when its keys were recovered), 2 windows" in told
        assert (node.publisher.answered(), charged(node)) == (set(), [])
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert node.mending.run() == 0
        assert abstained(node) == ONCE
        assert (node.publisher.answered(), charged(node)) == (set(), [])
        # A recovery that takes the abstentions along says it again; an abstention of the node's own then adds nothing.
        await typed("keys", "recover", "--from", 1, "--root-key", shop.folder / "root.key", "--yes")
        clock.pass_time(3)
        await until(lambda: abstained(node) == ONCE)
        [row] = [row for row in node.standing if row.name == "people"]
        height = len(list(node.logs.of_kind(node.membership.node, ABSTAIN)))
        with node.turns.lock:
            assert node.publisher.abstain(row.hash, Window.parse(FALSE[0]), "epoch_closed") is None
        assert len(list(node.logs.of_kind(node.membership.node, ABSTAIN))) == height == 4
        assert node.publisher.answered() == {(row.hash, FALSE[0])}


async def test_what_was_released_with_the_nodes_own_events_is_charged_and_never_released(
    shop: Shop, typed: Typed
) -> None:
    """A clone: the operator says --events-too; each slot counts as answered, however often the node starts."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        false = await rob(shop, node, typed, "--events-too")
        clock.pass_time(3)
        await until(lambda: abstained(node) >= ONCE)
        windows = {window for _, window in node.publisher.answered()}
        assert windows == {*FALSE, *MADE_UP}
        assert {f"{window[:10]}/P1D" for window in windows} == set(charged(node))
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert {window for _, window in node.publisher.answered()} == windows
        own = node.mesh.core.logs.log(node.membership.node)
        assert own is not None
        assert not {one.id for one in false} & set(own.ids)


@pytest.mark.parametrize("after", [0, 1])
async def test_killed_between_two_abstentions_none_is_lost_and_none_said_twice(
    shop: Shop, typed: Typed, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The process is gone inside the first or the second transaction; the next start says what is left."""

    class Killed(BaseException):
        pass

    written: list[str] = []
    record = SlotStore.record_taken_back

    def killing(self: SlotStore, connection: Any, definition: DefinitionHash, window: str, entry: Any) -> None:
        record(self, connection, definition, window, entry)
        if len(written) == after:
            raise Killed
        written.append(window)

    clock = HandClock()
    async with shop.run(clock) as (node, _):
        job = Mending(core=node.mesh.core, logs=node.logs, slots=SlotStore(node.database), publisher=node.publisher,
                      clock=clock, hold=lambda _entries: None)  # fmt: skip
        node.mending = SimpleNamespace(run=lambda: 0)  # type: ignore[assignment]  # this test does its work
        await rob(shop, node, typed)
        await until(lambda: node.holds_back() is None)
        with monkeypatch.context() as patch, node.turns.lock:
            patch.setattr(SlotStore, "record_taken_back", killing)
            with pytest.raises(Killed):
                job.run()
            assert len(list(node.logs.of_kind(node.membership.node, ABSTAIN))) == after
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        clock.pass_time(3)
        await until(lambda: abstained(node) == ONCE)
        assert list(node.logs.of_kind(node.membership.node, SUMMARY, latest=1))  # the thief's are kept, as evidence
