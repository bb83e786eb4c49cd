"""Entries, headers and summary data read by a compiled decoder, where that gives what the strict one gives.

Logs consist of little else, and a node that was away reads a hundred thousand of them. The compiled decoder accepts
more than one form of a value, so nothing is taken from it but what, encoded again, is the very bytes that came: its
encoder writes the canonical form of every value these types can hold, as long as integers stay within 0 … 2⁵³−1 and
text is printable ASCII (tests/property/test_protocol_wire.py holds the two together). Types are closed and of fixed
depth, and it checks counts against the bytes left, so hostile bytes cost no memory.

Whatever is unusual in any way is None here, and the strict decoder (canonical.py) decides and names the fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from protocol.canonical import MAX_INTEGER, Encodable, is_text

Ratio = tuple[int, int]
WireCharge = tuple[str, int, int]
WireEntry = tuple[bytes, tuple[bytes, ...], bytes, bytes | None]
WireHeader = tuple[int, bytes, bytes, int, int, bytes, int, int, str, bytes, int]


class WireBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A block of a summary; fields in canonical order."""

    cells: int
    mechanism: str
    quantum: Ratio
    sigma2: Ratio


class WireSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of a summary of version 1, its form checked and nothing else; fields in canonical order."""

    blocks: tuple[WireBlock, ...]
    cells_hash: bytes
    charges: tuple[WireCharge, ...]
    definition: bytes
    release: bytes
    sampling: Ratio
    total: tuple[WireCharge, ...]
    unit: str
    v: int
    window: str


_ENTRY: Final = msgspec.msgpack.Decoder(WireEntry)
_HEADER: Final = msgspec.msgpack.Decoder(WireHeader)
_SUMMARY: Final = msgspec.msgpack.Decoder(WireSummary)
_encode: Final = msgspec.msgpack.Encoder().encode


def read_entry(data: bytes) -> WireEntry | None:
    """The parts of an entry that is in canonical form; None: ask the strict decoder."""
    try:
        parts = _ENTRY.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return parts if _encode(parts) == data else None


def encode_entry(header: bytes, signatures: tuple[bytes, ...], data: bytes, cells: bytes | None) -> bytes:
    """The canonical bytes of an entry."""
    return _encode((header, signatures, data, cells))


def read_header(data: bytes) -> WireHeader | None:
    """The items of a header that is in canonical form; None: ask the strict decoder."""
    try:
        items = _HEADER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    numbers = (items[0], items[3], items[4], items[6], items[7], items[10])
    return items if _encode(items) == data and _are_small(numbers) and is_text(items[8]) else None


@lru_cache(maxsize=64)  # an entry is parsed, then judged: its data is asked for twice in a row
def read_summary(data: bytes) -> WireSummary | None:
    """The data of a summary that is in canonical form, of whatever meaning; None: ask the strict decoder."""
    try:
        wire = _SUMMARY.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if _encode(wire) != data:
        return None
    numbers = [wire.v, *wire.sampling]
    texts = wire.unit + wire.window
    for block in wire.blocks:
        numbers += (block.cells, *block.quantum, *block.sigma2)
        texts += block.mechanism
    for epoch, rho_nano, delta_atto in (*wire.charges, *wire.total):
        numbers += (rho_nano, delta_atto)
        texts += epoch
    return wire if _are_small(numbers) and is_text(texts) else None


def encode_release(wire: WireSummary, node: bytes) -> bytes:
    """What the release id of this data is the hash of (summaries.release_id)."""
    return _encode((1, wire.definition, wire.window, node, wire.cells_hash, wire.blocks, wire.charges))


def encode_known(value: Encodable) -> bytes:
    """The compiled encoder's bytes of a canonical value, maps in the order they come; for the property test."""
    return _encode(value)


def _are_small(numbers: Sequence[int]) -> bool:
    return min(numbers) >= 0 and max(numbers) <= MAX_INTEGER
