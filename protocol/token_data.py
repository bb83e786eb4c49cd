"""The data of `token_key` and `revoke_token`: keys that sign researchers' tokens, and tokens taken back.

    token_key      {v: 1, keys: [public key, …]}      0 to 4, ascending; replaces all earlier ones
    revoke_token   {v: 1, tokens: [token id, …]}      1 to 256 of 16 bytes, ascending

A token says in `jti` the 16 bytes as hex, and which key signed it in `kid`: the first 16 hex digits of its digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable
from protocol.fields import Fields, check_ascending, check_bytes
from protocol.keys import check_public_key, key_digest

DATA_VERSION: Final = 1
MAX_TOKEN_KEYS: Final = 4  # the one in use, the one before it while its tokens live, and room
MAX_REVOKED: Final = 256
TOKEN_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class TokenKeyData:
    """The issuer's keys for tokens from this entry on; none: it issues no more, and what it issued ends."""

    keys: tuple[bytes, ...]

    def encode(self) -> bytes:
        return _encode({"keys": list(self.keys)})


@dataclass(frozen=True, slots=True)
class RevokeTokenData:
    """Tokens of this issuer that are good no more."""

    tokens: tuple[bytes, ...]

    def encode(self) -> bytes:
        return _encode({"tokens": list(self.tokens)})


def token_key_id(key: bytes) -> str:
    """The `kid` of a token key: 16 hex digits."""
    return key_digest(key).hex()[:16]


def parse_token_key(data: bytes) -> TokenKeyData:
    """Raises MalformedMessage; BadKey for a key no entry may bring; UnknownVersion for another data version."""
    fields = _open(data, "token_key")
    keys = tuple(
        check_public_key(check_bytes(item, "token_key: keys", 32, 32))
        for item in fields.array("keys", MAX_TOKEN_KEYS)
    )  # fmt: skip
    check_ascending(keys, "token_key: keys", lambda key: key)
    fields.done()
    return TokenKeyData(keys)


def parse_revoke_token(data: bytes) -> RevokeTokenData:
    """Raises MalformedMessage, TooLarge; UnknownVersion for another data version."""
    fields = _open(data, "revoke_token")
    tokens = tuple(
        check_bytes(item, "revoke_token: tokens", TOKEN_ID_BYTES, TOKEN_ID_BYTES)
        for item in fields.array("tokens", MAX_REVOKED, 1)
    )
    check_ascending(tokens, "revoke_token: tokens", lambda token: token)
    fields.done()
    return RevokeTokenData(tokens)


def _open(data: bytes, what: str) -> Fields:
    fields = Fields(canonical.decode(data), what)
    fields.version(DATA_VERSION)
    return fields


def _encode(fields: dict[str, Encodable]) -> bytes:
    return canonical.encode({"v": DATA_VERSION, **fields})
