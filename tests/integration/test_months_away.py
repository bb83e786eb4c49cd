"""A real node is away for ten weeks of changes and comes back unattended; a chain made with retired keys waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.keyfiles import KeyFile, write_key
from protocol.charter import parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document, sign_charter
from protocol.ids import FederationId
from protocol.keys import SigningKey
from tests.integration.later import days_pass
from tests.integration.small_federation import NAMES
from tests.integration.test_deciding import Deciders, wait_for
from tests.integration.thief import key_in

STAY = ("amber", "birch", "cedar")


@pytest.fixture
def deciders(tmp_path: Path) -> Iterator[Deciders]:
    made = Deciders(tmp_path, NAMES)
    try:
        made.start(*NAMES)
        wait_for("all sign", lambda: all(made.status(name)["releases"]["held_back"] is None for name in NAMES))
        wait_for("in step", lambda: made.in_step(*NAMES))
        yield made
    finally:
        made.close()


def decide(deciders: Deciders, version: int, *wish: object, keys: Sequence[Path], see: Sequence[str]) -> None:
    """A charter proposed at amber, signed offline by these keys, put together there, and trusted by these nodes."""
    ballot = deciders.root / f"{version}.ballot"
    deciders.on("amber", "charter", "propose", *wish, "--out", ballot)
    for key in keys:
        deciders.murmur("charter", "sign", "--offline", ballot, "--governance-key", key, "--yes")
    deciders.on("amber", "charter", "assemble", ballot)
    wait_for(f"version {version}", lambda: deciders.trusts(version, *see))


def forged(deciders: Deciders, count: int) -> list[CharterDocument]:
    """A longer chain on top of the founding charter, signed with the governance keys that the founders had then."""
    chain = deciders.places["dune"].admin.get("/v1/admin/charter/chain")["charters"]
    federation = FederationId(bytes.fromhex(deciders.charter("dune")["federation"]))
    keys = [key_in(deciders.places[name].folder / "governance.key", "governance") for name in STAY]
    before = parse_charter_document(bytes.fromhex(chain[0]["document"]))
    made = []
    for number in range(count):
        charter = parse_charter(before.body)
        body = replace(charter, name=f"taken over {number}", version=charter.version + 1, attempt=9,
                       created=charter.created + 60, previous=(before.hash,)).encode()  # fmt: skip
        before = CharterDocument(body)
        for key in keys:
            before = before.with_approval(key.public_key, sign_charter(key, body, federation))
        made.append(before)
    return made


@pytest.mark.slow
def test_a_node_comes_back_unattended_and_retired_keys_make_it_ask(
    deciders: Deciders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three charters, new governance keys, rotations and a removed member later; nobody touches the node that was away.

    Then a member whose operator was fooled follows a longer chain, made with the governance keys of the founding: the
    others fetch it, stop, and ask.
    """
    old = {name: deciders.places[name].folder / "governance.key" for name in NAMES}
    deciders.fleets["dune"].stop()
    new = {name: deciders.root / f"{name}.new.key" for name in STAY}
    wish: list[object] = []
    for at, (name, path) in enumerate(new.items()):
        key = SigningKey(bytes([at + 1]) * 32)
        write_key(path, KeyFile("governance", bytes([at + 1]) * 32, key.public_key))
        wish += ["--replace-key", f"{name}={key.public_key.hex()}"]
    decide(deciders, 2, *wish, keys=[*new.values(), *(old[name] for name in STAY)], see=STAY)
    for name in STAY:
        deciders.on(name, "keys", "rotate")
        deciders.on(name, "keys", "rotate")

    days_pass(monkeypatch, 70)
    for name in STAY:
        deciders.fleets[name].stop()
    deciders.start(*STAY)
    wait_for("they sign", lambda: all(deciders.status(name)["releases"]["held_back"] is None for name in STAY))
    wait_for("in step", lambda: deciders.in_step(*STAY))
    decide(deciders, 3, "--cap", "day=1/30", "--name", "later", keys=list(new.values()), see=STAY)
    deciders.on("birch", "keys", "rotate")
    decide(deciders, 4, "--remove", "cedar", keys=list(new.values()), see=STAY)

    deciders.start("dune")
    wait_for("dune follows", lambda: deciders.trusts(4, "dune"))
    wait_for("dune signs", lambda: deciders.status("dune")["releases"]["held_back"] is None)
    wait_for("in step", lambda: deciders.in_step("amber", "birch", "dune"))
    assert deciders.status("dune")["federation"]["notices"] == []
    shown = deciders.on("dune", "charter", "show")
    assert [one["id"] for one in shown["organisations"]] == ["amber", "birch", "dune"]
    # Unattended: since it is back, its operator plane was asked and told nothing to do; the audit log has its starts.
    acted = [one for one in audit(deciders, "dune") if one["action"] != "node.started"]
    assert [one for one in acted if one["actor"] == "operator"] == []
    assert deciders.on("dune", "charter", "verify")["version"] == 4

    chain = forged(deciders, 6)
    fooled = deciders.places["birch"].admin
    for document in chain:
        fooled.post("/v1/admin/charter", {"document": document.encode().hex(), "definitions": []})
    assert deciders.charter("birch")["waiting"] is not None
    deciders.on("birch", "charter", "confirm", "--yes")
    assert deciders.trusts(7, "birch")
    for name in ("amber", "dune"):
        wait_for("it asks", lambda name=name: deciders.charter(name)["waiting"] is not None)  # type: ignore[misc]
        assert deciders.trusts(4, name)
        [notice] = deciders.status(name)["federation"]["notices"]
        assert "charter version 7" in notice
        assert "compare its fingerprint with other members, then murmur charter confirm" in notice
    wait_for("they go on", lambda: deciders.in_step("amber", "dune"))
    deciders.on("amber", "keys", "rotate")
    wait_for("they go on", lambda: deciders.in_step("amber", "dune"))
    assert deciders.trusts(4, "amber", "dune")


def audit(deciders: Deciders, name: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = deciders.on(name, "audit", "show", "--last", "1000")["records"]
    return told
