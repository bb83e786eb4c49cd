"""heads by spans: fingerprints of stretches of the heads vector, for large federations (specs/mesh 6.4, 6.5).

Data version 2 of the operation `heads`. A span is some consecutive authors of the one order all members share; its
fingerprint covers their heads under the request's nonce, so none can be prepared. Asked are spans with the caller's
fingerprints; answered is, of each that differs, its heads when it is short, else the fingerprints of its parts. No
span at all asks about the whole vector.

Here are form and limits; who answers what is `federation.spans`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.fields import Fields, check_array, check_bytes, check_integer, refuse
from protocol.heads import TAG_BYTES
from protocol.ops.heads import HeadMark, Heads, heads_of, parse_mark
from protocol.ops.payload import PAYLOAD_VERSION, encode_payload
from protocol.requests import MAX_PAYLOAD_BYTES

SPANS_VERSION: Final = 2
SPLIT: Final = 16  # parts of a span that differs
SHORT: Final = 16  # authors: of so few the heads themselves are told
MAX_SPANS: Final = 256  # in one request; so an answer holds at most 4,096 fingerprints or heads
MAX_SPAN_AUTHORS: Final = 1 << 20  # authors a span may reach to; a chain of charters never names so many


@dataclass(frozen=True, slots=True)
class Span:
    """`count` authors from the `first` on, by their place in the common order; `fingerprint` of their heads."""

    first: int
    count: int
    fingerprint: bytes

    @property
    def end(self) -> int:
        return self.first + self.count


@dataclass(frozen=True, slots=True)
class Stretch:
    """The heads of the authors from the `first` on, one mark each."""

    first: int
    marks: tuple[HeadMark, ...]

    @property
    def end(self) -> int:
        return self.first + len(self.marks)


@dataclass(frozen=True, slots=True)
class SpansRequest:
    """Where do our heads differ? Spans ascending, none over another; none at all asks about the whole vector."""

    spans: tuple[Span, ...]

    def encode(self) -> bytes:
        return encode_payload({"spans": [_value(span) for span in self.spans]}, SPANS_VERSION)


@dataclass(frozen=True, slots=True)
class SpansReply:
    """Of each span that differs the parts, or the heads; both empty: nothing asked about differs."""

    spans: tuple[Span, ...] = ()
    stretches: tuple[Stretch, ...] = ()

    def encode(self) -> bytes:
        stretches: list[Encodable] = [[one.first, [mark.value() for mark in one.marks]] for one in self.stretches]
        return encode_payload({"spans": [_value(span) for span in self.spans], "stretches": stretches}, SPANS_VERSION)


def parse_heads_request(payload: bytes) -> Heads | SpansRequest:
    """What `heads` is asked with: a vector (version 1) or spans (version 2)."""
    fields = Fields(canonical.decode(payload, max_bytes=MAX_PAYLOAD_BYTES), "heads")
    if fields.version(PAYLOAD_VERSION, SPANS_VERSION) == PAYLOAD_VERSION:
        return heads_of(fields)
    request = SpansRequest(_parse_spans(fields, MAX_SPANS))
    fields.done()
    return request


def parse_spans_reply(payload: bytes) -> SpansReply:
    fields = Fields(canonical.decode(payload, max_bytes=MAX_PAYLOAD_BYTES), "heads reply")
    fields.version(SPANS_VERSION)
    reply = SpansReply(
        _parse_spans(fields, MAX_SPANS * SPLIT),
        tuple(_parse_stretch(item) for item in fields.array("stretches", MAX_SPANS)),
    )
    fields.done()
    _check_apart(((one.first, one.end) for one in reply.stretches), "heads reply: stretches")
    return reply


def _value(span: Span) -> Encodable:
    return [span.first, span.count, span.fingerprint]


def _parse_spans(fields: Fields, limit: int) -> tuple[Span, ...]:
    what = f"{fields.what}: spans"
    spans = []
    for item in fields.array("spans", limit):
        first, count, fingerprint = check_array(item, what, 3, 3)
        spans.append(
            Span(
                check_integer(first, what, 0, MAX_SPAN_AUTHORS),
                check_integer(count, what, 1, MAX_SPAN_AUTHORS),
                check_bytes(fingerprint, what, TAG_BYTES, TAG_BYTES),
            )
        )
    _check_apart(((span.first, span.end) for span in spans), what)
    return tuple(spans)


def _parse_stretch(value: Value) -> Stretch:
    what = "heads reply: stretch"
    first, marks = check_array(value, what, 2, 2)
    return Stretch(
        check_integer(first, what, 0, MAX_SPAN_AUTHORS),
        tuple(parse_mark(item, TAG_BYTES) for item in check_array(marks, what, 1, SHORT)),
    )


def _check_apart(reaches: Iterable[tuple[int, int]], what: str) -> None:
    """(first, end) of each: ascending and none over another."""
    if any(end > first for (_, end), (first, _) in pairwise(reaches)):
        refuse(what, "they are not in ascending order, each beginning where none before it reaches")
