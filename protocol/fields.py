"""Reading decoded values field by field: every field taken, none left over, each checked for type and range.

`Fields` is for maps (kind data, charters), `check_array` for the fixed arrays (headers, envelopes). Schemas are
closed: an unknown field is refused, because it might change the meaning of the ones we know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import Final, NoReturn, TypeVar

from protocol.canonical import MAX_INTEGER, Encodable, Value
from protocol.errors import MalformedMessage, TooLarge, UnknownVersion

T = TypeVar("T")

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""A name that the protocol compares: of a node, an organisation, a metric, a population group."""


class Fields:
    """One decoded map, read field by field. `what` names the object in refusals."""

    __slots__ = ("_left", "what")

    def __init__(self, value: Value, what: str) -> None:
        if type(value) is not dict:
            refuse(what, f"expected a map, got {kind_of(value)}")
        self.what = what
        self._left = dict(value)

    def take(self, name: str) -> Value:
        if name not in self._left:
            refuse(self.what, f"field {name} is missing")
        return self._left.pop(name)

    def version(self, known: int = 1, *more: int) -> int:
        """Take `v`, and refuse every other than the known ones.

        Raises:
            UnknownVersion: `v` is another positive integer; nothing else has been looked at.
        """
        found = self.integer("v", 1)
        if found not in (known, *more):
            words = " and ".join(map(str, (known, *more)))
            raise UnknownVersion(
                what=f"{self.what} not understood", why=f"version {found}, this software knows {words}"
            )
        return found

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """What `read` makes of the field, or None when it is absent. An absent field is left out, never nil."""
        return read(name) if name in self._left else None

    def integer(self, name: str, low: int = 0, high: int = MAX_INTEGER) -> int:
        return check_integer(self.take(name), f"{self.what}: {name}", low, high)

    def boolean(self, name: str) -> bool:
        value = self.take(name)
        if type(value) is not bool:
            refuse(f"{self.what}: {name}", f"expected true or false, got {kind_of(value)}")
        return value

    def bytes_of(self, name: str, size: int = 32) -> bytes:
        return check_bytes(self.take(name), f"{self.what}: {name}", size, size)

    def blob(self, name: str, low: int, high: int) -> bytes:
        return check_bytes(self.take(name), f"{self.what}: {name}", low, high)

    def text(self, name: str, high: int = 255) -> str:
        return check_text(self.take(name), f"{self.what}: {name}", high)

    def name(self, name: str) -> str:
        return check_name(self.take(name), f"{self.what}: {name}")

    def human(self, name: str, high: int) -> str:
        return check_human(self.take(name), f"{self.what}: {name}", high)

    def ratio(self, name: str) -> Fraction:
        return check_ratio(self.take(name), f"{self.what}: {name}")

    def array(self, name: str, high: int, low: int = 0) -> list[Value]:
        return check_array(self.take(name), f"{self.what}: {name}", low, high)

    def done(self) -> None:
        """Every field has been taken.

        Raises:
            MalformedMessage: one is left; its name is in the message.
        """
        if self._left:
            refuse(self.what, f"unknown field {min(self._left)}")


def check_array(value: Value, what: str, low: int, high: int) -> list[Value]:
    if type(value) is not list:
        refuse(what, f"expected an array, got {kind_of(value)}")
    if not low <= len(value) <= high:
        if low < high < len(value):
            raise TooLarge(what=f"{what} refused", why=f"{len(value)} items, at most {high} are allowed")
        refuse(what, f"expected {low if low == high else f'{low} to {high}'} items, got {len(value)}")
    return value


def check_integer(value: Value, what: str, low: int = 0, high: int = MAX_INTEGER) -> int:
    if type(value) is not int:  # bool is not an integer
        refuse(what, f"expected an integer, got {kind_of(value)}")
    if not low <= value <= high:
        refuse(what, f"{value} is not between {low} and {high}")
    return value


def check_bytes(value: Value, what: str, low: int, high: int) -> bytes:
    if type(value) is not bytes:
        refuse(what, f"expected bytes, got {kind_of(value)}")
    if not low <= len(value) <= high:
        if low < high < len(value):
            raise TooLarge(what=f"{what} refused", why=f"{len(value)} bytes, at most {high} are allowed")
        refuse(what, f"expected {low if low == high else f'{low} to {high}'} bytes, got {len(value)}")
    return value


def check_text(value: Value, what: str, high: int = 255) -> str:
    if type(value) is not str:
        refuse(what, f"expected text, got {kind_of(value)}")
    if not value:
        refuse(what, "it is empty")
    if len(value) > high:
        raise TooLarge(what=f"{what} refused", why=f"{len(value)} characters, at most {high} are allowed")
    return value


def check_name(value: Value, what: str) -> str:
    text = check_text(value, what, 64)
    if NAME.fullmatch(text) is None:
        refuse(what, "a name is a lower-case letter, then up to 63 of a-z, 0-9, dot, dash, underscore")
    return text


def check_human(value: Value, what: str, high: int) -> str:
    """Human text from its bytes.

    Valid UTF-8, 1 to `high` bytes, no control characters; never normalised, never compared.
    """
    raw = check_bytes(value, what, 1, high)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        refuse(what, "not valid UTF-8")
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in text):
        refuse(what, "control characters are not allowed")
    return text


def check_ratio(value: Value, what: str) -> Fraction:
    """An exact ratio >= 0 from `[numerator, denominator]` in lowest terms, denominator >= 1."""
    items = check_array(value, what, 2, 2)
    numerator = check_integer(items[0], what)
    denominator = check_integer(items[1], what, 1)
    if gcd(numerator, denominator) != 1:
        refuse(what, f"{numerator}/{denominator} is not in lowest terms")
    return Fraction(numerator, denominator)


def ratio_value(ratio: Fraction) -> list[int]:
    """The wire form of a ratio; a Fraction is always in lowest terms."""
    return [ratio.numerator, ratio.denominator]


def human_value(text: str) -> bytes:
    """The wire form of human text."""
    return text.encode("utf-8")


def check_ascending(items: Sequence[T], what: str, key: Callable[[T], object]) -> None:
    """Refuse unless the items stand in strictly ascending order of `key`: one order, no duplicates.

    Raises:
        MalformedMessage: two neighbours are equal or the wrong way round.
    """
    keys = [key(item) for item in items]
    if any(not first < second for first, second in pairwise(keys)):  # type: ignore[operator]
        refuse(what, "items are not in strictly ascending order")


def without_none(fields: dict[str, Encodable]) -> dict[str, Encodable]:
    """The map with its absent fields left out: on the wire an optional field is absent, never nil."""
    return {name: value for name, value in fields.items() if value is not None}


def kind_of(value: Value) -> str:
    names: dict[type, str] = {
        type(None): "nil", bool: "a boolean", int: "an integer", str: "text", bytes: "bytes", list: "an array",
        dict: "a map",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)


def refuse(what: str, why: str) -> NoReturn:
    raise MalformedMessage(what=f"{what} refused", why=why)
