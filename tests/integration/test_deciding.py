"""Real nodes that decide together with the commands everyone has: a fourth joins, one is removed, a vote splits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.demo.fleet import Fleet, Place, RunningNode, found
from tests.integration.small_federation import PLAN, child_env, free_ports

FOUNDERS = ("amber", "birch", "cedar")
METRIC = """\
metric: people
question: How many people are there?
from: any
measure: people
window: day
privacy: {max_cells: "1", rho: "1/400"}
"""


class Direct(Place):
    """A node with nobody in between: what it advertises is where it listens."""

    @property
    def relay_port(self) -> int:
        return self.port


class Deciders:
    """Three founded nodes as processes, a place for a fourth, and the command line.

    Args:
        founders: Who founds; all but one of them decide together.
    """

    def __init__(self, root: Path, founders: tuple[str, ...] = FOUNDERS) -> None:
        self.root = root
        base = free_ports(4)
        self.places = {name: Direct(name, root / name, base + index) for index, name in enumerate((*FOUNDERS, "dune"))}
        (root / "metrics").mkdir()
        (root / "metrics" / "people.yaml").write_text(METRIC)
        for name in self.places:
            (root / f"{name}.yaml").write_text(PLAN.format(name=name))
        self.first = datetime.now(UTC).date() - timedelta(days=4)
        stage = SimpleNamespace(
            plans={name: root / f"{name}.yaml" for name in founders}, epoch="day", counts_from=self.first,
            metrics_folder=root / "metrics",
        )  # fmt: skip
        found(stage, [self.places[name] for name in founders], root / "charter.murmur", 1.0, 1)  # type: ignore[arg-type]
        self.fleets: dict[str, Fleet] = {}
        self.nodes: dict[str, RunningNode] = {}

    def start(self, *names: str) -> None:
        """All at once: a node takes a second to start, most of it on one core."""

        def run(name: str) -> RunningNode:
            self.fleets[name] = Fleet()
            return self.fleets[name].start([self.places[name]])[0]

        with ThreadPoolExecutor(len(names)) as pool:
            self.nodes.update(zip(names, pool.map(run, names), strict=True))

    def kill(self, name: str) -> None:
        self.nodes[name].process.kill()
        self.nodes[name].process.wait()

    def close(self) -> None:
        for fleet in self.fleets.values():
            fleet.stop()

    def murmur(self, *words: object, code: int = 0) -> dict[str, Any]:
        """What a command says as JSON; `code` is how it must end."""
        ended = subprocess.run(
            [sys.executable, "-m", "node", *map(str, words), "--json"], capture_output=True, text=True, env=child_env(),
            check=False,
        )  # fmt: skip
        assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stderr}"
        said: dict[str, Any] = json.loads(ended.stdout if code == 0 else ended.stderr)
        return said

    def on(self, name: str, *words: object, code: int = 0) -> dict[str, Any]:
        return self.murmur(*words, "--config", self.places[name].config, code=code)

    def key(self, name: str) -> tuple[str, Path]:
        return "--governance-key", self.places[name].folder / "governance.key"

    def charter(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self.places[name].admin.get("/v1/admin/charter")
        return state

    def status(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = self.places[name].admin.get("/v1/admin/status")
        return told

    def in_step(self, *names: str) -> bool:
        return len({self.status(name)["mesh"]["heads_digest"] for name in names}) == 1

    def trusts(self, version: int, *names: str) -> bool:
        return all(self.charter(name)["trusted"]["version"] == version for name in names)


@pytest.fixture
def deciders(tmp_path: Path) -> Iterator[Deciders]:
    made = Deciders(tmp_path)
    made.start(*FOUNDERS)
    try:
        wait_for("all sign", lambda: all(made.status(name)["releases"]["held_back"] is None for name in FOUNDERS))
        yield made
    finally:
        made.close()


def wait_for(what: str, is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {within_s:g} s"
        time.sleep(0.3)


def test_a_change_is_proposed_shown_in_words_and_approved(deciders: Deciders) -> None:
    """Nothing is signed by --dry-run or without --yes; two of three are enough; a restarted node goes by it, too."""
    cap = ("charter", "propose", "--cap", "day=1/30", *deciders.key("amber"))
    dry = deciders.on("amber", *cap, "--dry-run")
    assert any(
        "raises the day cap from rho 1/40" in line and "epochs that begin after" in line for line in dry["changes"]
    )
    assert dry["signs"]["fingerprint"]
    assert deciders.on("amber", *cap, code=2)["code"] == "confirmation_needed"
    assert deciders.charter("amber")["proposals"] == []
    told = deciders.on("amber", *cap, "--yes")
    assert (told["is_trusted"], told["not_signed"]) == (False, ["birch", "cedar"])
    wait_for("birch sees it", lambda: len(deciders.charter("birch")["proposals"]) == 1)
    shown = deciders.on("birch", "charter", "diff")
    assert shown["approvals"] == 1
    # A quorum that does not come together is said plainly, with whose keys are missing, on every node.
    for name in ("amber", "birch"):
        [notice] = deciders.status(name)["federation"]["notices"]
        assert "1 of 2 have approved, not yet: birch, cedar" in notice
    deciders.on("birch", "charter", "approve", *deciders.key("birch"), "--yes")
    wait_for("all trust it", lambda: deciders.trusts(2, *FOUNDERS))
    assert deciders.on("cedar", "charter", "verify")["version"] == 2
    assert [one["version"] for one in deciders.on("cedar", "charter", "log")["charters"]] == [1, 2]
    dry = deciders.on("cedar", "charter", "renew", "--expires-days", "500", "--dry-run")
    assert [line[:11] for line in dry["changes"]] == ["holds until"]
    deciders.kill("cedar")
    deciders.start("cedar")
    wait_for("in step", lambda: deciders.in_step(*FOUNDERS))
    assert deciders.trusts(2, "cedar")


def test_a_fourth_joins_by_invitation_and_counts(deciders: Deciders) -> None:
    """Two commands on each side; the newcomer's is killed once and run again."""
    dune = deciders.places["dune"]
    link = deciders.on("amber", "federation", "invite")["link"]
    dune.folder.mkdir()
    deciders.murmur(
        "init", "--data", dune.data, "--config", dune.config, "--name", "dune", "--listen", f"127.0.0.1:{dune.port}",
        "--plan", deciders.root / "dune.yaml", "--root-key", dune.folder / "root.key",
        "--governance-key", dune.folder / "governance.key", "--request", dune.folder / "request",
        "--anchor", dune.folder / "anchor", "--backfill-from", deciders.first,
    )  # fmt: skip
    config = dune.config.read_text().replace("[mesh]\n", "[mesh]\nsync_interval_s = 1.0\n")
    dune.config.write_text(f"{config}\n[release]\ntick_s = 1\n")
    join = ("federation", "join", link, "--request", dune.folder / "request", *deciders.key("dune"), "--yes",
            "--config", dune.config)  # fmt: skip
    assert deciders.murmur(*join, "--dry-run")["signs"]["fingerprint"] is None
    ended = subprocess.run(
        [sys.executable, "-m", "node", *map(str, join), "--wait-s", "0"], capture_output=True, text=True,
        env=child_env(), check=False,
    )  # fmt: skip
    assert ended.returncode == 75, ended.stderr
    asking = deciders.on("amber", "federation", "requests")["requests"]
    assert [one["name"] for one in asking] == ["dune"]
    wrong = ("federation", "approve", "dune", *deciders.key("amber"), "--fingerprint", "0000 1111", "--yes")
    assert deciders.on("amber", *wrong, code=6)["code"] == "other_fingerprint"
    mark = asking[0]["fingerprint"]
    deciders.on("amber", "federation", "approve", "dune", *deciders.key("amber"), "--fingerprint", mark, "--yes",
                "--counts-from", deciders.first)  # fmt: skip
    waiting = subprocess.Popen([sys.executable, "-m", "node", *map(str, join), "--json"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=child_env())  # fmt: skip
    wait_for("birch sees it", lambda: len(deciders.charter("birch")["proposals"]) == 1)
    deciders.on("birch", "charter", "approve", *deciders.key("birch"), "--yes")
    wait_for("all trust it", lambda: deciders.trusts(2, *FOUNDERS), within_s=90)
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert json.loads(out)["name"] == "dune"
    deciders.start("dune")
    wait_for("dune signs", lambda: deciders.status("dune")["releases"]["held_back"] is None)
    wait_for("in step", lambda: deciders.in_step(*deciders.places), within_s=90)
    dune.admin.post("/v1/admin/backfill/finish", {"through": str(deciders.first + timedelta(days=1))})
    wait_for("dune's days are answered", lambda: deciders.status("dune")["releases"]["answered_slots"] >= 2)

    def standing() -> dict[str, str]:
        seen = deciders.places["amber"].admin.get(f"/v1/insights/people?window={deciders.first}/P1D&raw=1")
        return {one["name"]: one["state"] for one in seen["data"]["members"]}

    # By a founder that was never restarted.
    wait_for("dune counts", lambda: standing().get("dune") == "included")


def test_a_member_is_removed_with_a_cut_and_told(deciders: Deciders) -> None:
    """The others go on without it; it holds its releases back and says why."""
    dry = deciders.on("amber", "charter", "propose", "--remove", "cedar", "--dry-run")
    assert any(line.startswith("removes cedar") for line in dry["changes"])
    deciders.on("amber", "charter", "propose", "--remove", "cedar", *deciders.key("amber"), "--yes")
    wait_for("birch sees it", lambda: len(deciders.charter("birch")["proposals"]) == 1)
    deciders.on("birch", "charter", "approve", *deciders.key("birch"), "--yes")
    wait_for("all trust it", lambda: deciders.trusts(2, *FOUNDERS))
    assert "removed this node" in deciders.status("cedar")["releases"]["held_back"]
    wait_for("the two are in step", lambda: deciders.in_step("amber", "birch"))
    shown = deciders.on("birch", "charter", "show")
    assert [one["id"] for one in shown["organisations"]] == ["amber", "birch"]
    assert deciders.on("cedar", "charter", "propose", "--name", "mine", "--yes", code=2)["code"] == "held_back"


@pytest.mark.slow
def test_a_member_that_was_removed_is_taken_back_and_goes_on_from_its_cut(deciders: Deciders) -> None:
    """With a recovery by its root key, which it is told to make; nobody restarts."""
    cedar = deciders.places["cedar"]
    for version, words in ((2, ("--remove", "cedar")), (3, ("--readmit", "cedar"))):
        ballot = deciders.root / f"{version}.ballot"
        deciders.on("amber", "charter", "propose", *words, "--out", ballot)
        for who in FOUNDERS[: version if version == 3 else 2]:  # a new vote is signed by whose it is
            deciders.murmur("charter", "sign", "--offline", ballot, *deciders.key(who), "--yes")
        deciders.on("amber", "charter", "assemble", ballot)
        wait_for("all trust it", lambda version=version: deciders.trusts(version, *FOUNDERS))  # type: ignore[misc]
    held = str(deciders.status("cedar")["releases"]["held_back"])
    assert "keys recover --from" in held
    seq = held.split("--from ")[1].split(" ")[0]
    deciders.on("cedar", "keys", "recover", "--from", seq, "--root-key", cedar.folder / "root.key", "--yes")
    wait_for("cedar signs", lambda: deciders.status("cedar")["releases"]["held_back"] is None)
    wait_for("in step", lambda: deciders.in_step(*FOUNDERS))
    assert deciders.status("amber")["mesh"]["entries"] == deciders.status("cedar")["mesh"]["entries"]


def test_a_split_vote_is_said_and_healed(deciders: Deciders) -> None:
    """Two keys sign two charters of one vote, offline; all nodes say so; only a charter on both is signed."""
    files = []
    for number, name in enumerate(("one", "two")):
        file = deciders.root / f"{name}.ballot"
        deciders.on("amber", "charter", "propose", "--name", name, "--attempt", "1", "--out", file)
        for who in FOUNDERS[number : number + 2]:
            deciders.murmur("charter", "sign", "--offline", file, *deciders.key(who), "--yes")
        files.append(file)
    deciders.on("amber", "charter", "assemble", files[0])
    deciders.on("cedar", "charter", "assemble", files[1], code=0)
    wait_for("all see the split", lambda: all(len(deciders.charter(name)["rivals"]) == 1 for name in FOUNDERS))
    wait_for("all say so", lambda: all("vote is split" in deciders.status(name)["federation"]["notices"][0]
                                       for name in FOUNDERS))  # fmt: skip
    wait_for("one is trusted", lambda: len({deciders.charter(name)["trusted"]["hash"] for name in FOUNDERS}) == 1)
    assert deciders.on("amber", "charter", "propose", "--name", "three", code=2)["code"] == "confirmation_needed"
    deciders.on("amber", "charter", "propose", "--name", "three", "--yes")
    assert deciders.on("amber", "charter", "approve", *deciders.key("amber"), "--yes", code=4)["code"] == "split_vote"
    deciders.on("amber", "charter", "propose", "--heal", "--name", "healed", *deciders.key("amber"), "--yes")
    healing = [one for one in deciders.charter("amber")["proposals"] if one["approvals"]]
    wait_for(
        "birch sees it", lambda: healing[0]["hash"] in [one["hash"] for one in deciders.charter("birch")["proposals"]]
    )
    deciders.on("birch", "charter", "approve", healing[0]["hash"], *deciders.key("birch"), "--yes")
    wait_for("healed", lambda: deciders.trusts(3, *FOUNDERS))
    assert not deciders.charter("cedar")["rivals"]
