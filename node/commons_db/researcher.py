"""Asking the commons: one statement at a time per process, bounded in time, memory, rows and number.

A statement runs in a child that is killed when its time is over. One child waits warm after the first question, so
the next does not wait for imports; it ends by itself when nobody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from node.commons_db import children
from node.commons_db.projection import Projection
from node.errors import NodeError

ASK: Final = "node.commons_db.ask"
WARM_S: Final = 60.0  # a waiting child without work ends after this


class SqlRefused(NodeError):
    """A statement that may not run, or failed; the one who sent it mends it."""

    code = "sql_refused"

    def __init__(self, *, code: str, why: str, fix: str, status: int = 400) -> None:
        super().__init__(what="The statement is refused", why=why, fix=fix, code=code)
        self.status = status


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What one statement may take: seconds, MB, threads, rows; how many run and wait at once."""

    time_s: int = 10
    memory_mb: int = 512
    threads: int = 1
    max_rows: int = 100_000
    running: int = 2
    waiting: int = 16


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """What a statement found.

    Args:
        columns: Name and Arrow type of each.
        rows: How many.
        truncated: True when there were more than the limit.
        body: In the form asked for.
        commons: How far the commons was: `Projection.state`.
    """

    columns: Sequence[dict[str, str]]
    rows: int
    truncated: bool
    body: bytes
    commons: str


class Researcher:
    """Runs statements against one projection."""

    def __init__(self, projection: Projection, limits: SqlLimits | None = None) -> None:
        self.limits = limits or SqlLimits()
        self._projection = projection
        self._slots = asyncio.Semaphore(self.limits.running)
        self._waiting = 0
        self._warm: asyncio.subprocess.Process | None = None
        self._cooling: asyncio.TimerHandle | None = None

    async def ask(
        self, sql: str, parameters: dict[str, Any] | list[Any], form: str, max_rows: int | None = None
    ) -> SqlAnswer:
        """Run one statement.

        Raises:
            SqlRefused: it may not run, failed, or took too long; or the node is busy or not ready.
        """
        if self._waiting >= self.limits.waiting:
            raise _busy()
        self._waiting += 1
        try:
            async with self._slots:
                return await self._ask(sql, parameters, form, max_rows)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the waiting child."""
        child = self._warm
        self._cool()
        if child is not None:
            await child.wait()

    async def _ask(self, sql: str, parameters: Any, form: str, max_rows: int | None) -> SqlAnswer:
        if not self._projection.exists:
            self._projection.look_again()
            raise SqlRefused(
                code="commons_not_built",
                why="the tables are being built for the first time",
                fix="Try again in a moment; /readyz says when they are there",
                status=503,
            )
        limits = self.limits
        question = {
            "file": str(self._projection.file),
            "sql": sql,
            "parameters": parameters,
            "form": form,
            "max_rows": min(max_rows or limits.max_rows, limits.max_rows),
            "memory_mb": limits.memory_mb,
            "threads": limits.threads,
            "time_s": limits.time_s,
        }
        state = self._projection.state
        child = await self._child()
        try:
            async with asyncio.timeout(limits.time_s):
                answer = await children.converse(child, [msgspec.json.encode(question) + b"\n"])
        except TimeoutError:
            raise SqlRefused(
                code="sql_timeout",
                why=f"it ran longer than {limits.time_s} s",
                fix="Ask for fewer rows or periods; an index does not help, a WHERE does",
            ) from None
        except children.ChildFailed as error:
            raise SqlRefused(
                code="sql_failed",
                why=f"the process that ran it failed: {error}",
                fix="It may need too much memory; aggregate more, or ask for fewer rows",
            ) from None
        line, _, body = answer.partition(b"\n")
        head = msgspec.json.decode(line)
        if "error" in head:
            raise SqlRefused(**head["error"])
        return SqlAnswer(head["columns"], head["rows"], head["truncated"], body, state)

    async def _child(self) -> asyncio.subprocess.Process:
        """The waiting child or a new one; another is started to wait for the next question."""
        child, self._warm = self._warm, None
        if child is None or child.returncode is not None:
            child = await children.start(ASK)
        self._cool()
        self._warm = await children.start(ASK)
        self._cooling = asyncio.get_running_loop().call_later(WARM_S, self._cool)
        return child

    def _cool(self) -> None:
        child, self._warm = self._warm, None
        if self._cooling is not None:
            self._cooling.cancel()
        if child is not None:
            children.end(child)


def _busy() -> SqlRefused:
    return SqlRefused(
        code="sql_busy", why="too many statements wait already", fix="Try again in a few seconds", status=503
    )
