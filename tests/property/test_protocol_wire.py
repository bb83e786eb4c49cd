"""The compiled decoder gives what the strict one gives, for all bytes: the same value, or the same error."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import canonical, entries, summaries, wire
from protocol.entries import Entry, committed_cells, parse_entry, parse_header
from protocol.errors import ProtocolError
from protocol.ids import NodeId
from protocol.summaries import parse_summary
from tests.property.test_protocol_encoding import INTEGERS, TEXT
from tests.unit.protocol import samples

NODE = samples.TOOLS.node
SUMMARY = samples.summary()[0].encode()
FIELDS = cast("dict[str, canonical.Value]", canonical.decode(SUMMARY))  # the sample is a map

FLAT = st.none() | st.booleans() | INTEGERS | TEXT | st.binary(max_size=300)
NESTED = st.recursive(
    FLAT,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(TEXT, inner, max_size=5).map(lambda items: dict(sorted(items.items())))
    ),
    max_leaves=12,
)  # fmt: skip

GOOD: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "entry": (parse_entry, samples.entry().encode()),
    "summary entry": (parse_entry, samples.summary_entry().encode()),
    "header": (parse_header, samples.entry().header),
    "summary": (lambda data: parse_summary(data, NodeId(NODE)), SUMMARY),
    "committed cells": (committed_cells, SUMMARY),
}
every_reader = pytest.mark.parametrize(("parse", "good"), GOOD.values(), ids=GOOD.keys())


@pytest.fixture(scope="module")
def strictly() -> Callable[[Callable[[bytes], object], bytes], tuple[str, Any]]:
    """What a parser makes of bytes when the compiled decoder never answers."""
    patched = [
        (entries, "read_entry"),
        (entries, "read_header"),
        (entries, "read_summary"),
        (summaries, "read_summary"),
    ]

    def outcome(parse: Callable[[bytes], object], data: bytes) -> tuple[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            for module, name in patched:
                patch.setattr(module, name, lambda _: None)
            return outcome_of(parse, data)

    return outcome


def outcome_of(parse: Callable[[bytes], object], data: bytes) -> tuple[str, Any]:
    try:
        return "value", parse(data)
    except ProtocolError as error:
        return error.code, error.why


@settings(max_examples=150)
@given(NESTED)
def test_both_encoders_write_the_same_bytes(value: canonical.Value) -> None:
    """Of every value with a canonical form."""
    assert wire.encode_known(value) == canonical.encode(value)


@given(
    st.binary(max_size=400), st.lists(st.binary(max_size=64), max_size=4),
    st.binary(max_size=300) | st.just(bytes(70_000)), st.none() | st.binary(max_size=300),
)  # fmt: skip
def test_an_entry_is_written_canonically(
    header: bytes, signatures: list[bytes], data: bytes, cells: bytes | None
) -> None:
    """Whatever its parts, even those no entry may have."""
    strict = canonical.encode([header, signatures, data, cells])
    assert Entry(header, tuple(signatures), data, cells).encode() == strict


@every_reader
def test_the_compiled_decoder_reads_what_is_good(parse: Callable[[bytes], object], good: bytes) -> None:
    """Otherwise the other tests here would compare the strict decoder with itself."""
    if parse is parse_entry:
        assert wire.read_entry(good) is not None
    elif parse is parse_header:
        assert wire.read_header(good) is not None
    else:
        assert wire.read_summary(good) is not None


@every_reader
def test_every_changed_byte_gives_the_same(
    parse: Callable[[bytes], object], good: bytes, strictly: Callable[..., tuple[str, Any]]
) -> None:
    """Each byte of a good object, turned in one bit, and left out."""
    assert outcome_of(parse, good) == strictly(parse, good)
    assert outcome_of(parse, good)[0] == "value"
    for place in range(len(good)):
        before, byte, after = good[:place], good[place], good[place + 1 :]
        for middle in (bytes([byte ^ 1 << place % 8]), b""):
            data = before + middle + after
            assert outcome_of(parse, data) == strictly(parse, data), (place, data.hex())


@every_reader
def test_every_other_spelling_gives_the_same(
    parse: Callable[[bytes], object], good: bytes, strictly: Callable[..., tuple[str, Any]]
) -> None:
    """One value inside a good object in a longer form, as a float, out of range; a map out of order, a key twice."""
    found = list(spellings(canonical.decode(good)))
    assert len(found) > 10
    for data in found:
        assert outcome_of(parse, data) == strictly(parse, data), data.hex()


def spellings(value: canonical.Value) -> Iterator[bytes]:
    """The value's bytes with one value in it spelled otherwise, or another that no canonical object holds."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        yield from (b"\xcf" + value.to_bytes(8, "big"), struct.pack(">Bd", 0xCB, value), b"\xd3" + bytes(8))
        yield from (b"\xcf" + (1 << 53).to_bytes(8, "big"), b"\xcf" + b"\xff" * 8, b"\xff", b"\xc3", b"\xca" + bytes(4))
    elif isinstance(value, str):
        raw = value.encode()
        yield from (b"\xda" + len(raw).to_bytes(2, "big") + raw, b"\xdb" + len(raw).to_bytes(4, "big") + raw)
        yield from (b"\xa2\xc3\xa9", b"\xa1\x7f", b"\xa1\xff", canonical.encode(raw))
    elif isinstance(value, bytes):
        yield from (b"\xc6" + len(value).to_bytes(4, "big") + value, b"\xc6\xff\xff\xff\xff", b"\xd4\x01\x00")
    elif isinstance(value, list):
        items = [canonical.encode(item) for item in value]
        yield b"\xdd" + len(items).to_bytes(4, "big") + b"".join(items)
        yield b"\xdd\x7f\xff\xff\xff" + b"".join(items)
        for place, item in enumerate(value):
            for other in spellings(item):
                yield bytes([0x90 | len(items)]) + b"".join([*items[:place], other, *items[place + 1 :]])
    else:
        pairs = [(canonical.encode(key), canonical.encode(item)) for key, item in value.items()]
        yield bytes([0x80 | len(pairs)]) + b"".join(key + item for key, item in reversed(pairs))
        for place, item in enumerate(value.values()):
            key = pairs[place][0]
            yield bytes([0x80 | len(pairs) + 1]) + b"".join(k + v for k, v in [*pairs, pairs[place]])
            for other in spellings(item):
                changed = [*pairs[:place], (key, other), *pairs[place + 1 :]]
                yield bytes([0x80 | len(pairs)]) + b"".join(k + v for k, v in changed)


@every_reader
@settings(max_examples=50)
@given(start=st.floats(0, 1), length=st.integers(0, 5), middle=st.binary(max_size=9) | NESTED.map(canonical.encode))
def test_any_bytes_anywhere_give_the_same(
    parse: Callable[[bytes], object],
    good: bytes,
    strictly: Callable[..., tuple[str, Any]],
    start: float,
    length: int,
    middle: bytes,
) -> None:
    """Other bytes, or a whole other value, in place of some."""
    at = int(start * len(good))
    data = good[:at] + middle + good[at + length :]
    assert outcome_of(parse, data) == strictly(parse, data)


@settings(max_examples=150)
@given(
    field=st.sampled_from(sorted(FIELDS)),
    value=NESTED
    | st.sampled_from([0, 1, 2, canonical.MAX_INTEGER, "user", "2026-11-01/P1D", "2026-11-01T05/PT1H", bytes(32)])
    | st.lists(st.integers(-1, 6), min_size=2, max_size=2),
    place=st.integers(0, 3),
)
def test_any_value_in_a_field_gives_the_same(
    strictly: Callable[..., tuple[str, Any]], field: str, value: canonical.Value, place: int
) -> None:
    """A whole field, or one item inside a list of it."""
    changed = dict(FIELDS)
    old = changed[field]
    if isinstance(old, list) and place < len(old):
        inner = old[place]
        changed[field] = [
            *old[:place],
            dict(inner, cells=value) if isinstance(inner, dict) else value,
            *old[place + 1 :],
        ]
    else:
        changed[field] = value
    data = canonical.encode(changed)
    for parse in (committed_cells, lambda data: parse_summary(data, NodeId(NODE))):
        assert outcome_of(parse, data) == strictly(parse, data)
