"""The loopback admin port: nothing there without an `ma_` key; the socket needs none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from node.http.admin import admin_gate, make_admin_app
from node.state.database import StateDatabase
from node.state.tokens import TokenBook


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
