"""`murmur metrics names` on a running node: names of many, once paid, in no line, log or answer of the node.

At ε = 1/5, δ = 1e-9 and one name a person a name of 186 people is certain and one of two has a chance below 3e-9.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from tests.integration.test_vault_node import TODAY, answered, command
from tests.node_kit import DAY_S, HOUR_S, START_S, HandClock, Shop, found_shop
from tests.node_kit import event as purchase

PLAN = """
plan: shop
purposes: [analytics]
apps:
  shop:
    person: user
    consent: none
    actions:
      buy:
        kind: {type: category, values: [book, tool]}
      view:
        page: {type: key, max_bytes: "32"}
"""
SHARED, HOSTILE, PRIVATE = "seed-swap", "<img src=x onerror=x>", "ann-writes-here"
CROWDS = {SHARED: 200, HOSTILE: 220, PRIVATE: 2}
ASKED = (
    f"metrics names --app shop --action view --attribute page --window {TODAY.text} --epsilon 1/5 --delta 1/1000000000"
)
COST = (20_000_000, 10**9)


def viewed(number: int, page: str, user: str) -> dict[str, object]:
    return {"app": "shop", "action": "view", "timestamp": int(START_S), "user_id": user, "event_id": f"view-{number}",
            "attributes": {"page": page}}  # fmt: skip


def views() -> list[dict[str, object]]:
    """Each crowd opens its page; one person opens every page there is and ninety of their own."""
    pages = [(page, f"{page}-{person}") for page, crowd in CROWDS.items() for person in range(crowd)]
    pages += [(page, "greedy") for page in (SHARED, HOSTILE, *(f"own-{number}" for number in range(90)))]
    return [viewed(number, page, user) for number, (page, user) in enumerate(pages)]


def charged(shop_ledger: dict[str, object]) -> tuple[int, int]:
    [line] = [one for one in shop_ledger["ledger"] if one["epoch"] == TODAY.text]  # type: ignore[attr-defined]
    return line["charged_rho_nano"], line["charged_delta_atto"]


async def ledger(shop: Shop) -> tuple[int, int]:
    return charged(await asyncio.to_thread(shop.admin.get, "/v1/admin/ledger"))


async def test_names_are_told_once_paid_and_never_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_cell = {"people": 'from: any\nmeasure: people\nwindow: day\nprivacy: {max_cells: "1", rho: "1/400"}\n'}
    shop, clock = found_shop(tmp_path / "shop", plan=PLAN, metrics=one_cell), HandClock()
    words = (*shlex.split(ASKED), "--max-cells", "1")
    async with shop.run(clock) as (node, _):
        events = views()
        for at in range(0, len(events), 300):
            assert (await shop.send(events[at : at + 300]))[0] == 202
        assert (await shop.send([purchase(1)]))[0] == 202
        code, _, err = await command(monkeypatch, shop, "", *words)
        assert code != 0
        assert "has not closed" in err

        clock.pass_time(DAY_S + 12 * HOUR_S)
        await answered(node, TODAY, 1)
        before = await ledger(shop)
        entries = [entry.id for entry in node.logs.replay(node.membership.node)]
        code, out, err = await command(monkeypatch, shop, "", *words, "--dry-run")
        assert (code, await ledger(shop)) == (0, before), err
        code, out, err = await command(monkeypatch, shop, "", *words)
        assert (code, out.splitlines()) == (0, [HOSTILE, SHARED]), err
        code, out, _ = await command(monkeypatch, shop, "", *words, "-o", "json")
        again = json.loads(out)
        assert (again["names"], again["is_new"]) == ([HOSTILE, SHARED], False)
        assert set(again) == {"schema", "attribute", "window", "names", "is_new", "rho_nano", "delta_atto"}
        after = await ledger(shop)
        assert (after[0] - before[0], after[1] - before[1]) == COST

        # Another question has no room left, and says so in four parts; it costs nothing.
        code, _, err = await command(monkeypatch, shop, "", *shlex.split(ASKED), "--max-cells", "2")
        assert code != 0
        assert "rho of 2026-11-10/P1D is capped" in err
        assert "nearest request" in err
        code, _, err = await command(monkeypatch, shop, "", *words, "--delta", "1e-9")
        assert code != 0
        assert "decimals and exponents" in err
        assert await ledger(shop) == after

        assert [entry.id for entry in node.logs.replay(node.membership.node)] == entries, "nothing is said to anybody"
        assert not any(SHARED in str(line) or "onerror" in str(line) for line in shop.logs)
        files = [path for path in shop.data.rglob("*") if path.is_file() and "segments" not in path.parts]
        stored = b"".join(path.read_bytes() for path in files)
        assert PRIVATE.encode() not in stored
        assert SHARED.encode() in stored, "what is told is found so"
    async with shop.run(clock) as (node, _):
        code, out, _ = await command(monkeypatch, shop, "", *words)
        assert (code, out.splitlines()) == (0, [HOSTILE, SHARED])
        assert await ledger(shop) == after
