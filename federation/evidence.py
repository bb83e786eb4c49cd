"""Evidence: two headers one member signed for one position of its log.

It proves itself: anyone who knows the author's key checks it offline, and no honest node ever makes two such headers
(DESIGN I2). The document holds headers and signatures only, so it stays small whatever the entries carried; the two
stand in the order of their ids. Which two branches prove a fork may differ from node to node and is never compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.errors import Equivocation
from protocol import canonical
from protocol.entries import MAX_HEADER_BYTES, Entry, Header, entry_id, parse_header, signatures_of_kind
from protocol.errors import BadSignature
from protocol.fields import check_array, check_bytes
from protocol.ids import EntryId, FederationId, NodeId
from protocol.objects import ENTRY, check_signatures, signature_message, verify_signatures
from protocol.ops import MAX_EVIDENCE_BYTES


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A header's bytes and its signatures."""

    header: bytes
    signatures: tuple[bytes, ...]

    @property
    def id(self) -> EntryId:
        return entry_id(self.header)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed headers, in the order of their ids; wire form `[[header, [signatures]], [header, [signatures]]]`."""

    first: SignedHeader
    second: SignedHeader

    @property
    def ids(self) -> tuple[EntryId, EntryId]:
        """Of the two entries."""
        return self.first.id, self.second.id

    def encode(self) -> bytes:
        return canonical.encode([[one.header, list(one.signatures)] for one in (self.first, self.second)])


def make_evidence(one: Entry, other: Entry) -> Evidence:
    """The document for two entries, whichever came first; it is not checked here."""
    headers = [SignedHeader(entry.header, entry.signatures) for entry in (one, other)]
    return Evidence(*sorted(headers, key=lambda signed: signed.id))


def parse_evidence(data: bytes) -> Evidence:
    """Evidence from its bytes; nothing is verified.

    Raises:
        ProtocolError: wrong form or size.
    """
    items = check_array(canonical.decode(data, max_bytes=MAX_EVIDENCE_BYTES), "evidence", 2, 2)
    pairs = [check_array(item, "evidence: header", 2, 2) for item in items]
    first, second = (
        SignedHeader(check_bytes(header, "evidence: header", 1, MAX_HEADER_BYTES), check_signatures(found, "evidence"))
        for header, found in pairs
    )
    return Evidence(first, second)


def verify_evidence(
    evidence: Evidence,
    federation: FederationId,
    author: NodeId,
    keys: Sequence[bytes],
    second_keys: Sequence[bytes] | None = None,
) -> Header:
    """The first of the two headers, when both are this author's and stand at one position with two ids.

    `keys`: of the author, any of which may have signed; for a `recover` its root keys. `second_keys`: those for the
    second header, where they are others.

    Raises:
        ProtocolError: malformed, or a signature fails.
        Equivocation: the two do not contradict each other, or are somebody else's.
    """
    first = _verified(evidence.first, federation, author, keys)
    second = _verified(evidence.second, federation, author, keys if second_keys is None else second_keys)
    if first.position != second.position:
        raise _refused(f"the headers stand at {first.position} and {second.position}, not at one position")
    if evidence.first.id >= evidence.second.id:
        raise _refused("the headers are the same, or not in the order of their ids")
    return first


def _verified(signed: SignedHeader, federation: FederationId, author: NodeId, keys: Sequence[bytes]) -> Header:
    header = parse_header(signed.header)
    if header.federation != federation or header.author != author:
        raise _refused("its headers are of another author or federation")
    if len(signed.signatures) != signatures_of_kind(header.kind):
        raise _refused(f"{len(signed.signatures)} signatures on kind {header.kind}")
    message = signature_message(ENTRY, federation, author, signed.header)
    # Of a rotate the first signature, by the key in force, says it all: the new key stands in the data.
    for place, key in enumerate(keys):
        try:
            verify_signatures(message, signed.signatures[:1], (key,))
        except BadSignature:
            if place == len(keys) - 1:
                raise
        else:
            return header
    raise _refused("no key of its author is known")


def _refused(why: str) -> Equivocation:
    return Equivocation(what="Evidence refused", why=why, fix="Ignore it: it proves nothing about the author")
