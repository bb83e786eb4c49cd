"""Canonical msgpack: for every value exactly one sequence of bytes, and for every other sequence a refusal.

Rules (specs/mesh.md 1):
 1. nil, bool, integers within ±(2⁵³−1), str, bin, array and map only; no float, no ext, no timestamp.
 2. The shortest head for every value; unsigned forms for integers >= 0.
 3. str is printable ASCII (0x20-0x7e); human text travels as bin of UTF-8.
 4. Map keys are str, strictly ascending by bytes; so no duplicates.
 5. Depth, number of values and size are limited; counts are checked against the bytes left before anything is
    allocated.
 6. No trailing bytes.

The decoder is our own because msgpack libraries accept every one of these by default, and reserve memory for
the counts a header claims. A compiled one (msgspec, which checks counts) goes before it where it gives the same: every
value it found is held to rules 1, 3, 4 and 5, and all of them, encoded again, must be the very bytes that came.
Whatever is unusual in any way the decoder below decides, and names the fault. Left out on purpose: streaming, and any
hook for custom types.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NoReturn, TypeAlias

import msgspec

from protocol.errors import NotCanonical, TooLarge

MAX_DEPTH: Final = 8  # nested arrays and maps; a charter uses 5
MAX_VALUES: Final = 65_536  # values in one object: at ~70 bytes of Python each, under 5 MB from 1 MiB of input
MAX_BYTES: Final = 1 << 20  # the largest message of the mesh
MAX_INTEGER: Final = 2**53 - 1  # what JSON readers and JavaScript hold exactly

Value: TypeAlias = "bool | int | str | bytes | list[Value] | dict[str, Value] | None"
Encodable: TypeAlias = "bool | int | str | bytes | Sequence[Encodable] | Mapping[str, Encodable] | None"

_QUICK_BYTES: Final = MAX_VALUES  # of more, a decoder that counts late could be made to hold more values than that

# head: (bytes of length that follow, the least length that no shorter form can say)
_LENGTHS: Final = {
    0xC4: (1, 0), 0xC5: (2, 1 << 8), 0xC6: (4, 1 << 16),  # bin
    0xD9: (1, 32), 0xDA: (2, 1 << 8), 0xDB: (4, 1 << 16),  # str
    0xDC: (2, 16), 0xDD: (4, 1 << 16),  # array
    0xDE: (2, 16), 0xDF: (4, 1 << 16),  # map
}  # fmt: skip
# head: (bytes that follow, the least value, or the value nearest zero, that no shorter form can say)
_UNSIGNED: Final = {0xCC: (1, 1 << 7), 0xCD: (2, 1 << 8), 0xCE: (4, 1 << 16), 0xCF: (8, 1 << 32)}
_SIGNED: Final = {0xD0: (1, -33), 0xD1: (2, -(1 << 7) - 1), 0xD2: (4, -(1 << 15) - 1), 0xD3: (8, -(1 << 31) - 1)}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}


def encode(value: Encodable) -> bytes:
    """The canonical bytes of a value; maps are sorted here, whatever order they come in.

    Raises:
        NotCanonical: the value, or one inside it, has no canonical form (float, big integer, text beyond ASCII, ...).
        TooLarge: nested deeper than MAX_DEPTH, or more than MAX_VALUES values.
    """
    return _encode_quick(value) if _is_plain(value) else _encode_strictly(value)


def array_of(items: Sequence[bytes]) -> bytes:
    """The canonical bytes of an array of encoded values, whose depth and number the caller bounds."""
    writer = _Writer()
    writer.head(len(items), 0x90, 16, 0, 0xDC, 0xDD)
    return b"".join((writer.out, *items))


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Value:
    """The value whose canonical encoding `data` is.

    Raises:
        NotCanonical: any rule above is broken; the message names the rule and the offset.
        TooLarge: size, depth or number of values above the limit.
    """
    if len(data) > max_bytes:
        raise TooLarge(what="object refused", why=f"{len(data)} bytes, at most {max_bytes} are allowed")
    if len(data) <= _QUICK_BYTES and max_depth == MAX_DEPTH:
        try:
            found: Value = _decode_quick(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _decode_strictly(data, max_depth)
        if _is_plain(found) and _encode_quick(found) == data:
            return found
    return _decode_strictly(data, max_depth)


def is_text(text: str) -> bool:
    """Whether every character is printable ASCII, so that the text may be a canonical str."""
    return text.isascii() and text.isprintable()


_decode_quick: Final = msgspec.msgpack.Decoder().decode
_encode_quick: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def _is_plain(value: object) -> bool:
    """Whether the compiled encoder writes the canonical form of a value: rules 1, 3, 4 and 5 hold in it."""
    return _plain((value,), 0, MAX_VALUES) >= 0


def _plain(items: Collection[object], depth: int, left: int) -> int:
    """How many more values there may be after these, which stand `depth` deep; below 0: not plain, or too many."""
    left -= len(items)
    if left < 0 or depth > MAX_DEPTH:
        return -1
    for item in items:
        # Exact types, not isinstance: bool must not pass as int, nor a numpy or enum subclass as its base.
        kind = type(item)
        if kind is bytes or item is None or kind is bool:
            continue
        if kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:  # type: ignore[operator]  # kind is int
                return -1
        elif kind is str:
            if not is_text(item):  # type: ignore[arg-type]
                return -1
        elif kind is list or kind is tuple:
            left = _plain(item, depth + 1, left)  # type: ignore[arg-type]
        elif kind is dict:
            if any(type(key) is not str or not is_text(key) for key in item):  # type: ignore[attr-defined]
                return -1
            left = _plain(item.values(), depth + 1, left - len(item))  # type: ignore[attr-defined,arg-type]
        else:
            return -1
        if left < 0:
            return -1
    return left


def _encode_strictly(value: object) -> bytes:
    writer = _Writer()
    writer.write(value, 0)
    return bytes(writer.out)


def _decode_strictly(data: bytes, max_depth: int) -> Value:
    reader = _Reader(data, max_depth)
    value = reader.read(0)
    if reader.at != len(data):
        _refuse(f"{len(data) - reader.at} trailing bytes", reader.at)
    return value


class _Writer:
    __slots__ = ("count", "out")

    def __init__(self) -> None:
        self.out = bytearray()
        self.count = 0

    def write(self, value: object, depth: int) -> None:
        self.count += 1
        if self.count > MAX_VALUES:
            raise TooLarge(what="value not encoded", why=f"more than {MAX_VALUES} values in one object")
        # Exact types, not isinstance: bool must not pass as int, nor a numpy or enum subclass as its base.
        kind = type(value)
        if kind is int:
            self._integer(value)  # type: ignore[arg-type]  # kind is int
        elif kind is bytes:
            self.head(len(value), 0, 0, 0xC4, 0xC5, 0xC6)  # type: ignore[arg-type]
            self.out += value  # type: ignore[arg-type]
        elif kind is str:
            self._text(value)  # type: ignore[arg-type]
        elif value is None:
            self.out.append(0xC0)
        elif kind is bool:
            self.out.append(0xC3 if value else 0xC2)
        elif kind is list or kind is tuple:
            self._array(value, depth + 1)  # type: ignore[arg-type]
        elif isinstance(value, Mapping):
            self._map(value, depth + 1)
        else:
            _no_form(f"a value of type {kind.__name__}")

    def _integer(self, value: int) -> None:
        out = self.out
        if 0 <= value <= MAX_INTEGER:
            if value < 0x80:
                out.append(value)
            elif value <= 0xFF:
                out += bytes((0xCC, value))
            elif value <= 0xFFFF:
                out += struct.pack(">BH", 0xCD, value)
            elif value <= 0xFFFF_FFFF:
                out += struct.pack(">BI", 0xCE, value)
            else:
                out += struct.pack(">BQ", 0xCF, value)
        elif -MAX_INTEGER <= value < 0:
            if value >= -0x20:
                out.append(value & 0xFF)
            elif value >= -0x80:
                out += struct.pack(">Bb", 0xD0, value)
            elif value >= -0x8000:
                out += struct.pack(">Bh", 0xD1, value)
            elif value >= -0x8000_0000:
                out += struct.pack(">Bi", 0xD2, value)
            else:
                out += struct.pack(">Bq", 0xD3, value)
        else:
            _no_form("an integer beyond 2^53-1")

    def _text(self, text: str) -> None:
        if not is_text(text):
            _no_form("text with characters beyond printable ASCII (use bytes of UTF-8)")
        self.head(len(text), 0xA0, 32, 0xD9, 0xDA, 0xDB)
        self.out += text.encode("ascii")

    def _array(self, items: Sequence[object], depth: int) -> None:
        _check_depth(depth, MAX_DEPTH)
        self.head(len(items), 0x90, 16, 0, 0xDC, 0xDD)
        for item in items:
            self.write(item, depth)

    def _map(self, items: Mapping[object, object], depth: int) -> None:
        _check_depth(depth, MAX_DEPTH)
        if any(type(key) is not str for key in items):
            _no_form("a map key that is not text")
        self.head(len(items), 0x80, 16, 0, 0xDE, 0xDF)
        for key in sorted(items):  # type: ignore[type-var]  # all str; ASCII order is byte order
            self.write(key, depth)
            self.write(items[key], depth)

    def head(self, size: int, fix: int, fix_limit: int, one: int, two: int, four: int) -> None:
        if size < fix_limit:
            self.out.append(fix | size)
        elif one and size <= 0xFF:
            self.out += bytes((one, size))
        elif size <= 0xFFFF:
            self.out += struct.pack(">BH", two, size)
        elif size <= 0xFFFF_FFFF:
            self.out += struct.pack(">BI", four, size)
        else:
            _no_form("a value of 4 GiB or more")


class _Reader:
    __slots__ = ("at", "budget", "data", "end", "max_depth")

    def __init__(self, data: bytes, max_depth: int) -> None:
        self.data = data
        self.end = len(data)
        self.at = 0
        self.budget = MAX_VALUES
        self.max_depth = max_depth

    def read(self, depth: int) -> Value:
        self.budget -= 1
        if self.budget < 0:
            raise TooLarge(what="object refused", why=f"more than {MAX_VALUES} values")
        at = self.at
        if at >= self.end:
            _refuse("the bytes end inside a value", at)
        head = self.data[at]
        self.at = at + 1
        if head < 0x80:
            return head
        if head >= 0xE0:
            return head - 0x100
        if head < 0x90:
            return self._map(head & 0x0F, depth + 1)
        if head < 0xA0:
            return self._array(head & 0x0F, depth + 1)
        if head < 0xC0:
            return self._text(head & 0x1F)
        return self._long(head, depth)

    def _long(self, head: int, depth: int) -> Value:
        if head in _LENGTHS:
            width, shortest = _LENGTHS[head]
            size = int.from_bytes(self._take(width), "big")
            if size < shortest:
                _refuse("a length is not in its shortest form", self.at)
            if head <= 0xC6:
                return self._take(size)
            if head <= 0xDB:
                return self._text(size)
            return self._array(size, depth + 1) if head <= 0xDD else self._map(size, depth + 1)
        if head in _UNSIGNED:
            width, least = _UNSIGNED[head]
            value = int.from_bytes(self._take(width), "big")
            if value < least:
                _refuse("an integer is not in its shortest form", self.at)
        elif head in _SIGNED:
            width, most = _SIGNED[head]
            value = int.from_bytes(self._take(width), "big", signed=True)
            if value > most:
                _refuse("an integer is not in its shortest form", self.at)
        elif head in _CONSTANTS:
            return _CONSTANTS[head]
        else:
            _refuse("a float, an extension or a reserved type", self.at - 1)
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            _refuse("an integer is beyond 2^53-1", self.at)
        return value

    def _take(self, size: int) -> bytes:
        at = self.at
        if size > self.end - at:
            _refuse(f"{size} bytes claimed, {self.end - at} left", at)
        self.at = at + size
        return self.data[at : at + size]

    def _text(self, size: int) -> str:
        raw = self._take(size)
        if raw.isascii():
            text = raw.decode("ascii")
            if text.isprintable():
                return text
        _refuse("text is not printable ASCII", self.at)

    def _array(self, count: int, depth: int) -> list[Value]:
        _check_depth(depth, self.max_depth)
        self._check_count(count)
        return [self.read(depth) for _ in range(count)]

    def _map(self, count: int, depth: int) -> dict[str, Value]:
        _check_depth(depth, self.max_depth)
        self._check_count(2 * count)
        items: dict[str, Value] = {}
        last: str | None = None
        for _ in range(count):
            start = self.at
            key = self.read(depth)
            if type(key) is not str:
                _refuse("a map key is not text", start)
            if last is not None and key <= last:
                _refuse("map keys are not strictly ascending", start)
            last = key
            items[key] = self.read(depth)
        return items

    def _check_count(self, count: int) -> None:
        # Every value takes at least one byte: a larger count is a lie, told to make us allocate.
        if count > self.end - self.at:
            _refuse(f"{count} values claimed, {self.end - self.at} bytes left", self.at)
        if count > self.budget:
            raise TooLarge(what="object refused", why=f"more than {MAX_VALUES} values")


def _check_depth(depth: int, limit: int) -> None:
    if depth > limit:
        raise TooLarge(what="object refused", why=f"nested deeper than {limit}")


def _refuse(why: str, offset: int) -> NoReturn:
    raise NotCanonical(what="object refused", why=f"{why} (at byte {offset})")


def _no_form(what: str) -> NoReturn:
    raise NotCanonical(what="value not encoded", why=f"{what} has no canonical form", fix="Correct the caller")
