"""The relay carries every byte unchanged and the wiretap accounts for each; one raw event counts as one."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from node.demo.needles import Needles
from node.demo.relay import Relay
from node.demo.wiretap import Wiretap
from protocol import entries, ops, requests, summaries
from protocol.ids import CharterHash, DefinitionHash, EntryId, FederationId, NodeId
from protocol.keys import SigningKey

FEDERATION = FederationId(b"f" * 32)
ANN, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)
NAMES = {ANN: "ann", BOB: "bob"}
KEYS = {ANN: SigningKey(b"1" * 32), BOB: SigningKey(b"2" * 32)}
CHARTER = CharterHash(b"c" * 32)
DEFINITION = DefinitionHash(b"d" * 32)
CHARGE = summaries.Charge("2026-11-01/P1D", 2_500_000, 0)
EVENT = b'{"app":"streams","user_id":"ha-0123456789abcdef","event_id":"e-fedcba9876543210","t":1794140712}'


class _Node(BaseHTTPRequestHandler):
    """A peer that answers each push with one verdict an entry, and anything else with the constant refusal."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = _answer(body)
        self.send_response(200 if answer is not requests.REFUSAL else 403)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _answer(body: bytes) -> bytes:
    try:
        parsed = requests.parse_request(body)
    except Exception:
        return requests.REFUSAL
    pushed = ops.parse_push_request(parsed.request.payload)
    payload = ops.PushReply(tuple(ops.PushVerdict("ok") for _ in pushed.entries)).encode()
    asked = parsed.request
    return requests.sign_response(
        KEYS[asked.recipient],
        requests.Response(
            FEDERATION, asked.recipient, asked.sender, parsed.hash, 1, requests.OK, 1, 1, CHARTER, b"h" * 32, payload
        ),
    )


def _push(sender: NodeId, recipient: NodeId, *items: bytes, nonce: int = 0) -> bytes:
    return requests.sign_request(
        KEYS[sender],
        requests.Request(
            FEDERATION, sender, recipient, requests.PUSH, 1, nonce.to_bytes(16, "big"), None, 1, 1, CHARTER,
            b"h" * 32, ops.PushRequest(items).encode(),
        ),
    )  # fmt: skip


def _summary(author: NodeId, seq: int, prev: bytes, cells: tuple[int, ...]) -> entries.Entry:
    data, vector = summaries.build_summary(
        definition=DEFINITION, window="2026-11-01/P1D", node=author, unit="user",
        blocks=[summaries.BlockData(len(cells), "gaussian", Fraction(1), Fraction(200))],
        charges=[CHARGE], total=[CHARGE], sampling=Fraction(1), cells=cells,
    )  # fmt: skip
    return entries.build_entry(
        KEYS[author], federation=FEDERATION, author=author, generation=0, seq=seq, prev=EntryId(prev),
        charter_version=1,
        at=1, kind=entries.SUMMARY, data=data.encode(), cells=vector,
    )  # fmt: skip


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """(node port, relay port), with a node behind the first."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        relay_port = probe.getsockname()[1]
    yield server.server_address[1], relay_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def relay(ports: tuple[int, int]) -> Iterator[Relay]:
    relay = Relay([ports[1]], [ports[0]])
    relay.start()
    yield relay
    relay.stop()


def _post(port: int, *bodies: bytes, path: str = "/mesh/v1/push") -> list[bytes]:
    """All bodies over one connection, as a peer would."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    answers = []
    for body in bodies:
        connection.request("POST", path, body, {"Content-Type": "application/octet-stream"})
        answers.append(connection.getresponse().read())
    connection.close()
    return answers


class _Everything:
    """Contains every release id: for tests in which all of them are counted."""

    def __contains__(self, release: object) -> bool:
        return True


def _tap(relay: Relay) -> Wiretap:
    tap = Wiretap(NAMES, [DEFINITION], [])
    tap.read(relay.exchanges())
    return tap


def _needles() -> Needles:
    needles = Needles()
    needles.add_texts("event id", ["e-fedcba9876543210"], telling=-8)
    needles.add_texts("person id", ["ha-0123456789abcdef"], telling=-8)
    needles.add_times(np.array([1_794_140_712]))
    return needles


def test_committed_summaries_are_innocent_and_every_byte_is_counted(ports: tuple[int, int], relay: Relay) -> None:
    first = _summary(ANN, 1, b"p" * 32, (5, -3))
    second = _summary(ANN, 2, first.id, (7, 9, 11))
    bodies = [_push(ANN, BOB, first.encode()), _push(ANN, BOB, second.encode(), nonce=1)]
    answers = _post(ports[1], *bodies)
    tap = _tap(relay)
    account = tap.account({"ann": (0, 2)}, _needles().search(tap.haystack()), _Everything())
    assert account.faults == ()
    assert account.raw == 0
    assert account.entries == 2
    assert sorted(summary.cells for summary in account.summaries) == [(5, -3), (7, 9, 11)]
    assert account.sent == {("ann", "bob"): sum(map(len, bodies)), ("bob", "ann"): sum(map(len, answers))}
    assert account.received == account.sent
    assert account.bytes == sum(map(len, bodies + answers))


def test_one_raw_event_sent_through_counts_as_one(ports: tuple[int, int], relay: Relay) -> None:
    _post(ports[1], EVENT)
    tap = _tap(relay)
    account = tap.account({}, _needles().search(tap.haystack()), ())
    assert account.raw == 1
    assert any("event id" in fault for fault in account.faults)


def test_a_raw_event_of_unknown_ids_counts_too(ports: tuple[int, int], relay: Relay) -> None:
    """What no parser understands is raw, whatever it holds."""
    _post(ports[1], b'{"hello":"world"}')
    assert _tap(relay).account({}, [], ()).raw == 1


def test_three_events_in_one_body_count_as_three(ports: tuple[int, int], relay: Relay) -> None:
    ids = [f"e-{number:016x}" for number in (1 << 60, 2 << 60, 3 << 60)]
    needles = Needles()
    needles.add_texts("event id", ids, telling=-8)
    _post(ports[1], ("[" + ",".join(f'{{"event_id":"{text}"}}' for text in ids) + "]").encode())
    tap = _tap(relay)
    assert tap.account({}, needles.search(tap.haystack()), ()).raw == 3


def test_an_event_hidden_in_a_signed_summary_entry_is_found(ports: tuple[int, int], relay: Relay) -> None:
    """A needle counts wherever it stands, even inside an entry that is in order."""
    entry = entries.build_entry(
        KEYS[ANN], federation=FEDERATION, author=ANN, generation=0, seq=1, prev=EntryId(b"p" * 32),
        charter_version=1, at=1,
        kind="of_a_later_time", data=EVENT,
    )  # fmt: skip
    _post(ports[1], _push(ANN, BOB, entry.encode()))
    tap = _tap(relay)
    account = tap.account({"ann": (0, 1)}, _needles().search(tap.haystack()), _Everything())
    assert account.raw == 1
    assert any("kind of_a_later_time" in fault for fault in account.faults)


def test_a_summary_that_is_in_no_log_is_raw(ports: tuple[int, int], relay: Relay) -> None:
    """It parses, it is signed, it is for a known metric: but the author's log goes another way."""
    first = _summary(ANN, 1, b"p" * 32, (5, -3))
    stray = _summary(ANN, 2, b"q" * 32, (6, -3))
    second = _summary(ANN, 3, first.id, (7, -3))
    pushes = [_push(ANN, BOB, entry.encode(), nonce=nonce) for nonce, entry in enumerate((first, stray, second))]
    _post(ports[1], *pushes)
    assert _tap(relay).account({"ann": (0, 3)}, [], _Everything()).raw == 1


def test_two_summaries_at_one_position_are_both_raw(ports: tuple[int, int], relay: Relay) -> None:
    kept = _summary(ANN, 1, b"p" * 32, (5, -3))
    stray = _summary(ANN, 1, b"p" * 32, (6, -3))
    _post(ports[1], _push(ANN, BOB, kept.encode()), _push(ANN, BOB, stray.encode(), nonce=1))
    assert _tap(relay).account({"ann": (0, 1)}, [], _Everything()).raw == 2


def test_a_summary_that_no_answer_counts_is_raw(ports: tuple[int, int], relay: Relay) -> None:
    kept = _summary(ANN, 1, b"p" * 32, (5, -3))
    _post(ports[1], _push(ANN, BOB, kept.encode()))
    assert _tap(relay).account({"ann": (0, 1)}, [], ()).raw == 1


def test_an_unreachable_node_is_answered_for_and_its_request_counts_as_sent(ports: tuple[int, int]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    relay = Relay([ports[1]], [nobody])
    relay.start()
    body = _push(ANN, BOB)
    assert _post(ports[1], body) == [b""]
    account = _tap(relay).account({}, [], ())
    relay.stop()
    assert account.sent == {("ann", "bob"): len(body)}
    assert account.received == {}


def test_a_byte_can_be_altered_in_flight_for_tests(ports: tuple[int, int]) -> None:
    relay = Relay([ports[1]], [ports[0]], alter=lambda index, path, body: body[:-1] + bytes([body[-1] ^ 1]))
    relay.start()
    assert _post(ports[1], b"not of the mesh") == [requests.REFUSAL]
    relay.stop()
    assert relay.exchanges()[0].request == b"not of the mesh"


def test_a_taken_port_leaves_nothing_open(ports: tuple[int, int]) -> None:
    relay = Relay([ports[1], ports[0]], [ports[0], ports[0]])
    with pytest.raises(OSError):
        relay.start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", ports[1]))
