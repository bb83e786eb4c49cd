"""Carries mesh requests to peers: one POST, no redirects, bounded in time and size.

What the URL, the headers or TLS say is never used for a decision (I5); the body's signatures are.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from typing import Final

import aiohttp
from yarl import URL

from node.errors import TransportError
from node.mesh.resolver import GuardedResolver
from node.mesh.tls import KeyPin
from protocol.endpoints import is_private_address

MEDIA_TYPE: Final = "application/vnd.murmur.mesh+msgpack;v=1"
MAX_RESPONSE_BYTES: Final = 2 << 20  # a range response: 1 MiB of entries and its envelope
TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)


class MeshTransport:
    """One client session for all peers."""

    def __init__(self, private_allowed: Callable[[], bool]) -> None:
        self._private_allowed = private_allowed
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, op: str, body: bytes, tls_pin: bytes | None) -> bytes:
        """The body a peer answers with, whatever its status; its signature decides what it is worth.

        Raises:
            TransportError: no peer there, an answer too large or not of the mesh, or a pinned key.
        """
        target = URL(url.rstrip("/") + "/mesh/v1/" + op)
        self._check(target)
        trust = True if tls_pin is None else KeyPin(tls_pin)
        try:
            async with self._open().post(
                target, data=body, headers={"Content-Type": MEDIA_TYPE}, allow_redirects=False, ssl=trust
            ) as response:
                answer = await response.content.read(MAX_RESPONSE_BYTES + 1)
                while not response.content.at_eof() and len(answer) <= MAX_RESPONSE_BYTES:
                    answer += await response.content.read(MAX_RESPONSE_BYTES + 1 - len(answer))
                status, kind = response.status, response.content_type
        except aiohttp.ServerFingerprintMismatch as error:
            raise _failed("its TLS key is not the one its endpoint pins") from error
        except (TimeoutError, aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise _failed(str(error) or type(error).__name__) from error
        if len(answer) > MAX_RESPONSE_BYTES:
            raise _failed("the answer is too large")
        if kind != MEDIA_TYPE.partition(";")[0]:
            raise _failed(f"HTTP {status} without a mesh answer; a proxy in between may have spoken")
        return answer

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self._private_allowed), limit=64, limit_per_host=4, ttl_dns_cache=60
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=TIMEOUT,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _check(self, target: URL) -> None:
        """Refuse plain http beyond loopback, and literal private addresses that are not allowed."""
        host = target.host or ""
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            literal = None
        if literal is not None and not self._private_allowed() and is_private_address(host):
            raise _failed(f"{host} is a private address, which the charter does not allow")
        if target.scheme == "https":
            return
        if target.scheme != "http" or literal is None or not literal.is_loopback or not self._private_allowed():
            raise _failed("plain http is for literal loopback addresses under allow_private only")


def _failed(why: str) -> TransportError:
    return TransportError(
        code="peer_unreachable", what="The peer could not be asked", why=why, fix="It is tried again by itself"
    )
