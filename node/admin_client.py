"""How a command talks to the running node: HTTP and JSON over the unix socket named in `DATA/socket`.

Only the standard library, so that `murmur status` starts in no time. The socket is the operator's door: its
file mode decides who may enter, no key is sent. Nothing here opens the node's databases: the node owns them
alone.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from node.errors import NodeError, TransportError

_PART_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 64 << 20  # the largest answer is an insight of 65 536 cells, about 20 MB of JSON


class RefusedByNode(NodeError):
    """The node answered with a problem document (RFC 9457); its own code and words are kept.

    Attributes:
        status: The HTTP status, 400 to 599.
        problem: The whole document, for `--json`.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        title = str(problem.get("what") or problem.get("title") or f"The node answered {status}")
        detail = str(problem.get("why") or problem.get("detail") or "it gave no reason")
        fix = str(problem.get("fix") or problem.get("hint") or "See the node's log")
        super().__init__(code=str(problem.get("code") or f"http_{status}"), what=title, why=detail, fix=fix)
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came: its body, and its headers by name."""

    body: bytes
    headers: Mapping[str, str]


class AdminClient:
    """One node's admin socket. Each call is one request on one connection."""

    def __init__(self, data: Path, *, timeout_s: float = 30.0) -> None:
        """Remember where the node lives; nothing is opened yet.

        Args:
            data: The node's data folder.
            timeout_s: The longest wait for one answer, in seconds.
        """
        self.data = data
        self.timeout_s = timeout_s

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        """The JSON document at `path`.

        Raises:
            TransportError: no node answers (code `node_not_running`), or it answered something else than
            JSON.
            RefusedByNode: the node refused, with its reason.
        """
        return self._call("GET", path + ("?" + urlencode(query) if query else ""), None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send `body` as JSON and return the JSON answer; raises like `get`."""
        return self._call("POST", path, body)

    def delete(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Delete what `path`, or `body` where a name must not stand in a path, names; raises like `get`."""
        return self._call("DELETE", path, body)

    def post_for_bytes(self, path: str, body: dict[str, Any]) -> bytes:
        """As `post`, with the answer's body as it came."""
        return self.exchange("POST", path, body).body

    def get_bytes(self, path: str, query: dict[str, str] | None = None) -> bytes:
        """The answer's body as it came, for documents that are passed on; raises like `get`."""
        return self.exchange("GET", path + ("?" + urlencode(query) if query else "")).body

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        raw = self.exchange(method, path, body).body
        if not raw:
            return {}
        try:
            return json.loads(raw)
        except ValueError as error:
            raise TransportError(
                code="answer_malformed",
                what="The node's answer cannot be read",
                why=f"{path} did not answer with JSON",
                fix="Check that the murmur command and the running node have the same version",
            ) from error

    @staticmethod
    def path(path: str, query: Mapping[str, str]) -> str:
        """The path with its query."""
        return f"{path}?{urlencode(query)}" if query else path

    @property
    def socket(self) -> Path:
        """Where the node listens.

        Raises:
            TransportError: no node runs on the data folder.
        """
        return self._socket_path()

    def exchange(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, accept: str = "application/json"
    ) -> RawAnswer:
        """Any request and its answer, whatever form it has; raises like `get`."""
        connection = _UnixConnection(self._socket_path(), self.timeout_s)
        headers = {"Accept": accept, "Host": "localhost"}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            raw = answer.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        finally:
            connection.close()
        if len(raw) > MAX_ANSWER_BYTES:
            raise TransportError(
                code="answer_too_large",
                what="The node's answer is too large",
                why=f"it is longer than {MAX_ANSWER_BYTES} bytes",
                fix="Ask for a shorter period",
            )
        if answer.status >= 400:
            raise RefusedByNode(answer.status, _problem(raw))
        return RawAnswer(raw, dict(answer.getheaders()))

    def stream(self, method: str, path: str) -> Iterator[bytes]:
        """The parts of an answer of any length; raises like `get`, also when it ends before its end."""
        connection = _UnixConnection(self._socket_path(), self.timeout_s)
        try:
            connection.request(method, path, None, {"Host": "localhost"})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise RefusedByNode(answer.status, _problem(answer.read(MAX_ANSWER_BYTES)))
            left = int(answer.headers.get("Content-Length") or 0)
            while left:
                part = answer.read(min(left, _PART_BYTES))
                if not part:
                    raise http.client.IncompleteRead(b"", left)
                left -= len(part)
                yield part
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        finally:
            connection.close()

    def _socket_path(self) -> Path:
        try:
            return Path((self.data / "socket").read_text(encoding="utf-8").strip())
        except OSError as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> TransportError:
        if isinstance(error, TimeoutError):
            return TransportError(
                code="node_timeout",
                what="The node did not answer in time",
                why=f"{self.timeout_s:g} s passed; it may be busy",
                fix="Try again, and look at its log if this goes on",
            )
        if isinstance(error, PermissionError):
            return TransportError(
                code="node_forbidden",
                what="The node's socket cannot be opened",
                why="it belongs to another user",
                fix="Run the command as the user who runs the node",
            )
        return TransportError(
            code="node_not_running",
            what="No node answers",
            why=f"nothing listens for the data folder {self.data}",
            fix='Start it with "murmur run", or name another node with --config or --data',
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _problem(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
