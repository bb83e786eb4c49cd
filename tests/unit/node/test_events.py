"""POST /v1/events over real HTTP: keys, types, sizes, signals, repeats, and one shape of answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient

from node.errors import RejectedInput
from node.http import events as events_module
from node.http.events import EventsEndpoint
from node.http.forms.body import MAX_BODY_BYTES
from node.http.problems import problem_middleware
from node.idempotency import MAX_WEIGHT, MEMORY_S, IdempotencyMemory
from node.receipt import Receipt
from privacy.filtering import Rejected
from tests.unit.node.door_kit import DoorServer, PlainServer
from tests.unit.node.ingest_kit import Fixture, StandingClock, body, universal
from tests.unit.privacy.filter_kit import HOUR, counting_rng

JSON = {"Authorization": "Bearer mw_live", "Content-Type": "application/json"}


BASIC = {"Authorization": f"Basic {base64.b64encode(b'mw_live:').decode()}"}
PAGE = "https://shop.example"


@dataclass(frozen=True)
class _Key:
    id: str
    scopes: tuple[str, ...] = ("events",)
    origins: tuple[str, ...] = ()


class Refused(RejectedInput):
    def __init__(self, status: int) -> None:
        super().__init__(what="The request is refused", why="no", fix="Ask", code="key_missing")
        self.status = status


class _Keys:
    """`mw_live`, `mw_other` write events, `mw_past` also the past; `mw_page` is a browser key; `mr_read` reads."""

    def find(self, secret: str | None, kind: str) -> _Key:
        if secret == "mr_read":
            raise Refused(403)
        found = {
            "mw_live": _Key("live"), "mw_other": _Key("other"), "mw_past": _Key("past", ("backfill",)),
            "mw_page": _Key("page", origins=(PAGE,)),
        }.get(secret or "")  # fmt: skip
        if found is None:
            raise Refused(401)
        return found

    def is_origin_known(self, origin: str) -> bool:
        return origin == PAGE


class Door:
    """The endpoint on a test server, and the ingest behind it."""

    def __init__(self, node: Fixture, client: TestClient[Any, Any]) -> None:
        self.node = node
        self.client = client

    async def post(self, content: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post("/v1/events", data=content, headers={**JSON, **named}) as answer:
            kind = "application/json" if answer.status < 300 else "application/problem+json"
            assert answer.content_type == kind
            found: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 300:
                assert found["status"] == answer.status
            return answer.status, found


@pytest_asyncio.fixture(params=["aiohttp", "door"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """Both ways in must answer alike: aiohttp's routes, and the door that takes plain requests itself."""
    async with Fixture() as node:
        endpoint = EventsEndpoint(node.ingest, _Keys(), node.clock, counting_rng)
        app = web.Application(middlewares=[problem_middleware])
        app.add_routes(endpoint.routes())
        server = PlainServer(app) if request.param == "aiohttp" else DoorServer(app, endpoint.at_the_door())
        async with TestClient(server) as client:
            yield Door(node, client)


async def test_an_event_is_accepted_with_its_receipt(door: Door) -> None:
    assert await door.post(json.dumps(universal())) == (202, {"accepted": 1, "filtered": {}, "rejected": []})
    assert len(door.node.vault.rows) == 1


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer", 401), ("Bearer ", 401), ("Bearer mw_unknown", 401), ("Basic mw_live", 401), ("mw_live", 401),
     ("Bearer mr_read", 403), ("bearer mw_live", 202), ("Bearer  mw_live ", 202), ("Bearer mw_past", 202)],
)  # fmt: skip
async def test_a_write_key_is_needed(door: Door, authorization: str, status: int) -> None:
    found, _ = await door.post(body(universal()), Authorization=authorization)
    assert found == status
    assert len(door.node.vault.rows) == (status == 202)


async def test_only_a_backfill_key_writes_the_past(door: Door) -> None:
    await door.post(body(universal(1)), Authorization="Bearer mw_past")
    await door.post(body(universal(2)))
    assert [backfill for _, _, backfill in door.node.vault.asked] == [True, False]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/json", 202), ("application/json; charset=utf-8", 202), ("text/plain;charset=UTF-8", 202),
     ("application/x-www-form-urlencoded", 415), ("text/html", 415), ("application/octet-stream", 415)],
)  # fmt: skip
async def test_the_content_type_says_json(door: Door, kind: str, status: int) -> None:
    assert (await door.post(body(universal()), Content_Type=kind))[0] == status


async def test_one_event_a_line_is_taken_as_ndjson(door: Door) -> None:
    lines = "\n".join(json.dumps(universal(n)) for n in range(3))
    assert (await door.post(lines, Content_Type="application/x-ndjson"))[1]["accepted"] == 3
    assert (await door.post(lines))[1]["code"] == "malformed_body"


@pytest.mark.parametrize(
    ("content", "encoding", "status", "code"),
    [(gzip.compress(body(universal()), mtime=0), "gzip", 202, None), (body(universal()), "identity", 202, None),
     (gzip.compress(body(universal()), mtime=0)[:-3], "gzip", 400, "bad_encoding"),
     (b"{}", "gzip", 400, "bad_encoding"),
     (gzip.compress(b"[]", mtime=0) * 2, "gzip", 400, "bad_encoding"), (b"{}", "br", 415, "content_encoding"),
     (gzip.compress(b" " * (MAX_BODY_BYTES + 1), mtime=0), "gzip", 413, "body_too_large")],
)  # fmt: skip
async def test_gzip_bodies_are_taken_under_a_cap(
    door: Door, content: bytes, encoding: str, status: int, code: str | None
) -> None:
    found, document = await door.post(content, Content_Encoding=encoding)
    assert (found, document.get("code")) == (status, code)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"", 400, "malformed_body"), (b"{", 400, "malformed_body"), (b"[]", 400, "malformed_body"),
     (b"[" + b"{}," * 500 + b"{}]", 413, "too_many_events"), (b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large"),
     (b"[{}]", 422, "nothing_accepted")],
)  # fmt: skip
async def test_a_body_that_cannot_be_taken_is_a_problem(door: Door, content: bytes, status: int, code: str) -> None:
    found, document = await door.post(content)
    assert (found, document["code"]) == (status, code)
    assert {"type", "title", "detail", "hint"} <= document.keys()
    assert door.node.vault.rows == []


async def test_a_body_of_unknown_length_is_cut_off(door: Door) -> None:
    """Chunked, without end: refused at the limit, not at the end of memory."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * MAX_BODY_BYTES:
            sent += 1 << 16
            yield b" " * (1 << 16)

    try:
        status, _ = await door.post(endless())
        assert status == 413
    except (ConnectionError, OSError):  # cut while still sending
        pass
    assert sent < 32 * MAX_BODY_BYTES


async def test_a_slow_body_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "BODY_TIMEOUT_S", 0.05)
    if isinstance(door.client.server, DoorServer):
        door.client.server.doors.body_s = 0.05
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        await never.wait()

    reader, writer = await asyncio.open_connection(door.client.host, door.client.port)
    writer.write(
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mw_live\r\n"
        b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n["
    )
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert b" 408 " in line


async def test_when_nothing_is_in_order_the_receipt_is_in_the_problem(door: Door) -> None:
    status, found = await door.post(body({"x": 1}, universal(timestamp=None)))
    assert status == 422
    assert (found["accepted"], found["filtered"]) == (0, {})
    assert [(one["index"], one["code"]) for one in found["rejected"]] == [(0, "unknown_form"), (1, "bad_timestamp")]


async def test_what_is_only_filtered_is_no_error(door: Door) -> None:
    assert (await door.post(body(universal(consent=[]))))[0] == 202


@pytest.mark.parametrize(
    ("header", "value", "filtered"),
    [("Sec-GPC", "1", {"gpc": 1}), ("DNT", "1", {"dnt": 1}), ("Sec-GPC", "0", {}), ("Sec-GPC", "true", {}),
     ("DNT", "0", {})],
)  # fmt: skip
async def test_privacy_signals_are_obeyed(door: Door, header: str, value: str, filtered: dict[str, int]) -> None:
    _, found = await door.post(body(universal()), **{header: value})
    assert found["filtered"] == filtered
    assert len(door.node.vault.rows) == (not filtered)


async def test_of_several_gpc_headers_one_is_enough(door: Door) -> None:
    headers = [*JSON.items(), ("Sec-GPC", "0"), ("Sec-GPC", "1")]
    async with door.client.post("/v1/events", data=body(universal()), headers=headers) as answer:
        assert (await answer.json())["filtered"] == {"gpc": 1}


async def test_a_full_queue_asks_to_come_back(door: Door) -> None:
    await door.node.ingest.stop()
    async with door.client.post("/v1/events", data=body(universal()), headers=JSON) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


# -- Idempotency-Key -----------------------------------------------------------------------------------------


async def test_a_repeat_is_named_and_not_stored_again(door: Door) -> None:
    content = body(universal(1), universal(2, consent=[]))
    assert (await door.post(content, Idempotency_Key="k"))[1]["accepted"] == 1
    assert await door.post(content, Idempotency_Key="k") == (
        202, {"accepted": 0, "filtered": {"duplicate": 1, "no_consent": 1}, "rejected": []},
    )  # fmt: skip
    assert len(door.node.vault.rows) == 1


async def test_a_repeat_waits_for_the_first(door: Door) -> None:
    """Sent again while the first is still being sealed: one row, two receipts."""
    door.node.vault.open.clear()
    content = body(universal())
    sending = [asyncio.ensure_future(door.post(content, Idempotency_Key="k")) for _ in range(2)]
    await asyncio.to_thread(door.node.vault.entered.wait, 10)
    await asyncio.sleep(0.05)
    door.node.vault.open.set()
    accepted = sorted(found["accepted"] for _, found in await asyncio.gather(*sending))
    assert accepted == [0, 1]
    assert len(door.node.vault.rows) == 1


async def test_a_key_with_another_body_is_refused(door: Door) -> None:
    await door.post(body(universal(1)), Idempotency_Key="k")
    status, found = await door.post(body(universal(2)), Idempotency_Key="k")
    assert (status, found["code"]) == (409, "idempotency_key_reused")
    assert len(door.node.vault.rows) == 1


async def test_two_senders_may_use_one_idempotency_key(door: Door) -> None:
    await door.post(body(universal(1)), Idempotency_Key="k")
    status, _ = await door.post(body(universal(2)), Idempotency_Key="k", Authorization="Bearer mw_other")
    assert status == 202


async def test_the_memory_ends_after_ten_minutes(door: Door) -> None:
    await door.post(body(universal(1)), Idempotency_Key="k")
    door.node.clock.monotonic += MEMORY_S
    assert (await door.post(body(universal(2)), Idempotency_Key="k"))[1]["accepted"] == 1


async def test_a_refused_request_is_not_remembered(door: Door) -> None:
    """A body that could not be taken may be mended and sent under the same key."""
    assert (await door.post(b"{", Idempotency_Key="k"))[0] == 400
    assert (await door.post(body(universal()), Idempotency_Key="k"))[0] == 202


@pytest.mark.parametrize("key", ["", "x" * 201, "ключ"])
async def test_an_idempotency_key_is_short_plain_text(door: Door, key: str) -> None:
    status, found = await door.post(body(universal()), Idempotency_Key=key)
    assert (status, found["code"]) == (400, "bad_idempotency_key")


async def test_the_memory_is_of_fixed_size() -> None:
    """Heavy receipts push the oldest out."""
    memory = IdempotencyMemory(StandingClock(), counting_rng)
    heavy = Receipt(rejected=((0, Rejected("malformed", "", "")),) * 1000)

    async def run() -> Receipt:
        return heavy

    for number in range(300):
        assert not (await memory.once("id", str(number), b"", run))[1]
    await asyncio.sleep(0)
    assert memory._weight <= MAX_WEIGHT
    assert (await memory.once("id", "299", b"", run))[1]
    assert not (await memory.once("id", "0", b"", run))[1]


# -- browser keys --------------------------------------------------------------------------------------------


async def _from_page(door: Door, content: bytes, path: str = "/v1/events", **headers: str) -> Any:
    named = {
        "Origin": PAGE,
        "Content-Type": "text/plain",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with door.client.post(f"{path}?key=mw_page", data=content, headers=named) as answer:
        return answer.status, answer.headers, await answer.json(content_type=None)


async def test_a_page_may_send_and_read_the_answer(door: Door) -> None:
    status, headers, found = await _from_page(door, body(universal()), Content_Type="text/plain")
    assert (status, found["accepted"]) == (202, 1)
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Vary"] == "Origin"
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("200", "199")


async def test_a_page_can_read_a_refusal(door: Door) -> None:
    status, headers, found = await _from_page(door, b"{")
    assert (status, found["code"], headers["Access-Control-Allow-Origin"]) == (400, "malformed_body", PAGE)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null", ""])
async def test_a_browser_key_is_bound_to_its_origins(door: Door, origin: str) -> None:
    status, headers, found = await _from_page(door, body(universal()), Origin=origin)
    assert (status, found["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in headers
    assert door.node.vault.rows == []


async def test_a_server_key_in_an_address_is_refused(door: Door) -> None:
    async with door.client.post("/v1/events?key=mw_live", data=body(universal())) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "key_in_address")


@pytest.mark.parametrize(("origin", "status"), [(PAGE, 204), ("https://evil.example", 403)])
async def test_a_preflight_is_answered_for_known_origins(door: Door, origin: str, status: int) -> None:
    async with door.client.options("/v1/events", headers={"Origin": origin}) as answer:
        assert answer.status == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (PAGE if status == 204 else None)


async def test_a_browser_key_is_not_told_what_is_known(door: Door) -> None:
    """A repeat gets the same answer as the first: `duplicate` would say that somebody was here before."""
    first = await _from_page(door, body(universal()), Idempotency_Key="k")
    again = await _from_page(door, body(universal()), Idempotency_Key="k")
    assert first[2] == again[2] == {"accepted": 1, "filtered": {}, "rejected": []}
    assert len(door.node.vault.rows) == 1


async def test_an_address_has_a_small_bucket(door: Door) -> None:
    answers = [await _from_page(door, body(universal(n))) for n in range(201)]
    assert [status for status, _, _ in answers[:200]] == [202] * 200
    status, headers, found = answers[200]
    assert (status, found["code"], headers["Retry-After"]) == (429, "too_many_requests", "1")
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["Access-Control-Allow-Origin"] == PAGE
    door.node.clock.monotonic += 1
    assert (await _from_page(door, body(universal(300))))[0] == 202


# -- persons by address --------------------------------------------------------------------------------------


async def test_an_address_stands_for_a_person_only_with_a_browser_key(door: Door) -> None:
    """Behind a server key the address is the server's: one person for everybody."""
    visit = body({"app": "visits", "action": "view", "timestamp": HOUR * 3600, "event_id": "e"})
    assert (await door.post(visit))[1]["filtered"] == {"no_person": 1}
    _, _, found = await _from_page(door, visit)
    assert found["filtered"].keys() <= {"sampled_out"}


# -- other trackers ------------------------------------------------------------------------------------------


async def test_segment_calls_become_events(door: Door) -> None:
    calls = [
        {"type": "track", "event": "Calculate", "anonymousId": "s", "messageId": "m", "timestamp": HOUR * 3600,
         "properties": {"industry": "health", "email": "x@y.zz"},
         "context": {"consent": {"categoryPreferences": {"analytics": True, "research": False}}}},
        {"type": "identify", "userId": "u", "traits": {"name": "x"}},
        {"type": "track", "event": "calculate", "anonymousId": "s", "messageId": "n", "timestamp": HOUR * 3600},
        7,
    ]  # fmt: skip
    async with door.client.post("/v1/batch", json={"batch": calls, "writeKey": "x"}, headers=BASIC) as answer:
        found = await answer.json()
    assert (answer.status, found["accepted"], found["filtered"]) == (202, 1, {"no_consent": 1})
    assert [(one["index"], one["pointer"]) for one in found["rejected"]] == [(1, "/type"), (3, "")]
    assert door.node.vault.rows[0][12] == 1


async def test_identify_is_refused_with_its_reason(door: Door) -> None:
    async with door.client.post("/v1/identify", json={"userId": "u"}, headers=BASIC) as answer:
        found = await answer.json()
    assert (answer.status, found["code"]) == (422, "nothing_accepted")
    assert "profile" in found["rejected"][0]["hint"]


async def test_plausible_events_are_taken_from_pages(door: Door) -> None:
    sent = json.dumps(
        {
            "n": "View",
            "v": 36,
            "u": "https://shop.example/a?x=1",
            "d": "visits",
            "r": None,
            "p": {"x": 1},
            "$": {"currency": "EUR", "amount": 1},
        }
    )
    status, _, found = await _from_page(door, sent.encode(), "/api/event", Content_Type="text/plain")
    assert status == 202
    assert found["accepted"] + found["filtered"].get("sampled_out", 0) == 1
    status, _, found = await _from_page(door, b'{"n": "View"}', "/api/event", Content_Type="text/plain")
    assert (status, found["rejected"][0]["pointer"]) == (422, "/d")
