"""A small country database in MaxMind's format, byte by byte: a tree of bits and the records at its leaves.

Source: the MaxMind DB file format specification, version 2.0 (24-bit records, data section, metadata).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

_RECORD_BYTES = 3
_NOTHING = -1


@dataclass(frozen=True)
class _U32:
    number: int


@dataclass(frozen=True)
class _U64:
    number: int


def database_of(countries: Mapping[str, Mapping[str, object]]) -> bytes:
    """The file that answers each network of `countries` with its record. Networks must not overlap."""
    nodes: list[list[int | str]] = [[_NOTHING, _NOTHING]]  # child: another node, nothing, or a network's text
    for text in countries:
        network = ipaddress.ip_network(text)
        shift = 96 if network.version == 4 else 0  # IPv4 lies under 96 zero bits
        bits = f"{int(network.network_address):0{128 - shift}b}"[: network.prefixlen].rjust(
            network.prefixlen + shift, "0"
        )
        place = 0
        for bit in bits[:-1]:
            child = nodes[place][int(bit)]
            if not isinstance(child, int) or child == _NOTHING:
                nodes.append([_NOTHING, _NOTHING])
                child = nodes[place][int(bit)] = len(nodes) - 1
            place = child
        nodes[place][int(bits[-1])] = text
    data, offsets = b"", dict[str, int]()
    for text, record in countries.items():
        offsets[text] = len(data)
        data += _encoded(record)

    def value(child: int | str) -> bytes:
        if isinstance(child, str):
            found = len(nodes) + 16 + offsets[child]
        else:
            found = len(nodes) if child == _NOTHING else child
        return found.to_bytes(_RECORD_BYTES, "big")

    tree = b"".join(value(child) for node in nodes for child in node)
    about = {
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": _U64(1),
        "database_type": "Test", "description": {}, "ip_version": 6, "languages": [],
        "node_count": _U32(len(nodes)), "record_size": 24,
    }  # fmt: skip
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(about)


def _encoded(value: object) -> bytes:
    """Control byte (type in the upper three bits, size in the lower five) and content."""
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, int):
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _control(5, len(raw)) + raw  # 16 bits, unless it says more
    if isinstance(value, _U32):
        return _control(6, 4) + value.number.to_bytes(4, "big")
    if isinstance(value, _U64):
        return bytes([8, 9 - 7]) + value.number.to_bytes(8, "big")
    if isinstance(value, Mapping):
        return _control(7, len(value)) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
    if isinstance(value, list):  # an extended type: its number less 7 in the next byte
        return bytes([len(value), 11 - 7]) + b"".join(map(_encoded, value))
    raise TypeError(type(value))


def _control(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
