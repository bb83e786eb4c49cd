"""Ids: 32 raw bytes, one NewType per noun so that they are never mixed. Their text form is lower-case hex."""

from __future__ import annotations

from typing import Final, NewType

from protocol.errors import MalformedMessage

NodeId = NewType("NodeId", bytes)
FederationId = NewType("FederationId", bytes)
EntryId = NewType("EntryId", bytes)
ReleaseId = NewType("ReleaseId", bytes)
DefinitionHash = NewType("DefinitionHash", bytes)
CharterHash = NewType("CharterHash", bytes)
RequestHash = NewType("RequestHash", bytes)

ID_BYTES: Final = 32  # SHA-256

ZERO_FEDERATION: Final = FederationId(bytes(ID_BYTES))
"""Stands for the federation in the domain of what exists before one: inception, join request, charter version 1."""

ZERO_NODE: Final = NodeId(bytes(ID_BYTES))
"""Stands for the author in the domain of what no node authors: inception records and charters."""


def parse_hex_id(text: str, what: str = "id") -> bytes:
    """The 32 bytes that 64 lower-case hex digits stand for.

    Raises:
        MalformedMessage: wrong length, upper case, or not hex.
    """
    if len(text) == 2 * ID_BYTES and all(digit in "0123456789abcdef" for digit in text):
        return bytes.fromhex(text)
    raise MalformedMessage(
        what=f"{what} refused",
        why=f"expected {2 * ID_BYTES} lower-case hex digits, got {len(text)} characters",
        fix="Copy the whole id as 'murmur status' prints it",
    )
