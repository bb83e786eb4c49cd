"""A charter ends among real nodes: warned of in time, and then only releases wait, until it is renewed."""

from __future__ import annotations

import time

import pytest

from tests.integration.later import days_pass
from tests.integration.test_deciding import FOUNDERS, Deciders, wait_for
from tests.integration.test_lost_quorum import answered, row
from tests.integration.test_lost_quorum import deciders as deciders  # the fixture


def restart(deciders: Deciders) -> None:
    for name in FOUNDERS:
        deciders.fleets[name].stop()
    deciders.start(*FOUNDERS)


def slots(deciders: Deciders) -> list[int]:
    """How many slots each node has answered."""
    return [int(deciders.status(name)["releases"]["answered_slots"]) for name in FOUNDERS]


@pytest.mark.slow
def test_an_expired_charter_holds_releases_back_and_nothing_else(
    deciders: Deciders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-one days, fifty-nine, none: silent, warned, held back; a renewal that operators confirm lets them out."""
    deciders.on("amber", "charter", "renew", "--expires-days", "61", *deciders.key("amber"), "--yes")
    wait_for("birch sees it", lambda: len(deciders.charter("birch")["proposals"]) == 1)
    deciders.on("birch", "charter", "approve", *deciders.key("birch"), "--yes")
    wait_for("all trust it", lambda: deciders.trusts(2, *FOUNDERS))
    for name in FOUNDERS:
        assert deciders.status(name)["federation"]["notices"] == []
        assert row(deciders, name, "charter")["state"] == "pass"
        deciders.places[name].admin.post("/v1/admin/backfill/finish", {"through": str(deciders.first)})
    wait_for("all count", lambda: all(set(answered(deciders, at).values()) == {"included"} for at in FOUNDERS))

    days_pass(monkeypatch, 2)
    restart(deciders)
    for name in FOUNDERS:
        wait_for("it signs", lambda name=name: deciders.status(name)["releases"]["held_back"] is None)  # type: ignore[misc]
        [notice] = deciders.status(name)["federation"]["notices"]
        assert "ends in 58 days; renew it: murmur charter renew" in notice
        assert row(deciders, name, "charter")["state"] == "warn"

    days_pass(monkeypatch, 62)
    restart(deciders)
    for name in FOUNDERS:
        wait_for("it waits", lambda name=name: "expired" in str(deciders.status(name)["releases"]["held_back"]))  # type: ignore[misc]
        assert "has ended, and releases are held back" in deciders.status(name)["federation"]["notices"][0]
        assert row(deciders, name, "charter")["state"] == "fail"
    before = slots(deciders)
    token = deciders.places["amber"].admin.post("/v1/admin/tokens", {"kind": "write", "scopes": ["events"],
                                                                     "label": "test"})["token"]  # fmt: skip
    deciders.on("amber", "keys", "rotate")
    wait_for("they talk", lambda: deciders.in_step(*FOUNDERS))
    assert all(set(answered(deciders, at).values()) == {"included"} for at in FOUNDERS)
    assert sent(deciders, "amber", token) == 202
    time.sleep(3)
    assert slots(deciders) == before

    deciders.on("amber", "charter", "renew", *deciders.key("amber"), "--yes")
    wait_for("birch sees it", lambda: len(deciders.charter("birch")["proposals"]) == 1)
    deciders.on("birch", "charter", "approve", *deciders.key("birch"), "--yes")
    # Its keys might be retired ones: two operators compare the fingerprint, the third node follows what most name.
    for name in ("birch", "amber"):
        wait_for("it asks", lambda name=name: deciders.charter(name)["waiting"] is not None)  # type: ignore[misc]
        assert any("murmur charter confirm" in one for one in deciders.status(name)["federation"]["notices"])
        deciders.on(name, "charter", "confirm", "--yes")
    wait_for("all trust it", lambda: deciders.trusts(3, *FOUNDERS))
    for name in FOUNDERS:
        wait_for("it signs", lambda name=name: deciders.status(name)["releases"]["held_back"] is None)  # type: ignore[misc]
        assert deciders.status(name)["federation"]["notices"] == []
    wait_for("what waited goes out", lambda: all(
        now > then for now, then in zip(slots(deciders), before, strict=True)))  # fmt: skip


def sent(deciders: Deciders, name: str, token: str) -> int:
    """The status of one event of today, as the moved clock has it."""
    import http.client
    import json

    at = int(time.time()) + 62 * 86_400
    event = {"app": name, "action": "buy", "timestamp": at, "user_id": "somebody", "event_id": "one",
             "attributes": {"kind": "book"}, "consent": ["analytics"]}  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", deciders.places[name].port, timeout=20)
    try:
        connection.request("POST", "/v1/events", json.dumps([event]),
                           {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
        return connection.getresponse().status
    finally:
        connection.close()
