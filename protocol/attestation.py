"""The data of `heads_attest`: what its author holds of the others' logs, and the head of its audit log (PROTOCOL 7).

    {v: 1, heads: [[author, generation, seq, id], …], audit?}     heads ascending by author, at most 700

A head says: of this author's log I hold the line up to this entry. `audit` is the chain hash of the author's audit
log at that moment. Each record of that log holds random bytes, so the hash says nothing of what stands there, and no
number of records stands beside it: how much an operator or a researcher did is nobody's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.fields import Fields, check_array, check_ascending, check_bytes, check_integer
from protocol.ids import EntryId, NodeId

DATA_VERSION: Final = 1
MAX_ATTESTED: Final = 700  # 86 bytes a head: the data of an entry holds 64 KiB; more authors go into another entry


@dataclass(frozen=True, slots=True)
class AttestedHead:
    """How far the author of the attestation holds a log."""

    author: NodeId
    generation: int
    seq: int
    id: EntryId

    def value(self) -> list[Encodable]:
        return [self.author, self.generation, self.seq, self.id]


@dataclass(frozen=True, slots=True)
class AttestData:
    """What `heads_attest` carries. `audit`: 32 bytes, or None where the author attests none."""

    heads: tuple[AttestedHead, ...]
    audit: bytes | None = None

    def encode(self) -> bytes:
        fields: dict[str, Encodable] = {"v": DATA_VERSION, "heads": [head.value() for head in self.heads]}
        if self.audit is not None:
            fields["audit"] = self.audit
        return canonical.encode(fields)

    def head_of(self, author: NodeId) -> AttestedHead | None:
        """What is said of this author's log; None when nothing is."""
        return next((head for head in self.heads if head.author == author), None)


def attest(heads: Sequence[AttestedHead], audit: bytes | None) -> list[AttestData]:
    """The attestations that say all of this: one, or as many as `MAX_ATTESTED` asks for; `audit` in the first."""
    ordered = sorted(heads, key=lambda head: head.author)
    starts = range(0, max(len(ordered), 1), MAX_ATTESTED)
    return [AttestData(tuple(ordered[start : start + MAX_ATTESTED]), audit if start == 0 else None) for start in starts]


def parse_attest(data: bytes) -> AttestData:
    """Raises MalformedMessage, TooLarge; UnknownVersion for another data version."""
    fields = Fields(canonical.decode(data), "heads_attest")
    fields.version(DATA_VERSION)
    heads = tuple(_head(item) for item in fields.array("heads", MAX_ATTESTED))
    check_ascending(heads, "heads_attest: heads", lambda head: head.author)
    audit = fields.optional("audit", fields.bytes_of)
    fields.done()
    return AttestData(heads, audit)


def _head(value: Value) -> AttestedHead:
    what = "heads_attest: head"
    author, generation, seq, entry = check_array(value, what, 4, 4)
    return AttestedHead(
        NodeId(check_bytes(author, what, 32, 32)),
        check_integer(generation, what),
        check_integer(seq, what),
        EntryId(check_bytes(entry, what, 32, 32)),
    )
