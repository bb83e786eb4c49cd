"""Shared researcher tokens: every reason for which one is refused, as a function of entries and charter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.shared_tokens import Claims, IssuerBook, issuer_of, refusal
from federation.verdicts import COUNTED, Void
from protocol.attestation import AttestData
from protocol.entries import HEADS_ATTEST, REVOKE_TOKEN, TOKEN_KEY
from protocol.ids import FederationId
from protocol.token_data import RevokeTokenData, TokenKeyData, token_key_id
from tests.simulation.author import Author
from tests.simulation.founding import found
from tests.unit.federation.test_judgement import last
from tests.unit.protocol.samples import key

NOW_S = 1_800_000_000
FEDERATION = FederationId(b"f" * 32)
GOOD = Claims("00" * 32, FEDERATION.hex(), "ab" * 16, "0" * 16, NOW_S, NOW_S + 24 * 3600)
KEYS = [key(name).public_key for name in ("one", "two", "three")]


@pytest.mark.requirement("T-IN-3")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"audience": "00" * 32}, "another federation"),
        ({"token": "x"}, "no id"),
        ({"expires_s": NOW_S + 24 * 3600 + 1}, "longer than 24 hours"),
        ({"expires_s": NOW_S}, "longer than 24 hours"),
        ({"issued_s": NOW_S + 61, "expires_s": NOW_S + 100}, "not valid yet"),
        ({"issued_s": NOW_S - 24 * 3600, "expires_s": NOW_S}, "expired"),
        ({"token": "cd" * 16}, "revoked"),
    ],
    ids=["audience", "id", "life", "no life", "early", "late", "revoked"],
)
def test_each_fault_is_refused_by_its_name(change: dict[str, object], words: str) -> None:
    """T18: a token can be narrowed by anybody and widened by nobody."""
    book = IssuerBook({}, {"cd" * 16})
    assert refusal(GOOD, book, FEDERATION, NOW_S) is None
    assert words in str(refusal(replace(GOOD, **change), book, FEDERATION, NOW_S))  # type: ignore[arg-type]


def test_the_last_key_entry_replaces_the_others_and_revocations_add_up() -> None:
    """Two keys live side by side while the tokens of the first run out; what is damaged changes nothing."""
    entries = [TokenKeyData((KEYS[0],)).encode(), TokenKeyData(tuple(sorted(KEYS[1:]))).encode(), b"\xff"]
    revoked = [RevokeTokenData((bytes(16),)).encode(), b"", RevokeTokenData((b"\x01" * 16,)).encode()]
    book = IssuerBook.fold(entries, revoked)
    assert set(book.keys) == {token_key_id(one) for one in KEYS[1:]}
    assert book.revoked == {"00" * 16, "01" * 16}
    assert IssuerBook.fold([*entries, TokenKeyData(()).encode()], []).keys == {}


def test_an_issuer_is_one_the_charter_names() -> None:
    """The founding of the simulation names none."""
    founding = found(2)
    charter = founding.rules().charter
    node = founding.members[0].node
    claims = replace(GOOD, issuer=node.hex())
    assert issuer_of(claims, charter) is None
    assert issuer_of(claims, replace(charter, token_issuers=(node,))) == node
    assert issuer_of(replace(claims, issuer="nobody"), replace(charter, token_issuers=(node,))) is None


@pytest.mark.parametrize("kind", [HEADS_ATTEST, TOKEN_KEY, REVOKE_TOKEN])
def test_judgement_counts_what_has_the_form_and_voids_the_rest(kind: str) -> None:
    """The same on every node; a malformed one is `malformed` and holds up nothing."""
    founding = found(2)
    author = Author(founding, founding.members[0])
    author.born()
    good = {TOKEN_KEY: TokenKeyData((KEYS[0],)).encode(), REVOKE_TOKEN: RevokeTokenData((bytes(16),)).encode()}
    author.write(kind, good.get(kind, AttestData(()).encode()))
    assert last(author) == COUNTED
    author.write(kind, b"\x80")
    assert last(author) == Void("malformed")
