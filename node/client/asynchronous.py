"""The same client for asyncio: each call runs in a thread, so nothing else is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from node.client.answers import Answer, Table
from node.client.synchronous import Client


class AsyncClient:
    """`Client` with `await`; the same arguments, answers and errors."""

    def __init__(self, url: str | Path = "http://127.0.0.1:7700", token: str | None = None, *, timeout_s: float = 30.0):
        self._client = Client(url, token, timeout_s=timeout_s)

    async def metrics(self) -> Table:
        return await asyncio.to_thread(self._client.metrics)

    async def query(self, metric: str, **asked: Any) -> Answer:
        return await asyncio.to_thread(self._client.query, metric, **asked)

    async def sql(
        self, statement: str, parameters: Mapping[str, Any] | Sequence[Any] = (), max_rows: int | None = None
    ) -> Table:
        return await asyncio.to_thread(self._client.sql, statement, parameters, max_rows)

    async def releases(self, **filters: str) -> list[dict[str, Any]]:
        """Every release at once, newest window first."""
        return await asyncio.to_thread(lambda: list(self._client.releases(**filters)))

    async def proof(self, release: str) -> bytes:
        return await asyncio.to_thread(self._client.proof, release)

    async def proposals(self, metric: str | None = None) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._client.proposals, metric)

    async def propose(self, definition: Mapping[str, Any] | str | Path, **asked: Any) -> dict[str, Any]:
        return await asyncio.to_thread(lambda: self._client.propose(definition, **asked))

    async def federation(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.federation)

    async def live(self, after: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Events as they happen; one thread reads as long as you do."""
        events = self._client.live(after)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event
