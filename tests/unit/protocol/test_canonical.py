"""Canonical msgpack: one encoding per value, everything else refused by name."""

from __future__ import annotations

import tracemalloc
from enum import IntEnum

import msgpack
import pytest

from protocol import canonical
from protocol.errors import NotCanonical, TooLarge

EDGES = [
    None, True, False, 0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1,
    -1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**53) + 1,
    "", "a", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65_535, "x" * 65_536, " ~",
    b"", b"\x00", b"x" * 255, b"x" * 256, b"x" * 65_535, b"x" * 65_536,
    [], [1], [0] * 15, [0] * 16, [0] * 65_535,
    {}, {"a": 1}, {f"{n:04}": n for n in range(15)}, {f"{n:04}": n for n in range(16)},
    [[[[[[[[]]]]]]]],
]  # fmt: skip


@pytest.mark.parametrize("value", EDGES, ids=lambda value: repr(value)[:24])
def test_edges_round_trip_and_agree_with_msgpack(value: canonical.Value) -> None:
    """At each change of width our bytes are the shortest ones, which is what the msgpack library writes."""
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert type(canonical.decode(data)) is type(value)
    assert data == msgpack.packb(value)


def test_map_order_is_the_encoders_work() -> None:
    """Whatever order a map is built in, its bytes are the same."""
    assert canonical.encode({"b": 1, "a": 2, "aa": 3, "B": 4}) == canonical.encode({"B": 4, "a": 2, "aa": 3, "b": 1})
    assert list(canonical.decode(canonical.encode({"b": 1, "a": 2, "aa": 3, "B": 4}))) == ["B", "a", "aa", "b"]  # type: ignore[arg-type]


REFUSED = {
    "empty": "",
    "two values": "0102",
    "uint8 of 127": "cc7f",
    "uint16 of 255": "cd00ff",
    "uint32 of 65535": "ce0000ffff",
    "uint64 of 2^32-1": "cf00000000ffffffff",
    "uint64 beyond 2^53-1": "cf0020000000000000",
    "int8 of -32": "d0e0",
    "int8 of 5": "d005",
    "int16 of -128": "d1ff80",
    "int32 of -32768": "d2ffff8000",
    "int64 of -2^31": "d3ffffffff80000000",
    "int64 below -(2^53-1)": "d3ffe0000000000000",
    "float32": "ca3f800000",
    "float64": "cb3ff0000000000000",
    "nan": "cb7ff8000000000000",
    "negative zero": "cb8000000000000000",
    "str8 of 31": "d91f" + "61" * 31,
    "str16 of 255": "da00ff" + "61" * 255,
    "str32 of 1": "db0000000161",
    "str with a newline": "a10a",
    "str with a delete": "a17f",
    "str of utf-8": "a2c3a9",
    "bin16 of 255": "c500ff" + "61" * 255,
    "bin32 of 1": "c60000000161",
    "array16 of 15": "dc000f" + "01" * 15,
    "array32 of 1": "dd0000000101",
    "map16 of 1": "de0001a16101",
    "map32 of 1": "df00000001a16101",
    "duplicate key": "82a16101a16102",
    "keys descending": "82a16201a16101",
    "integer key": "810101",
    "bin key": "81c4016101",
    "nil key": "81c001",
    "fixext1": "d40100",
    "ext8": "c7010100",
    "timestamp": "d6ff00000000",
    "reserved c1": "c1",
    "truncated bin": "c40561",
    "truncated array": "9201",
    "truncated map": "81a161",
    "truncated integer": "cd01",
    "array longer than the bytes": "dd0fffffff01",
    "map longer than the bytes": "df0fffffff01",
    "bin longer than the bytes": "c6ffffffff01",
}


@pytest.mark.requirement("M-ENC-1", "M-ENC-2")
@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_every_other_encoding_is_refused(data: str) -> None:
    """What msgpack libraries accept silently is refused here, inside an array as well as alone."""
    with pytest.raises(NotCanonical):
        canonical.decode(bytes.fromhex(data))
    with pytest.raises(NotCanonical):
        canonical.decode(b"\x91" + bytes.fromhex(data))


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        2**53,
        -(2**53),
        "é",
        "a\n",
        {1: 1},
        {b"a": 1},
        {"é": 1},
        {1, 2},
        object(),
        Colour.RED,
        bytearray(b"a"),
        [1.5],
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # no addresses: the names must not change between workers
)
def test_encoder_refuses_what_the_decoder_would(value: object) -> None:
    """Nothing leaves that would not come back as the same value."""
    with pytest.raises(NotCanonical):
        canonical.encode(value)  # type: ignore[arg-type]


@pytest.mark.requirement("M-ENC-5")
def test_depth_is_limited_both_ways() -> None:
    """Eight levels pass, nine do not, and a million do not reach the recursion limit."""
    assert canonical.decode(b"\x91" * 7 + b"\x90") is not None
    for data in (b"\x91" * 8 + b"\x90", b"\x91" * (1 << 20), (b"\x81\xa0" * (1 << 19))[: 1 << 20]):
        with pytest.raises(TooLarge):
            canonical.decode(data)
    nested: list[canonical.Value] = []
    for _ in range(8):
        nested = [nested]
    with pytest.raises(TooLarge):
        canonical.encode(nested)


@pytest.mark.requirement("M-ENC-5")
def test_size_and_number_of_values_are_limited() -> None:
    """A mebibyte of input is the most, and 65,536 values in it."""
    with pytest.raises(TooLarge):
        canonical.decode(b"\xc0" * ((1 << 20) + 1))
    with pytest.raises(TooLarge):
        canonical.decode(canonical.encode(b"x" * 100), max_bytes=100)
    with pytest.raises(TooLarge):
        canonical.decode(b"\xdd" + (70_000).to_bytes(4, "big") + b"\xc0" * 70_000)
    with pytest.raises(TooLarge):
        canonical.encode([0] * 70_000)
    inner = b"\xdc\xff\xf0" + b"\x00" * 0xFFF0
    assert canonical.decode(b"\x9f" + inner + b"\x00" * 14)  # 65 536 values: itself, 15 items, 65 520 in the first
    with pytest.raises(TooLarge):
        canonical.decode(b"\xdc\x00\x10" + inner + b"\x00" * 15)  # each container alone is within the limit


@pytest.mark.requirement("M-ENC-5", "T-STR-2")
@pytest.mark.parametrize(
    "data",
    [
        (b"\xdd\x00\x0f\x00\x00" * 210_000)[: 1 << 20],
        (b"\xdf\x00\x07\x00\x00\xa0" * 180_000)[: 1 << 20],
        b"\xdd\x00\x00\xff\xf0" + b"\x80" * ((1 << 20) - 5),
        b"\xdd\x00\x00\xff\xf0" + b"\x90" * ((1 << 20) - 5),
    ],
    ids=["nested counts", "nested maps", "empty maps", "empty arrays"],
)
def test_hostile_mebibyte_costs_little_memory(data: bytes) -> None:
    """What a header claims reserves nothing; the worst input stays below 16 MiB."""
    tracemalloc.start()
    try:
        with pytest.raises((NotCanonical, TooLarge)):
            canonical.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.requirement("M-ENC-3")
def test_booleans_are_not_integers() -> None:
    """True and 1 have two encodings and come back as two types."""
    assert canonical.encode(True) != canonical.encode(1)
    assert canonical.decode(canonical.encode([True, 1])) == [True, 1]
    assert [type(item) for item in canonical.decode(canonical.encode([True, 1]))] == [bool, int]  # type: ignore[union-attr]
