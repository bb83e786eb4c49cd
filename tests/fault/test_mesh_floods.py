"""Strangers who hold a real node's port: bodies that never end, bodies packed a thousandfold, garbage in numbers.

What a member floods at full size is test_member_floods; that proxies pass what a node sends, test_mesh_proxies.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.requests import PUSH, RANGE, REFUSAL, parse_request
from tests.one_node import OneNode
from tests.simulation.world import QUICK, World

MIB = 1 << 20
SLOW = 60
ASKED = 200
PACKED = 128 * MIB
GROWTH = 48 * MIB  # a node in use grows by itself


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    node = OneNode(tmp_path / "node")
    node.start()
    yield node
    node.stop()


def peak(node: OneNode) -> int:
    """The most memory the node ever held."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def posted(node: OneNode, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    try:
        connection.request(
            "POST", "/mesh/v1/hello", body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_case_16_slow_and_packed_bodies_keep_nobody_else_waiting(node: OneNode) -> None:
    """Sixty uploads of a byte now and then, and 128 MiB in a small packet: others are answered, memory stays."""
    for _ in range(20):
        assert posted(node, b"garbage") == (403, REFUSAL)
    before = peak(node)
    slow = [socket.create_connection(("127.0.0.1", node.port), timeout=30) for _ in range(SLOW)]
    try:
        for one in slow:
            one.sendall(b"POST /mesh/v1/push HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        packed = gzip.compress(bytes(PACKED))
        assert len(packed) < MIB
        with contextlib.suppress(OSError):  # it may hang up on us
            assert 400 <= posted(node, packed, Content_Encoding="gzip")[0] < 500
        for number in range(ASKED):
            assert posted(node, b"garbage %d" % number) == (403, REFUSAL)
            if number % 20 == 0:
                for one in slow:
                    try:
                        one.sendall(b"1\r\nx\r\n")
                    except OSError:
                        continue  # the node gave it up, as it may
        assert peak(node) - before < GROWTH
    finally:
        for one in slow:
            one.close()
    assert posted(node, b"garbage") == (403, REFUSAL)


def test_case_16_a_body_above_the_limit_is_not_read(node: OneNode) -> None:
    """With its length stated and without; the node goes on."""
    for headers in ({}, {"Transfer_Encoding": "chunked"}):
        body = b"%x\r\n" % (8 * MIB) + bytes(8 * MIB) + b"\r\n0\r\n\r\n" if headers else bytes(8 * MIB)
        try:
            status, _ = posted(node, body, **headers)
        except OSError:
            continue  # it hung up before it had read all, as it may
        assert status == 413
    assert posted(node, b"garbage") == (403, REFUSAL)


def test_case_16_what_is_too_large_for_one_request_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.6 MiB of entries committed at once: several pushes, none above what any proxy passes, and nobody has to ask."""
    sent: list[tuple[str, int]] = []
    deliver = World.deliver

    def noted(world: World, node: object, message: bytes) -> bytes | None:
        sent.append((parse_request(message).request.op, len(message)))
        return deliver(world, node, message)  # type: ignore[arg-type]

    world = World(2, 16, settings=replace(QUICK, sync_interval_ms=3_600_000))
    world.settle()
    monkeypatch.setattr(World, "deliver", noted)
    parsed = [world.nodes[0].author.write("note", bytes([number]) * 60_000) for number in range(60)]
    for one in parsed:
        world.commit(world.nodes[0], one)
    world.run(10_000)
    assert {one.id for one in parsed} <= world.nodes[1].disk.ids
    sizes = [size for op, size in sent if op == PUSH]
    assert sum(sizes) > 3 * MIB
    assert len(sizes) >= 4
    assert max(sizes) <= MIB
    assert not [op for op, _ in sent if op == RANGE]
