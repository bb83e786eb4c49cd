"""`murmur backup` and `murmur restore`, rehearsed: what is in the file, what is not, and what a restored node does."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from node.backup_content import WITH_ROWS, WITHOUT_ROWS
from node.backup_file import Opened, sealed
from node.errors import RejectedInput
from node.passphrase import Passphrase
from node.state.database import MIGRATIONS
from privacy.units import Window
from protocol.entries import ABSTAIN, SUMMARY
from tests.cli.commands import KILLED_AT, tree
from tests.conftest import ROOT
from tests.integration.typed import Typed
from tests.node_kit import DAY_S, START_S, HandClock, Shop, event, found_shop, until

SECRET = "six words that nobody guesses"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.backup_file.OPS", 1)
    monkeypatch.setattr("node.backup_file.KIB", 8)


def at(monkeypatch: pytest.MonkeyPatch, clock: HandClock) -> None:
    """The restore happens at the node's own time."""
    monkeypatch.setattr("node.cli.restore.time.time", lambda: clock.now_ms() / 1000)


def members(file: Path) -> dict[str, bytes]:
    with file.open("rb") as opened:
        content = io.BufferedReader(Opened(opened, Passphrase(SECRET.encode())))
        with tarfile.open(fileobj=content, mode="r|gz") as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def lose_the_disk(shop: Shop, *, and_anchor: bool = False) -> None:
    shutil.rmtree(shop.data)
    if and_anchor:
        (shop.folder / "anchor").unlink()


@pytest.mark.requirement("T-DISK-3")
def test_every_table_is_kept_or_left_out_on_purpose() -> None:
    """A new table stops backups until somebody has thought about what stands in it."""
    text = "".join(path.read_text() for path in MIGRATIONS.glob("*.sql"))
    tables = {*re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", text), "migrations"}
    assert tables - set(re.findall(r"DROP TABLE (\w+)", text)) == WITH_ROWS | WITHOUT_ROWS
    assert not WITH_ROWS & WITHOUT_ROWS


@pytest.mark.requirement("T-DISK-3")
async def test_a_backup_holds_no_event_no_pseudonym_and_no_epoch_key(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path
) -> None:
    """I12: made while events come in; with the whole disk and the backup in hand nothing of a destroyed day opens."""
    clock = HandClock()
    file = tmp_path / "a.backup"
    async with shop.run(clock) as (node, _):
        sending = asyncio.create_task(shop.send([event(number, user=f"needle-{number}") for number in range(200)]))
        await typed("backup", file, "--passphrase-file", secret)
        await sending
        window = Window.containing("day", START_S // 3600)
        keys = [node.vault._keys.load(window.text, kind) for kind in ("pseudonym", "data")]  # type: ignore[arg-type]
        people = {row["person"] for row in node.vault.read(window).to_pylist()}
        later = tmp_path / "b.backup"
        await typed("backup", later, "--passphrase-file", secret)
    assert len(people) == 200
    needles = [*keys, *(person.to_bytes(8, order) for person in list(people)[:50] for order in ("big", "little"))]
    needles += [b"needle-", *(str(person).encode() for person in list(people)[:50])]
    for made in (file, later):
        content = members(made)
        names = set(content)
        assert names >= {"manifest.json", "node.toml", "plan.yaml", "inception", "state.db", "keys/signing.key"}
        assert not [name for name in names if "master" in name or "epochs" in name or "segments" in name]
        whole = b"".join(content.values())
        assert not [needle for needle in needles if needle in whole]
        assert SECRET.encode() not in made.read_bytes()
        (tmp_path / "copy.db").write_bytes(content["state.db"])
        with sqlite3.connect(tmp_path / "copy.db") as database:
            for table in WITHOUT_ROWS:
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
            assert database.execute("PRAGMA freelist_count").fetchone() == (0,)
        database.close()
    assert not (shop.data / ".backup").exists()
    assert made.stat().st_mode & 0o777 == 0o600


async def test_a_restored_node_goes_on_with_its_log_and_never_answers_a_slot_twice(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backup, more releases, the disk lost. Alone in its federation: what had begun is spent (I7)."""
    clock, file = HandClock(), tmp_path / "a.backup"
    async with shop.run(clock) as (node, _):
        await shop.send([event(number) for number in range(20)])
        key = (await typed("tokens", "create", "--read", "--label", "kept")).splitlines()[0]
        clock.pass_time(3 * DAY_S)
        await until(lambda: len(node.publisher.answered()) >= 4)
        await typed("backup", file, "--passphrase-file", secret)
        count = len(node.publisher.answered())
        clock.pass_time(DAY_S)
        await until(lambda: len(node.publisher.answered()) > count + 1)
        await until(lambda: not node.outbox.held)
        released = {one.id for one in node.logs.of_kind(node.membership.node, SUMMARY)}
    lose_the_disk(shop)
    at(monkeypatch, clock)
    told = await typed.json("restore", file, "--passphrase-file", secret)
    assert told["has_anchor"]
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert node.tokens.check(key, "read", "query").label == "kept"
        kept = {one.id for one in node.logs.of_kind(node.membership.node, SUMMARY)}
        assert kept < released  # what was said after the backup is lost with the disk: nobody else had it
        assert (await shop.send([event(999, at_s=clock.now_ms() / 1000)]))[1]["accepted"] == 0
        for _ in range(3):
            clock.pass_time(DAY_S)
            before = len(node.publisher.answered())
            await until(lambda before=before: len(node.publisher.answered()) > before)
        await until(lambda: not node.outbox.held)
        assert (await shop.send([event(1000, at_s=clock.now_ms() / 1000)]))[1]["accepted"] == 1
        new = [one for one in node.logs.of_kind(node.membership.node, SUMMARY) if one.id not in released]
        windows = {window for _, window in node.publisher.answered()}
        assert len(windows) >= 6
        said = "".join(str(one.entry.data) for one in new)
        assert not any(f"2026-11-1{day}" in said for day in range(5))
        assert list(node.logs.of_kind(node.membership.node, ABSTAIN))
        assert "node.restored" in await typed("audit", "show")


async def test_without_its_anchor_a_node_alone_spends_what_had_begun(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say how far it had gone, so nothing begun is released again."""
    clock, file = HandClock(), tmp_path / "a.backup"
    async with shop.run(clock) as (node, _):
        await shop.send([event(1)])
        await typed("backup", file, "--passphrase-file", secret)
    lose_the_disk(shop, and_anchor=True)
    at(monkeypatch, clock)
    assert not (await typed.json("restore", file, "--passphrase-file", secret))["has_anchor"]
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        [line] = [line for line in node.ledger.lines() if line.epoch.text.startswith("2026-11-10")]
        assert line.charged.rho_nano >= 25_000_000
    assert (shop.folder / "anchor").exists()


@pytest.mark.requirement("T-DISK-4")
async def test_nothing_is_overwritten_and_a_dry_run_opens_all_of_it(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a folder that is there stays as it is; damage anywhere is found before anything is put back."""
    clock, file = HandClock(), tmp_path / "a.backup"
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert "would" in await typed("backup", file, "--dry-run")
        assert not file.exists()
        await typed("backup", file, "--passphrase-file", secret)
        before = file.read_bytes()
        assert "already_exists" in await typed("backup", file, "--passphrase-file", secret, code=7)
        assert "passphrase_needed" in await typed("backup", tmp_path / "b", code=2)
        assert file.read_bytes() == before
    at(monkeypatch, clock)
    assert "keys/master.key" in await typed("restore", file, "--dry-run", "--passphrase-file", secret)
    assert "already_exists" in await typed("restore", file, "--passphrase-file", secret, code=7)
    lose_the_disk(shop)
    empty = tree(shop.folder)
    content = bytearray(before)
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), before[:-1], before[: len(before) // 2], before + b"x", b"", b"murmur-backup 1\n"):
        file.write_bytes(damaged)
        for words in (("--dry-run",), ()):
            said = await typed("restore", file, *words, "--passphrase-file", secret, code=2)
            assert re.search("backup_damaged|passphrase_wrong|no_backup", said), said
    wrong = tmp_path / "wrong"
    wrong.write_text("another")
    wrong.chmod(0o600)
    file.write_bytes(before)
    assert "passphrase_wrong" in await typed("restore", file, "--passphrase-file", wrong, code=2)
    assert tree(shop.folder) == empty


async def test_elsewhere_node_toml_and_plan_come_back_too(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path
) -> None:
    """On an empty machine: one command, and the node starts."""
    clock, file = HandClock(), tmp_path / "a.backup"
    async with shop.run(clock):
        await typed("backup", file, "--passphrase-file", secret)
    shutil.rmtree(shop.folder)
    shop.folder.mkdir()
    await typed("restore", file, "--passphrase-file", secret)
    async with shop.run(clock) as (node, _):
        await until(lambda: node.holds_back() is None)
        assert node.plan.name == "shop"


@pytest.mark.requirement("T-DISK-4")
def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path) -> None:
    """Names that climb, links, devices, twice the same, a master key: refused."""
    from node.restoring import unpack

    def packed(*entries: tuple[str, bytes]) -> bytes:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as tar:
            for name, kind in entries:
                member = tarfile.TarInfo(name)
                member.type = kind
                member.linkname = "/etc/passwd"
                tar.addfile(member)
        return raw.getvalue()

    file, link, device = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE
    written: list[str] = []
    for entries in (
        [("../x", file)], [("/etc/x", file)], [("keys/../../x", file)], [("keys/signing.key", link)],
        [("inception", device)], [("inception", file), ("inception", file)], [("keys/master.key", file)],
        [("segments/x", file)], [("keys/.x", file)], [],
    ):  # fmt: skip
        with pytest.raises(RejectedInput):
            unpack(io.BytesIO(packed(*entries)), lambda name, _content: written.append(name))
    for garbage in (b"", b"x" * 100, packed()[:-9]):
        with pytest.raises(RejectedInput):
            unpack(io.BytesIO(garbage), lambda name, _content: written.append(name))
    assert set(written) <= {"inception"}
    assert tmp_path.exists()


def test_any_length_is_sealed_and_opened(tmp_path: Path) -> None:
    """Nothing, one byte, a whole part, a byte more."""
    passphrase = Passphrase(b"x")
    for size in (0, 1, 1 << 20, (1 << 20) + 1, 3 << 20):
        content = os.urandom(size)
        (tmp_path / "f").write_bytes(b"".join(sealed([content[: size // 3], content[size // 3 :]], passphrase)))
        with (tmp_path / "f").open("rb") as file:
            opened = Opened(file, passphrase)
            assert io.BufferedReader(opened).read() == content
            opened.finish()


async def test_killed_at_any_write_a_restore_leaves_nothing_or_all(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path
) -> None:
    """After the next attempt no rest of the killed one is there; the backup itself is never touched."""
    file = tmp_path / "a.backup"
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        await typed("backup", file, "--passphrase-file", secret)
    lose_the_disk(shop)
    before, sealed_bytes = tree(shop.folder), file.read_bytes()
    words = ["restore", str(file), "--config", str(shop.config), "--passphrase-file", str(secret)]
    outcomes = set()
    for steps in (*range(2, 60, 6), 10_000):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-P", "-c", KILLED_AT, str(steps), *words], capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 99), done.stderr
        visible = {name: content for name, content in tree(shop.folder).items() if not name.startswith(".")}
        is_whole = (shop.data / "keys/master.key").exists() and (shop.data / "state.db").exists()
        outcomes.add(is_whole)
        assert is_whole or visible == before
        if is_whole:
            shutil.rmtree(shop.data)
    assert outcomes == {True, False}
    assert file.read_bytes() == sealed_bytes
    assert not list(shop.folder.rglob("*murmur-*"))


async def test_killed_at_any_write_a_backup_is_whole_or_not_there(
    shop: Shop, typed: Typed, secret: Path, tmp_path: Path
) -> None:
    """The node goes on, nothing of the unsealed copy stays in its folder, and the next attempt leaves no rest."""
    folder = tmp_path / "backups"
    folder.mkdir()
    file = folder / "a.backup"
    words = ["backup", str(file), "--config", str(shop.config), "--passphrase-file", str(secret)]
    outcomes = set()
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        for steps in (*range(14), 10_000):
            done = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-P", "-c", KILLED_AT, str(steps), *words], capture_output=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
            )  # fmt: skip
            assert done.returncode in (0, 99), done.stderr
            outcomes.add(file.exists())
            if file.exists():
                assert "state.db" in members(file)
                file.unlink()
            await until(lambda: not (shop.data / ".backup").exists())
        assert outcomes == {True, False}
        assert list(folder.iterdir()) == []
        assert (await shop.send([event(1)]))[0] == 202
