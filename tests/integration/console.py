"""Scripts of commands with what they print, run on a shop in this process: guides and tests/cli/scripts.

    $ murmur keys show            a command; the lines up to the next one are what it prints, on stdout and stderr
    [exit 2]                      after its lines: how it ends, unless with 0
    # stop …, # start …           the node is stopped or started
    # lose …                      its data folder is gone; the anchor and what lies beside the folder stay

The id of a key in `tokens revoke` stands for the key made last. What differs from run to run (ids, keys, sizes,
folders) is compared by its kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from node.cli import main
from node.running import Node
from tests.node_kit import HandClock, Shop, until

_KINDS = (
    (re.compile(r"\bm[wra]_[a-z2-7]{32}\b"), "<key>"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"\b(?:[0-9a-f]{4} ){3,7}[0-9a-f]{4}\b"), "<fingerprint>"),
    (re.compile(r"\b[0-9a-f]{8,}\b"), "<hex>"),
    (re.compile(r"\b[\d,]+ bytes\b"), "<size>"),
    (re.compile(r"\bProcess \d+\b"), "Process <number>"),
    (re.compile(r"\b[\d.]+ GiB\b"), "<size>"),
    (re.compile(r" {2,}"), "  "),
)


def parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """(command or directive, the lines under it)."""
    current: tuple[str, list[str]] | None = None
    for line in text.splitlines():
        if line.startswith(("$ ", "# ")):
            if current is not None:
                yield current
            current = line, []
        elif current is not None:
            current[1].append(line)
    if current is not None:
        yield current


def plain(text: str, shop: Shop) -> str:
    """The text with everything that differs from run to run replaced by its kind."""
    text = text.replace(str(shop.folder), "/srv/shop")
    for pattern, kind in _KINDS:
        text = pattern.sub(kind, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Console:
    """Runs scripts in the shop's folder."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch, clock: HandClock | None = None) -> None:
        self.shop = shop
        self.clock = clock or HandClock()
        self._stack: contextlib.AsyncExitStack | None = None
        self.node: Node | None = None
        self._made = ""
        shop.token = "none"  # the shop makes itself no key
        monkeypatch.chdir(shop.folder)
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr("node.cli.restore.time.time", lambda: self.clock.now_ms() / 1000)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Console]:
        """The node runs, until a script stops it or the block ends."""
        await self._start()
        try:
            yield self
        finally:
            await self._stop()

    async def filled(self, script: str) -> str:
        """The script with what its commands print now."""
        lines: list[str] = []
        for line, _ in parts(script):
            lines.append(line)
            if line.startswith("$ "):
                lines += await self._command(line[2:])
            else:
                await self._directive(line[2:].split())
        return "\n".join(lines) + "\n"

    async def check(self, script: str) -> None:
        """Each command prints what stands under it."""
        for expected in parts(script):
            found = "\n".join((await self.filled(f"{expected[0]}\n")).splitlines()[1:])
            assert self.plain(found) == self.plain("\n".join(expected[1])), expected[0]

    def plain(self, text: str) -> str:
        """The text with everything that differs from run to run replaced by its kind."""
        return plain(text, self.shop)

    async def _command(self, line: str) -> list[str]:
        words, target = self._words(line), None
        if ">" in words:
            target = Path(words[words.index(">") + 1])
            words = words[: words.index(">")]
        assert words[0] == "murmur", line
        if words[1:3] == ["tokens", "revoke"] and self._made:
            words[3] = self._made
        both, out = io.StringIO(), io.StringIO()

        def run() -> int:
            with contextlib.redirect_stdout(out if target else both), contextlib.redirect_stderr(both):
                try:
                    main(words[1:])
                except SystemExit as end:
                    return int(str(end.code))
            return 0

        await self._ready()
        code = await asyncio.to_thread(run)
        if target is not None:
            target.write_text(out.getvalue())
            target.chmod(0o600)
        if found := re.search(r"^Made \w+ key ([0-9a-f]{12}) ", both.getvalue(), re.MULTILINE):
            self._made = found[1]
        said = self._shown(both.getvalue()).splitlines()
        return [*said, *([f"[exit {code}]"] if code else [])]

    def _shown(self, text: str) -> str:
        return text.replace(str(self.shop.folder), "/srv/shop")

    def _words(self, line: str) -> list[str]:
        return shlex.split(line, comments=True)

    async def _ready(self) -> None:
        """Before a command: after a recovery the node signs again at the next tick."""
        node = self.node
        if node is not None:
            await until(lambda: node.holds_back() is None)

    async def _directive(self, words: list[str]) -> None:
        if words[0] == "stop":
            await self._stop()
        elif words[0] == "start":
            await self._start()
        elif words[0] == "lose":
            shutil.rmtree(self.shop.data)
        else:
            raise ValueError(f"no directive: {words}")

    async def _start(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.node, _ = await self._stack.enter_async_context(self.shop.run(self.clock))
        node = self.node
        await until(lambda: node.holds_back() is None)

    async def _stop(self) -> None:
        if self._stack is not None:
            await self._stack.aclose()
        self._stack = self.node = None
