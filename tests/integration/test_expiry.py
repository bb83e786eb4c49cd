"""A charter that nobody renewed: the node says so, holds its releases back, and does everything else (T11, case 15)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.typed import Typed
from tests.node_kit import HandClock, event, found_shop, until

DAY_S = 86_400


async def test_case_15_and_threat_11_who_is_shown_old_charters_until_their_end_holds_its_releases_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told from 60 days before; afterwards it still takes events and governs; a renewal ends it, once confirmed."""
    shop, clock = found_shop(tmp_path / "shop"), HandClock()
    typed = Typed(shop, capsys)
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        left_s = node.membership.charter.expires - clock.now_ms() // 1000
        assert not node.governing.notices()
        clock.pass_time(left_s - 30 * DAY_S)
        [notice] = node.governing.notices()
        assert "the charter ends in 30 days; renew it" in notice
        assert node.holds_back() is None
        clock.pass_time(30 * DAY_S + 1)
        assert "the charter expired on" in str(node.holds_back())
        said = await typed("federation", "show", "--json")
        assert '"version":1' in said.replace(" ", "")
        status, receipt = await shop.send([event(1, at_s=clock.now_ms() / 1000)])
        assert (status, receipt["accepted"]) == (202, 1)
        key = ("--governance-key", shop.folder / "governance.key")
        renewed = await typed.json("charter", "renew", "--expires-days", 3660, *key, "--yes")
        assert not renewed["is_trusted"]  # after the end nothing is followed unasked: who else could have made it?
        assert (await typed.json("charter", "confirm", code=2))["code"] == "confirmation_needed"
        assert (await typed.json("charter", "confirm", "--yes"))["trusted"] == renewed["hash"]
        await until(lambda: node.holds_back() is None)
