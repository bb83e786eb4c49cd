"""API keys: `mw_` write, `mr_` read, `ma_` admin. Shown once; only SHA-256 of the secret is kept.

A plain hash is enough here, because each secret is 160 random bits: there is nothing to guess.

A key belongs to a role: an *operator*'s sends events (`mw_`), a *researcher*'s asks (`mr_`), an *admin*'s changes
things (`ma_`). Within its kind it has scopes (those of an admin key: node/http/admin_scopes.py), a write key perhaps
origins, and each perhaps an end.
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
    "admin": ("admin", "read", "keys", "tokens", "federation", "backup", "data", "persons"),
}
ROLES: dict[str, str] = {"operator": "write", "researcher": "read", "admin": "admin"}
MAX_LIFE_S = 10 * 366 * 86_400
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
    expires_at_s: int | None = None

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at_s is not None

    def has(self, scope: str) -> bool:
        """Whether it allows what this scope does; an admin key of scope `admin` allows everything."""
        return scope in self.scopes or (self.kind == "admin" and "admin" in self.scopes)

    def is_expired(self, now_s: int) -> bool:
        return self.expires_at_s is not None and now_s >= self.expires_at_s


class TokenBook:
    """The node's API keys, in its state database with a copy in memory for the request path."""

    def __init__(
        self,
        database: StateDatabase,
        *,
        now_s: Callable[[], int] | None = None,
        on_refusal: Callable[[str, str], None] = lambda _kind, _code: None,
    ) -> None:
        """Args:
        now_s: Unix seconds; without it a key that has an end opens nothing.
        on_refusal: Told (who: a key's id or `stranger`, what was refused) of every request that is turned away.
        """
        self._database = database
        self._now_s = now_s
        self._on_refusal = on_refusal
        self._by_hash: dict[bytes, Token] = {}
        rows = database.query(
            "SELECT secret_hash, id, kind, scopes, label, created_at, revoked_at, origins, expires_at FROM tokens"
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
        life_s: int | None = None,
        is_dry_run: bool = False,
    ) -> tuple[str, Token]:
        """Make a key and keep its hash durably. Returns the secret, for showing once, and the record.

        Args:
            life_s: How long it opens anything, in seconds; None until it is revoked.
            is_dry_run: Only check the wish: nothing is kept, and the secret is empty.

        Raises:
            RejectedInput: unknown kind or scope, a label over 100 characters, a life of no time or over ten years, or
                origins that are none or that this kind of key does not have.
        """
        if kind not in PREFIXES:
            raise _refused(f'"{kind}" is not a kind of key', f"Use one of {', '.join(PREFIXES)}")
        chosen = tuple(dict.fromkeys(scopes)) or DEFAULT_SCOPES[kind]
        if unknown := [scope for scope in chosen if scope not in SCOPES[kind]]:
            raise _refused(f'no {kind} key has the scope "{unknown[0]}"', f"Use {', '.join(SCOPES[kind])}")
        if len(label) > 100 or not label.isprintable():
            raise _refused("its label is over 100 characters or not printable", "Give a shorter label")
        if origins and (kind != "write" or chosen != ("events",)):
            raise _refused("a browser key may only send events", "Leave --kind and --scope out")
        for origin in origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise _refused(f'"{origin[:80]}" is no origin', "Give one such as https://example.org, without a path")
        if life_s is not None and not 0 < life_s <= MAX_LIFE_S:
            raise _refused("it would end at once, or after more than ten years", "Give --expires such as 30d")
        expires_s = None if life_s is None else now_s + life_s
        token = Token(rng(6).hex(), kind, chosen, label, now_s, None, tuple(dict.fromkeys(origins)), expires_s)
        if is_dry_run:
            return "", token
        secret = PREFIXES[kind] + base64.b32encode(rng(20)).decode("ascii").lower()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO tokens (id, kind, scopes, label, secret_hash, created_at, origins, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (token.id, kind, " ".join(chosen), label, _hash(secret), now_s, " ".join(token.origins), expires_s),
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
        return any(
            origin in token.origins and not token.is_revoked and not self.is_over(token)
            for token in self._by_hash.values()
        )

    def _check(self, secret: str | None, kind: str, scope: str | None) -> Token:
        token = self._by_hash.get(_hash(secret)) if secret else None
        try:
            return self._checked(secret, token, kind, scope)
        except AccessDenied as denied:
            self._on_refusal("stranger" if token is None else f"key:{token.id}", f"{kind} refused: {denied.code}")
            raise

    def _checked(self, secret: str | None, token: Token | None, kind: str, scope: str | None) -> Token:
        if not secret:
            raise AccessDenied(
                status=401,
                code="key_missing",
                what="The request is refused",
                why=f"It brings no {kind} key",
                fix=f'Send "Authorization: Bearer {PREFIXES[kind]}…"; "murmur tokens create" makes one',
            )
        if token is None or token.is_revoked:
            raise AccessDenied(
                status=401,
                code="key_unknown",
                what="The request is refused",
                why="The key is not one of this node's, or was revoked",
                fix="Ask the node's operator for a new key",
            )
        if self.is_over(token):
            raise AccessDenied(
                status=401,
                code="key_expired",
                what="The request is refused",
                why="The key has come to its end",
                fix="Ask the node's operator for a new key",
            )
        if token.kind != kind or (scope is not None and not token.has(scope)):
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

    def is_over(self, token: Token) -> bool:
        """Whether the key has come to its end; without a clock every end has come."""
        return token.expires_at_s is not None and (self._now_s is None or token.is_expired(self._now_s()))

    def named(self, token_id: str) -> Token:
        """The key with this id; raises RejectedInput where there is none."""
        found = next((token for token in self._by_hash.values() if token.id == token_id), None)
        if found is None:
            raise _refused(f'no key has the id "{token_id}"', '"murmur tokens list" shows them')
        return found

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
        return self.named(token_id)

    def list(self) -> list[Token]:
        """All keys, oldest first."""
        return sorted(self._by_hash.values(), key=lambda token: (token.created_at_s, token.id))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _token(fields: Sequence[object]) -> Token:
    token_id, kind, scopes, label, created_at, revoked_at, origins, expires_at = fields
    return Token(
        str(token_id),
        str(kind),
        tuple(str(scopes).split()),
        str(label),
        int(str(created_at)),
        None if revoked_at is None else int(str(revoked_at)),
        tuple(str(origins).split()),
        None if expires_at is None else int(str(expires_at)),
    )


def _refused(why: str, fix: str) -> RejectedInput:
    return RejectedInput(code="token_refused", what="The key is not made or changed", why=why, fix=fix)
