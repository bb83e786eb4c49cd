"""The short form of an id that two people compare: its first 128 bits as hex in groups of four."""

from __future__ import annotations

from typing import Final

DIGITS: Final = 32  # 128 bits: finding another id that begins like this one takes 2^128 tries


def fingerprint(id_: bytes) -> str:
    """`3f2a 99c0 …`, eight groups of four."""
    digits = id_.hex()[:DIGITS]
    return " ".join(digits[at : at + 4] for at in range(0, DIGITS, 4))
