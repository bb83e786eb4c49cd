"""Entries: the signed items of a node's log (specs/mesh.md 5).

An entry has three parts. The *header* is a fixed canonical array, signed, and its hash is the entry's id:

    [1, federation, author, generation, seq, prev, charter_version, at, kind, data_hash, data_size]

The *data* (<= 64 KiB) travels beside it and must match; a summary's *cells* are a third part, matched by
`cells_hash` in the data. So bodies can be dropped and proofs stay small. Parsing checks form, sizes and that
the parts belong together; who may sign, and whether the entry counts, is the federation's question (admission,
judgement).

Left out on purpose: any look inside the data beyond `cells_hash`. Data of an unknown version travels unread.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocol import canonical
from protocol.canonical import Value
from protocol.cells import MAX_CELL_VECTOR_BYTES, cells_hash
from protocol.errors import PartsMismatch, ProtocolError, TooLarge
from protocol.fields import check_array, check_bytes, check_integer, check_text, refuse
from protocol.ids import ID_BYTES, EntryId, FederationId, NodeId
from protocol.keys import SIGNATURE_BYTES, SigningKey
from protocol.objects import (
    DATA,
    ENTRY,
    MAX_SIGNATURES,
    WIRE_MAJOR,
    check_signatures,
    check_wire_major,
    object_id,
    signature_message,
    verify_signatures,
)
from protocol.wire import WireHeader, encode_entry, read_entry, read_header, read_summary

MAX_HEADER_BYTES: Final = 400
MAX_DATA_BYTES: Final = 64 << 10
MAX_BARE_BYTES: Final = 1024  # of an entry without its body: header, up to four signatures, and their heads
MAX_ENTRY_BYTES: Final = MAX_HEADER_BYTES + MAX_DATA_BYTES + MAX_CELL_VECTOR_BYTES + 1024

INCEPTION: Final = "inception"
ROTATE: Final = "rotate"
RECOVER: Final = "recover"
ENDPOINT: Final = "endpoint"
RETIRE: Final = "retire"
SUMMARY: Final = "summary"
ABSTAIN: Final = "abstain"
WITHDRAW: Final = "withdraw"
PROPOSE: Final = "propose"
APPROVE: Final = "approve"
HEADS_ATTEST: Final = "heads_attest"
TOKEN_KEY: Final = "token_key"  # noqa: S105  # a kind, not a password
REVOKE_TOKEN: Final = "revoke_token"  # noqa: S105

KINDS: Final = frozenset(
    {
        INCEPTION, ROTATE, RECOVER, ENDPOINT, RETIRE, SUMMARY, ABSTAIN, WITHDRAW, PROPOSE, APPROVE, HEADS_ATTEST,
        TOKEN_KEY, REVOKE_TOKEN,
    }
)  # fmt: skip
"""The kinds of wire major 1. Another kind is admitted like any entry and judged opaque."""

KEY_KINDS: Final = frozenset({INCEPTION, ROTATE, RECOVER})
"""Admission reads their data, so nobody drops it."""

_KIND: Final = re.compile(r"[a-z][a-z_]{0,31}")


@dataclass(frozen=True, slots=True)
class Header:
    """An entry's header. `at` is the author's claimed time in Unix seconds: shown, never used in a decision.

    (generation, seq) is the position; `prev` the id of the entry before, for the first entry the federation id.
    """

    federation: FederationId
    author: NodeId
    generation: int
    seq: int
    prev: EntryId
    charter_version: int
    at: int
    kind: str
    data_hash: bytes
    data_size: int

    @property
    def position(self) -> tuple[int, int]:
        return self.generation, self.seq

    def encode(self) -> bytes:
        return canonical.encode(
            [
                WIRE_MAJOR, self.federation, self.author, self.generation, self.seq, self.prev, self.charter_version,
                self.at, self.kind, self.data_hash, self.data_size,
            ]
        )  # fmt: skip


class Body(Enum):
    """Whether an entry's data and cells are at hand."""

    HERE = "here"
    AWAY = "away"  # somebody dropped them
    UNREADABLE = "unreadable"  # dropped, or refused, here: this software cannot read them


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry's parts as they travel; wire form `[header, [signatures], data, cells or nil]`.

    Without its body data and cells are nil; `data` then is empty. Whether the body is unreadable never travels.
    """

    header: bytes
    signatures: tuple[bytes, ...]
    data: bytes
    cells: bytes | None = None
    body: Body = Body.HERE

    @property
    def id(self) -> EntryId:
        return entry_id(self.header)

    @property
    def body_bytes(self) -> int:
        """Size of what can be dropped."""
        return len(self.data) + len(self.cells or b"")

    def without_body(self, body: Body = Body.AWAY) -> Entry:
        """The header and its signatures: enough for the chain, not for judgement."""
        return Entry(self.header, self.signatures, b"", None, body)

    def encode(self) -> bytes:
        if self.body is not Body.HERE:
            return canonical.encode([self.header, list(self.signatures), None, None])
        return encode_entry(self.header, self.signatures, self.data, self.cells)


@dataclass(frozen=True, slots=True)
class ParsedEntry:
    """An entry together with its parsed header and id. No signature has been verified."""

    id: EntryId
    header: Header
    entry: Entry

    @property
    def has_body(self) -> bool:
        return self.entry.body is Body.HERE

    def without_body(self, body: Body = Body.AWAY) -> ParsedEntry:
        return ParsedEntry(self.id, self.header, self.entry.without_body(body))


def entry_id(header: bytes) -> EntryId:
    """The id of the entry with these header bytes."""
    return EntryId(object_id(ENTRY, header))


def data_hash(data: bytes) -> bytes:
    """What a header says of its data."""
    return object_id(DATA, data)


def signatures_of_kind(kind: str) -> int:
    """How many signatures an entry of this kind carries: two for `rotate` (old key, then new), else one."""
    return 2 if kind == ROTATE else 1


def build_entry(
    signing_key: SigningKey,
    *,
    federation: FederationId,
    author: NodeId,
    generation: int,
    seq: int,
    prev: EntryId | FederationId,
    charter_version: int,
    at: int,
    kind: str,
    data: bytes,
    cells: bytes | None = None,
    next_key: SigningKey | None = None,
) -> Entry:
    """A signed entry. `signing_key` is the key in force (the root key for `recover`), `next_key` only for `rotate`.

    Raises:
        ProtocolError: whatever `parse_entry` would refuse in the result.
        ValueError: `next_key` is missing for `rotate`, or given for another kind.
    """
    if (next_key is not None) != (kind == ROTATE):
        raise ValueError("next_key goes with kind 'rotate' and with no other")
    header = Header(
        federation, author, generation, seq, EntryId(prev), charter_version, at, kind, data_hash(data), len(data)
    )
    header_bytes = header.encode()
    message = signature_message(ENTRY, federation, author, header_bytes)
    signers = (signing_key,) if next_key is None else (signing_key, next_key)
    entry = Entry(header_bytes, tuple(key.sign(message) for key in signers), data, cells)
    check_parts(parse_header(header_bytes), entry)
    return entry


def parse_entry(data: bytes) -> ParsedEntry:
    """An entry from its wire bytes: every part in form, within its size, and matching the others.

    Raises:
        MalformedMessage: wrong form; TooLarge, PartsMismatch: as named. UnknownVersion: another wire major.
    """
    quick = read_entry(data) if len(data) <= MAX_ENTRY_BYTES else None
    if quick is not None and (entry := _quick_entry(*quick)) is not None:
        header = parse_header(entry.header)
        check_parts(header, entry)
        return ParsedEntry(entry.id, header, entry)
    what = "entry"
    items = check_array(canonical.decode(data, max_bytes=MAX_ENTRY_BYTES), what, 4, 4)
    header_bytes = check_bytes(items[0], f"{what}: header", 1, MAX_HEADER_BYTES)
    header = parse_header(header_bytes)
    cells = items[3]
    entry = Entry(
        header_bytes,
        check_signatures(items[1], what),
        check_bytes(items[2], f"{what}: data", 0, MAX_DATA_BYTES),
        None if cells is None else check_bytes(cells, f"{what}: cells", 1, MAX_CELL_VECTOR_BYTES),
    )
    check_parts(header, entry)
    return ParsedEntry(entry.id, header, entry)


def parse_carried(data: bytes) -> ParsedEntry:
    """An entry as members carry it among themselves: whole, or without its body (specs/mesh 5.8). Raises likewise."""
    is_short = len(data) <= MAX_BARE_BYTES and data.endswith(b"\xc0\xc0")  # nil, nil: or the end of data, and nil
    value = canonical.decode(data, max_bytes=MAX_ENTRY_BYTES) if is_short else None
    if type(value) is not list or len(value) != 4 or value[2:] != [None, None]:
        return parse_entry(data)
    header_bytes = check_bytes(value[0], "entry: header", 1, MAX_HEADER_BYTES)
    header = parse_header(header_bytes)
    entry = Entry(header_bytes, check_signatures(value[1], "entry"), b"", None, Body.AWAY)
    if len(entry.signatures) != signatures_of_kind(header.kind):
        raise _mismatch(f"{len(entry.signatures)} signatures on kind {header.kind}")
    if header.kind in KEY_KINDS or header.data_size == 0:
        raise _mismatch(f"a {header.kind} of {header.data_size} bytes never travels without its data")
    return ParsedEntry(entry.id, header, entry)


def parse_header(data: bytes) -> Header:
    """A header from its bytes.

    Raises:
        TooLarge: above 400 bytes. MalformedMessage: wrong form. UnknownVersion: another wire major.
    """
    quick = read_header(data) if len(data) <= MAX_HEADER_BYTES else None
    if quick is not None and (header := _quick_header(quick)) is not None:
        return header
    what = "entry header"
    items = check_array(canonical.decode(data, max_bytes=MAX_HEADER_BYTES), what, 1, 64)
    check_wire_major(items[0], what)
    if len(items) != 11:
        refuse(what, f"expected 11 items, got {len(items)}")
    return Header(
        FederationId(check_bytes(items[1], f"{what}: federation", 32, 32)),
        NodeId(check_bytes(items[2], f"{what}: author", 32, 32)),
        check_integer(items[3], f"{what}: generation"),
        check_integer(items[4], f"{what}: seq"),
        EntryId(check_bytes(items[5], f"{what}: prev", 32, 32)),
        check_integer(items[6], f"{what}: charter version", 1),
        check_integer(items[7], f"{what}: at"),
        _check_kind(items[8], f"{what}: kind"),
        check_bytes(items[9], f"{what}: data hash", 32, 32),
        check_integer(items[10], f"{what}: data size", 0, MAX_DATA_BYTES),
    )


def _quick_entry(header: bytes, signatures: tuple[bytes, ...], data: bytes, cells: bytes | None) -> Entry | None:
    """The entry of parts in canonical form, when their sizes are right; None: `parse_entry` says which is not."""
    is_good = (
        1 <= len(header) <= MAX_HEADER_BYTES
        and 1 <= len(signatures) <= MAX_SIGNATURES
        and all(len(signature) == SIGNATURE_BYTES for signature in signatures)
        and len(data) <= MAX_DATA_BYTES
        and (cells is None or 1 <= len(cells) <= MAX_CELL_VECTOR_BYTES)
    )
    return Entry(header, signatures, data, cells) if is_good else None


def _quick_header(items: WireHeader) -> Header | None:
    """The header of items in canonical form, when all is well; None: `parse_header` says what is not."""
    major, federation, author, generation, seq, prev, charter_version, at, kind, digest, size = items
    is_good = (
        major == WIRE_MAJOR
        and len(federation) == len(author) == len(prev) == len(digest) == ID_BYTES
        and charter_version >= 1
        and size <= MAX_DATA_BYTES
        and _KIND.fullmatch(kind) is not None
    )
    if not is_good:
        return None
    return Header(
        FederationId(federation), NodeId(author), generation, seq, EntryId(prev), charter_version, at, kind, digest,
        size,
    )  # fmt: skip


def check_parts(header: Header, entry: Entry) -> None:
    """Nothing, when signatures, data and cells are as many and as the header and the data say.

    Raises:
        PartsMismatch: a count, size or hash differs.
        TooLarge: the cell vector is above its limit.
    """
    if len(entry.signatures) != signatures_of_kind(header.kind):
        raise _mismatch(f"{len(entry.signatures)} signatures on kind {header.kind}")
    if len(entry.data) != header.data_size or data_hash(entry.data) != header.data_hash:
        raise _mismatch("the data is not the data that was signed")
    if entry.cells is not None and len(entry.cells) > MAX_CELL_VECTOR_BYTES:
        raise TooLarge(what="entry refused", why=f"cell vector above {MAX_CELL_VECTOR_BYTES} bytes")
    expected = committed_cells(entry.data) if header.kind == SUMMARY else None
    found = None if entry.cells is None else cells_hash(entry.cells)
    if found != expected:
        raise _mismatch("the cell vector is not the one that was signed")


def committed_cells(data: bytes) -> bytes | None:
    """The `cells_hash` of a summary's data, of whatever data version; None when it names none.

    The place of this one field is fixed for a wire major, so that any node can match the parts of any summary.
    """
    quick = read_summary(data) if len(data) <= MAX_DATA_BYTES else None
    if quick is not None and len(quick.cells_hash) == ID_BYTES:
        return quick.cells_hash
    try:
        value: Value = canonical.decode(data, max_bytes=MAX_DATA_BYTES)
    except ProtocolError:
        return None
    found = value.get("cells_hash") if type(value) is dict else None
    return found if type(found) is bytes and len(found) == 32 else None


def verify_entry(header: Header, entry: Entry, keys: Sequence[bytes]) -> None:
    """Nothing, when the entry carries exactly these keys' signatures, in this order.

    `keys`: the signing key in force; for `rotate` that key and the new one; for `recover` the root key.

    Raises:
        BadSignature: one fails, is missing, or is one too many.
    """
    message = signature_message(ENTRY, header.federation, header.author, entry.header)
    verify_signatures(message, entry.signatures, keys)


def _check_kind(value: Value, what: str) -> str:
    kind = check_text(value, what, 32)
    if _KIND.fullmatch(kind) is None:
        refuse(what, "a kind is up to 32 of a-z and underscore")
    return kind


def _mismatch(why: str) -> PartsMismatch:
    return PartsMismatch(what="entry refused", why=why, fix="Fetch it again from another member")
