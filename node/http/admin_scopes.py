"""Which scope of an `ma_` key a request of the operator plane needs: decided by method and path, before routing.

`admin` opens everything. Else reading needs `read`, and what changes something the scope of its noun. A path that is
not listed needs `admin`, so a new route is closed until somebody says who may use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from node.state.tokens import AccessDenied, TokenBook

EVERYTHING: Final = "admin"
READ: Final = "read"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_KEY: Final = web.RequestKey("admin_scopes", tuple)  # for what a handler itself must hold against them

# A path belongs to the first line it begins with, as a whole segment.
_SCOPES: Final = (
    ("/v1/admin/keys", "keys"),
    ("/v1/admin/tokens", "tokens"),
    ("/v1/admin/charter", "federation"),
    ("/v1/admin/invites", "federation"),
    ("/v1/admin/joins", "federation"),
    ("/v1/admin/mesh", "federation"),
    ("/v1/admin/backup", "backup"),
    ("/v1/admin/audit", READ),
    ("/v1/admin/backfill", "data"),
    ("/v1/admin/plan", "data"),
    ("/v1/admin/choose", "data"),
    ("/v1/admin/names", "data"),
    ("/v1/admin/person", "persons"),
    ("/v1/person", "persons"),
    ("/v1/admin/vault", READ),
    ("/v1/sql", READ),
)  # fmt: skip


def scope_of(method: str, path: str) -> str:
    """The scope that lets a request pass beside `admin`."""
    if method in _SAFE:
        return "persons" if _is_under(path, "/v1/admin/person") else READ
    return next((scope for prefix, scope in _SCOPES if _is_under(path, prefix)), EVERYTHING)


def admin_gate(tokens: TokenBook) -> Callable[[web.Request], None]:
    """The gate of the loopback admin port: `ma_` keys only, since any program of this machine can reach it."""

    def gate(request: web.Request) -> None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = tokens.check(
            secret.strip() or None if scheme.lower() == "bearer" else None,
            "admin",
            scope_of(request.method, request.path),
        )
        request[_KEY] = token.scopes

    return gate


def refuse_more(request: web.Request, kind: str, scopes: Sequence[str]) -> None:
    """An admin key makes no other that opens more than it does itself.

    Raises:
        AccessDenied: `scope_too_wide`.
    """
    own = request.get(_KEY)
    if own is None or kind != "admin" or EVERYTHING in own:
        return
    if wider := [scope for scope in scopes or (EVERYTHING,) if scope not in own]:
        raise AccessDenied(
            status=403, code="scope_too_wide", what="No key was made",
            why=f"the key that asks is for {', '.join(own)}, the new one would be for {wider[0]}",
            fix="Make it on the node's own machine, or with a key of scope admin",
        )  # fmt: skip


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
