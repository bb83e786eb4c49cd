"""Ed25519 computed once for all simulated nodes: every node verifies each signature, and they share one process.

So are inception records, which are little else. Remembered is what libsodium says of (key, message, signature), and
that what a key of this process signed is good. Who asks, about what and what follows is decided by the real code, by
each node for itself. What is not good is computed each time. test_convergence holds runs with and without together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import pytest
from nacl import bindings

from federation import admission

_MEMBERS: Final = 4_096
_MOST: Final = 2_000_000  # 32 bytes and some each


@contextmanager
def each_signature_once() -> Iterator[None]:
    """Within it signatures and points of curves are looked at once."""
    good: set[bytes] = set()
    points: dict[bytes, bool] = {}
    sign, open_, is_valid = (
        bindings.crypto_sign, bindings.crypto_sign_open, bindings.crypto_core_ed25519_is_valid_point,
    )  # fmt: skip

    def remember(signed: bytes, key: bytes) -> None:
        if len(good) >= _MOST:
            good.clear()
        good.add(_name(signed, key))

    def sign_once(message: bytes, secret: bytes) -> bytes:
        signed: bytes = sign(message, secret)
        remember(signed, secret[32:])  # libsodium's secret key ends with the public one
        return signed

    def open_once(signed: bytes, key: bytes) -> bytes:
        if _name(signed, key) in good:
            return signed[64:]
        message: bytes = open_(signed, key)
        remember(signed, key)
        return message

    def is_valid_once(point: bytes) -> bool:
        if point not in points:
            points[point] = is_valid(point)
        return points[point]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bindings, "crypto_sign", sign_once)
        patch.setattr(bindings, "crypto_sign_open", open_once)
        patch.setattr(bindings, "crypto_core_ed25519_is_valid_point", is_valid_once)
        patch.setattr(admission, "parse_inception", lru_cache(_MEMBERS)(admission.parse_inception))
        patch.setattr(admission, "start_chain", lru_cache(_MEMBERS)(admission.start_chain))
        yield


def _name(signed: bytes, key: bytes) -> bytes:
    return hashlib.sha256(key + signed).digest()
