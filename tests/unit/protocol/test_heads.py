"""The digest of all heads: equal exactly when charter and logs are."""

from __future__ import annotations

import hashlib

import pytest

from protocol import canonical
from protocol.heads import Head, head_tag, heads_digest
from protocol.ids import CharterHash, EntryId
from protocol.objects import HEADS, object_id

CHARTER = CharterHash(b"c" * 32)
HEADS_HELD = (Head(), Head(0, 3, EntryId(b"e" * 32)), Head(0, 3, EntryId(b"e" * 32), (0, 4)))


@pytest.mark.requirement("M-MSG-17")
def test_digest_is_the_documented_hash() -> None:
    """specs/mesh.md 6.4, written out once more."""
    lines = [[0, -1, None, None], [0, 3, b"e" * 32, None], [0, 3, b"e" * 32, [0, 4]]]
    body = canonical.encode([7, 2, CHARTER, lines])
    assert heads_digest(7, 2, CHARTER, HEADS_HELD) == object_id(HEADS, body)


@pytest.mark.requirement("M-MSG-17")
def test_digest_covers_everything() -> None:
    """Charter version, attempt, hash, order of authors, position, id and freeze."""
    one = Head(0, 3, EntryId(b"e" * 32))
    digests = [
        heads_digest(1, 1, CHARTER, (one, Head())),
        heads_digest(2, 1, CHARTER, (one, Head())),
        heads_digest(1, 2, CHARTER, (one, Head())),
        heads_digest(1, 1, CharterHash(bytes(32)), (one, Head())),
        heads_digest(1, 1, CHARTER, (Head(), one)),
        heads_digest(1, 1, CHARTER, (one,)),
        heads_digest(1, 1, CHARTER, (Head(0, 4, one.id), Head())),
        heads_digest(1, 1, CHARTER, (Head(1, 3, one.id), Head())),
        heads_digest(1, 1, CHARTER, (Head(0, 3, EntryId(bytes(32))), Head())),
        heads_digest(1, 1, CHARTER, (Head(0, 3, one.id, (0, 4)), Head())),
        heads_digest(1, 1, CHARTER, (Head(0, 3, one.id, (1, 4)), Head())),
    ]
    assert len(set(digests)) == len(digests)


def test_tag_is_keyed_by_the_nonce() -> None:
    """Eight bytes of SHA-256(nonce ‖ id)."""
    assert head_tag(b"n" * 16, EntryId(b"e" * 32)) == hashlib.sha256(b"n" * 16 + b"e" * 32).digest()[:8]
    assert head_tag(b"m" * 16, EntryId(b"e" * 32)) != head_tag(b"n" * 16, EntryId(b"e" * 32))
