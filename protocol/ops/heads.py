"""heads: what I hold of every author, as a vector of marks (specs/mesh.md 6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.canonical import Encodable, Value
from protocol.fields import check_array, check_bytes, check_integer, check_text, refuse
from protocol.heads import TAG_BYTES
from protocol.ops.payload import encode_payload, open_payload

MAX_AUTHORS: Final = 4096  # in one vector


@dataclass(frozen=True, slots=True)
class HeadMark:
    """What I hold of one author.

    `state`: head, frozen, cut; `tag` only for a head: 8 bytes, or the whole id when `full`.
    """

    state: str
    generation: int
    seq: int
    tag: bytes | None = None


@dataclass(frozen=True, slots=True)
class Heads:
    """A vector, asked and answered alike; authors in order of first appearance in the charter chain.

    A mark is None where nothing is held.

    Both sides compute tags with the request's nonce. `full`: tags are whole ids (32 bytes), used when digests
    differ though vectors are equal.
    """

    marks: tuple[HeadMark | None, ...]
    full: bool = False

    def encode(self) -> bytes:
        return encode_payload({"full": self.full, "marks": [_mark_value(mark) for mark in self.marks]})


def parse_heads(payload: bytes) -> Heads:
    fields = open_payload(payload, "heads")
    full = fields.boolean("full")
    size = 32 if full else TAG_BYTES
    marks = tuple(_parse_mark(item, size) for item in fields.array("marks", MAX_AUTHORS))
    fields.done()
    return Heads(marks, full)


def _parse_mark(value: Value, tag_bytes: int) -> HeadMark | None:
    what = "heads: mark"
    if value is None:
        return None
    items = check_array(value, what, 3, 4)
    state = check_text(items[0], what, 8)
    if state not in ("head", "frozen", "cut") or len(items) != (4 if state == "head" else 3):
        refuse(what, "neither a head with a tag, nor frozen or cut without one")
    tag = check_bytes(items[3], what, tag_bytes, tag_bytes) if state == "head" else None
    return HeadMark(state, check_integer(items[1], what), check_integer(items[2], what), tag)


def _mark_value(mark: HeadMark | None) -> Encodable:
    if mark is None:
        return None
    tag = [] if mark.tag is None else [mark.tag]
    return [mark.state, mark.generation, mark.seq, *tag]
