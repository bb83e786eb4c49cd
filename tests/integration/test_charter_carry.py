"""What a node knows of charters and has not said yet is said after a crash, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.checkup import decisions
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, sign_charter
from protocol.ids import CharterHash
from tests.node_kit import HandClock, found_shop, until


def kinds(node: object) -> list[str]:
    return [entry.header.kind for entry in node.logs.replay(node.membership.node)]  # type: ignore[attr-defined]


async def test_a_proposal_that_was_only_stored_is_said_at_the_next_start(tmp_path: Path) -> None:
    """And then approved by the one key there is: trusted without a restart, named by the entries that follow."""
    from node.keyfiles import read_key
    from protocol.keys import SigningKey

    shop = found_shop(tmp_path / "shop")
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        before = node.membership
        charter = replace(before.charter, name="renamed", version=2, previous=(CharterHash(before.document.hash),))
        document = CharterDocument(charter.encode())
        node.governing.unsaid = lambda: []  # type: ignore[method-assign]  # as if killed before it says anything
        node.mesh.take_charter(document)
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: "propose" in kinds(node))
        assert kinds(node).count("propose") == 1
        key = SigningKey(read_key(shop.folder / "governance.key", "governance").secret)
        signature = sign_charter(key, document.body, before.federation)
        node.governing.take(document.with_approval(key.public_key, signature), [])
        await until(lambda: node.membership.charter.version == 2)
        assert node.commons.federation().name == "renamed"
    async with shop.run(HandClock()) as (node, _):
        assert node.membership.charter.version == 2
        assert parse_charter(node.membership.document.body).name == "renamed"
        assert node.charters.proposals() == []


async def test_a_charter_asks_to_be_renewed_60_days_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says when it has ended, too; then releases are held back, and nothing else is."""
    shop = found_shop(tmp_path / "shop")
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        ends = node.membership.charter.expires
        for days, words in ((61, None), (59, "ends in 59 days"), (-1, "has ended")):
            monkeypatch.setattr(node.governing, "_now_s", lambda moment=ends - days * 86_400: moment)
            notices = node.governing.notices()
            assert (notices == []) if words is None else (words in notices[0] and "murmur charter renew" in notices[0])


async def test_a_vote_that_stays_open_says_what_lost_keys_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a week, with the federation that a new one would succeed; the doctor says it, too."""
    shop = found_shop(tmp_path / "shop")
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        before = node.membership
        charter = replace(before.charter, name="renamed", version=2, previous=(CharterHash(before.document.hash),))
        node.governing.take(CharterDocument(charter.encode()), [])
        for days, is_told in ((6, False), (7, True)):
            monkeypatch.setattr(node.governing, "_now_s", lambda days=days: charter.created + days * 86_400)
            [notice] = node.governing.notices()
            assert "0 of 1 have approved, not yet: shop" in notice
            assert (f"federation create --succeeds {before.federation.hex()}" in notice) is is_told
        [found] = decisions(node.governing.open_matters())
        assert (found.state, "if so many keys are lost for good" in found.fix) == ("warn", True)
