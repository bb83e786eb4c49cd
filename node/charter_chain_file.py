"""The charter chain a node installs when a later charter admitted it: `DATA/charter/charter.chain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol import canonical
from protocol.charter_chain import CharterChain, verify_chain
from protocol.charter_document import parse_charter_document
from protocol.fields import check_array, check_bytes, refuse

CHAIN_FILE: Final = "charter.chain"
MAX_CHAIN_BYTES: Final = 64 << 20
_KIND: Final = "chain"


def encode_chain(chain: CharterChain, definitions: Sequence[bytes]) -> bytes:
    """What an admitted node installs: `[1, "chain", [charter document, …], [definition, …]]`."""
    return canonical.encode([1, _KIND, [item.document.encode() for item in chain.items], list(definitions)])


def parse_chain(raw: bytes) -> tuple[CharterChain, tuple[bytes, ...]]:
    """An installed chain, every charter verified anew, and its definitions.

    Raises:
        ProtocolError: it was changed; the message names the part.
    """
    items = check_array(canonical.decode(raw, max_bytes=MAX_CHAIN_BYTES), _KIND, 4, 4)
    if items[:2] != [1, _KIND]:
        refuse(_KIND, "the bytes are another type of object")
    charters = [check_bytes(one, _KIND, 1, 1 << 20) for one in check_array(items[2], _KIND, 1, 10_000)]
    definitions = [check_bytes(one, _KIND, 1, 64 << 10) for one in check_array(items[3], _KIND, 0, 10_000)]
    return verify_chain([parse_charter_document(one) for one in charters]), tuple(definitions)
