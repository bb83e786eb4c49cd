"""What an id covers and what a signature covers (specs/mesh.md 2).

Each kind of object has one type constant, and the type stands in its id and in every signature, so bytes signed
as one thing can never be shown as another. A part is a 4-byte big-endian length and its bytes:

    id        = SHA-256( part("murmur-id-v1") ‖ part(type) ‖ part(body) )
    signature = Ed25519( part("murmur-sign-v1") ‖ part(type) ‖ part(federation) ‖ part(author) ‖ part(body) )

Signatures stand outside the id: adding one never changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NewType

from protocol import canonical
from protocol.errors import BadSignature, MalformedMessage, UnknownVersion
from protocol.fields import check_array, check_bytes, check_integer
from protocol.ids import DefinitionHash
from protocol.keys import SIGNATURE_BYTES, SigningKey, verify

ObjectType = NewType("ObjectType", str)

INCEPTION: Final = ObjectType("inception")
JOIN_REQUEST: Final = ObjectType("join-request")
CHARTER: Final = ObjectType("charter")
ENTRY: Final = ObjectType("entry")
DATA: Final = ObjectType("data")
CELLS: Final = ObjectType("cells")
RELEASE: Final = ObjectType("release")
DEFINITION: Final = ObjectType("definition")
REQUEST: Final = ObjectType("request")
RESPONSE: Final = ObjectType("response")
HEADS: Final = ObjectType("heads")
SUSPENSION: Final = ObjectType("suspension")
BUNDLE: Final = ObjectType("bundle")

WIRE_MAJOR: Final = 1
MAX_SIGNATURES: Final = 4  # no kind of node-signed object needs more; charters have approvals of their own form

_ID_DOMAIN: Final = b"murmur-id-v1"
_SIGNATURE_DOMAIN: Final = b"murmur-sign-v1"


@dataclass(frozen=True, slots=True)
class SignedObject:
    """Bytes and who signed them; wire form `[1, type, body, [signatures]]`.

    Signatures stand in the order the type fixes.
    """

    type: ObjectType
    body: bytes
    signatures: tuple[bytes, ...]

    @property
    def id(self) -> bytes:
        return object_id(self.type, self.body)

    def encode(self) -> bytes:
        return canonical.encode([WIRE_MAJOR, self.type, self.body, list(self.signatures)])


def object_id(type_: ObjectType, body: bytes) -> bytes:
    """The 32-byte id of an object: over its type and body, never its signatures."""
    return hashlib.sha256(_domain(_ID_DOMAIN, type_) + len(body).to_bytes(4, "big") + body).digest()


def signature_message(type_: ObjectType, federation: bytes, author: bytes, body: bytes) -> bytes:
    """The bytes a key signs."""
    return b"".join((_domain(_SIGNATURE_DOMAIN, type_), _part(federation), _part(author), _part(body)))


def sign_object(
    type_: ObjectType, federation: bytes, author: bytes, body: bytes, signers: Sequence[SigningKey]
) -> SignedObject:
    """The object signed by each key, in the order given."""
    message = signature_message(type_, federation, author, body)
    return SignedObject(type_, body, tuple(key.sign(message) for key in signers))


def verify_object(signed: SignedObject, federation: bytes, author: bytes, keys: Sequence[bytes]) -> None:
    """Nothing, when the object carries exactly one good signature of each key, in this order.

    Raises:
        BadSignature: one fails, is missing, or is one too many.
    """
    verify_signatures(signature_message(signed.type, federation, author, signed.body), signed.signatures, keys)


def verify_signatures(message: bytes, signatures: Sequence[bytes], keys: Sequence[bytes]) -> None:
    """As `verify_object`, for a message made elsewhere."""
    if len(signatures) != len(keys):
        raise BadSignature(what="signatures refused", why=f"expected exactly {len(keys)}, got {len(signatures)}")
    for key, signature in zip(keys, signatures, strict=True):
        verify(key, message, signature)


def parse_object(data: bytes, expected: ObjectType, *, max_bytes: int = canonical.MAX_BYTES) -> SignedObject:
    """A signed object of one type from its wire bytes; no signature is verified here.

    Raises:
        MalformedMessage: not canonical, another type, or signatures of the wrong shape.
        UnknownVersion: another wire major.
    """
    what = expected.replace("-", " ")
    items = check_array(canonical.decode(data, max_bytes=max_bytes), what, 4, 4)
    check_wire_major(items[0], what)
    if items[1] != expected:
        raise MalformedMessage(what=f"{what} refused", why="the bytes are another type of object")
    return SignedObject(expected, check_bytes(items[2], what, 1, max_bytes), check_signatures(items[3], what))


def check_wire_major(value: canonical.Value, what: str) -> None:
    """Nothing for wire major 1.

    Raises:
        UnknownVersion: any other positive integer.
    """
    major = check_integer(value, what, 1)
    if major != WIRE_MAJOR:
        raise UnknownVersion(
            what=f"{what} not understood", why=f"wire major {major}, this software speaks {WIRE_MAJOR}"
        )


def check_signatures(value: canonical.Value, what: str) -> tuple[bytes, ...]:
    """Between one and MAX_SIGNATURES signatures of 64 bytes."""
    items = check_array(value, f"{what}: signatures", 1, MAX_SIGNATURES)
    return tuple(check_bytes(item, f"{what}: signature", SIGNATURE_BYTES, SIGNATURE_BYTES) for item in items)


def definition_hash(body: bytes) -> DefinitionHash:
    """The hash a catalogue row names: over the canonical msgpack of the strings-only definition."""
    return DefinitionHash(object_id(DEFINITION, body))


@cache  # types are a closed list
def _domain(domain: bytes, type_: ObjectType) -> bytes:
    return _part(domain) + _part(type_.encode())


def _part(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
