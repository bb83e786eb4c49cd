"""A member that floods a real node, at the size attack case 16 names, while an honest member goes on (slow)."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.demo.fleet import Place
from protocol.entries import ParsedEntry
from protocol.ids import CharterHash, NodeId
from protocol.ops import Heads, PushRequest, parse_push_reply
from protocol.requests import HEADS, PUSH, Request, parse_response, sign_request
from tests.conftest import Measure
from tests.fault.flood_child import written
from tests.integration.small_federation import Federation, child_env
from tests.integration.test_own_log import begin, in_step, wait_for
from tests.integration.thief import Thief

ROUNDS = 5
NONCES = 100_000
PARKED = 100_000
SLOW = 60
FAR = 10_000  # where the entries that must wait begin
A_PUSH = 500
EACH_S = 0.075  # an honest member stays inside its budget of 20 pushes a second
CALM_S = 6.0
GROWTH = 64 << 20
CHILD = Path(__file__).with_name("flood_child.py")


@dataclass
class Honest:
    """A member by hand: pushes its entries one at a time and writes down how long each took until it was stored."""

    member: Thief
    port: int
    target: NodeId
    times_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def go_on(self, is_over: Callable[[], bool]) -> list[float]:
        """Until it is over; the seconds each push took."""
        found: list[float] = []
        while not is_over():
            entry = self.member.write("note", secrets.token_bytes(16))
            body = message(self.member, self.target, PUSH, PushRequest((entry.entry.encode(),)).encode())
            began = time.perf_counter()
            self._connection.request("POST", "/mesh/v1/push", body)
            answer = self._connection.getresponse().read()
            found.append(time.perf_counter() - began)
            response = parse_response(answer).response
            assert response.status == "ok", response.payload
            assert [one.verdict for one in parse_push_reply(response.payload).verdicts] == ["ok"]
            time.sleep(max(0.0, EACH_S - found[-1]))
        return found


def message(member: Thief, target: NodeId, op: str, payload: bytes) -> bytes:
    """A signed request of a member."""
    trusted = member.charter["trusted"]
    request = Request(
        member._federation, member.node, target, op, time.time_ns() // 1_000_000, secrets.token_bytes(16), None,
        trusted["version"], trusted["attempt"], CharterHash(bytes.fromhex(trusted["hash"])), bytes(32), payload,
    )  # fmt: skip
    return sign_request(member.key, request)


def ahead(member: Thief, count: int, first: int) -> list[bytes]:
    """So many good entries that stand far beyond the end of the log."""
    found: list[ParsedEntry] = []
    _, _, prev = member.head
    for number in range(count):
        member.head = (0, first + number, prev)
        found.append(member.write("note", secrets.token_bytes(16), prev=secrets.token_bytes(32)))
    return [one.entry.encode() for one in found]


def peak(pid: int) -> int:
    """The most memory a process ever held."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def at_99(times_s: list[float]) -> float:
    return sorted(times_s)[int(len(times_s) * 0.99)]


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    made = Federation(tmp_path)
    try:
        begin(made, "amber", "birch", "cedar")
        yield made
    finally:
        made.close()


def written_floods(member: Thief, target: NodeId, folder: Path) -> list[Path]:
    """A file a round: nonces that were never seen, and pushes of entries that must wait."""
    files = []
    for number in range(ROUNDS):
        asked = [(HEADS, message(member, target, HEADS, Heads((), False).encode())) for _ in range(NONCES // ROUNDS)]
        for start in range(0, PARKED // ROUNDS, A_PUSH):
            entries = ahead(member, A_PUSH, FAR + number * PARKED + start)
            pushed = PUSH, message(member, target, PUSH, PushRequest(tuple(entries)).encode())
            asked.insert(start * len(asked) * ROUNDS // PARKED, pushed)
        files.append(folder / f"flood {number}")
        files[-1].write_bytes(written(asked))
    return files


def trickled(slow: list[socket.socket]) -> None:
    """Another byte of each body that never ends; the node may have given it up."""
    for one in slow:
        try:
            one.sendall(b"1\r\nx\r\n")
        except OSError:
            continue


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_case_16_a_flood_of_nonces_and_parked_entries_slows_no_other_member(
    federation: Federation, tmp_path: Path, measured: Measure
) -> None:
    """100,000 new nonces, 100,000 good entries that must wait, and sixty bodies that never end, all by one member.

    Rounds of calm and of flood take turns, so that both meet the same machine. Memory stays, nothing of it is stored.
    """
    wait_for("equal heads", lambda: in_step(federation, "amber", "birch", "cedar"))
    amber: Place = federation.places["amber"]
    honest_one, flooder = (Thief.of(federation.places[name]) for name in ("birch", "cedar"))
    target = Thief.of(amber).node
    for name in ("birch", "cedar"):
        federation.kill(name)
    honest = Honest(honest_one, amber.port, target)
    floods = written_floods(flooder, target, tmp_path)
    node = federation.nodes["amber"].process.pid
    calm, loaded, told, statuses = [], [], Counter[str](), Counter[str]()  # type: ignore[var-annotated]
    before = 0
    for file in floods:
        end = time.monotonic() + CALM_S
        calm += honest.go_on(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
        before = before or peak(node)
        slow = [socket.create_connection(("127.0.0.1", amber.port), timeout=30) for _ in range(SLOW)]
        for one in slow:
            one.sendall(b"POST /mesh/v1/push HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        child = subprocess.Popen(
            [sys.executable, str(CHILD), "127.0.0.1", str(amber.port), str(file), "1"], stdout=subprocess.PIPE,
            text=True, env=child_env(),
        )  # fmt: skip
        try:
            loaded += honest.go_on(lambda child=child, slow=slow: trickled(slow) or child.poll() is not None)  # type: ignore[misc,func-returns-value]
            said = json.loads(child.communicate(timeout=60)[0])
        finally:
            child.kill()
            for one in slow:
                one.close()
        told += Counter(said["http"])
        statuses += Counter(said["mesh"])
    growth = peak(node) - before
    ratio = at_99(loaded) / at_99(calm)
    assert told == Counter({"heads 200": NONCES, "push 200": PARKED // A_PUSH}), told
    assert statuses["busy"] > statuses["ok"] > 0, statuses
    with sqlite3.connect(amber.data / "state.db") as database:
        [[highest]] = database.execute("SELECT max(seq) FROM entries WHERE author = ?", (flooder.node,)).fetchall()
    assert highest < FAR, "an entry that must wait was stored"
    is_good = ratio < 2 and growth < GROWTH
    what = "99th percentile of an honest member's pushes, under a member's flood over calm; growth of the node"
    value = f"{ratio:.2f} ({at_99(loaded) * 1000:.1f} over {at_99(calm) * 1000:.1f} ms); {growth / 2**20:.0f} MiB"
    measured(what, value, f"2; {GROWTH >> 20} MiB", is_good)
    assert is_good, value
