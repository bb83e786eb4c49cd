"""The client of the admin socket: standard library only, and every answer or silence has its name."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.admin_client import AdminClient, RefusedByNode
from node.cli.kit.exits import exit_code_of
from node.errors import TransportError


@contextmanager
def _node(data: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A node that answers one request with these bytes; yields what it was asked."""
    path = data / "s"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    (data / "socket").write_text(f"{path}\n")
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        asked.append(_whole_request(connection))
        connection.sendall(answer)
        connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield asked
        thread.join(5)
    finally:
        server.close()


def _whole_request(connection: socket.socket) -> bytes:
    """Head and body: they come in two pieces, and a server that answers the first breaks the pipe of the second."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def _http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a path short enough for a unix socket."""
    return tmp_path


def test_an_answer_is_its_document(data: Path) -> None:
    """GET brings the JSON, the query is encoded."""
    with _node(data, _http("200 OK", b'{"schema": "x/1"}')) as asked:
        assert AdminClient(data).get("/v1/x", {"by": "a b"}) == {"schema": "x/1"}
    assert asked[0].startswith(b"GET /v1/x?by=a+b HTTP/1.1\r\n")


def test_a_body_goes_as_json(data: Path) -> None:
    """POST sends what it was given, labelled as JSON."""
    with _node(data, _http("202 Accepted", b"")) as asked:
        assert AdminClient(data).post("/v1/x", {"through": "2026-11-18"}) == {}
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"through": "2026-11-18"}


@pytest.mark.parametrize(("status", "code"), [(404, 3), (403, 4), (409, 7), (422, 2), (429, 75), (503, 75), (500, 1)])
def test_a_refusal_keeps_the_nodes_words(data: Path, status: int, code: int) -> None:
    """A problem document becomes the failure, with an exit code of its status."""
    body = json.dumps({"title": "No such metric", "detail": "it is not in the catalogue", "code": "unknown_metric"})
    with _node(data, _http(f"{status} X", body.encode())), pytest.raises(RefusedByNode) as refused:
        AdminClient(data).get("/v1/x")
    assert (refused.value.code, refused.value.what) == ("unknown_metric", "No such metric")
    assert exit_code_of(refused.value) == code


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", _http("200 OK", b"<html>")])
def test_nonsense_is_a_transport_error(data: Path, answer: bytes) -> None:
    """What is no answer never becomes data."""
    with _node(data, answer), pytest.raises(TransportError):
        AdminClient(data).get("/v1/x")


def test_silence_is_node_not_running(data: Path) -> None:
    """No socket file, or one that nobody listens on."""
    for prepare in (lambda: None, lambda: (data / "socket").write_text(str(data / "nobody"))):
        prepare()
        with pytest.raises(TransportError) as silent:
            AdminClient(data).get("/v1/x")
        assert silent.value.code == "node_not_running"
