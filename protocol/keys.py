"""Ed25519 keys and the one verification rule every node shares (specs/mesh.md 3).

Two nodes that disagree on one signature disagree on history, so the rule is exact and one library computes it
(PyNaCl): the key and R are canonical encodings, neither is a small-order point, S < L, the equation holds
without the cofactor. All five are libsodium's own checks; the vectors in specs/vectors/v1/signatures.json hold
it to each, so a release that drops one fails our tests. What libsodium's verification does *not* refuse is a
key outside the prime-order subgroup (a good point plus a small-order one): `check_public_key` does, wherever a
key enters the protocol. It needs PyNaCl 1.6.2: before, libsodium let such points pass (CVE-2025-69277).
"""

from __future__ import annotations

import hashlib
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import BadKey, BadSignature

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEED_BYTES: Final = 32

_GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493  # L


class SigningKey:
    """An Ed25519 signing key made from its 32-byte seed. The seed shows in no repr and no pickle."""

    __slots__ = ("_secret", "public_key")

    public_key: bytes

    def __init__(self, seed: bytes) -> None:
        if type(seed) is not bytes or len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed is {SEED_BYTES} bytes")
        self.public_key, self._secret = bindings.crypto_sign_seed_keypair(seed)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; deterministic, so signing again gives the same bytes."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()[:16]}…)"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not copied into other files")


def check_public_key(key: bytes) -> bytes:
    """The key itself, when it may stand in an inception, a rotation or a charter.

    Raises:
        BadKey: not 32 bytes, not canonical, not on the curve, of small order, or outside the prime-order subgroup.
    """
    if len(key) != PUBLIC_KEY_BYTES or not bindings.crypto_core_ed25519_is_valid_point(key):
        raise BadKey(what="public key refused", why="not the canonical encoding of a point of prime order")
    return key


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Nothing, when `signature` is the key's signature of `message`.

    Raises:
        BadSignature: for every other outcome, a bad key included.

    Source: RFC 8032 5.1.7 with the stricter choices of specs/mesh.md 3.
    """
    if (
        len(public_key) == PUBLIC_KEY_BYTES
        and len(signature) == SIGNATURE_BYTES
        and int.from_bytes(signature[32:], "little") < _GROUP_ORDER  # libsodium checks it too; stated, not trusted
    ):
        try:
            bindings.crypto_sign_open(signature + message, public_key)
            return
        except CryptoError:
            pass
    raise BadSignature(what="signature refused", why="it is not this key's signature of these bytes")


def key_digest(public_key: bytes) -> bytes:
    """The commitment to a next key that inception, rotate and recover carry (specs/mesh.md 3.4)."""
    return hashlib.sha256(b"murmur-next-key-v1\x00" + public_key).digest()
