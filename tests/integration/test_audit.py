"""The audit log of a running node, from the command line: what stands in it, and that a change of it is named."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import pytest

from node.cli import main
from node.running import Node
from node.state.tokens import AccessDenied
from protocol.entries import HEADS_ATTEST
from tests.integration.typed import Typed
from tests.node_kit import HandClock, Shop, event, found_shop, until


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


async def test_what_is_done_and_refused_stands_in_the_log_and_nobody_s_id(shop: Shop, typed: Typed) -> None:
    """Admin actions before and after, refused keys counted, a person forgotten without being named."""
    async with shop.run(HandClock()) as (node, _):
        await shop.send([event(1, user="ann@example.org")])
        made = json.loads(await typed("tokens", "create", "--role", "researcher", "--expires", "30d", "--json"))
        await typed("tokens", "create", "--role", "researcher", "--dry-run")
        await typed("tokens", "revoke", made["id"], code=2)  # nobody to ask
        await typed("tokens", "revoke", made["id"], "--yes")
        await typed("tokens", "revoke", "nothing", "--yes", code=3)
        for _ in range(3):
            with pytest.raises(AccessDenied):
                node.tokens.check("mr_wrong", "read", "query")
        admin = node.create_token("admin", [], "")[0]
        body, headers = json.dumps({"ids": ["ann@example.org"]}).encode(), {"Authorization": f"Bearer {admin}"}
        status, _answer = await asyncio.to_thread(shop.call, "DELETE", "/v1/person", body, headers)
        assert status == 200
        await typed("keys", "rotate")
        told = await typed("audit", "show", "--json")
        records = json.loads(told)["records"]
        lines = [(row["actor"].partition(":")[0], row["action"], row["outcome"]) for row in records]
    key = "POST /v1/admin/tokens"
    assert lines == [
        ("node", "node.started", "done"),
        ("operator", key, "begun"), ("operator", key, "done"),
        ("operator", "DELETE /v1/admin/tokens/{id}", "begun"), ("operator", "DELETE /v1/admin/tokens/{id}", "done"),
        ("stranger", "read refused: key_unknown", "done"),
        ("key", "DELETE /v1/person", "begun"), ("key", "DELETE /v1/person", "done"),
        ("operator", "POST /v1/admin/keys/rotate", "begun"), ("operator", "POST /v1/admin/keys/rotate", "done"),
    ]  # fmt: skip
    assert made["token"] not in told
    assert "ann" not in told
    assert records[3]["subject"] == made["id"]
    async with shop.run(HandClock()):
        again = (await typed.json("audit", "show", "--last", 2))["records"]
        assert isinstance(again, list)
        assert [row["subject"].partition(" in")[0] for row in again[:1]] == ["2 more times"]


@pytest.mark.requirement("T-IN-2")
@pytest.mark.parametrize(
    "change", ["UPDATE audit SET actor = 'node' WHERE number = 2", "DELETE FROM audit WHERE number = 2"]
)
async def test_an_edited_log_is_named(shop: Shop, typed: Typed, change: str) -> None:
    """T21, case: an insider with the disk. Exit 6, on the node and from its export."""
    export = shop.folder / "audit.ndjson"
    async with shop.run(HandClock()):
        for _ in range(2):
            await typed("tokens", "create", "--read")
        assert (await typed.json("audit", "verify"))["is_whole"]
    with sqlite3.connect(shop.data / "state.db") as database:
        database.execute(change)
    database.close()
    async with shop.run(HandClock()):
        told = await typed.json("audit", "verify", code=6)
        assert [one["kind"] for one in told["problems"]] == ["changed" if "UPDATE" in change else "missing"]  # type: ignore[attr-defined]
        await typed("audit", "export", export)
        assert "NOT whole" in await typed("audit", "verify", export, "--alone", code=6)
        await typed("audit", "export", export, code=7)


def test_a_file_that_is_no_export_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it holds: usage, exit 2, never a stack trace."""
    for content in (b"", b"x\n", b"{}\n{}\n", b'{"schema": "murmur.audit-export/1"}\n', b"\xff\n\n"):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(SystemExit) as end:
            main(["audit", "verify", str(path), "--alone"])
        assert end.value.code == 2
        assert "no_audit_export" in capsys.readouterr().err
    assert sys.exc_info()[0] is None


def attested_in(node: Node) -> set[bytes]:
    """Ids of the node's own attestations, as stored."""
    return {one.id for one in node.logs.of_kind(node.membership.node, HEADS_ATTEST)}


@pytest.mark.requirement("T-IN-2")
async def test_the_head_is_signed_once_a_day_and_a_cut_after_it_is_named(shop: Shop, typed: Typed) -> None:
    """T21: the chain of a log that was cut fits; the signed head, which others hold, does not."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        await typed("tokens", "create", "--read")
        assert (await typed.json("audit", "verify"))["attested"] == 0
        for day in (1, 2):
            clock.pass_time(24 * 3600)
            own = node.mesh.core.logs.log(node.membership.node)
            assert own is not None
            await until(lambda own=own, day=day: len(attested_in(node) & {*own.ids}) == day)
        told = await typed.json("audit", "verify")
        assert (told["is_whole"], told["attested"]) == (True, 2)
    with sqlite3.connect(shop.data / "state.db") as database:
        database.execute("DELETE FROM audit WHERE number >= (SELECT max(number) FROM audit)")
        [(left,)] = database.execute("SELECT count(*) FROM audit").fetchall()
    database.close()
    export = shop.folder / "audit.ndjson"
    async with shop.run(clock):
        assert left >= 1
        told = await typed.json("audit", "verify", code=6)
        assert {one["kind"] for one in told["problems"]} == {"cut"}
        await typed("audit", "export", export)
        assert "cut" in await typed("audit", "verify", export, code=6)
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join(line for line in lines if b'"entry"' not in line))
    await typed("audit", "verify", export, "--alone")  # the file alone cannot know
    async with shop.run(clock):
        assert "cut" in await typed("audit", "verify", export, code=6)  # who holds the attestations can
