"""range: the entries of one author from a position on (specs/mesh.md 6.5)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.entries import MAX_ENTRY_BYTES
from protocol.ids import EntryId, NodeId
from protocol.ops.payload import MAX_ENTRIES, encode_payload, open_payload, take_blobs


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """Entries of one author from position (generation, seq) on, in order of (generation, seq, id), all branches held.

    `after`: leave out the entries at the first position up to and including this id; so pages never lose a branch.
    """

    author: NodeId
    generation: int
    seq: int
    after: EntryId | None = None
    limit: int = MAX_ENTRIES

    def encode(self) -> bytes:
        return encode_payload(
            {
                "author": self.author,
                "generation": self.generation,
                "seq": self.seq,
                "after": self.after,
                "limit": self.limit,
            }
        )


@dataclass(frozen=True, slots=True)
class RangeReply:
    """Entries as wire bytes; `more`: ask again from the last one."""

    entries: tuple[bytes, ...]
    more: bool = False

    def encode(self) -> bytes:
        return encode_payload({"entries": list(self.entries), "more": self.more})


def parse_range_request(payload: bytes) -> RangeRequest:
    fields = open_payload(payload, "range request")
    request = RangeRequest(
        author=NodeId(fields.bytes_of("author")),
        generation=fields.integer("generation"),
        seq=fields.integer("seq"),
        after=fields.optional("after", lambda name: EntryId(fields.bytes_of(name))),
        limit=fields.integer("limit", 1, MAX_ENTRIES),
    )
    fields.done()
    return request


def parse_range_reply(payload: bytes) -> RangeReply:
    fields = open_payload(payload, "range reply")
    reply = RangeReply(take_blobs(fields, "entries", MAX_ENTRIES, MAX_ENTRY_BYTES), fields.boolean("more"))
    fields.done()
    return reply
