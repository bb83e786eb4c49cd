"""Asking for something new: a metric is priced by accuracy, proposed, approved, and answered, past windows too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from node.client import AsyncClient, BadQuestion, Client, NotAllowed
from node.proposals import Proposals
from tests.cli.test_catalogue import BUYERS
from tests.integration.typed import Typed
from tests.node_kit import DAY_S, HOUR_S, HandClock, Shop, event, found_shop, until


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = found_shop(tmp_path / "shop")
    (made.folder / "buyers.yaml").write_text(BUYERS)
    return made


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def test_a_metric_is_priced_proposed_approved_and_answered(shop: Shop, typed: Typed) -> None:
    """From a past day: the closed window is answered; a day whose epoch has no room is abstained from, in sight."""
    clock = HandClock()
    file, key = shop.folder / "buyers.yaml", ("--governance-key", shop.folder / "governance.key")
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert (await shop.send([event(number) for number in range(40)]))[0] == 202
        clock.pass_time(2 * DAY_S + HOUR_S)
        await until(lambda: len(node.commons.releases()) >= 2, 60)
        assert (await typed.json("metrics", "proposals"))["proposals"] == []
        ask = ("metrics", "propose", file, "--accuracy", "10", "--people", "500", "--from", "2026-11-10")
        dry = await typed.json(*ask, "--dry-run")
        assert any("is priced at rho" in line and "at 95 % on" in line for line in dry["changes"])
        assert (await typed.json("metrics", "proposals"))["proposals"] == []
        told = await typed.json(*ask, "--yes")
        assert (told["is_trusted"], told["approvals"], told["not_signed"]) == (False, 0, ["shop"])
        [row] = (await typed.json("metrics", "proposals", "buyers"))["proposals"]
        assert (row["state"], row["from"], row["until"], row["answers"]) == ("proposed", "2026-11-10T00", None, [])
        assert row["approvals"] == {"signed": [], "needed": 1, "missing": ["shop"]}
        assert row["proposers"] == ["shop"]
        assert "0 of 1 have approved" in await typed("metrics", "proposals")
        await typed("charter", "approve", *key, "--yes")
        await until(lambda: any(one.metric == "buyers" for one in node.commons.releases()), 60)
        [row] = (await typed.json("metrics", "proposals", "buyers"))["proposals"]
        assert (row["state"], row["charter"]["version"], row["approvals"]["signed"]) == ("adopted", 2, ["shop"])
        [answer] = row["answers"]
        assert (answer["name"], answer["state"], answer["newest"]) == ("shop", "released", "2026-11-10/P1D")
        assert "answered 1 window, newest 2026-11-10/P1D" in await typed("metrics", "proposals")
        (shop.folder / "dear.yaml").write_text(
            BUYERS.replace("metric: buyers", "metric: dear").replace("1/800", "1/40")
        )
        dear = ("metrics", "propose", shop.folder / "dear.yaml", "--from", "2026-11-10", *key, "--yes")
        assert (await typed.json(*dear))["is_trusted"]
        await until(lambda: Proposals(node.mesh.core).rows("dear")[0]["answers"][0]["state"] != "silent", 60)
        assert "shop: abstained from 1 window (budget)" in await typed("metrics", "proposals", "dear")
        asked = await asyncio.to_thread(Client(f"http://127.0.0.1:{shop.port}").query, "buyers")
        assert asked.data["windows"]["last"] == "2026-11-10/P1D"


async def test_python_proposes_over_the_admin_socket_alone(shop: Shop, typed: Typed) -> None:
    """The same proposal as the command's; elsewhere, and twice, it is refused in words."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        tree = yaml.safe_load(BUYERS)
        research = Client(f"http://127.0.0.1:{shop.port}")
        with pytest.raises(NotAllowed, match="operator's act"):
            await asyncio.to_thread(research.propose, tree)
        operator = AsyncClient(shop.admin.socket)
        row = await operator.propose(tree, from_="2026-12-01", until="2027-01-01", accuracy="5%")
        assert (row["metric"], row["state"], row["from"], row["until"]) == (
            "buyers", "proposed", "2026-12-01T00", "2027-01-01T00",
        )  # fmt: skip
        assert await asyncio.to_thread(research.proposals) == [row]
        stated = await operator.propose(BUYERS, from_="2026-12-01")
        assert stated["definition"] != row["definition"]
        for wrong in ({"from_": "soon"}, {"from_": "2026-12-02", "until": "2026-12-01"}, {"accuracy": "none"}):
            with pytest.raises(BadQuestion):
                await operator.propose(shop.folder / "buyers.yaml", **wrong)
        assert len((await typed.json("metrics", "proposals"))["proposals"]) == 2
