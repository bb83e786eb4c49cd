"""The operator plane: JSON over the admin socket (0600), and over the loopback admin port with an `ma_` key.

Exact figures live here and nowhere else (DESIGN 5). Each handler is a thin shell over one method of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.dashboard import STATIC
from node.errors import RejectedInput
from node.http.admin_scopes import refuse_more
from node.http.documents import answered, asked
from node.http.problems import problem_middleware
from node.recent import Recent
from node.state.tokens import Token, TokenBook

Shape = TypeVar("Shape")


class NodePort(Protocol):
    """What the operator plane needs of a running node."""

    tokens: TokenBook
    recent: Recent

    def status(self) -> Mapping[str, Any]: ...
    def mesh_bytes(self) -> Mapping[str, Any]: ...
    def budget(self) -> Mapping[str, Any]: ...
    def finish_backfill(self, through: date) -> Mapping[str, Any]: ...
    def create_token(
        self,
        kind: str,
        scopes: list[str],
        label: str,
        origins: list[str],
        life_s: int | None = None,
        *,
        is_dry_run: bool = False,
    ) -> tuple[str, Token]: ...
    def apply_plan(self, *, is_dry_run: bool = False) -> Mapping[str, Any]: ...
    def revoke_token(self, token_id: str) -> Token: ...


class _NewToken(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    scopes: list[str] = []
    label: str = ""
    origins: list[str] = []
    life_s: int | None = None


class _Finish(msgspec.Struct, forbid_unknown_fields=True):
    through: str


def make_admin_app(
    node: NodePort,
    further_routes: list[web.RouteDef] | None = None,
    gate: Callable[[web.Request], None] | None = None,
    open_paths: Collection[str] = (),
) -> web.Application:
    """The application of the operator plane.

    Args:
        further_routes: What else is served there; research reads among it.
        gate: Lets a request pass or raises; None where the listener itself keeps strangers out (the socket).
        open_paths: What the gate lets everybody read: the pages, which hold no figure before a key is given.
    """

    async def status(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.status/1", **node.status()})

    async def mesh(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.mesh/1", **node.mesh_bytes()})

    async def ledger(_request: web.Request) -> web.Response:
        return answered({"schema": "murmur.ledger/1", **node.budget()})

    async def list_tokens(_request: web.Request) -> web.Response:
        rows = [{**_public(token), "is_expired": node.tokens.is_over(token)} for token in node.tokens.list()]
        return answered({"schema": "murmur.tokens/1", "tokens": rows})

    async def create_token(request: web.Request) -> web.Response:
        wanted = await asked(request, _NewToken, "See specs/api/openapi.yaml for the shape")
        refuse_more(request, wanted.kind, wanted.scopes)
        is_dry_run = request.query.get("dry_run") == "1"
        secret, token = node.create_token(
            wanted.kind, wanted.scopes, wanted.label, wanted.origins, wanted.life_s, is_dry_run=is_dry_run
        )
        if is_dry_run:
            return answered({"schema": "murmur.token/1", **_public(token), "id": None})
        return answered({"schema": "murmur.token/1", "token": secret, **_public(token)}, 201)

    async def revoke_token(request: web.Request) -> web.Response:
        return answered({"schema": "murmur.token/1", **_public(node.revoke_token(request.match_info["id"]))})

    async def finish_backfill(request: web.Request) -> web.Response:
        wanted = await asked(request, _Finish, "See specs/api/openapi.yaml for the shape")
        try:
            through = date.fromisoformat(wanted.through)
        except ValueError as error:
            raise RejectedInput(
                code="bad_date",
                what="The backfill is not finished",
                why=f'"{wanted.through[:40]}" is not a day',
                fix="Give a day such as 2026-11-18",
            ) from error
        return answered({"schema": "murmur.backfill/1", **node.finish_backfill(through)}, 202)

    async def apply_plan(request: web.Request) -> web.Response:
        is_dry_run = request.query.get("dry_run") == "1"
        return answered({"schema": "murmur.plan/1", **node.apply_plan(is_dry_run=is_dry_run)})

    async def recent(request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        number = int(after) if after.isascii() and after.isdigit() else 0
        found = {"requests": node.recent.after(number), "unusual": node.recent.unusual()}
        return answered({"schema": "murmur.recent/1", **found})

    app = web.Application(middlewares=[problem_middleware, *([_gated(gate, open_paths)] if gate is not None else [])])
    app.router.add_get("/v1/ingest/recent", recent)
    app.router.add_post("/v1/admin/plan", apply_plan)
    app.router.add_get("/v1/admin/status", status)
    app.router.add_get("/v1/admin/mesh", mesh)
    app.router.add_get("/v1/admin/ledger", ledger)
    app.router.add_get("/v1/admin/tokens", list_tokens)
    app.router.add_post("/v1/admin/tokens", create_token)
    app.router.add_delete("/v1/admin/tokens/{id}", revoke_token)
    app.router.add_post("/v1/admin/backfill/finish", finish_backfill)
    if further_routes:
        app.router.add_routes(further_routes)
    return app


def _gated(gate: Callable[[web.Request], None], open_paths: Collection[str]) -> Middleware:
    @web.middleware
    async def gated(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_page = request.path in open_paths or (open_paths and request.path.startswith(STATIC))
        if not (is_page and request.method == "GET"):
            gate(request)  # before routing shows: a stranger learns nothing of the paths
        return await handler(request)

    return gated


def _public(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "kind": token.kind,
        "scopes": list(token.scopes),
        "label": token.label,
        "origins": list(token.origins),
        "created_at": token.created_at_s,
        "revoked_at": token.revoked_at_s,
        "expires_at": token.expires_at_s,
    }
