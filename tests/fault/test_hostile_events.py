"""Hostile events bring only receipts: no error of ours, rows that fit their columns, nothing said of content."""

from __future__ import annotations

import gzip
import http.client
import json
import random
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from node.errors import RejectedInput
from node.group import Group, IntakePlan, Submission
from node.receipt import Receipt
from node.vault.calendar import EpochAccess
from privacy.filtering import FILTER_REASONS, REJECT_CODES
from privacy.rows import ROW_COLUMNS
from privacy.units import Window
from tests.fault.test_node_kill import child
from tests.node_kit import found_shop
from tests.unit.privacy.filter_kit import EPOCH_KEY, HOUR, plan, plan_tree

PLAN = IntakePlan(plan(), 1)
MARKER = "marker-7f3a"
LIMITS = {"u8": 1 << 8, "u16": 1 << 16, "u32": 1 << 32, "u64": 1 << 64}
VALUES = [
    b"NaN",
    b"Infinity",
    b"-1e308",
    b"1e309",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1e400",
    b"0.1",
    b"-0.0",
    b"null",
    b"true",
    b'""',
    b'"\\ud83d"',
    b'"\\u200b\\u202e' + MARKER.encode() + b'"',
    b'"\xff\xfe"',
    b"[" * 300 + b"]" * 300,
    b'{"a":' * 150 + b"1" + b"}" * 150,
    b'"' + b"x" * 5000 + b'"',
    '"\u202e\u05d0\u200f"'.encode(),
    b"[1,2",
    b'"health"',
    b"12345678901234567890123",
    b"1.0000000000000000000001",
    b'"' + MARKER.encode() + b'@b.example"',
    b"0",
    b"3.5",
    b"{}",
]
MOMENTS = [
    b'"1900-01-01T00:00:00Z"',
    b'"3000-01-01T00:00:00Z"',
    str(HOUR * 3600).encode(),
    b'"2026-13-45T99:99:99Z"',
    b"1e300",
    b"-1",
    b'"2026-10-24T05:00:00Z"',
    b"null",
]
FIELDS = [
    b"app",
    b"action",
    b"attributes",
    b"timestamp",
    b"session_id",
    b"user_id",
    b"event_id",
    b"consent",
    b"sequence",
    b"geo_hint",
    b"a",
    b"n",
    b"type",
    b"data",
    b"event_name",
    b"batch",
]


class Open:
    gate = nullcontext()

    def admit_hour(self, hour: int, now_hour: int, *, backfill: bool) -> EpochAccess:
        return EpochAccess(Window.containing("day", hour), EPOCH_KEY)

    def append(self, *_: object) -> None:
        raise AssertionError("a group does not write")


def hostile(draw: random.Random) -> bytes:
    """An event, usually almost in order, with something wrong in it; sometimes no event at all."""
    if draw.random() < 0.02:
        return draw.choice(VALUES)
    parts = {
        b"app": b'"runway"',
        b"action": draw.choice([b'"calculate"', b'"pay"']),
        b"session_id": b'"s"',
        b"timestamp": draw.choice(MOMENTS),
        b"consent": b'["analytics"]',
        b"attributes": b"{"
        + b",".join(
            b'"%s":%s'
            % (draw.choice([b"industry", b"months", b"amount", b"remote", b"email", b"industry"]), draw.choice(VALUES))
            for _ in range(draw.randrange(4))
        )
        + b"}",
    }
    fields = [(name, value) for name, value in parts.items() if draw.random() > 0.03]
    for _ in range(draw.randrange(2)):
        fields.append((draw.choice(FIELDS), draw.choice(VALUES)))  # duplicate names among them
    draw.shuffle(fields)
    return b"{" + b",".join(b'"%s":%s' % pair for pair in fields) + b"}"


def play(events: int, seed: int) -> int:
    """Send so many hostile events in groups; the number of rows that came of them."""
    draw, rows, sent = random.Random(seed), 0, 0
    said: list[str] = []
    while sent < events:
        group = Group(Open(), PLAN, HOUR, random.randbytes)
        for _ in range(10):
            batch = [hostile(draw) for _ in range(draw.choice([1, 5, 25, 100]))]
            sent += len(batch)
            is_ndjson = draw.random() < 0.5
            content = b"\n".join(batch) if is_ndjson else b"[" + b",".join(batch) + b"]"
            try:
                group.take(Submission(content, is_ndjson=is_ndjson))
            except RejectedInput as refused:
                said.append(str(refused))
        for receipt in group.finish():
            assert isinstance(receipt, Receipt), receipt
            assert receipt.filtered.keys() <= set(FILTER_REASONS)
            assert {why.code for _, why in receipt.rejected} <= set(REJECT_CODES)
            assert MARKER not in json.dumps(receipt.as_json())
        for found in group.rows_by_epoch.values():
            for row in found:
                rows += 1
                for column, value in zip(ROW_COLUMNS, row, strict=True):
                    limit = LIMITS.get(column.type)
                    assert value is None or (0 <= value < limit if limit else abs(value) < 1 << 63)
    assert not any(MARKER in text for text in said)
    return rows


def test_hostile_events_bring_only_receipts() -> None:
    assert play(5_000, seed=1) > 100


DOORS = ["/v1/events", "/v1/events", "/v1/track", "/v1/page", "/v1/batch", "/v1/identify", "/api/event", "/v1/consent"]


def play_over_http(folder: Path, events: int, seed: int) -> Counter[int]:
    """Send so many hostile events to a running node, to every door that takes bodies; the answers by status."""
    shop, draw, statuses = (
        found_shop(folder / "shop", plan=json.dumps(plan_tree())),
        random.Random(seed),
        Counter[int](),
    )
    big = b'{"app":"runway","action":"calculate","attributes":{"industry":"' + b"x" * (10 << 20) + b'"}}'
    with child(shop, folder / "vectors", wall_s=HOUR * 3600 + 60, stderr=(folder / "log").open("wb")):
        token = shop.admin.post("/v1/admin/tokens", {"kind": "write"})["token"]
        sent, connection = 0, http.client.HTTPConnection("127.0.0.1", shop.port, timeout=60)
        bodies = [big, b"[" * 500_000, b"", b"\xef\xbb\xbf[]", gzip.compress(big), b'{"batch":' * 200, b"\0" * 1000]
        while sent < events:
            batch = [hostile(draw) for _ in range(draw.choice([1, 5, 25, 100, 600]))]
            sent += len(batch)
            listed = b"[" + b",".join(batch) + b"]"
            form, body = draw.choice(
                [
                    ("x-ndjson", b"\n".join(batch)),
                    ("json", listed),
                    ("json", b'{"batch":%s}' % listed),
                    ("json", batch[0]),
                ]
            )
            if draw.random() < 0.1 and bodies:
                body = bodies.pop()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": f"application/{form}"}
            if body[:2] == b"\x1f\x8b":
                headers["Content-Encoding"] = "gzip"
            if draw.random() < 0.3:
                headers["Idempotency-Key"] = str(draw.randrange(50))
            try:
                connection.request("POST", draw.choice(DOORS), body, headers)
                answer = connection.getresponse()
                said = answer.read()
            except (BrokenPipeError, ConnectionResetError):  # refused before the whole body was sent
                statuses[413] += 1
                connection.close()
                continue
            statuses[answer.status] += 1
            assert MARKER.encode() not in said
        connection.close()
    assert MARKER.encode() not in (folder / "log").read_bytes()
    return statuses


def test_a_running_node_answers_hostile_events_with_receipts_and_refusals(tmp_path: Path) -> None:
    """Every door; nothing is a fault of the node's, and nothing comes back."""
    statuses = play_over_http(tmp_path, 20_000, seed=3)
    assert set(statuses) <= {202, 400, 409, 413, 422}, statuses
    assert min(statuses[status] for status in (202, 400, 413, 422)) > 0, statuses


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_running_node_answers_a_million_hostile_events(tmp_path: Path) -> None:
    assert set(play_over_http(tmp_path, 1_000_000, seed=4)) <= {202, 400, 409, 413, 422}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_million_hostile_events_bring_only_receipts() -> None:
    assert play(1_000_000, seed=2) > 10_000
