"""`murmur metrics choose` on a running node: one word, charged once, in no line, log or answer of the node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.test_vault_node import TODAY, answered, command
from tests.node_kit import DAY_S, HOUR_S, HandClock, event, found_shop

CHOICE = """
choice: usual_country
from: any
among: {country: [DE, FR, CH]}
window: day
privacy: {max_cells: "1", epsilon: "1/10"}
"""


async def test_a_choice_is_told_once_paid_and_never_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 people are in France and 60 in Germany: at ε = 1/10 the chance of another word is below 1e-11."""
    shop, clock = found_shop(tmp_path / "shop"), HandClock()
    file = tmp_path / "usual_country.yaml"
    file.write_text(CHOICE)
    words = ("metrics", "choose", str(file), "--window", TODAY.text)
    async with shop.run(clock) as (node, _):
        events = [{**event(number), "geo_hint": "DE" if number % 11 == 0 else "FR"} for number in range(660)]
        for at in range(0, 660, 220):
            assert (await shop.send(events[at : at + 220]))[0] == 202
        code, _, err = await command(monkeypatch, shop, "", *words)
        assert code != 0
        assert "has not closed" in err

        clock.pass_time(DAY_S + 12 * HOUR_S)
        await answered(node, TODAY)
        before = {line.epoch: line.charged.rho_nano for line in node.ledger.lines()}[TODAY]
        entries = [entry.id for entry in node.logs.replay(node.membership.node)]
        code, out, err = await command(monkeypatch, shop, "", *words)
        assert (code, out.split()) == (0, ["usual_country", TODAY.text, "FR"]), err
        code, out, _ = await command(monkeypatch, shop, "", *words, "-o", "json")
        again = json.loads(out)
        assert (again["chosen"], again["is_new"], again["rho_nano"]) == ("FR", False, 5_000_000)
        after = {line.epoch: line.charged.rho_nano for line in node.ledger.lines()}[TODAY]
        assert after - before == 5_000_000
        assert [entry.id for entry in node.logs.replay(node.membership.node)] == entries, "nothing is said to anybody"
        assert not any("FR" in str(line) or "usual_country" in str(line) for line in shop.logs)
        file.write_text(CHOICE.replace("1/10", "0.1"))
        code, _, err = await command(monkeypatch, shop, "", *words)
        assert code != 0
        assert "decimals" in err
    async with shop.run(clock) as (node, _):
        file.write_text(CHOICE)
        code, out, _ = await command(monkeypatch, shop, "", *words)
        assert (code, out.split()[-1]) == (0, "FR")
        assert {line.epoch: line.charged.rho_nano for line in node.ledger.lines()}[TODAY] == after
