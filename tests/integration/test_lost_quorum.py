"""Two of three governance keys are lost for good, among real nodes: said in words, nothing stops, founded anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from node.demo.fleet import Fleet
from tests.integration.small_federation import child_env, free_ports
from tests.integration.test_deciding import FOUNDERS, Deciders, Direct, wait_for


@pytest.fixture
def deciders(tmp_path: Path) -> Iterator[Deciders]:
    made = Deciders(tmp_path)
    try:
        made.start(*FOUNDERS)
        wait_for("all sign", lambda: all(made.status(name)["releases"]["held_back"] is None for name in FOUNDERS))
        yield made
    finally:
        made.close()


def row(deciders: Deciders, name: str, check: str) -> dict[str, Any]:
    """One row of `murmur doctor`."""
    [found] = [one for one in deciders.places[name].admin.get("/v1/admin/doctor")["checks"] if one["name"] == check]
    return dict(found)


def words(deciders: Deciders, name: str, *command: object) -> str:
    """What a command says to a person."""
    ended = subprocess.run(
        [sys.executable, "-m", "node", *map(str, command), "--config", deciders.places[name].config],
        capture_output=True, text=True, env=child_env(), check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def answered(deciders: Deciders, name: str) -> dict[str, str]:
    """Who is in the answer about the first day, asked at one node."""
    seen = deciders.places[name].admin.get(f"/v1/insights/people?window={deciders.first}/P1D&raw=1")
    return {one["name"]: one["state"] for one in seen["data"]["members"]}


def test_a_lost_quorum_is_said_and_the_federation_is_founded_anew(deciders: Deciders) -> None:
    """Whoever proposes hears whose keys are missing and what to do; data flow; new nodes found anew; the old answer."""
    for name in ("birch", "cedar"):
        (deciders.places[name].folder / "governance.key").unlink()
    federation = deciders.charter("amber")["federation"]
    told = words(deciders, "amber", "charter", "renew", *deciders.key("amber"), "--yes")
    assert "Not signed yet: birch, cedar." in told
    assert f"found anew with murmur federation create --succeeds {federation}" in told
    for name in FOUNDERS:
        wait_for("it is said", lambda name=name: deciders.status(name)["federation"]["notices"])  # type: ignore[misc]
        [notice] = deciders.status(name)["federation"]["notices"]
        assert "1 of 2 have approved, not yet: birch, cedar" in notice
        found = row(deciders, name, "decisions")
        assert (found["state"], "not yet: birch, cedar" in found["detail"]) == ("warn", True)
        assert "founded anew" in row(deciders, name, "a lost governance key")["detail"]
    # Nothing stops: releases go out, and are answered everywhere.
    for name in FOUNDERS:
        deciders.places[name].admin.post("/v1/admin/backfill/finish", {"through": str(deciders.first)})
    wait_for("all three count", lambda: all(
        set(answered(deciders, at).values()) == {"included"} for at in FOUNDERS))  # fmt: skip
    assert deciders.trusts(1, *FOUNDERS)

    # Anew: other keys and data folders, the same people; the charter says what it succeeds.
    base = free_ports(3)
    new = {name: Direct(name, deciders.root / "anew" / name, base + at) for at, name in enumerate(FOUNDERS)}
    requests: list[object] = []
    for name, place in new.items():
        place.folder.mkdir(parents=True)
        deciders.murmur(
            "init", "--data", place.data, "--config", place.config, "--name", name, "--organisation", name,
            "--listen", f"127.0.0.1:{place.port}", "--advertise", place.url, "--plan", deciders.root / f"{name}.yaml",
            "--root-key", place.folder / "root.key", "--governance-key", place.folder / "governance.key",
            "--request", place.folder / "request", "--anchor", place.folder / "anchor",
        )  # fmt: skip
        requests += ["--with", place.folder / "request"]
        config = place.config.read_text().replace("[mesh]\n", "[mesh]\nsync_interval_s = 1.0\n")
        place.config.write_text(f"{config}\n[release]\ntick_s = 1\n")
    charter = deciders.root / "anew.murmur"
    begins = deciders.first + timedelta(days=5)
    deciders.murmur(
        "federation", "create", *requests, "--metrics", deciders.root / "metrics", "--name", "anew", "--counts-from",
        begins, "--threshold", 2, "--allow-private", "--succeeds", federation, "--out", charter,
    )  # fmt: skip
    for place in new.values():
        deciders.murmur("charter", "sign", charter, "--governance-key", place.folder / "governance.key")
    fleet = Fleet()
    try:
        for place in new.values():
            deciders.murmur("charter", "accept", charter, "--config", place.config)
        fleet.start(list(new.values()))
        state = {name: place.admin.get("/v1/admin/charter") for name, place in new.items()}
        assert len({one["federation"] for one in state.values()}) == 1
        assert state["amber"]["federation"] != federation
        wait_for("they talk", lambda: len({place.admin.get("/v1/admin/status")["mesh"]["heads_digest"]
                                           for place in new.values()}) == 1)  # fmt: skip
        shown = deciders.murmur("charter", "show", "--config", new["birch"].config)
        assert shown["succeeds"] == federation
        # The old one stays readable, at one node that still runs.
        for name in ("birch", "cedar"):
            deciders.fleets[name].stop()
        assert set(answered(deciders, "amber").values()) == {"included"}
    finally:
        fleet.stop()
