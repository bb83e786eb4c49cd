"""Any two vectors of heads are told apart by spans: exactly, in few exchanges, for few bytes; hostile answers end it.

What is asked and answered travels as bytes here, under a fresh nonce each time, as in the mesh.
"""

from __future__ import annotations

import math
import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import spans
from federation.errors import BadPayload
from federation.spans import Place
from protocol import canonical, ops
from protocol.errors import MalformedMessage, ProtocolError
from protocol.heads import Head
from protocol.ids import EntryId
from protocol.ops import MAX_SPANS, SHORT, SPLIT, HeadMark, Span, SpansReply, SpansRequest, Stretch

MARK_BYTES = 40  # of a mark at most: array, position, tag, frozen position
SPAN_BYTES = 20


@cache
def head(place: int, version: int = 0) -> Head:
    """Some head of the author at that place."""
    if version % 7 == 6:
        return Head()
    drawn = random.Random(place * 1_000 + version)
    frozen = (1, drawn.randrange(1 << 20)) if drawn.randrange(5) == 0 else None
    return Head(drawn.randrange(3), drawn.randrange(1 << 20), EntryId(drawn.randbytes(32)), frozen)


@dataclass
class Exchange:
    """One comparison of two vectors as a session makes it."""

    ours: list[Head]
    theirs: list[Head]
    rounds: int = 0
    bytes: int = 0
    levels: int = 0
    found: dict[int, HeadMark] = field(default_factory=dict)

    def run(self, seed: int) -> Exchange:
        drawn = random.Random(seed)
        level: list[tuple[Place, ...]] = [()]
        while level:
            self.levels += 1
            following: list[Place] = []
            for places in level:
                nonce = drawn.randbytes(16)
                asked = spans.question(self.ours, places, nonce).encode()
                request = ops.parse_heads_request(asked)
                assert isinstance(request, SpansRequest)
                answered = spans.answer(self.theirs, request, nonce).encode()
                found = spans.read(self.ours, places, ops.parse_spans_reply(answered), nonce)
                self.rounds += 1
                self.bytes += len(asked) + len(answered)
                self.found |= dict(found.marks)
                following += found.places
            level = [tuple(following[at : at + MAX_SPANS]) for at in range(0, len(following), MAX_SPANS)]
        return self


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 1_200), data=st.data(), seed=st.integers(0, 1 << 32))
def test_any_two_vectors_are_told_apart_in_few_exchanges(size: int, data: st.DataObject, seed: int) -> None:
    """Every author whose heads differ is found; levels grow as the logarithm, bytes with what differs."""
    changed = data.draw(st.sets(st.integers(0, size - 1), max_size=60))
    if data.draw(st.booleans()):
        changed |= set(range(data.draw(st.integers(0, size)), size))
    ours = [head(place) for place in range(size)]
    theirs = [head(place, 1 + place % 6) if place in changed else ours[place] for place in range(size)]
    different = {place for place in range(size) if ours[place] != theirs[place]}
    exchange = Exchange(ours, theirs).run(seed)
    assert different <= set(exchange.found)
    assert len(exchange.found) <= SHORT * max(1, len(different))
    depth = math.ceil(math.log(max(size, 2), SPLIT))
    assert exchange.levels <= depth + 1
    assert exchange.rounds <= 1 + depth * (1 + size // MAX_SPANS)
    few = 64 + (len(different) + 1) * (2 * depth * SPLIT * SPAN_BYTES + SHORT * MARK_BYTES)
    assert exchange.bytes <= min(few, 1_024 + size * (MARK_BYTES + 2 * SPAN_BYTES))


def test_equal_vectors_cost_one_small_exchange() -> None:
    heads = [head(place) for place in range(1_000)]
    exchange = Exchange(heads, list(heads)).run(1)
    assert (exchange.rounds, exchange.found) == (1, {})
    assert exchange.bytes < 400


@pytest.mark.parametrize("size", [1, 15, 16, 17, 256, 257, 4_096, 4_097])
def test_all_heads_different_is_all_heads_told(size: int) -> None:
    """At every border of the levels."""
    ours, theirs = [head(place) for place in range(size)], [head(place, 1) for place in range(size)]
    assert set(Exchange(ours, theirs).run(size).found) == set(range(size))


HEADS = [head(place) for place in range(600)]
OTHERS = [head(place, 1) for place in range(600)]
NONCE = bytes(16)
WHOLE = spans.answer(OTHERS, SpansRequest(()), NONCE)
SHORT_ONE = spans.answer(OTHERS, spans.question(HEADS, [(0, 10)], NONCE), NONCE)


@pytest.mark.requirement("M-MSG-28")
@pytest.mark.parametrize(
    ("places", "reply"),
    [
        ((), SpansReply(WHOLE.spans[1:])),  # a part is missing: it would never be looked at
        ((), SpansReply((Span(0, 600, bytes(8)),))),  # no progress, for ever
        ((), SpansReply((Span(0, 1, bytes(8)),))),
        ((), SpansReply((), (Stretch(0, SHORT_ONE.stretches[0].marks),))),
        ((), SpansReply((*WHOLE.spans, Span(600, 40, bytes(8))))),
        (((0, 10),), SpansReply((), (Stretch(1, SHORT_ONE.stretches[0].marks[1:]),))),
        (((0, 10),), SpansReply((), (Stretch(20, SHORT_ONE.stretches[0].marks),))),
        (((0, 10),), SpansReply((Span(0, 1, bytes(8)),))),
    ],
)
def test_an_answer_to_something_else_is_refused(places: tuple[Place, ...], reply: SpansReply) -> None:
    """What was not asked about, parts that are not the parts, no progress: else a session would go round for ever."""
    with pytest.raises(MalformedMessage):
        spans.read(HEADS, places, ops.parse_spans_reply(reply.encode()), NONCE)


@pytest.mark.requirement("M-MSG-27")
def test_a_span_beyond_the_last_author_is_refused() -> None:
    with pytest.raises(BadPayload):
        spans.answer(HEADS, SpansRequest((Span(590, 11, bytes(8)),)), NONCE)


@pytest.mark.requirement("M-MSG-27")
@pytest.mark.parametrize(
    "spans_",
    [
        [[0, 2, bytes(8)], [1, 2, bytes(8)]],  # over one another
        [[4, 2, bytes(8)], [0, 2, bytes(8)]],  # not ascending
        [[0, 2, bytes(8)], [0, 2, bytes(8)]],
        [[0, 0, bytes(8)]],
        [[-1, 2, bytes(8)]],
        [[0, 1 << 40, bytes(8)]],
        [[0, 2, bytes(7)]],
        [[0, 2]],
        [[0, 2, None]],
        [[place, 1, bytes(8)] for place in range(MAX_SPANS + 1)],
    ],
    ids=["overlap", "order", "twice", "empty", "negative", "far", "short", "two", "nil", "many"],
)
def test_spans_out_of_form_are_refused(spans_: list[canonical.Encodable]) -> None:
    with pytest.raises(ProtocolError):
        ops.parse_heads_request(canonical.encode({"spans": spans_, "v": 2}))


def test_a_vector_may_be_asked_for_by_either_version() -> None:
    assert ops.parse_heads_request(ops.Heads((), full=True).encode()) == ops.Heads((), full=True)
    assert ops.parse_heads_request(SpansRequest(()).encode()) == SpansRequest(())
    with pytest.raises(ProtocolError):
        ops.parse_heads_request(canonical.encode({"spans": [], "v": 3}))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_an_answer_or_refused(data: bytes) -> None:
    for parse in (ops.parse_heads_request, ops.parse_spans_reply):
        with suppress(ProtocolError):
            parse(data)
