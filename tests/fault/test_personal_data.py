"""Events full of personal data through a whole node: none of it is in any file, log line, metric, error or answer.

Each event carries unique markers wherever a sender can put text: ids, names and values of attributes, headers, the
query, malformed bodies. Looked for afterwards, in several spellings: every file under the node's folder while it ran
and after, its whole debug log, and every byte that it ever answered, to senders, researchers and its operator. (A
question of a researcher is no event: its metric and dimensions are named in the refusal.)
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Measure
from tests.fault.test_node_kill import RELEASED_S, answered, child
from tests.node_kit import START_S, Shop, found_shop

WORD = "zqmark"  # every marker begins with it, and nothing else does
BATCH = 250


def spellings() -> list[bytes]:
    """The word as it is, upside down in case, in hex, UTF-16 and base64 at any offset."""
    found = [WORD.encode(), WORD.upper().encode(), WORD.encode().hex().encode(), WORD.encode("utf-16-le")]
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + WORD.encode() + b"\0" * 3)
        found.append(text[offset + 1 : offset + 6])
    return found


def hits(content: bytes) -> list[bytes]:
    return [word for word in spellings() if word in content]


class Personal:
    """Makes personal data, each piece its own."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, kind: str = "") -> str:
        self.made += 1
        return f"{WORD}{self.made:07}{kind}"

    def event(self) -> dict[str, Any]:
        """An event that is taken in, with a marker wherever one can stand."""
        return {
            "app": "shop", "action": "buy", "timestamp": START_S, "user_id": self("@example.org"),
            "session_id": self(), "event_id": self(), "geo_hint": "DE",
            "attributes": {"kind": self(), "amount": 20, self(): self(), "email": self("@example.org"),
                           "deep": {self(): [self(), {self(): self()}]}},
            "context": {"ip": self(), self(): self()}, self(): self(),
        }  # fmt: skip

    def odd_events(self) -> list[dict[str, Any]]:
        """Events that are refused or filtered, each for another reason."""
        good = self.event()
        return [
            {**good, "app": self()}, {**good, "action": self()}, {**good, "timestamp": self()},
            {**good, "timestamp": 10**30}, {**good, "geo_hint": self()}, {**good, "user_id": [self()]},
            {**good, "user_id": ""}, {**good, "attributes": self()}, {**good, "consent": self()},
            {**good, "sequence": self()}, {"type": f"{self()}.{self()}", "data": {self(): self()}, "user": self(),
             "timestamp": START_S}, {self(): self()}, {"a": self(), "n": self(), "p": {self(): self()}, "u": self()},
        ]  # fmt: skip


class Visitor:
    """Talks to the node and keeps every byte of its answers."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.said = bytearray()
        self.statuses: set[int] = set()

    def __call__(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.shop.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            self.said += repr(response.getheaders()).encode() + response.read()
            self.statuses.add(response.status)
            return response.status
        finally:
            connection.close()

    def post(self, body: bytes, **headers: str) -> int:
        sent = {"Authorization": f"Bearer {self.shop.token}", "Content-Type": "application/json", **headers}
        return self("POST", "/v1/events", body, sent)

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        from node.admin_client import RefusedByNode

        try:
            self.said += self.shop.admin.exchange(method, path, body).body
        except RefusedByNode as refused:
            self.said += json.dumps(refused.problem).encode()


def send_all(visit: Visitor, personal: Personal, events: int) -> None:
    for _ in range(events // BATCH):
        assert visit.post(json.dumps([personal.event() for _ in range(BATCH)]).encode()) == 202
    headers = {name: personal() for name in ("User-Agent", "Referer", "X-Forwarded-For", "Cookie", "Idempotency-Key")}
    assert visit.post(json.dumps([personal.event(), *personal.odd_events()]).encode(), **headers) == 202
    for odd in personal.odd_events():
        visit.post(json.dumps(odd).encode(), **{"Idempotency-Key": personal("ä")})
        visit.post(json.dumps(odd).encode())
    broken = json.dumps(personal.event()).encode()
    for body in (broken[:-1], broken + b"}", b"\xff" + broken, broken.replace(b'"', b"'"), personal().encode()):
        assert visit.post(body) >= 400
        assert visit.post(body, **{"Content-Type": f"text/{personal()}"}) == 415
    told = {"Authorization": f"Bearer {visit.shop.token}", "Content-Type": "application/json"}
    held = [{"user_id": personal(), "session_id": personal(), "withdraw": "all", personal(): personal()},
            {"user_id": personal("@example.org"), "withdraw": [personal()]}, {"withdraw": [personal()]}]  # fmt: skip
    assert visit("POST", "/v1/consent", json.dumps(held).encode(), told) == 202
    for said in ({"user_id": [personal()]}, {"withdraw": personal()}, {"user_id": personal() * 999, "withdraw": "all"}):
        assert visit("POST", "/v1/consent", json.dumps(said).encode(), told) in (400, 422)
    visit.post(broken, Authorization=f"Bearer mw_{personal()}")
    visit.post(broken, **{"Content-Encoding": personal()})


def ask_all(visit: Visitor, personal: Personal) -> None:
    """Every other door, with markers where a caller can put them."""
    insights = ("people?raw=1", "events?raw=1", "nobody", "people?window=never")
    for path in ("healthz", "readyz", "v1/metrics", "v1/federation", "v1/budget", "", personal(), "metrics",
                 *(f"v1/insights/{question}" for question in insights)):  # fmt: skip
        visit("GET", f"/{path}")
    visit("DELETE", "/v1/person", json.dumps({"ids": [personal()]}).encode())
    visit("DELETE", f"/v1/person?id={personal()}", b"{}")
    visit("POST", f"/mesh/v1/{personal()}", personal().encode())
    one = {"kind": "user", "ids": [f"{WORD}0000001@example.org", personal()]}
    visit.admin("POST", "/v1/admin/person/export", one)
    visit.admin("DELETE", "/v1/person", {**one, "dry_run": True})
    visit.admin("DELETE", "/v1/person", one)
    visit.admin("DELETE", "/v1/person", {**one, "kind": personal()})
    visit.admin("DELETE", "/v1/person", {**one, personal(): 1})
    for path in ("/v1/admin/status", "/v1/admin/mesh", "/v1/admin/ledger"):
        visit.admin("GET", path)
    visit.admin("POST", "/v1/admin/vault/verify", {})


def files_in(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def play(folder: Path, events: int) -> tuple[Personal, int]:
    """Send, ask, release, and look; returns what was made and how many bytes were looked through."""
    shop, personal = found_shop(folder / "shop"), Personal()
    visit, log = Visitor(shop), folder / "shop" / "log"
    looked = 0
    with log.open("wb") as lines:
        with child(shop, folder / "vectors", stderr=lines):
            shop.token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
            send_all(visit, personal, events)
            ask_all(visit, personal)
            for path, content in files_in(shop.folder):  # while it runs: temporary files, the state's journal
                assert not hits(content), path
        with child(shop, folder / "vectors", wall_s=RELEASED_S, stderr=lines) as process:
            deadline = time.monotonic() + 30
            while len(answered(shop)) < 4:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            ask_all(visit, personal)
            process.terminate()
            process.wait(20)
    for path, content in files_in(shop.folder):
        looked += len(content)
        assert not hits(content), path
    assert b"node.ready" in log.read_bytes()
    assert {200, 202, 400, 401, 404, 415, 422} <= visit.statuses
    assert not hits(bytes(visit.said)), bytes(visit.said).split(hits(bytes(visit.said))[0])[0][-300:]
    return personal, looked + len(visit.said)


def test_ten_thousand_events_of_personal_data_leave_no_trace(tmp_path: Path) -> None:
    """No marker in any spelling."""
    personal, looked = play(tmp_path, 10_000)
    assert personal.made > 100_000
    assert looked > 300_000


@pytest.mark.slow
def test_a_hundred_thousand_events_of_personal_data_leave_no_trace(tmp_path: Path, measured: Measure) -> None:
    """As above, ten times as many."""
    personal, looked = play(tmp_path, 100_000)
    measured(f"markers found, of {personal.made} in 100,000 events, in {looked} bytes", "0", "0", True)


@pytest.mark.parametrize("leak", [WORD, WORD.encode().hex(), base64.b64encode(f"ab{WORD}001".encode()).decode()])
def test_a_leak_would_be_seen(leak: str) -> None:
    """The search finds a marker as it is, in hex and in base64."""
    assert hits(b"\0\1" + leak.encode() + b"\2")
