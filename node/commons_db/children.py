"""The child processes that build and ask the commons: how they start, speak and end.

Nothing of the node's environment reaches them but the path of the program. They die with their caller's patience.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_MAX_LINE: Final = 1 << 20


class ChildFailed(Exception):
    """The child ended without an answer; the text says how, and quotes nothing it said."""


async def start(module: str) -> asyncio.subprocess.Process:
    """A child running `python -m module`, its pipes open."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"}, limit=_MAX_LINE,
    )  # fmt: skip


async def converse(child: asyncio.subprocess.Process, lines: Iterable[bytes] | AsyncIterable[bytes]) -> bytes:
    """Send the lines, close the child's stdin, and read all that it answers.

    Raises:
        ChildFailed: it ended with another code than 0.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    reading = asyncio.create_task(child.stdout.read())
    try:
        with contextlib.suppress(ConnectionError):  # it ended early; its code says why
            if isinstance(lines, AsyncIterable):
                async for line in lines:
                    child.stdin.write(line)
                    await child.stdin.drain()
            else:
                child.stdin.writelines(lines)
                await child.stdin.drain()
            child.stdin.close()
        answer = await reading
        code = await child.wait()
    finally:
        reading.cancel()
        end(child)
    if code != 0:
        raise ChildFailed(f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}")
    return answer


def end(child: asyncio.subprocess.Process) -> None:
    """Kill the child if it still lives."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
