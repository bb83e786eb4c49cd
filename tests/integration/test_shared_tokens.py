"""Shared researcher tokens: issued by one node, verified by another from its logs alone, taken back by sync (T18)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc import jwt

from node.keyfiles import read_key
from node.shared_tokens import SharedTokens, _jwk
from node.state.tokens import AccessDenied
from protocol.entries import REVOKE_TOKEN, TOKEN_KEY
from protocol.token_data import RevokeTokenData, TokenKeyData, token_key_id
from tests.integration.typed import Typed
from tests.node_kit import HandClock, Shop, found_shop, until
from tests.simulation.world import SimNode, World
from tests.unit.protocol.samples import key


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = found_shop(tmp_path / "shop", issuers=("shop",))
    text = made.config.read_text()
    made.config.write_text(text.replace("[listen]\n", "[listen]\nbehind_proxy = true\n"))  # reads need a key
    return made


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def reads(shop: Shop, token: str, path: str = "/v1/metrics", method: str = "GET") -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(shop.call, method, path, None, {"Authorization": f"Bearer {token}"})


@pytest.mark.requirement("T-IN-3")
async def test_a_token_reads_until_it_ends_or_is_revoked(shop: Shop, typed: Typed) -> None:
    """It reads, it changes nothing, it is not stored, and the audit log knows who used it by its id alone."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        plan = await typed.json("tokens", "share", "--dry-run")
        assert plan["changes"][0].startswith("make keys/token.key")
        assert not (shop.data / "keys/token.key").exists()
        made = await typed.json("tokens", "share", "--expires", "1h")
        other = await typed.json("tokens", "share")
        await until(lambda: sum(1 for _ in node.logs.of_kind(node.membership.node, TOKEN_KEY)) == 1)
        assert (await reads(shop, made["token"]))[0] == 200
        assert (await reads(shop, "mr_wrong"))[0] == 401
        assert (await reads(shop, made["token"], "/v1/person", "DELETE"))[0] == 401
        assert "confirmation_needed" in await typed("tokens", "revoke", other["id"], code=2)
        await typed("tokens", "revoke", other["id"], "--yes")
        status, problem = await reads(shop, other["token"])
        assert (status, problem["code"]) == (401, "token_refused")
        assert "revoked" in problem["detail"]
        clock.pass_time(3601)
        assert "expired" in (await reads(shop, made["token"]))[1]["detail"]
        assert "at most 24 hours" in await typed("tokens", "share", "--expires", "25h", code=2)
        shown = await typed("audit", "show", "--json")
        assert f"token:shop/{made['id'][:16]}" in shown
        signature = made["token"].rpartition(".")[2]
        assert signature not in shown
        assert not any(signature.encode() in path.read_bytes() for path in shop.data.rglob("*") if path.is_file())


async def test_another_key_signs_from_now_on_and_the_tokens_of_the_old_one_run_out(shop: Shop, typed: Typed) -> None:
    """Two keys live side by side; after a second change the first one's tokens are good no more."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        first = await typed.json("tokens", "share")
        for expected in (200, 401):
            before = read_key(shop.data / "keys/token.key", "token").public
            await typed("tokens", "share", "--new-key")
            assert read_key(shop.data / "keys/token.key", "token").public != before
            await until(lambda: node.outbox.held == 0)
            second = await typed.json("tokens", "share")
            assert (await reads(shop, second["token"]))[0] == 200
            assert (await reads(shop, first["token"]))[0] == expected


async def test_a_node_that_may_not_issue_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The charter decides who may."""
    shop = found_shop(tmp_path / "shop")
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert "does not name this node" in await Typed(shop, capsys)("tokens", "share", code=2)


# ── at another member ────────────────────────────────────────────────────────────────────────────────────


class Logs:
    """A simulated node's disk as the store the verifier reads."""

    def __init__(self, node: SimNode) -> None:
        self._node = node

    def of_kind(self, author: bytes, kind: str) -> list[Any]:
        return [parsed for parsed in self._node.disk.entries[author] if parsed.header.kind == kind]  # type: ignore[index]


def verifier(world: World, node: SimNode, now_s: int) -> SharedTokens:
    core = node.core
    assert core is not None
    charter = replace(core.rules.charter, token_issuers=(world.nodes[0].id,))
    seen = SimpleNamespace(
        me=node.id, logs=core.logs, rules=SimpleNamespace(charter=charter, federation=core.rules.federation)
    )
    audit = SimpleNamespace(count=lambda *_: None)
    return SharedTokens(
        core=seen, logs=Logs(node), publisher=None, outbox=None, turns=None, audit=audit,
        clock=HandClock(now_s), folder=Path("none"), passphrase=None, names=lambda one: one.hex()[:8],
    )  # type: ignore[arg-type]  # fmt: skip


def signed(world: World, now_s: int, **changes: Any) -> str:
    """A token of the first node, with its key `token`."""
    node = world.nodes[0]
    claims = {"iss": node.id.hex(), "aud": world.founding.federation.hex(), "jti": "ab" * 16, "iat": now_s,
              "exp": now_s + 3600, "scope": "query", **changes}  # fmt: skip
    seed = key("token")
    header = {"alg": "Ed25519", "kid": token_key_id(seed.public_key)}
    return str(jwt.encode(header, claims, _jwk(seed.public_key, seed._secret[:32]), algorithms=["Ed25519"]))


def refused(tokens: SharedTokens, token: str) -> str:
    with pytest.raises(AccessDenied) as caught:
        tokens.check(token)
    return caught.value.why


def test_another_member_verifies_offline_what_an_issuer_signed() -> None:
    """Every wrong claim, signature, key and algorithm is refused; a revocation counts once it has come by sync."""
    world, now_s = World(3, 21), 1_900_000_000
    owner, other = world.nodes[0], world.nodes[2]
    world.commit(owner, owner.author.write(TOKEN_KEY, TokenKeyData((key("token").public_key,)).encode()))
    world.settle()
    tokens = verifier(world, other, now_s)
    good = signed(world, now_s)
    assert tokens.check(good).id == f"token:{owner.id.hex()[:8]}/{'ab' * 8}"
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": token_key_id(key("token").public_key)}).encode())
    hmac = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": token_key_id(key("token").public_key)}).encode())
    wrong = {
        "another issuer": signed(world, now_s, iss=other.id.hex()),
        "another federation": signed(world, now_s, aud="00" * 32),
        "too long a life": signed(world, now_s, exp=now_s + 86_401),
        "over": signed(world, now_s, iat=now_s - 10, exp=now_s),
        "to come": signed(world, now_s, iat=now_s + 100),
        "another scope": signed(world, now_s, scope="admin"),
        "a float": signed(world, now_s, exp=now_s + 0.5),
        "no signature": f"{head}.{body}.",
        "alg none": f"{none.decode().rstrip('=')}.{body}.",
        "alg HS256": f"{hmac.decode().rstrip('=')}.{body}.{signature}",
        "changed body": f"{head}.{body[:-2]}AA.{signature}",
        "garbage": "a.b.c",
        "long": "a." * 2 + "b" * 5000,
    }
    for name, token in wrong.items():
        assert refused(tokens, token), name
    world.commit(owner, owner.author.write(REVOKE_TOKEN, RevokeTokenData((b"\xab" * 16,)).encode()))
    world.settle()
    assert "revoked" in refused(tokens, good)


def test_random_bytes_are_refused_and_nothing_else_happens() -> None:
    """Whatever stands between two dots."""
    world, now_s = World(2, 22), 1_900_000_000
    world.settle()
    tokens = verifier(world, world.nodes[1], now_s)
    for _ in range(300):
        parts = [base64.urlsafe_b64encode(os.urandom(12)).decode() for _ in range(3)]
        assert refused(tokens, ".".join(parts))
