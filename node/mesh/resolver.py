"""Where a peer's name may lead: the address that was checked is the address that is connected to (PROTOCOL 4).

An endpoint is written by another member, so it is an outsider's URL. Unless the charter allows private addresses, a
name that resolves to one is refused; and since the check sits in the resolver that the connector uses, no second
look-up can answer differently.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from protocol.endpoints import is_private_address


class GuardedResolver(AbstractResolver):
    """The system's resolver, with private answers dropped unless they are allowed at this moment."""

    def __init__(self, private_allowed: Callable[[], bool]) -> None:
        self._inner = ThreadedResolver()
        self._private_allowed = private_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [result for result in found if self._private_allowed() or not is_private_address(result["host"])]
        if not allowed:
            raise OSError(f"{host} leads only to private addresses, which the charter does not allow")
        return allowed

    async def close(self) -> None:
        await self._inner.close()
