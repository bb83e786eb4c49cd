"""The own log of real nodes: rotation while running, recovery, restored and cloned data (PROTOCOL 2, 5)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.admin_client import RefusedByNode
from node.demo.fleet import Place
from node.keyfiles import read_key
from protocol.keys import SigningKey
from tests.integration.small_federation import Federation, free_ports

TICK_S = 1


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    made = Federation(tmp_path, tick_s=dict.fromkeys(("amber", "birch", "cedar", "dune"), TICK_S))
    yield made
    made.close()


def wait_for(what: str, is_so: Callable[[], bool], within_s: float = 40.0) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {within_s:g} s"
        time.sleep(0.2)


def admin(federation: Federation, name: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    client = federation.places[name].admin
    return client.get(path) if body is None else client.post(path, body)


def signing(federation: Federation, name: str) -> dict[str, Any]:
    return admin(federation, name, "/v1/admin/keys/signing")


def digest(federation: Federation, name: str) -> str:
    return str(admin(federation, name, "/v1/admin/status")["mesh"]["heads_digest"])


def in_step(federation: Federation, *names: str) -> bool:
    return len({digest(federation, name) for name in names}) == 1


def entries(federation: Federation, name: str) -> list[tuple[int, int, str]]:
    with sqlite3.connect(federation.places[name].data / "state.db") as database:
        rows = database.execute("SELECT generation, seq, kind FROM entries ORDER BY generation, seq").fetchall()
    return [tuple(row) for row in rows]


def key_files(federation: Federation, name: str) -> set[str]:
    return {path.name for path in (federation.places[name].data / "keys").iterdir()}


def begin(federation: Federation, *names: str) -> None:
    federation.start(*names)
    for name in names:
        wait_for(f"{name} signs", lambda name=name: signing(federation, name)["held_back"] is None)


@pytest.mark.requirement("M-KEY-6")
def test_a_running_node_rotates_and_its_peers_follow(federation: Federation) -> None:
    """Three times, and again after a restart; the old key's file holds another key at once, and nobody restarts."""
    begin(federation, "amber", "birch")
    before = signing(federation, "amber")["signing_key"]
    old_file = (federation.places["amber"].data / "keys" / "signing.key").read_text()
    for _ in range(3):
        told = admin(federation, "amber", "/v1/admin/keys/rotate", {})
        assert told["signing_key"] == signing(federation, "amber")["signing_key"]
    assert told["signing_key"] != before
    assert key_files(federation, "amber") == {"signing.key", "next.key", "master.key"}
    assert old_file.splitlines()[-1] not in (federation.places["amber"].data / "keys" / "signing.key").read_text()
    wait_for("birch follows", lambda: in_step(federation, "amber", "birch"))
    federation.fleets["amber"].stop()
    begin(federation, "amber")
    admin(federation, "amber", "/v1/admin/keys/rotate", {})
    wait_for("birch follows", lambda: in_step(federation, "amber", "birch"))
    assert signing(federation, "amber")["changes"] == 4


def test_a_recovery_keeps_what_it_names_and_voids_the_rest(federation: Federation) -> None:
    """The root key is the one of init; another file is refused and changes nothing."""
    begin(federation, "amber", "birch")
    for _ in range(2):
        admin(federation, "amber", "/v1/admin/keys/rotate", {})
    position = signing(federation, "amber")["position"]["seq"]
    roots = {name: next(federation.places[name].folder.rglob("root*.key")) for name in ("amber", "birch")}
    prepared = admin(federation, "amber", "/v1/admin/keys/recover/prepare", {"seq": position - 1})

    def recover(name: str) -> dict[str, Any]:
        root = SigningKey(read_key(roots[name], "root").secret)
        signature = root.sign(bytes.fromhex(prepared["message"])).hex()
        return admin(federation, "amber", "/v1/admin/keys/recover",
                     {"ticket": prepared["ticket"], "signature": signature})  # fmt: skip

    with pytest.raises(RefusedByNode):
        recover("birch")
    told = recover("amber")
    assert (told["generation"], told["seq"], told["void_entries"]) == (1, position, 1)
    wait_for("birch follows", lambda: in_step(federation, "amber", "birch"))
    admin(federation, "amber", "/v1/admin/keys/rotate", {})
    wait_for("birch follows", lambda: in_step(federation, "amber", "birch"))


@pytest.mark.requirement("T-DISK-1")
def test_a_restored_node_reads_its_own_log_from_its_peers_before_it_signs(federation: Federation) -> None:
    """Old data, newer anchor: nothing is signed until a majority answered; then the log goes on where it was."""
    begin(federation, "amber", "birch", "cedar")
    place = federation.places["amber"]
    federation.fleets["amber"].stop()
    backup = federation.root / "backup"
    shutil.copytree(place.data, backup)
    federation.start("amber")
    federation.play("amber", 5)
    federation.finish("amber")
    wait_for("amber releases", lambda: len(entries(federation, "amber")) >= 6)
    wait_for(
        "peers have it", lambda: len({tuple(entries(federation, name)) for name in ("amber", "birch", "cedar")}) == 1
    )
    told = [item for item in entries(federation, "birch") if item[2] in ("summary", "abstain")]
    federation.fleets["amber"].stop()
    for name in ("birch", "cedar"):
        federation.fleets[name].stop()
    shutil.rmtree(place.data)
    shutil.copytree(backup, place.data)
    federation.start("amber")
    time.sleep(3 * TICK_S)
    assert "anchor is ahead" in signing(federation, "amber")["held_back"]
    before = entries(federation, "amber")
    federation.start("birch", "cedar")
    wait_for("amber signs", lambda: signing(federation, "amber")["held_back"] is None)
    wait_for("all agree", lambda: in_step(federation, "amber", "birch", "cedar"))
    after = [item for item in entries(federation, "birch") if item[2] in ("summary", "abstain")]
    assert len(entries(federation, "amber")) > len(before)
    assert after[: len(told)] == told
    assert not [item for item in after if after.count(item) > 1]


@pytest.mark.requirement("T-DISK-1")
def test_a_release_nobody_holds_is_never_made_again(federation: Federation) -> None:
    """The anchor names an entry that was lost with the disk: its epochs are spent, its slots abstained for ever."""
    begin(federation, "amber", "birch")
    place = federation.places["amber"]
    federation.fleets["amber"].stop()
    anchor = place.folder / "anchor"
    anchor.write_text("murmur-anchor 1\n0 40\n")
    federation.start("amber")
    federation.play("amber", 5)
    federation.finish("amber")
    wait_for("held back without a majority", lambda: "anchor is ahead" in signing(federation, "amber")["held_back"])
    federation.start("cedar", "dune")
    wait_for("amber signs", lambda: signing(federation, "amber")["held_back"] is None)
    with sqlite3.connect(place.data / "state.db") as database:
        rows = database.execute("SELECT outcome, reason FROM slots").fetchall()
        [(spent,)] = database.execute("SELECT count(*) FROM charges WHERE definition = x''").fetchall()
    assert rows
    assert all(outcome == "abstain" for outcome, _ in rows)
    assert spent > 0
    wait_for("all agree", lambda: in_step(federation, "amber", "birch", "cedar", "dune"))


@pytest.mark.slow
@pytest.mark.requirement("T-DISK-2")
def test_a_clone_that_runs_at_the_same_time_stops_both_from_signing(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes with the same keys and data: one that hears what the other wrote signs no more, and says so.

    The clone runs as on another machine: with a runtime folder, a port and an anchor of its own.
    """
    begin(federation, "amber", "birch", "cedar")
    place = federation.places["amber"]
    federation.fleets["amber"].stop()
    twin = Place("amber", federation.root / "twin", free_ports(1))
    shutil.copytree(place.folder, twin.folder)
    shutil.copy(federation.root / "amber.yaml", federation.root / "twin.yaml")
    text = twin.config.read_text().replace(str(place.folder), str(twin.folder)).replace(str(place.port), str(twin.port))
    twin.config.write_text(text)
    begin(federation, "amber")
    (federation.root / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(federation.root / "runtime"))
    federation.places["twin"] = twin
    begin(federation, "twin")
    admin(federation, "twin", "/v1/admin/keys/rotate", {})
    wait_for("amber stops", lambda: "did not write" in (signing(federation, "amber")["held_back"] or ""))
    assert "own_log.from_elsewhere" in place.log.read_text()
    checks = {one["name"]: one for one in admin(federation, "amber", "/v1/admin/mesh/doctor")["checks"]}
    assert (checks["own log"]["state"], "clone" in checks["own log"]["detail"]) == ("fail", True)
    before = entries(federation, "amber")
    federation.play("amber", 5)  # what comes in is taken all the same
    federation.finish("amber")
    time.sleep(3 * TICK_S)
    assert [
        item for item in entries(federation, "amber") if item not in before and item[2] in ("summary", "abstain")
    ] == []
    with pytest.raises(RefusedByNode):
        admin(federation, "amber", "/v1/admin/keys/rotate", {})
    for name in ("birch", "cedar"):
        assert signing(federation, name)["held_back"] is None
    wait_for("all agree", lambda: in_step(federation, "amber", "birch", "cedar", "twin"))


def test_operators_see_the_mesh(federation: Federation) -> None:
    """Peers, heads, checks and evidence as the node knows them, from the command line."""
    begin(federation, "amber", "birch")
    data = str(federation.places["amber"].data)
    wait_for("they agree", lambda: in_step(federation, "amber", "birch"))

    def told(*words: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "node", *words, "--data", data, "-o", "json"], capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return dict(json.loads(done.stdout))

    assert told("mesh", "sync")["asked"] == 3
    peers = {peer["name"]: peer for peer in told("peers")["peers"]}
    assert peers["birch"]["in_step"]
    birch = peers["birch"]
    assert (birch["protocols"], birch["charter_version"], birch["quarantine"]) == ([1, 1], 1, None)
    assert peers["cedar"]["last_success_ms"] is None

    def is_left_alone() -> bool:
        shown = {peer["name"]: peer["quarantine"] or "" for peer in told("peers")["peers"]}
        return "left alone after failures" in shown["cedar"]

    wait_for("cedar is left alone", is_left_alone)
    seen = {peer["name"]: peer for peer in admin(federation, "amber", "/v1/peers")["data"]["peers"]}
    heard = seen["birch"]
    assert heard["last_heard"] is not None
    assert abs(heard["skew_ms"]) < 60_000
    assert (heard["in_step"], heard["missing_here"], heard["missing_there"]) == (True, 0, 0)
    assert (heard["protocols"], heard["charter_version"], heard["quarantine"]) == ([1, 1], 1, None)
    assert min(heard["bytes_in"], heard["bytes_out"]) > 0
    assert (seen["cedar"]["last_heard"], seen["cedar"]["skew_ms"]) == (None, None)
    assert "left alone after failures" in seen["cedar"]["quarantine"]
    heads = told("mesh", "heads")
    assert heads["digest"] == digest(federation, "birch")
    checks = {check["name"]: check["state"] for check in told("mesh", "doctor")["checks"]}
    assert (checks["own log"], checks["peers"], checks["frozen logs"]) == ("pass", "warn", "pass")
    assert told("mesh", "evidence")["evidence"] == []
