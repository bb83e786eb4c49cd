"""A changed tracking plan is in force without a restart; what alters a stored form waits for the next epoch."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

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


def test_persons_by_address_need_day_epochs(tmp_path: Path) -> None:
    node = OneNode(tmp_path / "node")
    config = node.folder / "node.toml"
    config.write_text(config.read_text().replace('epoch = "day"', 'epoch = "week"'))
    with pytest.raises((AssertionError, subprocess.SubprocessError)):
        node.start()
    assert "address_needs_day_epochs" in (node.folder / "log").read_text()
