"""Canonical msgpack, for all values and all bytes: one value, one encoding; one encoding, one value."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import canonical
from protocol.cells import decode_cells, encode_cells
from protocol.errors import ProtocolError

TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
INTEGERS = st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
LEAVES = st.none() | st.booleans() | INTEGERS | TEXT | st.binary(max_size=300)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT, inner, max_size=20), max_leaves=30
)


def depth(value: canonical.Value) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


@given(VALUES.filter(lambda value: depth(value) <= canonical.MAX_DEPTH))
def test_decode_undoes_encode(value: canonical.Value) -> None:
    """And the msgpack library reads the same value, so any language can read our bytes."""
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert msgpack.unpackb(data) == value


@pytest.mark.requirement("M-ENC-1")
@settings(max_examples=1000)
@given(st.binary(max_size=60))
def test_any_bytes_are_the_encoding_of_their_value_or_refused(data: bytes) -> None:
    """Whatever is accepted encodes back to the very same bytes: no second spelling of anything gets through."""
    try:
        value = canonical.decode(data)
    except ProtocolError:
        return
    assert canonical.encode(value) == data


@settings(max_examples=300)
@given(VALUES.filter(lambda value: depth(value) <= 6), st.data())
def test_edited_encoding_is_another_value_or_refused(value: canonical.Value, draw: st.DataObject) -> None:
    """Cut, insert or change bytes of a valid encoding: never the same value from other bytes."""
    data = canonical.encode(value)
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, min(len(data), start + 4)))
    edited = data[:start] + draw.draw(st.binary(max_size=4)) + data[end:]
    try:
        found = canonical.decode(edited)
    except ProtocolError:
        return
    assert canonical.encode(found) == edited
    assert edited == data or canonical.encode(found) != data


@given(st.lists(INTEGERS, min_size=1, max_size=50))
def test_cell_vectors_round_trip(cells: list[int]) -> None:
    """In the smallest width, and no other width decodes."""
    data = encode_cells(cells)
    assert decode_cells(data, len(cells)) == tuple(cells)
    width = len(data) // len(cells)
    for other in {1, 2, 4, 8} - {width}:
        if other > width:
            wider = b"".join(cell.to_bytes(other, "big", signed=True) for cell in cells)
            try:
                decode_cells(wider, len(cells))
            except ProtocolError:
                continue
            raise AssertionError("a wider form was accepted")


@pytest.mark.requirement("M-JUD-5")
@given(st.binary(max_size=64), st.integers(-1, 70))
def test_any_bytes_as_cells_round_trip_or_are_refused(data: bytes, count: int) -> None:
    """Nothing else is raised, and nothing has two forms."""
    try:
        cells = decode_cells(data, count)
    except ProtocolError:
        return
    assert encode_cells(cells) == data


@given(st.lists(VALUES.filter(lambda value: depth(value) < canonical.MAX_DEPTH), max_size=70))
def test_an_array_of_encoded_values_is_the_encoding_of_the_array(values: list[canonical.Value]) -> None:
    assert canonical.array_of([canonical.encode(value) for value in values]) == canonical.encode(values)
