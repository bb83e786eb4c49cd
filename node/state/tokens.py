"""API keys: `mw_` write, `mr_` read, `ma_` admin. Shown once; only SHA-256 of the secret is kept.

A plain hash is enough here, because each secret is 160 random bits: there is nothing to guess.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from node.errors import RejectedInput
from node.state.database import StateDatabase

_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?|https?://\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?")

TokenKind = Literal["write", "read", "admin"]
PREFIXES: dict[str, str] = {"write": "mw_", "read": "mr_", "admin": "ma_"}
SCOPES: dict[str, tuple[str, ...]] = {
    "write": ("events", "backfill"),
    "read": ("query",),
    "admin": ("admin",),
}
DEFAULT_SCOPES: dict[str, tuple[str, ...]] = {"write": ("events",), "read": ("query",), "admin": ("admin",)}


class AccessDenied(RejectedInput):
    """A request without a key that allows it. `status` is 401 (no or unknown key) or 403 (key of another kind)."""

    def __init__(self, *, status: int, code: str, what: str, why: str, fix: str) -> None:
        super().__init__(code=code, what=what, why=why, fix=fix)
        self.status = status


@dataclass(frozen=True, slots=True)
class Token:
    """One API key as the node knows it; never the secret."""

    id: str
    kind: str
    scopes: tuple[str, ...]
    label: str
    created_at_s: int
    revoked_at_s: int | None
    origins: tuple[str, ...] = ()  # a browser key: taken from pages of these origins only

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at_s is not None


class TokenBook:
    """The node's API keys, in its state database with a copy in memory for the request path."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        self._by_hash: dict[bytes, Token] = {}
        rows = database.query(
            "SELECT secret_hash, id, kind, scopes, label, created_at, revoked_at, origins FROM tokens"
        )
        for secret_hash, *fields in rows:
            self._by_hash[secret_hash] = _token(fields)

    def create(
        self,
        kind: str,
        scopes: Sequence[str],
        label: str,
        *,
        now_s: int,
        rng: Callable[[int], bytes],
        origins: Sequence[str] = (),
    ) -> tuple[str, Token]:
        """Make a key and keep its hash durably. Returns the secret, for showing once, and the record.

        Raises:
            RejectedInput: unknown kind or scope, a label over 100 characters, or origins that are none or that this
                kind of key does not have.
        """
        if kind not in PREFIXES:
            raise _refused(f'"{kind}" is not a kind of key', f"Use one of {', '.join(PREFIXES)}")
        chosen = tuple(dict.fromkeys(scopes)) or DEFAULT_SCOPES[kind]
        if unknown := [scope for scope in chosen if scope not in SCOPES[kind]]:
            raise _refused(f'a {kind} key has no scope "{unknown[0]}"', f"Use {', '.join(SCOPES[kind])}")
        if len(label) > 100 or not label.isprintable():
            raise _refused("its label is over 100 characters or not printable", "Give a shorter label")
        if origins and (kind != "write" or chosen != ("events",)):
            raise _refused("a browser key may only send events", "Leave --kind and --scope out")
        for origin in origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise _refused(f'"{origin[:80]}" is no origin', "Give one such as https://example.org, without a path")
        secret = PREFIXES[kind] + base64.b32encode(rng(20)).decode("ascii").lower()
        token = Token(rng(6).hex(), kind, chosen, label, now_s, None, tuple(dict.fromkeys(origins)))
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO tokens (id, kind, scopes, label, secret_hash, created_at, origins)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (token.id, kind, " ".join(chosen), label, _hash(secret), now_s, " ".join(token.origins)),
            )
        self._by_hash[_hash(secret)] = token
        return secret, token

    def check(self, secret: str | None, kind: str, scope: str) -> Token:
        """The key's record, when it is of this kind and has this scope.

        Raises:
            AccessDenied: no key, an unknown or revoked one (401), or one that does not allow this (403).
        """
        return self._check(secret, kind, scope)

    def find(self, secret: str | None, kind: str) -> Token:
        """The key's record, when it is of this kind, whatever its scopes; raises like `check`."""
        return self._check(secret, kind, None)

    def is_origin_known(self, origin: str) -> bool:
        """Whether some valid browser key is bound to this origin."""
        return any(origin in token.origins and not token.is_revoked for token in self._by_hash.values())

    def _check(self, secret: str | None, kind: str, scope: str | None) -> Token:
        if not secret:
            raise AccessDenied(
                status=401,
                code="key_missing",
                what="The request is refused",
                why=f"It brings no {kind} key",
                fix=f'Send "Authorization: Bearer {PREFIXES[kind]}…"; "murmur tokens create" makes one',
            )
        token = self._by_hash.get(_hash(secret))
        if token is None or token.is_revoked:
            raise AccessDenied(
                status=401,
                code="key_unknown",
                what="The request is refused",
                why="The key is not one of this node's, or was revoked",
                fix="Ask the node's operator for a new key",
            )
        if token.kind != kind or (scope is not None and scope not in token.scopes):
            scope = scope or SCOPES[kind][0]
            raise AccessDenied(
                status=403,
                code="key_not_allowed",
                what="The request is refused",
                why=f"The key is a {token.kind} key for {', '.join(token.scopes)}; this needs {kind}: {scope}",
                fix=f'Use a key made with "murmur tokens create --kind {kind} --scope {scope}"',
            )
        return token

    def allows(self, secret: str | None, kind: str, scope: str) -> bool:
        """Whether `check` would pass."""
        try:
            self.check(secret, kind, scope)
        except AccessDenied:
            return False
        return True

    def revoke(self, token_id: str, *, now_s: int) -> Token:
        """Revoke a key durably; revoking again changes nothing.

        Raises:
            RejectedInput: no key has this id.
        """
        for secret_hash, token in self._by_hash.items():
            if token.id == token_id:
                if token.is_revoked:
                    return token
                with self._database.transaction() as connection:
                    connection.execute("UPDATE tokens SET revoked_at = ? WHERE id = ?", (now_s, token_id))
                revoked = replace(token, revoked_at_s=now_s)
                self._by_hash[secret_hash] = revoked
                return revoked
        raise _refused(f'no key has the id "{token_id}"', '"murmur tokens list" shows them')

    def list(self) -> list[Token]:
        """All keys, oldest first."""
        return sorted(self._by_hash.values(), key=lambda token: (token.created_at_s, token.id))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _token(fields: Sequence[object]) -> Token:
    token_id, kind, scopes, label, created_at, revoked_at, origins = fields
    return Token(
        str(token_id),
        str(kind),
        tuple(str(scopes).split()),
        str(label),
        int(str(created_at)),
        None if revoked_at is None else int(str(revoked_at)),
        tuple(str(origins).split()),
    )


def _refused(why: str, fix: str) -> RejectedInput:
    return RejectedInput(code="token_refused", what="The key is not made or changed", why=why, fix=fix)
