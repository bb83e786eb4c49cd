"""What happens when things go wrong between real nodes: one is late, a byte flips on the way, a node must stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from node.state.database import StateDatabase
from node.vault.vault import Vault
from privacy.units import Window
from protocol.errors import ProtocolError
from protocol.ops import parse_push_request
from protocol.requests import parse_request
from tests.integration.small_federation import DAYS, NAMES, Federation

PEOPLE = 40
Make = Callable[..., Federation]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes federations and ends them."""
    made: list[Federation] = []

    def make(**options: Any) -> Federation:
        made.append(Federation(tmp_path, **options))
        return made[-1]

    yield make
    for federation in made:
        federation.close()


def until(what: Callable[[], object], wanted: object, timeout_s: float = 40) -> None:
    """Ask until the answer is the wanted one."""
    deadline = time.monotonic() + timeout_s
    while (found := what()) != wanted:
        assert time.monotonic() < deadline, f"still {found!r}, not {wanted!r}"
        time.sleep(0.1)


def seconds_to_tick(tick_s: int) -> float:
    return tick_s - time.time() % tick_s


def test_a_node_killed_before_its_tick_is_named_and_catches_up_alone(make: Make) -> None:
    """Finished and durable, then killed before it released: "3 of 4" with its name; started again: "4 of 4"."""
    federation = make(tick_s={"dune": 60})
    federation.start(*NAMES)
    for name in NAMES:
        federation.play(name, PEOPLE)
    if seconds_to_tick(60) < 10:
        time.sleep(11)
    federation.finish("dune")  # answered: durable
    federation.kill("dune")
    for name in NAMES[:3]:
        federation.finish(name)

    until(lambda: federation.answer("amber", "people")["data"]["reporting"], "3 of 4")
    members = {one["name"]: one for one in federation.answer("amber", "people")["data"]["members"]}
    assert members["dune"]["state"] == "missing"
    assert [one["state"] for name, one in members.items() if name != "dune"] == ["included"] * 3

    federation.set_tick("dune", 1)
    federation.start("dune")
    until(lambda: federation.answer("amber", "people")["data"]["reporting"], "4 of 4")
    until(lambda: len({json.dumps(federation.answer(name, "people")["data"]) for name in NAMES}), 1)


def test_a_byte_flipped_in_flight_is_refused_and_healed(make: Make) -> None:
    """One byte of a summary changes on the way: refused with the reason, nothing counted from it, healed by sync."""
    flipped: list[int] = []

    def alter(to: int, path: str, body: bytes) -> bytes:
        if to != 0 or not path.endswith("/push") or flipped:
            return body
        try:
            pushed = parse_push_request(parse_request(body).request.payload).entries
        except ProtocolError:
            return body
        if not any(b"summary" in entry for entry in pushed):
            return body
        place = body.index(b"summary") + 200  # inside the summary's data
        flipped.append(place)
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    federation = make(alter=alter)
    federation.start(*NAMES)
    for name in NAMES:
        federation.play(name, PEOPLE)
        federation.finish(name)
    until(lambda: len(flipped), 1)
    until(lambda: federation.answer("amber", "people")["data"]["reporting"], "4 of 4")
    until(lambda: len({json.dumps(federation.answer(name, "people")["data"]) for name in NAMES}), 1)
    refused = [peer["refused"] for peer in federation.places["amber"].admin.get("/v1/admin/status")["peers"]]
    assert any(one is not None and "signature" in one for one in refused), refused


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_loses_nothing_that_was_acknowledged(make: Make, number: signal.Signals) -> None:
    """Stopped in the middle of a stream of events, politely or not: every acknowledged one is there afterwards."""
    federation = make()
    federation.start("amber")
    federation.play("amber", 5)
    acknowledged = 2 * 5 * DAYS
    process = federation.nodes["amber"].process
    for turn in range(30):
        if turn == 20:
            process.send_signal(number)
        events = federation.events("amber", federation.first, 20)
        for event in events:
            event["event_id"] += f"-{turn}"
        try:
            status, receipt = federation.post_events("amber", events)
        except (OSError, HTTPException):
            break
        assert status in (202, 503), receipt  # a node that is stopping refuses in words, and acknowledges nothing
        acknowledged += receipt["accepted"] if status == 202 else 0
    code = process.wait(20)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)

    federation.start("amber")  # it starts again on what is there
    federation.fleets["amber"].stop()
    place = federation.places["amber"]
    database = StateDatabase(place.data / "state.db")
    from node.keyfiles import read_key

    vault = Vault(
        place.data, database, master_key=read_key(place.data / "keys" / "master.key", "master").secret,
        node_id=federation.nodes["amber"].node_id, length="day", caps=lambda _epoch: (0, 0), rng=os.urandom,
    )  # fmt: skip
    vault.recover(time.time())
    epochs = [Window.parse(row[0]) for row in database.query("SELECT epoch FROM epochs")]
    assert sum(vault.read(epoch).num_rows for epoch in epochs) >= acknowledged
    vault.close()
    database.close()


def test_mistakes_of_an_operator_end_in_one_sentence(make: Make) -> None:
    """A second start, a busy port, a broken plan, a key that others can read: said, coded, and nothing left running."""
    federation = make()
    federation.start("amber")
    amber, birch = federation.places["amber"], federation.places["birch"]

    assert "is in use" in refusal(amber.config)

    config = birch.config.read_text()
    birch.config.write_text(config.replace(str(birch.port), str(amber.port)))
    assert f"cannot listen on 127.0.0.1:{amber.port}" in refusal(birch.config)
    birch.config.write_text(config)

    plan = federation.root / "birch.yaml"
    good = plan.read_text()
    plan.write_text(good.replace("person: user", "person: everyone"))
    assert "apps.birch.person" in refusal(birch.config)
    plan.write_text(good.replace("apps:", "apps: ["))
    assert "birch.yaml" in refusal(birch.config)
    plan.write_text(good)

    key = birch.data / "keys" / "signing.key"
    key.chmod(0o644)
    assert "others can read" in refusal(birch.config)
    key.chmod(0o600)

    federation.start("birch")  # and after all that it still starts
    assert federation.call("birch", "GET", "/healthz")[0] == 200


def refusal(config: Path) -> str:
    """What `murmur run` says when it refuses to start."""
    command = [sys.executable, "-P", "-m", "node", "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 7, 75, 78), done
    assert done.stdout == "", "no readiness line"
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("murmur: ")]
    assert len(said) == 1, done.stderr
    return said[0]
