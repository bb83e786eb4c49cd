"""The cell vector: the released integers of one summary, as bytes (specs/mesh.md 5.4).

Big-endian two's complement, one width for all, the smallest of 1, 2, 4, 8 bytes that holds every cell. The
number of cells stands in the summary's blocks, so the width is length / number; a vector that a narrower width
would hold is refused, or one release could have two hashes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from protocol.canonical import MAX_INTEGER
from protocol.errors import MalformedMessage, TooLarge
from protocol.objects import CELLS, object_id

MAX_CELLS: Final = 65_536
MAX_CELL_VECTOR_BYTES: Final = 512 << 10  # 65 536 cells of 8 bytes

_FORMATS: Final = {1: "b", 2: "h", 4: "i", 8: "q"}


def encode_cells(cells: Sequence[int]) -> bytes:
    """The vector's bytes; 1 to MAX_CELLS integers within ±(2⁵³−1).

    Raises:
        TooLarge, MalformedMessage: too many cells, none, or one out of range.
    """
    values = [int(cell) for cell in cells]
    _check_count(len(values))
    low, high = min(values), max(values)
    if low < -MAX_INTEGER or high > MAX_INTEGER:
        raise MalformedMessage(what="cell vector refused", why="a cell is beyond 2^53-1")
    return struct.pack(f">{len(values)}{_FORMATS[_width(low, high)]}", *values)


def decode_cells(data: bytes, count: int) -> tuple[int, ...]:
    """The cells; `count` is what the summary's blocks add up to.

    Raises:
        TooLarge, MalformedMessage: the length fits no width, a narrower width would do, or a cell is out of range.
    """
    _check_count(count)
    width, rest = divmod(len(data), count)
    if rest or width not in _FORMATS:
        raise MalformedMessage(what="cell vector refused", why=f"{len(data)} bytes are not {count} cells")
    values: tuple[int, ...] = struct.unpack(f">{count}{_FORMATS[width]}", data)
    low, high = min(values), max(values)
    if width != _width(low, high):
        raise MalformedMessage(what="cell vector refused", why=f"{width} bytes a cell where fewer would do")
    if low < -MAX_INTEGER or high > MAX_INTEGER:
        raise MalformedMessage(what="cell vector refused", why="a cell is beyond 2^53-1")
    return values


@lru_cache(maxsize=2)  # an entry's parts are matched, then its cells are read: asked for twice in a row
def cells_hash(data: bytes) -> bytes:
    """What a summary's data says of its vector."""
    return object_id(CELLS, data)


def _width(low: int, high: int) -> int:
    """The smallest width whose range holds both ends."""
    return next(width for width in _FORMATS if -(1 << 8 * width - 1) <= low and high < 1 << 8 * width - 1)


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_CELLS:
        raise TooLarge(what="cell vector refused", why=f"{count} cells, 1 to {MAX_CELLS} are allowed")
