"""What all payloads share: a canonical map with its version in `v`, and how much fits into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.fields import Fields, check_array, check_bytes, check_integer, without_none
from protocol.ids import EntryId
from protocol.requests import MAX_PAYLOAD_BYTES

PAYLOAD_VERSION: Final = 1
MAX_ENTRIES: Final = 512  # in one push or one range reply


def parse_head(value: Value, what: str) -> tuple[int, int, EntryId]:
    generation, seq, entry = check_array(value, what, 3, 3)
    return check_integer(generation, what), check_integer(seq, what), EntryId(check_bytes(entry, what, 32, 32))


def parse_position(value: Value, what: str) -> tuple[int, int]:
    """(generation, seq), both >= 0."""
    generation, seq = check_array(value, what, 2, 2)
    return check_integer(generation, what), check_integer(seq, what)


def take_blobs(fields: Fields, name: str, count: int, size: int) -> tuple[bytes, ...]:
    return tuple(check_bytes(item, f"{fields.what}: {name}", 1, size) for item in fields.array(name, count))


def open_payload(payload: bytes, what: str) -> Fields:
    fields = Fields(canonical.decode(payload, max_bytes=MAX_PAYLOAD_BYTES), what)
    fields.version(PAYLOAD_VERSION)
    return fields


def encode_payload(fields: dict[str, Encodable], version: int = PAYLOAD_VERSION) -> bytes:
    return canonical.encode(without_none({"v": version, **fields}))


def entries_that_fit(entries: Sequence[bytes], limit: int = MAX_ENTRIES) -> int:
    """How many of the first entries go into one push or range reply: at most `limit`, within the size."""
    room = MAX_PAYLOAD_BYTES - 64
    for number, entry in enumerate(entries[:limit]):
        room -= len(entry) + 5
        if room < 0:
            return number
    return min(len(entries), limit)
