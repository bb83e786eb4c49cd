"""Cell vectors: one form for every list of integers."""

from __future__ import annotations

import pytest

from protocol.cells import MAX_CELLS, cells_hash, decode_cells, encode_cells
from protocol.errors import MalformedMessage, TooLarge

BIG = 2**53 - 1


@pytest.mark.parametrize(
    ("cells", "data"),
    [
        ([0], "00"),
        ([-1, 1], "ff01"),
        ([127, -128], "7f80"),
        ([128], "0080"),
        ([-129], "ff7f"),
        ([32_767, -32_768], "7fff8000"),
        ([32_768], "00008000"),
        ([-(2**31), 2**31 - 1], "800000007fffffff"),
        ([2**31, 0], "00000000800000000000000000000000"),
        ([BIG], "001fffffffffffff"),
        ([-BIG], "ffe0000000000001"),
    ],
)
def test_smallest_width_that_holds_them_all(cells: list[int], data: str) -> None:
    """Big-endian two's complement, at every change of width."""
    assert encode_cells(cells).hex() == data
    assert decode_cells(bytes.fromhex(data), len(cells)) == tuple(cells)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ("0000", 1),
        ("007f", 1),
        ("ff80ff80", 2),
        ("00007fff", 1),
        ("000000007fffffff", 1),
        ("000000", 1),
        ("0000000000", 2),
        ("", 1),
        ("00", 2),
        ("0020000000000000", 1),
        ("8000000000000000", 1),
        ("00" * 16, 1),
    ],
)
def test_every_other_form_is_refused(data: str, count: int) -> None:
    """Too wide, a length that fits no width, or a cell beyond 2^53-1."""
    with pytest.raises(MalformedMessage):
        decode_cells(bytes.fromhex(data), count)


def test_counts_and_range_are_limited() -> None:
    """One to 65,536 cells, each within ±(2^53-1); the largest vector is 512 KiB."""
    assert len(encode_cells([BIG] * MAX_CELLS)) == 512 << 10
    for cells in ([], [0] * (MAX_CELLS + 1)):
        with pytest.raises(TooLarge):
            encode_cells(cells)
    for count in (0, -1, MAX_CELLS + 1):
        with pytest.raises(TooLarge):
            decode_cells(b"", count)
    for cell in (BIG + 1, -BIG - 1):
        with pytest.raises(MalformedMessage):
            encode_cells([cell])


def test_hash_covers_every_byte() -> None:
    """Another vector, another hash."""
    assert cells_hash(b"\x01") != cells_hash(b"\x02") != cells_hash(b"\x00\x02")
