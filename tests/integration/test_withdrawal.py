"""A person withdraws consent: the node holds to it, over kills, as long as it can know the person, and no longer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from tests.fault.test_node_kill import child
from tests.node_kit import DAY_S, HOUR_S, START_S, HandClock, Shop, found_shop

PLAN = """
plan: shop
purposes: [analytics, research]
apps:
  shop:
    person: user
    consent: analytics
    actions:
      buy: {}
  free:
    person: user
    consent: none
    actions:
      buy: {}
  page:
    person: session
    consent: none
    actions:
      buy: {}
  door:
    person: address
    consent: none
    actions:
      buy: {}
"""
ORIGIN = "https://shop.example"


class Visitor:
    """Sends events and withdrawals with one key."""

    def __init__(self, shop: Shop, token: str, **headers: str) -> None:
        self.shop, self.number = shop, 0
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}

    def event(self, app: str, at_s: float = START_S, consent: tuple[str, ...] = ("analytics",), **ids: Any) -> Any:
        """(accepted, filtered) of one event."""
        self.number += 1
        one = {"app": app, "action": "buy", "timestamp": at_s, "consent": list(consent), "event_id": self.number, **ids}
        status, receipt = self.shop.call("POST", "/v1/events", json.dumps(one).encode(), self.headers)
        assert status == 202, receipt
        return receipt["accepted"], receipt["filtered"]

    def say(self, said: object) -> tuple[int, dict[str, Any]]:
        return self.shop.call("POST", "/v1/consent", json.dumps(said).encode(), self.headers)


KEPT: Any = (1, {})
WITHDRAWN: Any = (0, {"no_consent": 1})


def test_a_withdrawal_survives_kills_and_ends_with_its_epoch(tmp_path: Path) -> None:
    shop, vectors = found_shop(tmp_path / "shop", plan=PLAN), tmp_path / "vectors"
    with child(shop, vectors):
        shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
        visit = Visitor(shop, shop.token)
        assert visit.event("shop", user_id="u") == KEPT
        status, answer = visit.say({"user_id": "u", "withdraw": ["analytics"]})
        assert (status, answer) == (202, {"held": 1, "rejected": [], "holds_until": "2026-11-11T00:00:00Z"})
        assert visit.event("shop", user_id="u") == WITHDRAWN  # though it claims consent
        assert visit.event("shop", START_S - DAY_S / 2 - 1, user_id="u") == WITHDRAWN  # late, of yesterday
        assert visit.event("shop", user_id="v") == KEPT
        assert visit.event("free", user_id="u") == KEPT  # asks for no consent
        assert visit.say({"user_id": "w", "withdraw": "all"})[0] == 202
    with child(shop, vectors, wall_s=START_S + HOUR_S):  # killed, and started again
        assert visit.event("shop", user_id="u") == WITHDRAWN
        assert visit.event("free", user_id="w") == WITHDRAWN
        assert visit.say({"user_id": "u", "give": ["analytics"]})[0] == 202
        assert visit.event("shop", user_id="u") == KEPT
    with child(shop, vectors, wall_s=START_S + HOUR_S):
        assert visit.event("shop", user_id="u") == KEPT
        assert visit.say([{"user_id": "u", "withdraw": ["research"]}])[0] == 202
        assert visit.event("shop", user_id="u", consent=("analytics", "research")) == KEPT
        asked = {"kind": "user", "ids": ["u"]}
        told = shop.admin.exchange("POST", "/v1/admin/person/export", asked).body.splitlines()
        assert json.loads(told[-1]) == {"withdrawn": ["research"], "epoch": "2026-11-10/P1D"}
    with child(shop, vectors, wall_s=START_S + DAY_S):
        assert visit.event("free", START_S + DAY_S, user_id="w") == KEPT  # nobody can know them any more
        assert visit.event("free", START_S, user_id="w") == WITHDRAWN
    state = sqlite3.connect(shop.data / "state.db")
    kept = [sealed for (sealed,) in state.execute("SELECT sealed FROM withdrawals")]
    assert len(set(kept)) == len(kept) > 3
    with child(shop, vectors, wall_s=START_S + 4 * DAY_S):  # the pseudonym keys of both days go at the first tick
        deadline = time.monotonic() + 20
        while state.execute("SELECT count(*) FROM withdrawals").fetchone()[0]:
            assert time.monotonic() < deadline, "they outlive the key they are sealed under"
            time.sleep(0.05)
    state.close()


async def test_browser_keys_withdraw_and_are_told_nothing(tmp_path: Path) -> None:
    shop, clock = found_shop(tmp_path / "shop", plan=PLAN), HandClock()
    async with shop.run(clock) as (node, _):
        browser = Visitor(shop, node.create_token("write", [], "page", [ORIGIN])[0], Origin=ORIGIN)
        server = Visitor(shop, shop.token)

        def play() -> None:
            assert browser.event("page", session_id="s") == KEPT
            assert browser.event("door") == KEPT
            assert browser.say({"session_id": "s", "withdraw": "all"})[0] == 202
            assert server.event("page", session_id="s") == WITHDRAWN
            assert server.event("free", user_id="x", session_id="s") == WITHDRAWN  # their session
            assert browser.event("page", session_id="s") == KEPT  # as it would be told of anybody
            assert browser.event("door") == KEPT
            assert browser.say({"session_id": "s", "give": "all"})[1]["code"] == "consent_refused"
            for said in (
                b"{", b"\xff", b'{"user_id": "\xc3\x28", "withdraw": "all"}', b"[" * 9999, b'"\\ud83d"',
                b'{"user_id": %s, "withdraw": "all"}' % (b"9" * 5000), [], {}, {"user_id": "u"},
                {"withdraw": ["analytics"], "user_id": ""}, {"user_id": "u", "withdraw": []},
                {"user_id": "u", "withdraw": ["secretpurpose"]}, {"user_id": ["u"], "withdraw": "all"},
                {"user_id": "u", "withdraw": "none"}, {"user_id": "u", "withdraw": "all", "give": "all"},
                [{"user_id": "u", "withdraw": "all"}] * 101, {"user_id": "secretid" * 999, "withdraw": "all"},
            ):  # fmt: skip
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                status, problem = shop.call("POST", "/v1/consent", body, server.headers)
                assert (status in (400, 422), problem["code"]) == (True, "consent_refused"), said
                assert "secret" not in json.dumps(problem)
            status, answer = server.say([{"withdraw": "all"}, {"user_id": "y", "withdraw": ["no", "analytics"]}])
            assert (status, answer["held"]) == (202, 1)  # what is not in order costs only itself
            assert [one["code"] for one in answer["rejected"]] == ["no_person", "unknown_purpose"]
            assert server.event("shop", user_id="y") == WITHDRAWN
            assert shop.call("POST", "/v1/consent", b"{}", {})[0] == 401

        await asyncio.to_thread(play)
        shown = [one for one in node.recent.after(0) if one.get("filtered") == {"no_consent": 1}]
        assert len(shown) == 5  # the operator sees what the browser is not told
    assert "secret" not in repr(shop.logs)


def test_a_forgotten_person_can_be_kept_out(tmp_path: Path) -> None:
    shop, vectors = found_shop(tmp_path / "shop", plan=PLAN), tmp_path / "vectors"
    with child(shop, vectors):
        shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
        visit, asked = Visitor(shop, shop.token), {"kind": "user", "ids": ["u", "v"]}
        assert visit.event("free", user_id="u") == KEPT
        shop.admin.delete("/v1/person", {**asked, "dry_run": True, "keep_out": True})
        assert visit.event("free", user_id="u") == KEPT  # it only looked
        assert shop.admin.delete("/v1/person", {**asked, "keep_out": True})["events"] == 2
    with child(shop, vectors):
        assert visit.event("free", user_id="u") == WITHDRAWN
        assert visit.event("shop", user_id="v") == WITHDRAWN
        assert shop.admin.delete("/v1/person", {**asked, "dry_run": True})["events"] == 0
