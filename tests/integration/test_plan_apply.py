"""A changed tracking plan is in force without a restart; what alters a stored form waits for the next epoch."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from node.app import _plans_of
from node.errors import ConfigError
from privacy.units import Window
from tests.fault.test_node_kill import child
from tests.node_kit import DAY_S, HOUR_S, START_S, HandClock, event, found_shop, until
from tests.node_kit import PLAN as SHOP
from tests.one_node import PLAN, OneNode


def test_a_plan_is_read_again_without_a_restart(tmp_path: Path) -> None:
    node = OneNode(tmp_path / "node")
    node.start()
    try:
        key = node.key()

        def send(kind: str) -> dict[str, object]:
            event = {"app": "shop", "action": "buy", "session_id": "s", "event_id": kind, "timestamp": int(time.time()),
                     "attributes": {"kind": kind, "gift": True}}  # fmt: skip
            request = urllib.request.Request(
                f"{node.url}/v1/events",
                json.dumps(event).encode(),
                {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as answer:
                found: dict[str, object] = json.load(answer)
                return found

        assert send("book")["accepted"] == 1
        file = node.folder / "plan.yaml"
        added = PLAN.replace(
            'range: ["0", "500"]}\n  shop.example', 'range: ["0", "500"]}\n        gift: {type: flag}\n  shop.example'
        )
        assert added != PLAN
        file.write_text(added)
        assert "collects more: shop.buy.gift: a new attribute: yes or no" in node.murmur("plan", "apply")
        assert send("tool")["accepted"] == 1
        file.write_text(added.replace("person: session", "person: user"))
        assert "stores otherwise: shop: persons are counted by user" in node.murmur("plan", "apply")
        assert send("tool2")["accepted"] == 1  # still counted by session: no user was sent
        file.write_text("plan: broken\n")
        assert "missing apps" in node.murmur("plan", "apply", ok=False)
        assert send("tool3")["accepted"] == 1
    finally:
        node.stop()
    assert [row.get("gift", "undeclared") for row in node.stored()] == ["undeclared", 1, 1, 1]


def test_a_change_of_stored_forms_waits_over_restarts_and_kills(tmp_path: Path) -> None:
    """Applied or met at a start, killed and started again: it begins with the next epoch, never before, always then."""
    shop, vectors = found_shop(tmp_path / "shop"), tmp_path / "vectors"
    file, by_session = shop.folder / "plan.yaml", SHOP.replace("person: user", "person: session")

    def receipt(at_s: int, **ids: str) -> dict[str, object]:
        one = {"app": "shop", "action": "buy", "timestamp": at_s, "event_id": str(at_s), "attributes": {}, **ids}
        return shop.post([one])[1]

    def plan_of_status() -> tuple[int, str | None]:
        told = shop.admin.get("/v1/admin/status")["plan"]
        return told["number"], told["another_begins_with"]

    with child(shop, vectors):
        shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
        file.write_text(by_session)
        assert shop.admin.post("/v1/admin/plan", {})["begins"] == "2026-11-11/P1D"
    with child(shop, vectors, wall_s=START_S + HOUR_S):  # killed and started: it waits still
        assert plan_of_status() == (1, "2026-11-11/P1D")
        assert receipt(START_S + HOUR_S, session_id="s")["filtered"] == {"no_person": 1}
        assert receipt(START_S + HOUR_S, user_id="u")["accepted"] == 1
        file.write_text(SHOP)
        answer = shop.admin.post("/v1/admin/plan", {})
        assert (answer["changes"], answer["took_back"]) == ([], "2026-11-11/P1D")
        assert plan_of_status() == (1, None)  # taken back
    file.write_text(by_session)
    with child(shop, vectors, wall_s=START_S + 2 * HOUR_S):  # met at a start
        assert plan_of_status() == (1, "2026-11-11/P1D")
        file.write_text(by_session + "      view: {}\n")
        assert shop.admin.post("/v1/admin/plan", {})["begins"] == "2026-11-11/P1D"  # one change takes all with it
    tomorrow = START_S + DAY_S
    with child(shop, vectors, wall_s=tomorrow):
        assert plan_of_status() == (3, None)
        assert receipt(tomorrow, session_id="s")["accepted"] == 1
        assert receipt(tomorrow, user_id="u")["filtered"] == {"no_person": 1}


async def test_a_plan_begins_by_the_clock_while_the_node_runs(tmp_path: Path) -> None:
    shop, clock = found_shop(tmp_path / "shop"), HandClock()
    async with shop.run(clock) as (node, _):
        (shop.folder / "plan.yaml").write_text(SHOP.replace("person: user", "person: session"))
        node.apply_plan()
        clock.pass_time(DAY_S / 2 - 1)
        assert (await shop.send([event(1, START_S + DAY_S / 2 - 1)]))[1]["accepted"] == 1
        clock.pass_time(1)
        assert (await shop.send([event(2, START_S + DAY_S / 2)]))[1]["filtered"] == {"no_person": 1}


async def test_each_event_is_read_by_the_plan_of_its_hour(tmp_path: Path) -> None:
    """Late ones of the epoch before the change by the old plan, those ahead of it by the new; both days release."""
    metric = "from: {app: shop, action: buy}\nmeasure: count\nby: {kind: [book, tool]}\nwindow: day\n"
    metric += 'privacy: {max_cells: "2", max_per_cell: "99", rho: "1/400"}\n'
    shop, clock = found_shop(tmp_path / "shop", metrics={"kinds": metric}), HandClock(START_S + 11 * HOUR_S)
    midnight = START_S + 12 * HOUR_S
    turned = SHOP.replace("values: [book, tool]", "values: [tool, book]").replace(
        'amount: {type: band, edges: ["10", "100"]}', "gift: {type: flag}\n        note: {type: flag}"
    )
    quick = {"attributes": {"kind": "book", "amount": 20, "gift": True}, "app": "shop", "action": "buy"}
    async with shop.run(clock) as (node, _):
        (shop.folder / "plan.yaml").write_text(turned)
        node.apply_plan()
        times = [midnight - 7200, midnight - 1, midnight, midnight + 60]
        mixed = [{**quick, "timestamp": at_s, "user_id": f"u{at_s}", "event_id": n} for n, at_s in enumerate(times)]
        assert (await shop.send(mixed))[1]["accepted"] == 4  # an hour before: two are ahead of the change
        clock.pass_time(HOUR_S)
        late = [{**one, "event_id": f"late {n}"} for n, one in enumerate(mixed)]
        assert (await shop.send(late, **{"Content-Type": "application/json"}))[1]["accepted"] == 4
        assert (await shop.send([late[0], {"odd": 1}, {**late[3], "event_id": "x"}]))[1]["accepted"] == 2  # one by one
        asked = {"kind": "user", "ids": [f"u{midnight - 1}", f"u{midnight}"]}
        found = await asyncio.to_thread(shop.admin.exchange, "POST", "/v1/admin/person/export", asked)
        rows = [json.loads(line) for line in found.body.splitlines()]
        assert [row["attributes"] for row in rows] == [{"kind": "book", "amount": "[10, 100)"}] * 2 + [
            {"kind": "book", "gift": True}
        ] * 2
        numbers = {row["hour"][:10]: row for row in rows}
        assert list(numbers) == ["2026-11-10", "2026-11-11"]
        clock.pass_time(2 * DAY_S)
        await until(lambda: node.status()["releases"]["answered_slots"] >= 2)
        days = [Window.parse(f"2026-11-{day}/P1D") for day in (10, 11)]
        assert [list(_plans_of(node, node.plans, day)) for day in days] == [[1], [2]]


async def test_another_length_of_epochs_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    shop, clock = found_shop(tmp_path / "shop"), HandClock()
    async with shop.run(clock):
        assert (await shop.send([event(1)]))[1]["accepted"] == 1
    text = shop.config.read_text()
    shop.config.write_text(text.replace('epoch = "day"', 'epoch = "week"'))
    with pytest.raises(ConfigError, match=r'began with day epochs.*Write epoch = "day"'):
        async with shop.run(clock):
            pass
    shop.config.write_text(text)
    async with shop.run(clock) as (node, _):
        assert (await shop.send([event(2)]))[1]["accepted"] == 1
        assert len(node.vault.read(Window.parse("2026-11-10/P1D"))) == 2


def test_persons_by_address_need_day_epochs(tmp_path: Path) -> None:
    node = OneNode(tmp_path / "node")
    config = node.folder / "node.toml"
    config.write_text(config.read_text().replace('epoch = "day"', 'epoch = "week"'))
    with pytest.raises((AssertionError, subprocess.SubprocessError)):
        node.start()
    assert "address_needs_day_epochs" in (node.folder / "log").read_text()
