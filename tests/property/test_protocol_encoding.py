"""Canonical msgpack, for all values and all bytes: one value, one encoding; one encoding, one value."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from types import MappingProxyType
from typing import Any

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


def typed(value: object) -> object:
    """A value with its types, so that True is not 1."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return [(key, typed(item)) for key, item in value.items()]
    return type(value), value


def outcome(work: Callable[[], object]) -> Any:
    """What it gives, or the error it refuses with."""
    try:
        return typed(work())
    except ProtocolError as error:
        return error.code, error.why


LIBRARY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=9)),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=9)
    ),
    max_leaves=30,
)


@settings(max_examples=500)
@given(LIBRARY.map(msgpack.packb) | st.binary(max_size=60) | VALUES.map(msgpack.packb), st.data())
def test_the_compiled_decoder_and_the_one_written_out_agree(data: bytes, draw: st.DataObject) -> None:
    """On whatever a msgpack library writes, on any bytes, and on either with a few bytes changed."""
    for given_ in (data, _edited(data, draw)):
        strictly = partial(canonical._decode_strictly, given_, canonical.MAX_DEPTH)
        assert outcome(partial(canonical.decode, given_)) == outcome(strictly)


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 8 + b"\xc0", b"\x91" * 9 + b"\xc0", b"\x91" * 5000 + b"\xc0", b"\x90" * 9,
        b"\xdc\xff\xff" + b"\xc0" * 65_535, b"\xdd\x00\x01\x00\x00" + b"\xc0" * 65_536,
        b"\xdd\x00\x00\xff\xfb" + b"\xc0" * 65_531, b"\xdd\xff\xff\xff\xff" * 8, b"\x82\xa1b\xc0\xa1a\xc0",
        b"\x82\xa1a\xc0\xa1a\xc0", b"\x81\xa1\x7f\xc0", b"\xcb" + bytes(8), b"\xcf\x00\x20" + bytes(6),
        b"\xd3\xff\xe0" + bytes(6), b"\xd6\xff" + bytes(4), b"\xa2\xff\xfe", b"\xa2\xc3\xbc",
    ],
    ids=lambda data: data[:6].hex(),
)  # fmt: skip
def test_at_the_limits_both_decoders_agree(data: bytes) -> None:
    """Depth, number of values, order of keys, floats, integers just too large, timestamps, text."""
    strictly = partial(canonical._decode_strictly, data, canonical.MAX_DEPTH)
    assert outcome(partial(canonical.decode, data)) == outcome(strictly)


NEAR = st.recursive(
    LEAVES
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([bytearray(b"x"), {1, 2}, IntEnum("Number", "one").one]),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4).map(MappingProxyType)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
    ),
    max_leaves=14,
)


@settings(max_examples=500)
@given(NEAR)
def test_the_compiled_encoder_and_the_one_written_out_agree(value: Any) -> None:
    """The same bytes, or the same refusal, for what has a canonical form and for what only looks like it."""
    assert outcome(partial(canonical.encode, value)) == outcome(partial(canonical._encode_strictly, value))


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("kind", [list, dict])
def test_as_many_values_as_are_allowed_and_one_more(kind: type, more: int) -> None:
    """A map of n entries is 2 n + 1 values."""
    count = canonical.MAX_VALUES - 1 + more if kind is list else (canonical.MAX_VALUES - 1) // 2 + more
    value: Any = [0] * count if kind is list else {f"{number:05}": 0 for number in range(count)}
    expected = outcome(partial(canonical._encode_strictly, value))
    assert outcome(partial(canonical.encode, value)) == expected
    assert (expected[0] == "too-large") == bool(more)


def _edited(data: bytes, draw: st.DataObject) -> bytes:
    start = draw.draw(st.integers(0, len(data)))
    return data[:start] + draw.draw(st.binary(max_size=4)) + data[start + draw.draw(st.integers(0, 4)) :]
