"""Strangers who hold a real node's port: bodies that never end, bodies packed a thousandfold, garbage in numbers."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.requests import REFUSAL
from tests.one_node import OneNode

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
