"""announce: new heads, named instead of sent, in federations too large to push to all (specs/mesh.md 6.5)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.fields import check_array, check_bytes
from protocol.ids import EntryId, NodeId
from protocol.ops.payload import MAX_ENTRIES, encode_payload, open_payload, parse_head


@dataclass(frozen=True, slots=True)
class Announce:
    """New heads, named instead of sent: (author, generation, seq, id) each. The answer has no bytes."""

    heads: tuple[tuple[NodeId, int, int, EntryId], ...]

    def encode(self) -> bytes:
        return encode_payload({"heads": [list(head) for head in self.heads]})


def parse_announce(payload: bytes) -> Announce:
    fields = open_payload(payload, "announce")
    heads = []
    for item in fields.array("heads", MAX_ENTRIES):
        author, *rest = check_array(item, "announce: head", 4, 4)
        heads.append(
            (NodeId(check_bytes(author, "announce: author", 32, 32)), *parse_head(list(rest), "announce: head"))
        )
    fields.done()
    return Announce(tuple(heads))
