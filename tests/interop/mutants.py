"""Bundles with something wrong in them: a part taken out, doubled, exchanged, turned over, at any depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

from protocol import canonical
from protocol.errors import ProtocolError

ODD = (0, 1, -1, None, True, False, b"", b"x", "", "x", [], {}, 1 << 40)


def mutant(bundle: bytes, other: bytes, random: Random) -> bytes | None:
    """A bundle with one or two faults, some of them parts of another bundle; None where it cannot be written."""
    value = _changed(_read(bundle), _read(other), random)
    try:
        return canonical.encode(value)
    except (ProtocolError, TypeError, ValueError):
        return None


def _read(data: bytes) -> Any:
    return canonical.decode(data, max_bytes=len(data))


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every item inside."""
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, item in inside:
        yield (*before, key)
        yield from _places(item, (*before, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _changed(value: Any, other: Any, random: Random) -> Any:
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2))):
        places = list(_places(value))
        if places:
            *way, key = random.choice(places)
            _change(_at(value, tuple(way)), key, value, other, random)
    return value


def _change(holder: Any, key: Any, whole: Any, other: Any, random: Random) -> None:
    """One fault at one place."""
    item = holder[key]
    kind = random.randrange(8)
    if kind == 0 and isinstance(holder, list):
        holder.pop(key)
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(item))
    elif kind == 2 and isinstance(holder, list):
        random.shuffle(holder)
    elif kind == 3:
        holder[key] = random.choice(ODD)
    elif kind == 4 and isinstance(item, bytes) and item:
        turned = bytearray(item)
        turned[random.randrange(len(turned))] ^= 1 << random.randrange(8)
        holder[key] = bytes(turned)
    elif kind in (5, 6):
        source = whole if kind == 5 else other
        holder[key] = copy.deepcopy(_at(source, random.choice(list(_places(source)))))
    elif isinstance(item, bytes) and item[:1] >= b"\x80":
        try:
            inner = _read(item)
        except ProtocolError:
            return
        holder[key] = canonical.encode(_changed(inner, inner, random))
