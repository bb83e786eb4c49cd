"""heads: what I hold of every author, as a vector (specs/mesh.md 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.canonical import Encodable, Value
from protocol.fields import Fields, check_array, check_bytes, check_integer, refuse
from protocol.heads import TAG_BYTES
from protocol.ops.payload import encode_payload, open_payload, parse_position

MAX_AUTHORS: Final = 4096  # in one vector


@dataclass(frozen=True, slots=True)
class HeadMark:
    """One author's head as it travels: `protocol.heads.Head` with a tag for the id.

    `tag`: 8 bytes, or the whole id when the vector is `full`; None for an empty log (generation 0, seq -1).
    """

    generation: int
    seq: int
    tag: bytes | None = None
    frozen_at: tuple[int, int] | None = None

    def value(self) -> Encodable:
        frozen_at = None if self.frozen_at is None else list(self.frozen_at)
        return [self.generation, self.seq, self.tag, frozen_at]


@dataclass(frozen=True, slots=True)
class Heads:
    """A vector; authors in order of first appearance in the charter chain. A request may leave its own marks out.

    Both sides compute tags with the request's nonce. `full`: tags are whole ids (32 bytes), used when digests
    differ though vectors are equal.
    """

    marks: tuple[HeadMark, ...]
    full: bool = False

    def encode(self) -> bytes:
        return encode_payload({"full": self.full, "marks": [mark.value() for mark in self.marks]})


def parse_heads(payload: bytes) -> Heads:
    return heads_of(open_payload(payload, "heads"))


def heads_of(fields: Fields) -> Heads:
    """A vector from its fields, the version taken."""
    full = fields.boolean("full")
    size = 32 if full else TAG_BYTES
    marks = tuple(parse_mark(item, size) for item in fields.array("marks", MAX_AUTHORS))
    fields.done()
    return Heads(marks, full)


def parse_mark(value: Value, tag_bytes: int) -> HeadMark:
    """One author's mark; its tag has so many bytes."""
    what = "heads: mark"
    items = check_array(value, what, 4, 4)
    generation, seq = check_integer(items[0], what), check_integer(items[1], what, -1)
    tag = None if items[2] is None else check_bytes(items[2], what, tag_bytes, tag_bytes)
    if (tag is None) != (seq == -1) or (seq == -1 and generation != 0):
        refuse(what, "an empty log is generation 0, seq -1 without a tag; every other head has one")
    return HeadMark(generation, seq, tag, None if items[3] is None else parse_position(items[3], what))
