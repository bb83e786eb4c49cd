"""push of evidence: proofs that a member signed twice, carried until acknowledged (specs/mesh 6.5, 6.10).

Data version 2 of the operation `push`; answered like entries, with a verdict on each document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.fields import Fields
from protocol.ops.payload import PAYLOAD_VERSION, encode_payload, take_blobs
from protocol.ops.push import PushRequest, entries_of
from protocol.requests import MAX_PAYLOAD_BYTES

EVIDENCE_VERSION: Final = 2
MAX_EVIDENCE_BYTES: Final = 4096  # two headers of 400 bytes and their signatures
MAX_EVIDENCE: Final = 16  # documents in one push


@dataclass(frozen=True, slots=True)
class EvidencePush:
    """Evidence documents as their own bytes."""

    documents: tuple[bytes, ...]

    def encode(self) -> bytes:
        return encode_payload({"evidence": list(self.documents)}, EVIDENCE_VERSION)


def parse_push(payload: bytes) -> PushRequest | EvidencePush:
    """What `push` brings: entries (version 1) or evidence (version 2)."""
    fields = Fields(canonical.decode(payload, max_bytes=MAX_PAYLOAD_BYTES), "push request")
    if fields.version(PAYLOAD_VERSION, EVIDENCE_VERSION) == PAYLOAD_VERSION:
        return entries_of(fields)
    pushed = EvidencePush(take_blobs(fields, "evidence", MAX_EVIDENCE, MAX_EVIDENCE_BYTES))
    fields.done()
    return pushed
