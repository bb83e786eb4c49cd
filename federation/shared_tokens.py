"""Whether a shared researcher token is good here, from what every member holds: charter, issuer's log, its own bytes.

Pure, so that every member gives the same answer offline (PROTOCOL 7). A token is good when

1. its issuer is a member that the charter names among `token_issuers`,
2. one of the issuer's token keys in force signed it: those of its last `token_key` entry that counts,
3. it is for this federation and lives at most 24 hours, now among them,
4. no counted `revoke_token` of its issuer names it.

It lets one read, and nothing else. The form (JWT) and the clock are the node's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from protocol.charter import Charter
from protocol.errors import ProtocolError
from protocol.ids import FederationId, NodeId
from protocol.token_data import parse_revoke_token, parse_token_key, token_key_id

MAX_LIFE_S: Final = 24 * 3600
LEEWAY_S: Final = 60  # an issuer's clock may be a little fast
_TOKEN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself, `kid` of its header included; times in Unix seconds."""

    issuer: str
    audience: str
    token: str
    key: str
    issued_s: int
    expires_s: int


@dataclass(slots=True)
class IssuerBook:
    """One issuer's keys and revocations, folded over its counted entries in the order of its log."""

    keys: dict[str, bytes] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)

    @classmethod
    def fold(cls, token_keys: Iterable[bytes], revocations: Iterable[bytes]) -> IssuerBook:
        """From the data of its counted `token_key` entries, in order, and of its `revoke_token` entries."""
        book = cls()
        for data in token_keys:
            try:
                book.keys = {token_key_id(key): key for key in parse_token_key(data).keys}
            except ProtocolError:
                continue  # judgement voided it, or it is of a later version
        for data in revocations:
            try:
                book.revoked |= {token.hex() for token in parse_revoke_token(data).tokens}
            except ProtocolError:
                continue
        return book


def issuer_of(claims: Claims, charter: Charter) -> NodeId | None:
    """The issuer, when the charter lets it issue; None otherwise."""
    found = next((node for node in charter.token_issuers if node.hex() == claims.issuer), None)
    return found if found is not None and charter.member(found) is not None else None


def refusal(claims: Claims, book: IssuerBook, federation: FederationId, now_s: int) -> str | None:
    """Why a token whose signature and issuer are good is refused all the same, in words; None when it is good."""
    if claims.audience != federation.hex():
        return "it is for another federation"
    if _TOKEN_ID.fullmatch(claims.token) is None:
        return "it has no id of the right form"
    if not 0 < claims.expires_s - claims.issued_s <= MAX_LIFE_S:
        return "it lives longer than 24 hours"
    if now_s < claims.issued_s - LEEWAY_S:
        return "it is not valid yet"
    if now_s >= claims.expires_s:
        return "it has expired"
    if claims.token in book.revoked:
        return "its issuer has revoked it"
    return None
