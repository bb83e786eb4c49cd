"""Keys and signatures: the one verification rule, tried with hostile points.

The points come from arithmetic of our own (specs/vectors/v1/edwards.py), not from the library under test. Which of
the checks libsodium makes is thereby asserted too: a release of it that drops one fails here.
"""

from __future__ import annotations

import copy
import pickle

import pytest
from nacl import bindings

from protocol.errors import BadKey, BadSignature
from protocol.keys import SigningKey, check_public_key, key_digest, verify
from specs.vectors.v1 import edwards as ed

SEED = bytes(range(32))
MESSAGE = b"a message"
SECRET = 0x1234567890ABCDEF1234567890ABCDEF % ed.L
NONCE = 0xFEDCBA0987654321FEDCBA0987654321 % ed.L


def forge(key: bytes, r_point: ed.Point, message: bytes = MESSAGE) -> bytes:
    """A signature with a chosen R: S = r + h·a, whatever small-order part R or the key has."""
    r = ed.encode(r_point)
    return r + ((NONCE + ed.challenge(r, key, message) * SECRET) % ed.L).to_bytes(32, "little")


GOOD_KEY = ed.encode(ed.multiply(SECRET, ed.BASE))
GOOD_R = ed.multiply(NONCE, ed.BASE)


def test_signing_is_deterministic_and_verifies() -> None:
    """One seed, one key; one message, one signature."""
    key = SigningKey(SEED)
    signature = key.sign(MESSAGE)
    assert len(signature) == 64
    assert signature == SigningKey(SEED).sign(MESSAGE)
    verify(key.public_key, MESSAGE, signature)
    check_public_key(key.public_key)


def test_own_arithmetic_agrees_with_the_library() -> None:
    """An honest signature made by hand verifies, so the forgeries below fail for the reason they are meant to."""
    check_public_key(GOOD_KEY)
    verify(GOOD_KEY, MESSAGE, forge(GOOD_KEY, GOOD_R))


@pytest.mark.parametrize("bit", range(0, 512, 7))
def test_flipped_signature_is_refused(bit: int) -> None:
    """No bit of a signature is free."""
    key = SigningKey(SEED)
    signature = bytearray(key.sign(MESSAGE))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        verify(key.public_key, MESSAGE, bytes(signature))


@pytest.mark.parametrize("length", [0, 32, 63, 65, 96, 128])
def test_signature_of_another_length_is_refused(length: int) -> None:
    """libsodium would read a longer one as signature and message."""
    key = SigningKey(SEED)
    with pytest.raises(BadSignature):
        verify(key.public_key, MESSAGE, (key.sign(MESSAGE) + MESSAGE + bytes(128))[:length])


def test_long_signature_that_borrows_from_the_message_is_refused() -> None:
    """The first bytes of the message moved into the signature are not the same signature."""
    key = SigningKey(SEED)
    for message in (MESSAGE, b"\x00" + MESSAGE):
        with pytest.raises(BadSignature):
            verify(key.public_key, message[1:], key.sign(message) + message[:1])


@pytest.mark.requirement("M-KEY-2")
def test_second_form_of_s_is_refused() -> None:
    """S + L satisfies the equation too; accepting it would give one message two signatures."""
    key = SigningKey(SEED)
    signature = key.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + ed.L
    with pytest.raises(BadSignature):
        verify(key.public_key, MESSAGE, signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.requirement("M-KEY-2", "M-KEY-3")
@pytest.mark.parametrize("order", range(8))
def test_small_order_key_is_refused(order: int) -> None:
    """With such a key the trivial signature would sign every message; some libraries accept it."""
    key = ed.encode(ed.TORSION[order])
    with pytest.raises(BadKey):
        check_public_key(key)
    for signature in (ed.encode(ed.IDENTITY) + bytes(32), ed.encode(ed.TORSION[order]) + bytes(32)):
        with pytest.raises(BadSignature):
            verify(key, MESSAGE, signature)


@pytest.mark.requirement("M-KEY-2")
@pytest.mark.parametrize("order", range(8))
def test_small_order_r_is_refused(order: int) -> None:
    """R of small order with an S that fits: the equation holds for order 0, and it is refused all the same."""
    r = ed.encode(ed.TORSION[order])
    s = ed.challenge(r, GOOD_KEY, MESSAGE) * SECRET % ed.L
    with pytest.raises(BadSignature):
        verify(GOOD_KEY, MESSAGE, r + s.to_bytes(32, "little"))


@pytest.mark.requirement("M-KEY-2")
@pytest.mark.parametrize("order", range(1, 8))
def test_cofactored_only_signature_is_refused(order: int) -> None:
    """A signature that holds only after multiplying by eight is what divides verifiers; ours is cofactorless."""
    with pytest.raises(BadSignature):
        verify(GOOD_KEY, MESSAGE, forge(GOOD_KEY, ed.add(GOOD_R, ed.TORSION[order])))


@pytest.mark.requirement("M-KEY-1")
@pytest.mark.parametrize("order", range(1, 8))
def test_mixed_order_key_is_refused_where_keys_enter(order: int) -> None:
    """A good point plus a small-order one: libsodium verifies some of its signatures, so the key must not get in."""
    key = ed.encode(ed.add(ed.multiply(SECRET, ed.BASE), ed.TORSION[order]))
    with pytest.raises(BadKey):
        check_public_key(key)


def test_library_accepts_a_mixed_order_keys_exact_signature() -> None:
    """The reason for the test above, kept as a fact: when this fails, the library has become stricter than the rule."""
    key = ed.encode(ed.add(ed.multiply(SECRET, ed.BASE), ed.TORSION[1]))
    for number in range(200):
        message = MESSAGE + bytes([number])
        for order in range(8):
            r = ed.encode(ed.add(GOOD_R, ed.TORSION[order]))
            h = ed.challenge(r, key, message)
            if (order + h) % 8 == 0 and order:
                signature = r + ((NONCE + h * SECRET) % ed.L).to_bytes(32, "little")
                verify(key, message, signature)
                return
    pytest.fail("no such signature found")


@pytest.mark.parametrize("encoded", ed.non_canonical_encodings(), ids=lambda encoded: encoded.hex()[:8])
def test_non_canonical_encoding_is_refused(encoded: bytes) -> None:
    """Each of the forty second spellings of a point (or of none), as a key and as R."""
    with pytest.raises(BadKey):
        check_public_key(encoded)
    with pytest.raises(BadSignature):
        verify(encoded, MESSAGE, forge(encoded, GOOD_R))
    s = (NONCE + ed.challenge(encoded, GOOD_KEY, MESSAGE) * SECRET) % ed.L
    with pytest.raises(BadSignature):
        verify(GOOD_KEY, MESSAGE, encoded + s.to_bytes(32, "little"))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), ed.encode(ed.BASE) + b"\x00", bytes([2]) + bytes(31)])
def test_what_is_no_point_is_refused(key: bytes) -> None:
    """Wrong lengths, and a y that is on no curve point."""
    with pytest.raises(BadKey):
        check_public_key(key)
    with pytest.raises(BadSignature):
        verify(key, MESSAGE, bytes(64))


def test_seed_shows_nowhere() -> None:
    """Neither in the repr nor in a pickle or copy."""
    key = SigningKey(SEED)
    assert SEED.hex() not in repr(key)
    assert key.public_key.hex()[:16] in repr(key)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), "x" * 32])
def test_seed_of_another_length_is_a_programmers_mistake(seed: bytes) -> None:
    """ValueError, not a protocol error: no foreign bytes were involved."""
    with pytest.raises(ValueError):
        SigningKey(seed)


@pytest.mark.requirement("M-KEY-4")
def test_key_digest_has_its_own_domain() -> None:
    """The commitment is no bare hash of the key, and depends on every byte of it."""
    first, second = key_digest(GOOD_KEY), key_digest(SigningKey(SEED).public_key)
    assert first != second
    assert first != bindings.crypto_hash_sha256(GOOD_KEY)
