"""From a value as a client sent it to the code that is stored, or None for absent. Exact: no float decides.

An encoder takes any object that JSON can bring and never raises. Absent is what a value becomes that has the
wrong type, is no number, is NaN or infinite, is 10¹² or more in size (no measurement, more likely an id), or
looks like personal data (`privacy.pii`). A float stands for the shortest decimal that names it, so 0.1 is one
tenth; rounding is half-even, once.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import lcm
from typing import Final

from privacy.pii import looks_personal
from privacy.tracking_plan import KEY_SLOT_BYTES, Band, Category, Flag, Key, Number

Encoder = Callable[[object], int | None]
KeyEncoder = Callable[[object], tuple[int, ...] | None]

MAX_MAGNITUDE: Final = 10**12  # exclusive; longer digit runs are account, card and phone numbers

_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,18})?")
_POWERS: Final = [10**places for places in range(32)]
_FLAGS: Final[dict[object, int]] = {"true": 1, "yes": 1, "1": 1, "false": 0, "no": 0, "0": 0}


def encoder_of(kind: Category | Band | Number | Flag) -> Encoder:
    """The encoder of an attribute's type that takes one slot; codes as in `privacy.rows`."""
    match kind:
        case Category():
            return _category(kind)
        case Band():
            return _band(kind)
        case Number():
            return _number(kind)
        case Flag():
            return _flag


def key_encoder_of(kind: Key) -> KeyEncoder:
    """The encoder of a key: the values of its slots, all of them or none.

    Absent is what is no text (or whole number), empty, longer than the plan allows (never cut: two keys would become
    one), has outer spaces, or looks personal or unprintable.
    """
    width = kind.slots * KEY_SLOT_BYTES

    def encode(value: object) -> tuple[int, ...] | None:
        if type(value) is int and -MAX_MAGNITUDE < value < MAX_MAGNITUDE:
            value = str(value)
        if type(value) is not str or not value or len(value) > kind.max_bytes:
            return None
        if not value.isprintable() or value != value.strip() or looks_personal(value):
            return None
        raw = value.encode()  # printable, so without lone surrogates
        return _packed(raw, width) if len(raw) <= kind.max_bytes else None

    return encode


def key_text(slots: Sequence[int | None]) -> str | None:
    """The text that a key's slots hold, or None where it is absent."""
    if None in slots:
        return None
    raw = b"".join((slot or 0).to_bytes(KEY_SLOT_BYTES, signed=True) for slot in slots)
    return raw.rstrip(b"\0").decode()


def _packed(raw: bytes, width: int) -> tuple[int, ...]:
    filled = raw.ljust(width, b"\0")
    return tuple(
        int.from_bytes(filled[at : at + KEY_SLOT_BYTES], signed=True) for at in range(0, width, KEY_SLOT_BYTES)
    )


def exact(value: object) -> tuple[int, int] | None:
    """The number as (numerator, denominator > 0), or None where the value is no usable number."""
    if type(value) is int:  # not isinstance: a bool is no number
        return (value, 1) if -MAX_MAGNITUDE < value < MAX_MAGNITUDE else None
    if type(value) is float:
        if not -MAX_MAGNITUDE < value < MAX_MAGNITUDE:  # NaN compares false, too
            return None
        return (int(value), 1) if value.is_integer() else _ratio_of(repr(value))
    if type(value) is str and len(value) <= 32 and _DECIMAL.fullmatch(value):
        return _ratio_of(value)
    return None


def divide_half_even(numerator: int, denominator: int) -> int:
    """The whole number nearest to numerator / denominator (> 0); a tie goes to the even one."""
    quotient, rest = divmod(numerator, denominator)
    if not rest:
        return quotient
    twice = 2 * rest
    return quotient + 1 if twice > denominator or (twice == denominator and quotient & 1) else quotient


def _ratio_of(text: str) -> tuple[int, int]:
    """The decimal a text names. Not in lowest terms; by hand in half the time of Decimal."""
    whole, _, fraction = text.partition(".")
    if fraction.isdigit():
        return int(whole + fraction), _POWERS[len(fraction)]
    return Decimal(text).as_integer_ratio()  # whole, or with an exponent


def _category(kind: Category) -> Encoder:
    codes = {text: code for code, text in enumerate(kind.values)}
    other = len(kind.values)

    def encode(value: object) -> int | None:
        if type(value) is int and -MAX_MAGNITUDE < value < MAX_MAGNITUDE:
            value = str(value)
        if type(value) is not str or not value:
            return None
        code = codes.get(value)
        if code is not None:
            return code
        return None if looks_personal(value) else other

    return encode


def _band(kind: Band) -> Encoder:
    scale = lcm(*(edge.denominator for edge in kind.edges))
    edges = [int(edge * scale) for edge in kind.edges]

    def encode(value: object) -> int | None:
        number = exact(value)
        # An edge is whole after scaling, so edge <= x exactly when edge <= floor(x).
        return None if number is None else bisect_right(edges, number[0] * scale // number[1])

    return encode


def _number(kind: Number) -> Encoder:
    low, high = kind.low_quanta, kind.high_quanta
    up, down = kind.quantum.denominator, kind.quantum.numerator
    is_decimal = down == 1 and up in (1, 10, 100, 1000)

    def encode(value: object) -> int | None:
        quanta = _whole_quanta(value, up) if is_decimal and type(value) is float else None
        if quanta is None:
            number = exact(value)
            if number is None:
                return None
            quanta = divide_half_even(number[0] * up, number[1] * down)
        # The bounds are whole quanta, so clamping after rounding equals clamping before.
        return low if quanta < low else high if quanta > high else quanta

    return encode


def _whole_quanta(value: float, up: int) -> int | None:
    """The n with value = n / up as written, or None where there is none; a shortcut, four times faster.

    n / up has at most 15 digits here, decimals of 15 digits are apart as doubles, and division rounds to the
    nearest: so where the quotient is the value, n / up is the decimal that names it.
    """
    if not -MAX_MAGNITUDE < value < MAX_MAGNITUDE:
        return None
    quanta = round(value * up)
    return quanta if quanta / up == value else None


def _flag(value: object) -> int | None:
    if value is True or value is False:
        return int(value)
    if type(value) is int:
        return value if value in (0, 1) else None
    return _FLAGS.get(value) if type(value) is str else None
