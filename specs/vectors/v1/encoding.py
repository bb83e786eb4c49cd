"""encoding.json: canonical msgpack. The hex of refused cases is written by hand."""

from __future__ import annotations

from protocol import canonical
from specs.vectors.v1.cast import Json

ACCEPTED: list[canonical.Value] = [
    None, False, True, 0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1,
    -1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**53) + 1,
    "", "a", "~", " ", "x" * 31, "x" * 32, "x" * 255, "x" * 256,
    b"", b"\x00", b"\xff" * 255, b"\x00" * 256,
    [], [1, [2, [3]]], [0] * 15, [0] * 16, [[[[[[[[]]]]]]]],
    {}, {"a": 1}, {"": 1, "A": 2, "a": 3, "aa": 4, "b": 5}, {f"{n:02}": n for n in range(15)},
    {f"{n:02}": n for n in range(16)},
    {"map": {"in": {"map": [None, True, b"bytes", "text", -5]}}},
]  # fmt: skip

NOT_CANONICAL = {
    "no bytes": "",
    "two values": "0102",
    "trailing zero": "c000",
    "uint8 holds 127": "cc7f",
    "uint16 holds 255": "cd00ff",
    "uint32 holds 65535": "ce0000ffff",
    "uint64 holds 2^32-1": "cf00000000ffffffff",
    "2^53": "cf0020000000000000",
    "2^64-1": "cfffffffffffffffff",
    "int8 holds a positive integer": "d005",
    "int8 holds -32": "d0e0",
    "int16 holds -128": "d1ff80",
    "int32 holds -32768": "d2ffff8000",
    "int64 holds -2^31": "d3ffffffff80000000",
    "int64 holds a positive integer": "d30000000100000000",
    "-2^53": "d3ffe0000000000000",
    "float32": "ca3f800000",
    "float64": "cb3ff0000000000000",
    "float64 not a number": "cb7ff8000000000000",
    "float64 minus zero": "cb8000000000000000",
    "str8 of 31 bytes": "d91f" + "61" * 31,
    "str16 of 255 bytes": "da00ff" + "61" * 255,
    "str32 of 1 byte": "db0000000161",
    "str with tab": "a109",
    "str with delete": "a17f",
    "str with nul": "a100",
    "str of utf-8": "a2c3a9",
    "str of invalid utf-8": "a1ff",
    "bin16 of 255 bytes": "c500ff" + "00" * 255,
    "bin32 of 1 byte": "c60000000100",
    "array16 of 15": "dc000f" + "00" * 15,
    "array32 of 1": "dd0000000100",
    "map16 of 1": "de0001a16100",
    "map32 of 1": "df00000001a16100",
    "key twice": "82a16100a16100",
    "keys descending": "82a16200a16100",
    "keys by length instead of bytes": "82a16200a2616100",
    "integer key": "810000",
    "bin key": "81c4016100",
    "nil key": "81c000",
    "array key": "819000",
    "fixext1": "d40000",
    "fixext4 timestamp": "d6ff00000000",
    "ext8": "c7010000",
    "reserved byte": "c1",
    "cut in a bin": "c40500",
    "cut in an integer": "cd01",
    "cut in an array": "9200",
    "cut in a map": "81a161",
    "array claims 2^28": "dd1000000000",
    "map claims 2^31": "df8000000000",
    "bin claims 2^32-1": "c6ffffffff00",
    "str claims 2^32-1": "dbffffffff61",
}  # fmt: skip

TOO_LARGE = {
    "nine arrays deep": "91" * 8 + "90",
    "nine maps deep": "81a161" * 8 + "80",
    "arrays without end": "91" * 64,
}


def vectors() -> Json:
    return {
        "about": "Canonical msgpack, specs/mesh.md 1. Values in JSON: {bin: hex} is bytes, {map: [[key, value]]} a map",
        "accepted": [{"value": tagged(value), "hex": canonical.encode(value).hex()} for value in ACCEPTED],
        "refused": [
            *({"name": name, "hex": data, "code": "not-canonical"} for name, data in NOT_CANONICAL.items()),
            *({"name": name, "hex": data, "code": "too-large"} for name, data in TOO_LARGE.items()),
        ],
    }


def tagged(value: canonical.Value) -> object:
    """A value in JSON, with what JSON lacks under a tag."""
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, list):
        return [tagged(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[name, tagged(item)] for name, item in sorted(value.items())]}
    return value
