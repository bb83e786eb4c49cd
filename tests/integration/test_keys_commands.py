"""`murmur keys` on a node in this process: look, stage, turn, recover, seal; what is shown before is what happens."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from node.cli.kit.passphrases import words_of
from node.errors import ConfigError
from node.fingerprint import fingerprint
from node.keyfiles import read_key
from protocol.entries import ABSTAIN, RECOVER, ROTATE, data_hash
from protocol.keys import SigningKey
from tests.integration.typed import Typed, at_a_terminal
from tests.node_kit import DAY_S, START_S, HandClock, Shop, event, found_shop, until


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.keyfiles.OPS", 1)
    monkeypatch.setattr("node.keyfiles.KIB", 8)


async def test_what_a_dry_run_shows_is_what_is_signed(shop: Shop, typed: Typed) -> None:
    """Stage, look, turn: the fingerprint is that of the entry's data, and nothing changed before."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        before = await typed.json("keys", "show")
        blind = await typed.json("keys", "rotate", "--dry-run")
        assert blind["signs"] == {"what": "data of the rotate entry", "fingerprint": None}
        staged = (await typed("keys", "stage-next", "--dry-run")).splitlines()[0]
        assert staged.startswith("would  make")
        assert not (shop.data / "keys/staged.key").exists()
        first = (await typed("keys", "stage-next")).splitlines()[0]
        assert (await typed("keys", "stage-next")).splitlines()[0] == first
        plan = await typed.json("keys", "rotate", "--dry-run")
        assert plan["changes"][2] == f"commit to     {first}"
        assert await typed.json("keys", "show") == before
        turned = await typed.json("keys", "rotate")
        [entry] = node.logs.of_kind(node.membership.node, ROTATE)
        assert plan["signs"]["fingerprint"] == fingerprint(data_hash(entry.entry.data))
        assert plan["changes"][0].endswith(fingerprint(bytes.fromhex(turned["signing_key"])))
    names = {path.name for path in (shop.data / "keys").iterdir()}
    assert names == {"signing.key", "next.key", "master.key"}
    following = read_key(shop.data / "keys/next.key", "next").public
    assert following is not None
    assert fingerprint(following) == first


async def test_recovery_shows_what_it_keeps_and_what_goes(
    shop: Shop, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kept id is typed to confirm; the root key may be sealed, or words; a wrong one changes nothing."""
    root = read_key(shop.folder / "root.key", "root")
    (shop.folder / "words").write_text(" ".join(words_of(root.secret)).upper() + "\n")
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        await shop.send([event(1)])
        clock.pass_time(3 * DAY_S)
        await until(lambda: len(node.publisher.answered()) >= 4)
        own = node.mesh.core.logs.log(node.membership.node)
        assert own is not None
        await until(lambda: own.height >= 5)
        kept = own.ids[0].hex()
        asked = ["keys", "recover", "--from", 0, "--root-key", shop.folder / "root.key"]
        plan = await typed.json(*asked, "--dry-run")
        assert plan["changes"][0].startswith(f"keep   {kept}")
        assert any("2026-11-1" in line and "released" in line for line in plan["changes"])
        assert plan["changes"][-1].startswith("Answers that used these say")
        height = own.height
        assert "confirmation_needed" in await typed(*asked, code=2)
        assert "words_refused" in await typed(
            "keys", "recover", "--from", 0, "--root-words-file", shop.folder / "plan.yaml", "--yes", code=6
        )
        questions = at_a_terminal(monkeypatch, lambda _text: "something else")
        await typed(*asked, code=1)
        assert kept[:8] in questions[-1]
        assert own.height == height
        at_a_terminal(monkeypatch, lambda _text: kept[:8])
        told = await typed("keys", "recover", "--from", 0, "--root-words-file", shop.folder / "words")
        assert f"Kept {kept}" in told
        [entry] = node.logs.of_kind(node.membership.node, RECOVER)
        assert own.height == 2
        assert (entry.header.generation, entry.header.prev.hex()) == (1, kept)
        # What had been answered says so from now on, in the log that all members share, and is never released again.
        gone = set(node.publisher.answered())
        clock.pass_time(10)

        def taken_back() -> int:  # that stand, so that answers know them
            said = (one for one in node.logs.of_kind(node.membership.node, ABSTAIN) if one.id in own.ids)
            return sum(b"recovered" in one.entry.data for one in said)

        await until(lambda: taken_back() >= 6)
        span = ("--from", "2026-11-09", "--to", "2026-11-12")
        assert "shop: abstained (taken back when its keys were recovered), 3 windows" in await typed(
            "query", "people", *span
        )
        assert node.publisher.answered() == gone
        assert node.mending.run() == 0
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        count = node.logs.count()
        assert node.mending.run() == 0
        assert node.logs.count() == count


async def test_a_recovery_whose_key_files_are_gone_is_refused_before_anything_is_signed(
    shop: Shop, typed: Typed
) -> None:
    """Else the log would have a key in force that nobody holds. What puts the files in order meanwhile leaves them."""
    root = SigningKey(read_key(shop.folder / "root.key", "root").secret)
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        await asyncio.to_thread(node.turns.rotate)  # the own log is looked at anew after it, key files too
        prepared = await asyncio.to_thread(node.turns.prepare_recovery, 0)
        await until(lambda: node.holds_back() is None)
        for name in ("fresh.key", "after.key"):
            assert (shop.data / "keys" / name).exists()
        (shop.data / "keys/after.key").unlink()
        signature = root.sign(bytes.fromhex(prepared["message"]))
        with pytest.raises(Exception, match="key files made for it are gone"):
            await asyncio.to_thread(node.turns.recover, bytes.fromhex(prepared["ticket"]), signature)
        assert not list(node.logs.of_kind(node.membership.node, RECOVER))
        await typed("keys", "recover", "--from", 0, "--root-key", shop.folder / "root.key", "--yes")
        assert len(list(node.logs.of_kind(node.membership.node, RECOVER))) == 1


async def test_a_draft_that_no_longer_follows_is_refused(shop: Shop, typed: Typed) -> None:
    """Two operators at once: the second signature, and one over an old log, find nothing to sign for."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        first = await asyncio.to_thread(node.turns.prepare_recovery, 0)
        second = await asyncio.to_thread(node.turns.prepare_recovery, 0)
        asked = ["keys", "recover", "--from", 99, "--root-key", shop.folder / "root.key", "--yes"]
        assert "no_such_entry" in await typed(*asked, code=2)
        for ticket, code in ((first["ticket"], "not_prepared"), (second["ticket"], "wrong_root_key")):
            with pytest.raises(Exception, match="not changed") as refused:
                await asyncio.to_thread(node.turns.recover, bytes.fromhex(ticket), bytes(64))
            assert getattr(refused.value, "code", None) == code


async def test_the_key_turns_by_itself_when_it_is_due(shop: Shop, typed: Typed) -> None:
    """By configuration; said before in log, status and exit code; the audit log names the node."""
    shop.config.write_text(shop.config.read_text() + '\n[keys]\nrotate_every = "6d"\n')
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert "turns by itself in 6 d" in await typed("keys", "needs-rotation", code=1)
        clock.pass_time(5 * DAY_S)
        await until(lambda: any(line["event"] == "keys.rotation_soon" for line in shop.logs))
        before = node.turns.show()["signing_key"]
        clock.pass_time(DAY_S)
        await until(lambda: node.turns.show()["signing_key"] != before)
        await until(lambda: node.audit.store.last_of("keys.rotate", "done") is not None)
        assert (await typed.json("keys", "show"))["rotation"]["urgency"] == "fresh"
        shown = await typed("audit", "show")
    assert re.search(r"node +keys.rotate +begun", shown)
    assert re.search(r"node +keys.rotate +done", shown)


async def test_without_a_schedule_it_is_only_said(shop: Shop, typed: Typed) -> None:
    """Exit 0 from needs-rotation: due."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        before = node.turns.show()["signing_key"]
        clock.pass_time(91 * DAY_S)
        assert "rotate it: murmur keys rotate" in await typed("keys", "needs-rotation")
        await until(lambda: any(line["event"] == "keys.rotation_due" for line in shop.logs))
        assert node.turns.show()["signing_key"] == before


async def test_sealed_keys_need_their_passphrase_to_start(
    shop: Shop, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed while stopped, refused while it runs; without the passphrase the node does not start and says why."""
    secret = shop.folder / "secret"
    secret.write_text("six words that nobody guesses\n")
    secret.chmod(0o600)
    async with shop.run(HandClock()):
        assert "data_folder_in_use" in await typed("keys", "passwd", "--new-passphrase-file", secret, code=7)
    plain = (shop.data / "keys/signing.key").read_text().split("secret ")[1].strip()
    assert "would  seal" in await typed("keys", "passwd", "--dry-run")
    assert "passphrase_needed" in await typed("keys", "passwd", code=2)
    await typed("keys", "passwd", "--new-passphrase-file", secret)
    assert "sealed" in await typed("keys", "list")
    assert not any(plain.encode() in path.read_bytes() for path in shop.data.rglob("*") if path.is_file())
    with pytest.raises(ConfigError, match="passphrase"):
        async with shop.run(HandClock()):
            pass
    shop.config.write_text(shop.config.read_text() + f'\n[keys]\npassphrase_file = "{secret}"\n')
    async with shop.run(HandClock(START_S + 60)) as (node, _):
        await until(lambda: node.holds_back() is None)
        await typed("keys", "rotate")
        await typed("keys", "rotate-master")
    assert all("sealed" in path.read_text() for path in (shop.data / "keys").glob("*.key"))
    at_a_terminal(monkeypatch, lambda _text: "six words that nobody guesses")
    await typed("keys", "passwd", "--remove", "--yes")
    assert "none" in await typed("keys", "list")


async def test_fingerprints_are_of_the_node_and_its_keys(shop: Shop, typed: Typed) -> None:
    """Of a stopped node, too; coverage of a node alone is none of none."""
    found = (await typed.json("keys", "fingerprint"))["fingerprints"]
    assert set(found) == {"node", "root_key", "signing_key", "next_key"}
    root = read_key(shop.folder / "root.key", "root").public
    assert root is not None
    assert found["root_key"] == fingerprint(root)
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert "0 of 0 peers" in await typed("keys", "coverage")
