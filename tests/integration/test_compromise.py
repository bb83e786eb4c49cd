"""A stolen signing key among real nodes: the thief publishes and nothing else, and a recovery voids just that."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from node.demo.fleet import Place
from protocol.ids import NodeId
from tests.integration.small_federation import DAYS, Federation, child_env
from tests.integration.test_own_log import admin, begin, in_step, signing, wait_for
from tests.integration.thief import Thief

PEERS = ("birch", "cedar")
ALL = ("amber", *PEERS)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    made = Federation(tmp_path_factory.mktemp("stolen"), tick_s=dict.fromkeys(("amber", "birch", "cedar", "dune"), 1))
    try:
        begin(made, *ALL)
        yield made
    finally:
        made.close()


def murmur(place: Place, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "node", *map(str, words), "--config", str(place.config)], capture_output=True, text=True,
        env=child_env(), check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def said(federation: Federation, holder: str, author: bytes) -> list[bytes]:
    """Ids of every entry of an author that a node stores, counting or not."""
    with sqlite3.connect(federation.places[holder].data / "state.db") as database:
        rows = database.execute("SELECT id FROM entries WHERE author = ? ORDER BY generation, seq", (author,))
        return [id_ for (id_,) in rows.fetchall()]


def standing(federation: Federation, asked: str, metric: str, day: object) -> dict[str, Any]:
    """What an answer about one day says of each member."""
    seen = federation.places[asked].admin.get(f"/v1/insights/{metric}?window={day}/P1D&raw=1")["data"]
    return {one["name"]: one for one in seen["members"]} | {"total": seen["total"]}


def taken_back(federation: Federation, asked: str, day: object) -> bool:
    """Whether an answer says that amber's number was taken back."""
    amber = standing(federation, asked, "people", day)["amber"]
    return [(why["standing"], why["reason"]) for why in amber["without"]] == [("abstained", "recovered")]


def test_a_retired_key_is_an_alert_and_nothing_else(federation: Federation) -> None:
    """Copied before two rotations: its word is not heard, its entry not stored, whoever hands it over; all go on."""
    amber, birch = federation.places["amber"], federation.places["birch"]
    thieves = []
    for _ in range(2):
        thieves.append(Thief.of(amber))
        admin(federation, "amber", "/v1/admin/keys/rotate", {})
    owner, target = (NodeId(federation.nodes[name].node_id) for name in ("amber", "birch"))
    wait_for("peers follow", lambda: len({tuple(said(federation, name, owner)) for name in ALL}) == 1)
    good = said(federation, "birch", owner)
    cedar = Thief.of(federation.places["cedar"])  # a member that hands over whatever it is given
    for number, thief in enumerate(thieves, 1):
        thief.charter = cedar.charter
        forged = thief.summary("people", f"{federation.first}/P1D", [66_666])
        assert thief.push(birch, target, [forged]) is None
        [verdict] = thief.push(birch, target, [forged], key=cedar.key, sender=cedar.node) or []
        assert (verdict.verdict, verdict.code) == ("refused", "superseded")
        wait_for("the proof is kept", lambda number=number: len(evidence(federation, "birch")) == number)  # type: ignore[misc]
        assert said(federation, "birch", owner) == good
        assert forged.id not in good
    assert "retired-key-used" in birch.log.read_text()
    assert [proof["name"] for proof in evidence(federation, "birch")] == ["amber", "amber"]
    assert all(signing(federation, name)["held_back"] is None for name in ALL)
    told = admin(federation, "amber", "/v1/admin/keys/rotate", {})
    assert told["signing_key"] == signing(federation, "amber")["signing_key"]
    wait_for("peers follow", lambda: in_step(federation, *ALL))
    checks = {one["name"]: one["state"] for one in admin(federation, "birch", "/v1/admin/mesh/doctor")["checks"]}
    assert (checks["own log"], checks["frozen logs"]) == ("pass", "pass")


def evidence(federation: Federation, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin(federation, name, "/v1/admin/mesh/evidence")["evidence"]
    return found


def test_a_thief_publishes_and_a_recovery_voids_exactly_that(federation: Federation) -> None:
    """Two false releases, one dated a year back, and a rotation that everybody refuses; then the owner recovers."""
    federation.play("amber", 5)
    last = federation.first + timedelta(days=DAYS - 1)
    true_day = str(last - timedelta(days=1))
    amber = federation.places["amber"]
    admin(federation, "amber", "/v1/admin/backfill/finish", {"through": true_day})
    owner = federation.nodes["amber"].node_id
    wait_for("amber releases", lambda: len(said(federation, "amber", owner)) >= 1 + 2 * (DAYS - 1))
    wait_for("peers have it", lambda: len({tuple(said(federation, name, owner)) for name in ALL}) == 1)
    good = said(federation, "birch", owner)
    true = standing(federation, "cedar", "people", true_day)
    assert true["amber"]["state"] == "included"
    kept = signing(federation, "amber")["position"]["seq"]

    thief = Thief.of(amber)
    year_s = 365 * 86_400
    false = [thief.summary("people", f"{last}/P1D", [77_777])]
    false.append(thief.summary("people", f"{last + timedelta(days=1)}/P1D", [88_888], at=false[0].header.at - year_s))
    birch = federation.places["birch"], NodeId(federation.nodes["birch"].node_id)
    assert [one.verdict for one in thief.push(*birch, false) or []] == ["ok", "ok"]
    [refused] = thief.push(*birch, [thief.rotation()]) or []
    assert refused.verdict == "refused"
    # Everybody counts them, since nobody can know better; the owner does, signs no more, and is told what to do.
    wait_for("all have them", lambda: all(len(said(federation, name, owner)) == len(good) + 2 for name in ALL))
    wait_for("cedar counts it", lambda: standing(federation, "cedar", "people", last)["amber"]["state"] == "included")
    assert standing(federation, "cedar", "people", last)["total"]["estimate"] > 70_000
    [own] = [one for one in admin(federation, "amber", "/v1/admin/doctor")["checks"] if one["name"] == "own log"]
    assert own["state"] == "fail"
    assert "did not write" in own["detail"]
    assert "keys recover" in own["fix"]

    root = amber.folder / "root.key"
    recover = ("keys", "recover", "--from", kept, "--root-key", root)
    assert "void   2 entries" in murmur(amber, *recover, "--dry-run")
    murmur(amber, *recover, "--keys-only", "--yes")
    wait_for("amber signs", lambda: signing(federation, "amber")["held_back"] is None)
    wait_for("peers follow", lambda: in_step(federation, *ALL))
    gone = {parsed.id for parsed in false}
    for name in ALL:
        # Nothing of the owner's is lost; what was false is no answer any more, what was true is as before.
        assert [id_ for id_ in said(federation, name, owner) if id_ not in gone][: len(good)] == good
        wait_for("it is said", lambda name=name: taken_back(federation, name, last))  # type: ignore[misc]
        assert standing(federation, name, "people", true_day) == true
    # The key that was stolen says nothing any more.
    assert thief.push(*birch, [thief.summary("people", f"{last + timedelta(days=2)}/P1D", [1])]) is None
    # What the thief said keeps the owner from nothing, also not when it starts again: its own release counts there.
    federation.fleets["amber"].stop()
    begin(federation, "amber")
    admin(federation, "amber", "/v1/admin/backfill/finish", {"through": str(last)})
    for name in ALL:
        wait_for("the owner's counts", lambda name=name: standing(  # type: ignore[misc]
            federation, name, "people", last)["amber"]["state"] == "included")  # fmt: skip
        assert standing(federation, name, "people", last)["total"]["estimate"] < 70_000
        assert taken_back(federation, name, last + timedelta(days=1))
    # Had it been stolen earlier: what true answers were taken back with it is said in words on every peer.
    murmur(amber, "keys", "recover", "--from", kept - 1, "--root-key", root, "--yes")
    words = "taken back when its keys were recovered"
    span = ("--from", federation.first, "--to", last)
    for name in PEERS:
        place = federation.places[name]
        wait_for("it is said", lambda place=place: words in "".join(  # type: ignore[misc]
            murmur(place, "query", metric, *span) for metric in ("people", "events_by_country")))  # fmt: skip
