"""A running node and its vault over months, the clock moved by hand: keys go on time, persons are forgotten, and what
an operator asks for is done while events come in."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node import keyfiles
from node.cli import main
from node.errors import StorageError
from node.running import Node
from node.vault.epoch_keys import MAGIC
from node.vault.segments import Segment, SegmentId, recover_segment
from privacy.units import Window
from protocol.identity import parse_inception
from tests.node_kit import DAY_S, HOUR_S, HandClock, Shop, event, found_shop, until

TODAY = Window.parse("2026-11-10/P1D")
SLOTS = 2


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return found_shop(tmp_path / "shop")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()} if folder.is_dir() else set()


async def command(monkeypatch: pytest.MonkeyPatch, shop: Shop, stdin: str, *words: str) -> tuple[int, str, str]:
    """A command of `murmur` in another thread, as typed: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(main, [*words, "--config", str(shop.config)])
    assert isinstance(end.value.code, int)
    return end.value.code, out.getvalue(), err.getvalue()


async def answered(node: Node, window: Window, metrics: int = 2) -> None:
    await until(lambda: sum(text == window.text for _, text in node.publisher.answered()) == metrics)


# ── keys end on time ─────────────────────────────────────────────────────────────────────────────────────


async def test_after_its_keys_are_destroyed_a_day_is_gone(shop: Shop, tmp_path: Path) -> None:
    """With the whole data folder in hand, and its sealed segments of before: nothing of that day opens."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        assert (await shop.send([event(number) for number in range(50)]))[0] == 202
        secrets = [node.vault._keys.load(TODAY.text, kind) for kind in ("pseudonym", "data")]  # type: ignore[arg-type]
        segments = shop.data / "segments" / "2026-11-10_P1D"
        await asyncio.to_thread(shutil.copytree, segments, tmp_path / "copy")  # sealed rows that someone kept
        assert files(shop.data / "epochs") == {"2026-11-10_P1D.pseudonym.key", "2026-11-10_P1D.data.key"}

        clock.pass_time(DAY_S + 12 * HOUR_S)  # 24 h after its end the window closes and is released
        await answered(node, TODAY)
        assert "2026-11-10_P1D.pseudonym.key" in files(shop.data / "epochs")
        clock.pass_time(DAY_S)
        await until(lambda: "2026-11-10_P1D.pseudonym.key" not in files(shop.data / "epochs"))
        assert node.vault.read(TODAY).num_rows == 50
        status, receipt = await shop.send([event(1)])
        assert (status, receipt["accepted"], receipt["filtered"]) == (202, 0, {"epoch_closed": 1})

        clock.pass_time(86 * DAY_S)
        await asyncio.sleep(1.5)
        assert segments.exists()  # the 90th day has not come
        clock.pass_time(2 * DAY_S)
        await until(lambda: not segments.exists())
        assert "2026-11-10_P1D.data.key" not in files(shop.data / "epochs")
    everything = b"".join(path.read_bytes() for path in shop.folder.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in everything
        assert secret.hex().encode() not in everything
    sealed = list((tmp_path / "copy").glob("*.seg"))
    assert sealed
    for path in sealed:
        assert opens_with(path, secrets[1])  # so the next line says something
        assert not any(opens_with(path, key) for key in keys_in(shop))


async def test_no_file_keeps_a_trace_of_a_destroyed_day(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """I12 after all that rewrites: a master key changed, a person forgotten, frames merged, cells kept, a full WAL.

    No key of the day, plain or wrapped by either master key, and no sealed byte of any segment or set of cells that
    ever stood is left in any file under the node's folder.
    """
    clock = HandClock()
    traces: dict[str, bytes] = {}

    def note() -> None:
        """What there is of the day now: whole key files, and the middle of each sealed file."""
        for path in (path for folder in ("epochs", "segments") for path in (shop.data / folder).rglob("*")):
            if not path.is_file() or "2026-11-10" not in str(path):
                continue
            content = path.read_bytes()
            middle = content[20:] if path.suffix == ".key" else content[-120:-88]
            traces[f"{path.name} {len(traces)}"] = middle

    async with shop.run(clock) as (node, _):
        node.vault.kept.least_cells = 1
        node.vault.upkeep.many_frames = 8
        for number in range(20):
            await shop.send([event(number, user="ann" if number % 5 == 0 else None)])
        await asyncio.to_thread(note)
        secrets = [node.vault._keys.load(TODAY.text, kind) for kind in ("pseudonym", "data")]
        assert (await command(monkeypatch, shop, "", "keys", "rotate-master"))[0] == 0
        assert (await command(monkeypatch, shop, "ann\n", "forget", "--yes"))[0] == 0
        await until(lambda: len(node.vault._shelf.extents(TODAY.text)) == 1)
        await asyncio.to_thread(note)
        clock.pass_time(DAY_S + 12 * HOUR_S)
        await answered(node, TODAY)
        cells = pa.table({"cell": pa.array([1, 2], pa.uint32()), "value": pa.array([1, 1], pa.int64())})
        await asyncio.to_thread(node.vault.kept.save, TODAY.text, TODAY.text, "a query", b"s" * 32, cells)
        await asyncio.to_thread(note)
        assert len({len(trace) for trace in traces.values()}) > 1
        assert any(".kept" in name for name in traces)
        clock.pass_time(95 * DAY_S)
        await until(lambda: not (shop.data / "segments" / "2026-11-10_P1D").exists())
        looked = await asyncio.to_thread(left_in, shop.folder, traces, secrets)  # beside the living WAL
        assert looked > 10
    assert left_in(shop.folder, traces, secrets) > 10


def left_in(folder: Path, traces: dict[str, bytes], secrets: list[bytes]) -> int:
    """How many files were looked through for any of it; fails where one has it."""
    looked = 0
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            looked += 1
            for name, trace in traces.items():
                assert trace not in content, f"{name} in {path}"
            for secret in secrets:
                assert secret not in content
                assert secret.hex().encode() not in content
    return looked


def keys_in(shop: Shop) -> list[bytes]:
    """Every 32 bytes that can be taken for a key from the data folder, with all that its own keys unwrap."""
    texts = [path.read_bytes() for path in shop.folder.rglob("*") if path.is_file()]
    found = [bytes.fromhex(text.split(b"secret ")[1].decode().strip()) for text in texts if b"murmur-key" in text[:20]]
    assert len(found) >= 5  # of the node, the federation, and the master key
    node = parse_inception((shop.data / "inception").read_bytes()).node_id
    for path in (shop.data / "epochs").glob("*.key"):
        content, epoch = path.read_bytes(), path.name.split(".")[0].replace("_", "/")
        nonce, wrapped = content[len(MAGIC) : len(MAGIC) + 12], content[len(MAGIC) + 12 :]
        for master in list(found):
            for name in (epoch, TODAY.text):
                for kind in (b"pseudonym", b"data"):
                    try:
                        bound = b"\0".join((MAGIC, node.hex().encode(), kind, name.encode()))
                        found.append(AESGCM(master).decrypt(nonce, wrapped, bound))
                    except InvalidTag:
                        continue
    return found


def opens_with(path: Path, key: bytes) -> bool:
    segment = Segment(SegmentId(bytes.fromhex(path.stem)), TODAY.text, SLOTS)
    try:
        return recover_segment(path, segment, key).frames > 0
    except StorageError:
        return False


async def test_a_destroyed_day_stays_destroyed_with_an_old_state_in_hand(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State database and segments of before, put back: the node names the missing key and makes no new one."""
    clock = HandClock()
    async with shop.run(clock):
        await shop.send([event(1)])
    await asyncio.to_thread(shutil.copytree, shop.data, tmp_path / "before", ignore=shutil.ignore_patterns("epochs"))
    clock.pass_time(100 * DAY_S)
    async with shop.run(clock):
        await until(lambda: not any(name.startswith("2026-11-10") for name in files(shop.data / "epochs")))
    for name in ("state.db-wal", "state.db-shm"):
        (shop.data / name).unlink(missing_ok=True)
    await asyncio.to_thread(shutil.copytree, tmp_path / "before", shop.data, dirs_exist_ok=True)
    with pytest.raises(StorageError) as caught:
        async with shop.run(clock):
            pass
    assert caught.value.code == "file_missing"
    assert (await command(monkeypatch, shop, "", "vault", "abandon", TODAY.text, "--yes"))[0] == 0
    async with shop.run(clock) as (node, _):
        record = node.vault.epoch_record(TODAY)
        assert record is not None
        assert record.data_destroyed_at is not None
        assert not (shop.data / "segments" / "2026-11-10_P1D").exists()


async def test_an_epoch_with_whole_keys_is_not_given_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is destroyed by a mistyped command, nor under a running node."""
    words = ("vault", "abandon", TODAY.text, "--yes")
    async with shop.run(HandClock()):
        await shop.send([event(1)])
        assert (await command(monkeypatch, shop, "", *words))[0] == 7
    code, _, err = await command(monkeypatch, shop, "", *words)
    assert code == 2
    assert "epoch_not_lost" in err
    async with shop.run(HandClock()) as (node, _):
        assert node.vault.read(TODAY).num_rows == 1


# ── persons ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_person_is_exported_and_forgotten_by_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids from stdin; counts by day; nothing that is said names her; events go on coming in."""
    async with shop.run(HandClock()) as (node, _):
        await shop.send([event(number, user="ann", amount=20) for number in range(3)])
        await shop.send([event(number, user="bob") for number in range(10, 15)])
        code, out, _ = await command(monkeypatch, shop, "ann\n", "export-person")
        assert code == 0
        assert [json.loads(line)["attributes"] for line in out.splitlines()] == [
            {"kind": "book", "amount": "[10, 100)"}
        ] * 3
        assert "ann" not in out
        assert (await command(monkeypatch, shop, "ann\nnobody\n", "forget", "--dry-run"))[:2] == (0, "2026-11-10\t3\n")
        assert node.vault.read(TODAY).num_rows == 8
        code, out, err = await command(monkeypatch, shop, "ann\n", "forget", "--yes")
        assert (code, out) == (0, "2026-11-10\t3\n")
        assert "Released numbers stay" in err
        assert "ann" not in out + err.replace("cannot", "")
        assert node.vault.read(TODAY).num_rows == 5
        assert json.loads((await command(monkeypatch, shop, "ann\n", "forget", "--yes", "--json"))[1])["events"] == 0
        assert (await command(monkeypatch, shop, "\n", "forget"))[0] == 2
        assert (await shop.send([event(number, user="bob") for number in range(20, 22)]))[1]["accepted"] == 2
        assert node.vault.read(TODAY).num_rows == 7


async def test_delete_person_needs_an_admin_key_and_tells_no_count(shop: Shop) -> None:
    """401 and 403 without; with one, the same answer whether the person was there or not; an id is never echoed."""
    async with shop.run(HandClock()) as (node, _):
        await shop.send([event(1, user="ann"), event(2, user="bob")])
        secret = node.create_token("admin", [], "")[0]

        async def delete(key: str | None, ids: object) -> tuple[int, dict[str, Any]]:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            return await asyncio.to_thread(
                shop.call, "DELETE", "/v1/person", json.dumps({"ids": ids}).encode(), headers
            )

        assert (await delete(None, ["ann"]))[0] == 401
        assert (await delete(shop.token, ["ann"]))[0] == 403
        assert node.vault.read(TODAY).num_rows == 2
        there, nobody = await delete(secret, ["ann"]), await delete(secret, ["zoe"])
        assert there == nobody
        assert there[0] == 200
        assert node.vault.read(TODAY).num_rows == 1
        for wrong in ([], [""], "xxx", [7], ["x" * 5000], ["x"] * 1001):
            status, document = await delete(secret, wrong)
            assert status == 400
            assert "xxx" not in json.dumps(document)


# ── upkeep while events come in ──────────────────────────────────────────────────────────────────────────


async def test_verify_rotate_and_compact_while_events_come_in(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single events leave many frames; the worker merges them by itself; all is whole; then one bit is flipped."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        sent = 0
        enough = asyncio.Event()

        async def load() -> None:
            nonlocal sent
            while not enough.is_set():
                sent += (await shop.send([event(sent)]))[1]["accepted"]

        loading = asyncio.create_task(load())
        await until(lambda: sent > 30)
        before = (shop.data / "keys/master.key").read_bytes()
        for words in (["vault", "verify"], ["keys", "rotate-master"], ["vault", "verify"]):
            assert (await command(monkeypatch, shop, "", *words))[0] == 0
        assert (shop.data / "keys/master.key").read_bytes() != before
        assert keyfiles.read_key(shop.data / "keys/master.key", "master")
        already = sent
        await until(lambda: sent > already + 10)
        enough.set()
        await loading
        assert len(files(shop.data / "segments")) == 1
        assert node.vault._shelf.extents(TODAY.text)[0][1].frames > 40
        rows = node.vault.read(TODAY).num_rows
        assert rows == sent
        clock.pass_time(3 * DAY_S)  # the epoch takes no more
        await until(lambda: [extent.frames for _, extent in node.vault._shelf.extents(TODAY.text)] == [1])
        assert node.vault.read(TODAY).num_rows == rows
        await until(lambda: len(files(shop.data / "segments")) == 1)
    (segment,) = (shop.data / "segments").rglob("*.seg")
    content = bytearray(segment.read_bytes())
    content[-200] ^= 4
    segment.write_bytes(content)
    code, out, _ = await command(monkeypatch, shop, "", "vault", "verify")  # no node runs
    assert code == 6
    assert segment.stem in out
    assert "flipped" in out


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump_s", [DAY_S * 2, -DAY_S * 2])
async def test_a_clock_set_wrong_closes_and_destroys_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """Two days forward, or back: nothing closes, the node says why; `clock accept` decides."""
    clock = HandClock()
    async with shop.run(clock) as (node, _):
        await shop.send([event(1)])
        await asyncio.sleep(1.5)  # a tick
        closed, keys = node.vault.closed_windows(), files(shop.data / "epochs")
        clock.set(jump_s)
        await asyncio.sleep(2.5)  # two ticks
        assert node.vault.closed_windows() == closed
        assert files(shop.data / "epochs") == keys
        is_ready, reasons = node.is_ready()
        assert not is_ready
        assert "monotonic" in reasons["releases"]
        code, _, err = await command(monkeypatch, shop, "", "clock", "accept")
        assert code == 0
        assert "monotonic" in err
        assert node.guard.doubt is None
        if jump_s > 0:
            await until(lambda: TODAY in node.vault.closed_windows())
