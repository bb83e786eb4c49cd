"""A node's birth: the inception record, self-signed by its root key and its first signing key (specs/mesh.md 4).

The node id is the hash of the record's body, so it exists before any federation and nobody can choose it. The
record is signed with federation and author all zeros; both signatures together say that one person holds both
keys. Later keys come from entries in the node's log (protocol.key_chain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.errors import UnknownVersion
from protocol.fields import check_array, check_bytes, check_integer, check_name, refuse
from protocol.ids import ZERO_FEDERATION, ZERO_NODE, NodeId
from protocol.keys import SigningKey, check_public_key, key_digest
from protocol.objects import INCEPTION, SignedObject, object_id, parse_object, sign_object, verify_object

INCEPTION_VERSION: Final = 1
NONCE_BYTES: Final = 16  # two nodes made from one pair of keys still get two ids
MAX_INCEPTION_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Inception:
    """What a node says of itself at birth; body `[version, root_key, signing_key, next_digest, organisation, nonce]`.

    `next_digest` commits to the next signing key (keys.key_digest), `organisation` is a name the protocol compares.
    """

    version: int
    root_key: bytes
    signing_key: bytes
    next_digest: bytes
    organisation: str
    nonce: bytes

    @property
    def body(self) -> bytes:
        return canonical.encode(
            [self.version, self.root_key, self.signing_key, self.next_digest, self.organisation, self.nonce]
        )

    @property
    def node_id(self) -> NodeId:
        return node_id(self.body)


def node_id(body: bytes) -> NodeId:
    """The node id an inception body gives."""
    return NodeId(object_id(INCEPTION, body))


def create_inception(
    root: SigningKey, signing: SigningKey, next_public: bytes, organisation: str, nonce: bytes
) -> SignedObject:
    """A new node's inception record. `nonce` is 16 random bytes, `next_public` the public key kept for the next
    rotation.

    Raises:
        ProtocolError: whatever `parse_inception` would refuse in the result.
    """
    record = Inception(
        INCEPTION_VERSION, root.public_key, signing.public_key, key_digest(check_public_key(next_public)),
        organisation, nonce,
    )  # fmt: skip
    signed = sign_object(INCEPTION, ZERO_FEDERATION, ZERO_NODE, record.body, (root, signing))
    parse_inception(signed)
    return signed


def parse_inception(signed: SignedObject | bytes) -> Inception:
    """The record, with both keys checked and both signatures verified.

    Raises:
        MalformedMessage: wrong form. UnknownVersion: another version. BadKey, BadSignature: as named.
    """
    if isinstance(signed, bytes):
        signed = parse_object(signed, INCEPTION, max_bytes=MAX_INCEPTION_BYTES)
    record = _parse_body(signed.body)
    verify_object(signed, ZERO_FEDERATION, ZERO_NODE, (record.root_key, record.signing_key))
    return record


def _parse_body(body: bytes) -> Inception:
    what = "inception record"
    items = check_array(canonical.decode(body, max_bytes=MAX_INCEPTION_BYTES), what, 1, 16)
    version = check_integer(items[0], f"{what}: version", 1)
    if version != INCEPTION_VERSION:
        raise UnknownVersion(what=f"{what} not understood", why=f"version {version}, this software knows 1")
    if len(items) != 6:
        refuse(what, f"expected 6 items, got {len(items)}")
    record = Inception(
        version,
        check_public_key(check_bytes(items[1], f"{what}: root key", 32, 32)),
        check_public_key(check_bytes(items[2], f"{what}: signing key", 32, 32)),
        check_bytes(items[3], f"{what}: next digest", 32, 32),
        check_name(items[4], f"{what}: organisation"),
        check_bytes(items[5], f"{what}: nonce", NONCE_BYTES, NONCE_BYTES),
    )
    # One key in two places would let the holder of the everyday key do what only the offline one may.
    if record.root_key == record.signing_key:
        refuse(what, "root key and signing key are the same")
    if record.next_digest in (key_digest(record.root_key), key_digest(record.signing_key)):
        refuse(what, "the next key is the root key or the signing key")
    return record
