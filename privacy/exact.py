"""Exact numbers from text: whole numbers, fractions and decimals; never a binary float.

Definitions, plans and charters carry every scalar as text, so a number means what it says at every node. A
privacy parameter is a whole number or a ratio of two; a value of the world (an edge, a range, a quantum)
may be a decimal.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from privacy.errors import InvalidParameterError

_WHOLE: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})", re.ASCII)
_RATIO: Final = re.compile(r"((?:0|[1-9][0-9]{0,17}))(?:/([1-9][0-9]{0,17}))?", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?", re.ASCII)
_SHOWN: Final = 40  # characters of a refused text that a message repeats


def parse_whole(value: object, name: str) -> int:
    """A whole number >= 1 from text such as "3" (at most 18 digits).

    Args:
        value: The text; anything that is not text is refused.
        name: What the number is, for the message: "max_cells".

    Raises:
        InvalidParameterError: not text, not a whole number, or 0.
    """
    text = _text(value, name)
    if _WHOLE.fullmatch(text) is None or text == "0":
        raise InvalidParameterError(
            what=f"{name} refused",
            why=f"expected a whole number of at least 1, got {shown(text)}",
            fix=f'Write {name} as digits in quotes, such as "3"',
        )
    return int(text)


def parse_ratio(value: object, name: str) -> Fraction:
    """A positive fraction from text such as "1/400" or "2"; decimals are refused.

    A privacy parameter written as a decimal is a float in waiting: 0.1 has no exact binary form, and
    whoever reads the file with another parser computes another guarantee.

    Raises:
        InvalidParameterError: not text, a decimal or exponent, negative, or 0.
    """
    text = _text(value, name)
    match = _RATIO.fullmatch(text)
    if match is None or match[1] == "0":
        why = "expected a whole number or a ratio of two, above 0"
        if any(mark in text for mark in ".eE"):
            why = "decimals and exponents are read differently by different programs"
        raise InvalidParameterError(
            what=f"{name} refused",
            why=f"{why}, got {shown(text)}",
            fix=f'Write {name} as a positive fraction in quotes, such as "1/400"',
        )
    return Fraction(int(match[1]), int(match[2] or 1))


def parse_decimal(value: object, name: str) -> Fraction:
    """An exact decimal from text such as "-12", "0.01" (at most 18 digits on each side of the point).

    Raises:
        InvalidParameterError: not text, or no plain decimal (exponents, NaN and infinities among them).
    """
    text = _text(value, name)
    if _DECIMAL.fullmatch(text) is None:
        raise InvalidParameterError(
            what=f"{name} refused",
            why=f"expected a decimal number, got {shown(text)}",
            fix=f'Write {name} as plain digits in quotes, such as "12" or "0.01"',
        )
    return Fraction(text)


def shown(value: object) -> str:
    """What a message repeats of a refused value: the start of a text, or only the type of anything else."""
    return repr(value[:_SHOWN]) if isinstance(value, str) else f"no text but {type(value).__name__}"


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidParameterError(
            what=f"{name} refused",
            why=f"expected text, got {type(value).__name__}",
            fix="Put the number in quotes: every scalar of a definition is text, so no parser rounds it",
        )
    return value
