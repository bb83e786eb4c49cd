"""The smallest second node: what specs/mesh says of bytes, keys, entries and messages, and nothing of `protocol/`.

It asks and is answered by a node of ours (test_second_node.py). Section numbers are those of specs/mesh.md.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nacl.signing import SigningKey, VerifyKey

REFUSED = bytes.fromhex("9201a772656675736564")  # 6.3


# -- 1 canonical encoding


def encode(value: Any) -> bytes:
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if value >= 0:
            if value < 0x80:
                return bytes([value])
            for head, form in (b"\xcc", ">B"), (b"\xcd", ">H"), (b"\xce", ">I"), (b"\xcf", ">Q"):
                if value < 1 << 8 * struct.calcsize(form):
                    return head + struct.pack(form, value)
        case int() if value >= -32:
            return struct.pack(">b", value)
        case int():
            for head, form in (b"\xd0", ">b"), (b"\xd1", ">h"), (b"\xd2", ">i"), (b"\xd3", ">q"):
                if value >= -(1 << 8 * struct.calcsize(form) - 1):
                    return head + struct.pack(form, value)
        case str():
            return _head(len(value), 0xA0, 32, b"\xd9\xda\xdb") + value.encode("ascii")
        case bytes():
            return _head(len(value), 0, 0, b"\xc4\xc5\xc6") + value
        case Mapping():
            items = b"".join(encode(key) + encode(value[key]) for key in sorted(value))
            return _head(len(value), 0x80, 16, b"\x00\xde\xdf") + items
        case Sequence():
            return _head(len(value), 0x90, 16, b"\x00\xdc\xdd") + b"".join(map(encode, value))
    raise ValueError(value)


def _head(size: int, fix: int, below: int, heads: bytes) -> bytes:
    if size < below:
        return bytes([fix | size])
    for head, form in zip(heads, (">B", ">H", ">I"), strict=True):
        if head and size < 1 << 8 * struct.calcsize(form):
            return bytes([head]) + struct.pack(form, size)
    raise ValueError(size)


def decode(data: bytes) -> Any:
    """The value; one that does not encode to these bytes again is refused, which is all that 1.1 asks."""
    value, end = _read(data, 0)
    if end != len(data) or encode(value) != data:
        raise ValueError("not canonical")
    return value


def _read(data: bytes, at: int) -> tuple[Any, int]:
    head, at = data[at], at + 1
    if head < 0x80:
        return head, at
    if head >= 0xE0:
        return head - 256, at
    if head in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[head], at
    if 0xCC <= head <= 0xD3:
        form = ">" + "BHIQbhiq"[head - 0xCC]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    lengths = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I",
               0xDE: ">H", 0xDF: ">I"}  # fmt: skip
    if head in lengths:
        (size,) = struct.unpack_from(lengths[head], data, at)
        at += struct.calcsize(lengths[head])
        kind = "bin" if head <= 0xC6 else "str" if head <= 0xDB else "array" if head <= 0xDD else "map"
    else:
        size, kind = (head & 0x1F, "str") if head >= 0xA0 else (head & 0x0F, "array" if head >= 0x90 else "map")
    if kind in ("bin", "str"):
        raw = data[at : at + size]
        return (raw if kind == "bin" else raw.decode("ascii")), at + size
    items = []
    for _ in range(size * (2 if kind == "map" else 1)):
        item, at = _read(data, at)
        items.append(item)
    return (items if kind == "array" else dict(zip(items[::2], items[1::2], strict=True))), at


# -- 2 ids and signatures


def _part(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def id_of(type_: str, body: bytes) -> bytes:
    return hashlib.sha256(_part(b"murmur-id-v1") + _part(type_.encode()) + _part(body)).digest()


def to_sign(type_: str, federation: bytes, author: bytes, body: bytes) -> bytes:
    return b"".join(map(_part, (b"murmur-sign-v1", type_.encode(), federation, author, body)))


# -- 5 entries


def entry(key: SigningKey, federation: bytes, author: bytes, seq: int, prev: bytes, kind: str, data: bytes) -> bytes:
    """An entry of generation 0 without cells, as it travels."""
    header = encode([1, federation, author, 0, seq, prev, 1, 1_763_000_000, kind, id_of("data", data), len(data)])
    signature = key.sign(to_sign("entry", federation, author, header)).signature
    return encode([header, [signature], data, None])


def check_entry(data: bytes, key: bytes) -> list[Any]:
    """The header of an entry that one key signed; anything else raises."""
    header, [signature], body, _ = decode(data)
    items: list[Any] = decode(header)
    if (id_of("data", body), len(body)) != (items[9], items[10]):
        raise ValueError("parts")
    VerifyKey(key).verify(to_sign("entry", items[1], items[2], header), signature)
    return items


# -- 6 messages


@dataclass
class SecondNode:
    """A member that asks. `key`, `record`: its signing key and signed inception record."""

    federation: bytes
    node: bytes
    key: SigningKey
    record: bytes
    charter_hash: bytes
    authors: list[bytes]
    heads: dict[bytes, list[Any]] = field(default_factory=dict)
    _asked: int = 0

    @property
    def digest(self) -> bytes:
        """6.4, under charter version 1, attempt 1."""
        lines = [self.heads.get(author, [0, -1, None, None]) for author in self.authors]
        return id_of("heads", encode([1, 1, self.charter_hash, lines]))

    def ask(self, to: bytes, op: str, payload: dict[str, Any], at_ms: int) -> tuple[bytes, bytes]:
        """The message, and its nonce."""
        self._asked += 1
        nonce = self._asked.to_bytes(16, "big")
        body = encode(
            [1, "req", self.federation, self.node, to, op, at_ms, nonce, None, 1, 1, self.charter_hash, self.digest,
             encode({"v": 1, **payload})]
        )  # fmt: skip
        signature = self.key.sign(to_sign("request", self.federation, self.node, body)).signature
        return encode([1, "request", body, [signature]]), nonce

    def read(self, asked: bytes, answer: bytes, peer: bytes, peer_key: bytes) -> tuple[str, Any, bytes]:
        """(status, payload, heads digest) of an answer that is bound to its question and signed by the peer."""
        question = decode(asked)[2]
        major, type_, body, [signature] = decode(answer)
        items = decode(body)
        expected = [1, "response", 1, "res", self.federation, peer, self.node, id_of("request", question)]
        if [major, type_, *items[:6]] != expected or len(items) != 13:
            raise ValueError("it answers something else")
        VerifyKey(peer_key).verify(to_sign("response", self.federation, peer, body), signature)
        return items[7], decode(items[12]) if items[12] else None, items[11]
