"""Payloads of the mesh operations: round trips, closed maps, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from protocol import canonical, ops
from protocol.entries import MAX_ENTRY_BYTES
from protocol.errors import MalformedMessage, ProtocolError, UnknownVersion
from protocol.ids import EntryId, NodeId
from protocol.requests import MAX_PAYLOAD_BYTES, sign_request
from tests.unit.protocol.samples import TOOLS, entry, request

NODE, ENTRY = NodeId(b"n" * 32), EntryId(b"e" * 32)
WIRE = entry().encode()
INCEPTION = TOOLS.signed_inception.encode()


class Payload(Protocol):
    def encode(self) -> bytes: ...


GOOD: list[tuple[Callable[[bytes], object], Payload]] = [
    (ops.parse_hello, ops.Hello(INCEPTION)),
    (ops.parse_hello, ops.Hello(INCEPTION, (WIRE,), 64, 65, 1, 2, (0, 17, ENTRY))),
    (ops.parse_heads, ops.Heads(())),
    (
        ops.parse_heads,
        ops.Heads((ops.HeadMark(0, -1), ops.HeadMark(0, 3, bytes(8)), ops.HeadMark(1, 3, bytes(8), (1, 4)))),
    ),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, -1, None, (0, 0)), ops.HeadMark(0, 3, bytes(32))), full=True)),
    (ops.parse_range_request, ops.RangeRequest(NODE, 0, 0)),
    (ops.parse_range_request, ops.RangeRequest(NODE, 2, 9, ENTRY, 1)),
    (ops.parse_range_reply, ops.RangeReply(())),
    (ops.parse_range_reply, ops.RangeReply((WIRE, b"anything"), more=True)),
    (ops.parse_push_request, ops.PushRequest((WIRE,) * 3)),
    (
        ops.parse_push_reply,
        ops.PushReply(
            (
                ops.PushVerdict("ok"),
                ops.PushVerdict("refused", "bad-signature"),
                ops.PushVerdict("behind", None, (0, 3)),
            )
        ),
    ),
    (ops.parse_announce, ops.Announce(((NODE, 0, 3, ENTRY),))),
    (ops.parse_docs_request, ops.DocsRequest()),
    (ops.parse_docs_request, ops.DocsRequest(3, (bytes(32),))),
    (
        ops.parse_docs_reply,
        ops.DocsReply((ops.Document("charter", b"c"), ops.Document("of tomorrow", b"x")), more=True),
    ),
    (ops.parse_join_ask, ops.JoinAsk(TOOLS.join_request)),
    (ops.parse_join_ask, ops.JoinAsk(TOOLS.join_request, (bytes(32), bytes(64)))),
    (ops.parse_join_reply, ops.JoinReply("pending")),
    (ops.parse_join_reply, ops.JoinReply("pending", b"charter", (b"definition",))),
    (ops.parse_join_reply, ops.JoinReply("admitted", b"charter")),
    (ops.parse_refusal, ops.Refusal()),
    (ops.parse_refusal, ops.Refusal("replayed", bytes(16), 500)),
]


@pytest.mark.parametrize(("parse", "payload"), GOOD, ids=lambda value: type(value).__name__)
def test_payload_round_trips(parse: Callable[[bytes], object], payload: Payload) -> None:
    """Bytes and back."""
    assert parse(payload.encode()) == payload


@pytest.mark.requirement("M-MSG-18")
@pytest.mark.parametrize(("parse", "payload"), GOOD, ids=lambda value: type(value).__name__)
def test_payload_is_a_closed_versioned_map(parse: Callable[[bytes], object], payload: Payload) -> None:
    """An unknown field, another version, no map: each refused by name."""
    value = canonical.decode(payload.encode())
    assert isinstance(value, dict)
    for changed, error in (
        ({**value, "unknown": 1}, MalformedMessage),
        ({**value, "v": 2}, UnknownVersion),
        ([], MalformedMessage),
        (None, MalformedMessage),
    ):
        with pytest.raises(error):
            parse(canonical.encode(changed))


BAD: list[tuple[Callable[[bytes], object], Payload]] = [
    (ops.parse_hello, ops.Hello(INCEPTION, (WIRE,), 0, 0)),
    (ops.parse_hello, ops.Hello(INCEPTION, (WIRE,) * 65, 0, 65)),
    (ops.parse_hello, ops.Hello(b"")),
    (ops.parse_hello, ops.Hello(INCEPTION, min_protocol=2, max_protocol=1)),
    (ops.parse_hello, ops.Hello(INCEPTION, min_protocol=0)),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, 3, bytes(32)),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, 3, bytes(8)),), full=True)),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, 3),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, -1, bytes(8)),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(1, -1),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, -2),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, 3, bytes(8), (0, -1)),))),
    (ops.parse_heads, ops.Heads((ops.HeadMark(0, -1),) * 4097)),
    (ops.parse_range_request, ops.RangeRequest(NODE, 0, 0, limit=0)),
    (ops.parse_range_request, ops.RangeRequest(NODE, 0, 0, limit=513)),
    (ops.parse_range_request, ops.RangeRequest(NODE, 0, -1)),
    (ops.parse_range_request, ops.RangeRequest(NodeId(b"short"), 0, 0)),
    (ops.parse_range_reply, ops.RangeReply((b"",))),
    (ops.parse_range_reply, ops.RangeReply((b"x",) * 513)),
    (ops.parse_push_request, ops.PushRequest((bytes(MAX_ENTRY_BYTES + 1),))),
    (ops.parse_push_reply, ops.PushReply((ops.PushVerdict("maybe"),))),
    (ops.parse_push_reply, ops.PushReply((ops.PushVerdict("behind", None, (0, -1)),))),
    (ops.parse_announce, ops.Announce(((NODE, 0, -1, ENTRY),))),
    (ops.parse_docs_request, ops.DocsRequest(0)),
    (ops.parse_docs_request, ops.DocsRequest(None, (bytes(31),))),
    (ops.parse_docs_request, ops.DocsRequest(None, (bytes(32),) * 257)),
    (ops.parse_docs_reply, ops.DocsReply((ops.Document("charter", b""),))),
    (ops.parse_join_ask, ops.JoinAsk(bytes(8193))),
    (ops.parse_join_reply, ops.JoinReply("maybe")),
    (ops.parse_join_reply, ops.JoinReply("admitted")),
    (ops.parse_join_reply, ops.JoinReply("refused", b"charter")),
    (ops.parse_refusal, ops.Refusal(challenge=bytes(15))),
    (ops.parse_refusal, ops.Refusal(retry_after_ms=-1)),
]


@pytest.mark.requirement("M-MSG-18")
@pytest.mark.parametrize(("parse", "payload"), BAD, ids=lambda value: type(value).__name__)
def test_payload_out_of_its_limits_is_refused(parse: Callable[[bytes], object], payload: Payload) -> None:
    """Counts, sizes and closed lists."""
    with pytest.raises(ProtocolError):
        parse(payload.encode())


def test_what_fits_fits() -> None:
    """As many entries as `entries_that_fit` says make a message within its limit, and one more would not."""
    entries = [bytes([n % 256]) * (20_000 + n) for n in range(100)]
    count = ops.entries_that_fit(entries)
    assert 0 < count < len(entries)
    assert len(ops.PushRequest(tuple(entries[:count])).encode()) <= MAX_PAYLOAD_BYTES
    assert len(ops.RangeReply(tuple(entries[:count]), True).encode()) <= MAX_PAYLOAD_BYTES
    assert sum(map(len, entries[: count + 1])) > MAX_PAYLOAD_BYTES - 1024
    sign_request(TOOLS.signing, request(payload=ops.PushRequest(tuple(entries[:count])).encode()))


def test_fitting_minds_number_and_the_largest_entry() -> None:
    """512 small ones, and always at least one of the largest."""
    assert ops.entries_that_fit([b"x"] * 1000) == 512
    assert ops.entries_that_fit([b"x"] * 1000, 3) == 3
    assert ops.entries_that_fit([bytes(MAX_ENTRY_BYTES)] * 2) == 1
    assert ops.entries_that_fit([]) == 0
