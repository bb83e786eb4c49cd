"""Shared researcher tokens: one key for a researcher at every member of the federation (PROTOCOL 7, specs/node.md 3).

A token is a JWT (Ed25519, nothing else) that an issuer named in the charter signs with a key its own log has published.
It lets its bearer read, for at most 24 hours; every member verifies it offline from what it holds of the issuer's log.
`federation/shared_tokens.py` decides; here are the form, the key's file, and the entries.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from federation.core import Core
from federation.shared_tokens import MAX_LIFE_S, Claims, IssuerBook, issuer_of, refusal
from federation.verdicts import COUNTED
from node.audit import Audit
from node.clock import Clock
from node.errors import ConfigError, RejectedInput
from node.jobs.outbox import Outbox
from node.jobs.publishing import Publisher
from node.key_turns import KeyTurns
from node.keyfiles import KeyFile, read_key, write_key
from node.passphrase import Passphrase
from node.state.log import LogStore
from node.state.tokens import AccessDenied, TokenBook
from protocol.entries import REVOKE_TOKEN, TOKEN_KEY, ParsedEntry
from protocol.ids import NodeId
from protocol.keys import SigningKey
from protocol.token_data import TOKEN_ID_BYTES, RevokeTokenData, TokenKeyData, token_key_id

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

log = structlog.get_logger()

MAX_TOKEN_CHARS: Final = 2048
_ALGORITHM: Final = "Ed25519"  # the name RFC 9864 gives EdDSA with this curve


@dataclass(frozen=True, slots=True)
class SharedToken:
    """A token that is good: what limiter and audit log know it by."""

    id: str


class SharedTokens:
    """Issues, takes back and verifies shared tokens.

    Args:
        folder: `DATA/keys`, where token.key lies.
        names: Members' names by node id.
    """

    def __init__(
        self,
        *,
        core: Core,
        logs: LogStore,
        publisher: Publisher,
        outbox: Outbox,
        turns: KeyTurns,
        audit: Audit,
        clock: Clock,
        folder: Path,
        passphrase: Passphrase | None,
        names: Callable[[NodeId], str],
        rng: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._core = core
        self._logs = logs
        self._publisher = publisher
        self._outbox = outbox
        self._turns = turns
        self._audit = audit
        self._clock = clock
        self._file = folder / "token.key"
        self._passphrase = passphrase
        self._names = names
        self._rng = rng
        self._books: dict[NodeId, tuple[bytes, IssuerBook]] = {}

    # -- issuing

    def issue(self, life_s: int, *, is_dry_run: bool = False) -> dict[str, Any]:
        """A new token, with a key made and published for it where this node has none yet.

        Raises:
            RejectedInput: the charter does not let this node issue, or it would live longer than 24 hours.
        """
        self._may_issue()
        if not 0 < life_s <= MAX_LIFE_S:
            raise _refused("a shared token lives at most 24 hours", "Give --expires 24h or less")
        if is_dry_run:
            return {"expires_at": self._now_s() + life_s, "makes_key": not self._file.exists()}
        key = self._key() if self._file.exists() else self.renew_key()
        now_s, token = self._now_s(), self._rng(TOKEN_ID_BYTES).hex()
        claims = {"iss": self._core.me.hex(), "aud": self._core.rules.federation.hex(), "jti": token, "iat": now_s,
                  "exp": now_s + life_s, "scope": "query"}  # fmt: skip
        from joserfc import jwt

        header = {"alg": _ALGORITHM, "typ": "JWT", "kid": token_key_id(key.public)}
        self._audit.record("operator", "tokens.share", token)
        signed = jwt.encode(header, claims, _jwk(key.public, key.secret), algorithms=[_ALGORITHM])
        return {"token": signed, "id": token, "expires_at": now_s + life_s}

    def renew_key(self) -> _Key:
        """Make another key for tokens and publish it beside the one in use, whose tokens run out within a day.

        Raises:
            RejectedInput: the charter does not let this node issue. StorageError: as publishing.
        """
        self._may_issue()
        seed = self._rng(32)
        made = KeyFile("token", seed, SigningKey(seed).public_key)
        before = [self._key().public] if self._file.exists() else []
        aside = self._file.with_name("token.key.new")
        aside.unlink(missing_ok=True)
        write_key(aside, made, self._passphrase)  # durable before the entry that names it
        self._publish(TOKEN_KEY, TokenKeyData(tuple(sorted({*before, made.public or b""}))).encode())
        aside.replace(self._file)
        return _Key(made.secret, made.public or b"")

    def revoke(self, token: str) -> None:
        """Take a token back everywhere; it takes effect with the next sync.

        Raises:
            RejectedInput: it is no token's id.
        """
        try:
            raw = bytes.fromhex(token)
        except ValueError:
            raw = b""
        if len(raw) != TOKEN_ID_BYTES:
            raise _refused("a shared token's id is 32 hex digits", '"murmur audit show" lists the ids that were issued')
        self._publish(REVOKE_TOKEN, RevokeTokenData((raw,)).encode())

    # -- verifying

    def check(self, token: str) -> SharedToken:
        """Who reads with this token.

        Raises:
            AccessDenied: it is not good here, for a reason that says nothing of other tokens.
        """
        try:
            claims, issuer = self._claims(token)
            why = refusal(claims, self._book(issuer), self._core.rules.federation, self._now_s())
        except _NotGood as error:
            why, claims, issuer = str(error), None, None
        if why is not None or claims is None or issuer is None:
            self._audit.count("stranger", "read refused: token_refused")
            raise AccessDenied(
                status=401, code="token_refused", what="The request is refused", why=f"The token is not good: {why}",
                fix="Ask its issuer for a new one",
            )  # fmt: skip
        return SharedToken(f"token:{self._names(issuer)}/{claims.token[:16]}")

    def _claims(self, token: str) -> tuple[Claims, NodeId]:
        """The claims, signed by a key of the issuer in force."""
        from joserfc import jwt  # 80 ms to load: not at every start, but with the first token
        from joserfc.errors import JoseError

        if len(token) > MAX_TOKEN_CHARS:
            raise _NotGood("it is too long")
        header, payload = (_json_of(part) for part in (token.split(".")[:2]))
        unsigned = _claims_of(header, payload)
        issuer = issuer_of(unsigned, self._core.rules.charter)
        key = None if issuer is None else self._book(issuer).keys.get(unsigned.key)
        if issuer is None or key is None:
            raise _NotGood("nobody who may issue tokens has signed it with a key in force")
        try:
            jwt.decode(token, _jwk(key), algorithms=[_ALGORITHM])
        except (JoseError, ValueError) as error:
            raise _NotGood("its signature is not by that key") from error
        return unsigned, issuer

    def _book(self, issuer: NodeId) -> IssuerBook:
        own = self._core.logs.log(issuer)
        tip = own.ids[-1] if own is not None and own.ids else b""
        known = self._books.get(issuer)
        if known is None or known[0] != tip:
            book = IssuerBook.fold(self._counted(issuer, TOKEN_KEY), self._counted(issuer, REVOKE_TOKEN))
            known = self._books[issuer] = (tip, book)
        return known[1]

    def _counted(self, issuer: NodeId, kind: str) -> Sequence[bytes]:
        own = self._core.logs.log(issuer)
        if own is None:
            return ()
        verdicts = self._core.logs.judged(issuer).verdicts

        def counts(parsed: ParsedEntry) -> bool:
            seq = parsed.header.seq
            return seq < min(own.height, len(verdicts)) and own.ids[seq] == parsed.id and verdicts[seq] == COUNTED

        return [parsed.entry.data for parsed in self._logs.of_kind(issuer, kind) if counts(parsed)]

    # -- helpers

    def _publish(self, kind: str, data: bytes) -> None:
        with self._turns.lock:
            self._outbox.hold([self._publisher.publish_other(kind, data)])
            self._outbox.send()

    def _may_issue(self) -> None:
        if self._core.me not in self._core.rules.charter.token_issuers:
            raise _refused("the charter does not name this node among those who issue tokens",
                           "Propose a charter that does, or make a local key: murmur tokens create --read")  # fmt: skip

    def _key(self) -> _Key:
        try:
            found = read_key(self._file, "token", self._passphrase)
        except ConfigError as error:
            raise _refused(error.why, error.fix) from error
        return _Key(found.secret, found.public or b"")

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


class Readers:
    """Who may read: local `mr_` keys, and shared tokens where one is brought (node/http/access.py)."""

    def __init__(self, book: TokenBook, shared: SharedTokens) -> None:
        self._book = book
        self._shared = shared

    def check(self, secret: str | None, kind: str, scope: str) -> object:
        """The key's or token's record; raises AccessDenied."""
        if secret is not None and secret.count(".") == 2 and (kind, scope) == ("read", "query"):
            return self._shared.check(secret)
        return self._book.check(secret, kind, scope)


@dataclass(frozen=True, slots=True)
class _Key:
    secret: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"_Key({self.public.hex()[:16]}…)"


class _NotGood(Exception):
    """Why a token is refused, in words."""


def _claims_of(header: dict[str, Any], payload: dict[str, Any]) -> Claims:
    texts = [payload.get("iss"), payload.get("aud"), payload.get("jti"), header.get("kid")]
    times = [payload.get("iat"), payload.get("exp")]
    in_form = all(type(text) is str for text in texts) and all(type(time) is int for time in times)
    if not in_form or header.get("alg") != _ALGORITHM or payload.get("scope") != "query" or "crit" in header:
        raise _NotGood("it is not of the form of this federation's tokens")
    return Claims(*texts, *times)  # type: ignore[arg-type]  # checked just above


def _json_of(part: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise _NotGood("it is not of the form of this federation's tokens") from error
    if not isinstance(document, dict):
        raise _NotGood("it is not of the form of this federation's tokens")
    return document


def _jwk(public: bytes, secret: bytes | None = None) -> OKPKey:
    from joserfc.jwk import OKPKey

    parts: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _b64(public)}
    return OKPKey.import_key(parts if secret is None else {**parts, "d": _b64(secret)})


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _refused(why: str, fix: str) -> RejectedInput:
    return RejectedInput(code="shared_token_refused", what="The shared token is not made or changed", why=why, fix=fix)
