"""The loopback admin port: nothing there without an `ma_` key; the socket needs none."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from node.http.admin import make_admin_app
from node.http.admin_scopes import admin_gate, scope_of
from node.state.database import StateDatabase
from node.state.tokens import TokenBook
from tests.conftest import ROOT


class FakeNode:
    """As much of a node as the status needs."""

    def __init__(self, tokens: TokenBook) -> None:
        self.tokens = tokens

    def status(self) -> dict[str, Any]:
        return {"name": "amber"}


@pytest.fixture
def tokens(tmp_path: Path) -> TokenBook:
    return TokenBook(StateDatabase(tmp_path / "state.db"))


async def answer(
    tokens: TokenBook, is_gated: bool, secret: str | None, path: str = "/v1/admin/status"
) -> tuple[int, Any]:
    app = make_admin_app(FakeNode(tokens), gate=admin_gate(tokens) if is_gated else None)  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        response = await client.get(path, headers={"Authorization": f"Bearer {secret}"} if secret else {})
        return response.status, await response.json()


async def test_a_stranger_learns_nothing_on_the_port(tokens: TokenBook) -> None:
    """Without a key every path says the same, whether it exists or not."""
    read, _ = tokens.create("read", [], "", now_s=1, rng=os.urandom)
    for path in ("/v1/admin/status", "/v1/admin/none"):
        assert (await answer(tokens, True, None, path))[0] == 401
        assert (await answer(tokens, True, "ma_guess", path))[0] == 401
        status, problem = await answer(tokens, True, read, path)
        assert (status, problem["code"]) == (403, "key_not_allowed")


async def test_an_admin_key_opens_the_port(tokens: TokenBook) -> None:
    """And a revoked one does not any more."""
    secret, token = tokens.create("admin", [], "", now_s=1, rng=os.urandom)
    assert (await answer(tokens, True, secret)) == (200, {"schema": "murmur.status/1", "name": "amber"})
    tokens.revoke(token.id, now_s=2)
    assert (await answer(tokens, True, secret))[0] == 401


async def test_the_socket_needs_no_key(tokens: TokenBook) -> None:
    """Its file mode is its gate."""
    assert (await answer(tokens, False, None))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/admin/status", "read"),
        ("GET", "/v1/admin/charter", "read"),
        ("GET", "/overview", "read"),
        ("POST", "/v1/admin/charter", "federation"),
        ("POST", "/v1/admin/charter/confirm", "federation"),
        ("POST", "/v1/admin/mesh/sync", "federation"),
        ("POST", "/v1/admin/keys/rotate", "keys"),
        ("POST", "/v1/admin/tokens", "tokens"),
        ("DELETE", "/v1/admin/tokens/0123", "tokens"),
        ("POST", "/v1/admin/backup", "backup"),
        ("POST", "/v1/admin/plan", "data"),
        ("POST", "/v1/admin/person/export", "persons"),
        ("DELETE", "/v1/person", "persons"),
        ("POST", "/v1/admin/clock/accept", "admin"),
        ("POST", "/v1/admin/keysandmore", "admin"),
        ("POST", "/v1/admin/not-there-yet", "admin"),
    ],
)
def test_a_request_needs_the_scope_of_its_noun(method: str, path: str, scope: str) -> None:
    """What nobody listed needs `admin`."""
    assert scope_of(method, path) == scope


def test_every_route_that_changes_something_has_a_scope_of_its_own() -> None:
    """Of all that the reference lists (tests hold it to the code); only a clock is accepted by `admin` alone."""
    page = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    changing = re.findall(r"^### `(POST|PUT|DELETE) (/v1/admin/[^`]+)`", page, re.MULTILINE)
    assert len(changing) > 15
    assert [path for method, path in changing if scope_of(method, path) == "admin"] == ["/v1/admin/clock/accept"]


async def test_a_key_opens_what_its_scopes_say_and_makes_none_that_opens_more(tokens: TokenBook) -> None:
    """A key that reads changes nothing; one that makes keys makes no admin key beyond its own scopes."""
    admin, _ = tokens.create("admin", [], "", now_s=1, rng=os.urandom)
    read, _ = tokens.create("admin", ["read"], "", now_s=1, rng=os.urandom)
    maker, _ = tokens.create("admin", ["tokens", "read"], "", now_s=1, rng=os.urandom)

    class Making(FakeNode):
        def create_token(
            self, kind: str, scopes: list[str], label: str, _origins: Any, _life: Any, *, is_dry_run: bool
        ) -> Any:
            return self.tokens.create(kind, scopes, label, now_s=2, rng=os.urandom, is_dry_run=is_dry_run)

    app = make_admin_app(Making(tokens), gate=admin_gate(tokens))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:

        async def told(secret: str, wish: dict[str, Any] | None) -> tuple[int, str | None]:
            path, headers = (
                "/v1/admin/status" if wish is None else "/v1/admin/tokens",
                {"Authorization": f"Bearer {secret}"},
            )
            asked = client.get(path, headers=headers) if wish is None else client.post(path, json=wish, headers=headers)
            async with asked as response:
                return response.status, (await response.json()).get("code")

        assert await told(read, None) == (200, None)
        assert await told(maker, None) == (200, None)
        assert await told(read, {"kind": "read"}) == (403, "key_not_allowed")
        assert await told(maker, {"kind": "read"}) == (201, None)
        assert await told(maker, {"kind": "admin", "scopes": ["read"]}) == (201, None)
        for wider in ({"kind": "admin"}, {"kind": "admin", "scopes": ["admin"]}, {"kind": "admin", "scopes": ["keys"]}):
            assert await told(maker, wider) == (403, "scope_too_wide")
        assert await told(admin, {"kind": "admin", "scopes": ["keys"]}) == (201, None)
