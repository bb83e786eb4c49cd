"""Arithmetic on edwards25519 in plain integers, for making hostile keys and signatures.

Slow, not constant-time, and independent of every library: what the vectors say about a point was computed here.
Source: RFC 8032, sections 5.1 and 5.1.3.
"""

from __future__ import annotations

import hashlib
from typing import Final

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]

IDENTITY: Final[Point] = (0, 1)


def add(first: Point, second: Point) -> Point:
    """The sum of two points (complete addition law)."""
    (x1, y1), (x2, y2) = first, second
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def multiply(scalar: int, point: Point) -> Point:
    """The point added to itself `scalar` times."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def recover(y: int, sign: int) -> Point | None:
    """The point with this y and sign of x, or None when there is none."""
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else P - x), y


def encode(point: Point) -> bytes:
    """The canonical encoding: y, and the sign of x in the top bit."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    """h = SHA-512(R ‖ A ‖ M) as a scalar."""
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def non_canonical_encodings() -> list[bytes]:
    """All 40: y in [p, 2^255) with either sign (38), and x = 0 with the sign bit set (y = 1 and y = p - 1)."""
    large_y = [(y | sign << 255).to_bytes(32, "little") for y in range(P, 2**255) for sign in (0, 1)]
    negative_zero = [(y | 1 << 255).to_bytes(32, "little") for y in (1, P - 1)]
    return large_y + negative_zero


def _base() -> Point:
    point = recover(4 * pow(5, -1, P) % P, 0)
    assert point is not None
    return point


def _torsion() -> tuple[Point, ...]:
    """The eight points of small order, as multiples 0 to 7 of one of order eight."""
    y = 2
    while True:
        point = recover(y, 0)
        generator = multiply(L, point) if point else IDENTITY
        if multiply(4, generator) != IDENTITY:
            return tuple(multiply(k, generator) for k in range(8))
        y += 1


BASE: Final[Point] = _base()
TORSION: Final[tuple[Point, ...]] = _torsion()
