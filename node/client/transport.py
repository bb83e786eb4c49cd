"""One HTTP exchange with a node, over TCP, TLS or the admin socket; tried again where that is safe.

Every question is free and changes nothing, so all of them may be repeated: after a lost connection, and after 429,
502, 503 and 504, at most `TRIES` times in all, waiting as the node asks (up to `LONGEST_WAIT_S`) or 0.2 s, 0.4 s, …
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from node.client.errors import ClientError, Unavailable, error_of

TRIES: Final = 4
LONGEST_WAIT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 256 << 20
_AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, undecoded."""

    body: bytes
    headers: Mapping[str, str]


class Transport:
    """Where a node is and how to speak to it."""

    def __init__(
        self, url: str | Path, token: str | None, timeout_s: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Remember the address; nothing is opened.

        Args:
            url: `http://…`, `https://…`, or the path of a node's admin socket.
            token: An `mr_` key, or None.
            timeout_s: The longest wait for one answer.
        """
        self.url = str(url).rstrip("/")
        self.timeout_s = timeout_s
        self._token = token
        self._sleep = sleep

    def send(self, method: str, path: str, body: bytes | None = None, accept: str = "application/json") -> Reply:
        """One exchange.

        Raises:
            ClientError: one of its kinds.
        """
        for attempt in range(TRIES):
            is_last = attempt == TRIES - 1
            try:
                return self._once(method, path, body, accept)
            except ClientError as error:
                wait_s = getattr(error, "retry_after_s", 0.0) or 0.2 * 2**attempt
                may_help = error.status is None or error.status in _AGAIN
                if is_last or not may_help or wait_s > LONGEST_WAIT_S:
                    raise
                self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def open(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """An answer that is read as it comes; closing it is the caller's work."""
        connection = self._connection(None)
        try:
            connection.request("GET", path, headers={**self._headers("text/event-stream"), **headers})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._silent(error) from error
        if response.status != 200:
            raise _problem(response.status, response.read(1 << 20), response.headers.get("Retry-After"))
        return response

    def _once(self, method: str, path: str, body: bytes | None, accept: str) -> Reply:
        connection = self._connection(self.timeout_s)
        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            raw = answer.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _problem(answer.status, raw, answer.headers.get("Retry-After"))
        return Reply(raw, dict(answer.headers.items()))

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "murmur-client"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _connection(self, timeout_s: float | None) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        return _SocketConnection(self.url, timeout_s)

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            "No node answers",
            f"{self.url}: {getattr(error, 'strerror', None) or type(error).__name__}",
            "Check the address, and that the node runs",
            code="node_unreachable",
        )


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _problem(status: int, raw: bytes, retry_after: str | None) -> ClientError:
    try:
        document = json.loads(raw)
    except ValueError:
        document = {}
    wait_s = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    error = error_of(status, document if isinstance(document, dict) else {}, wait_s)
    if wait_s:
        error.retry_after_s = wait_s  # type: ignore[attr-defined]  # RateLimited has it; others may
    return error
