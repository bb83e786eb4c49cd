"""Scripts of commands on several machines: a federation of nodes in this process, each in a folder of its own.

The form is that of console.py, and besides:

    # on amber              the commands that follow are typed there
    # start dune            the node there is started

A person sits at the terminal and types what is asked for. `https://NAME.example` stands for the address of a node,
`/media/stick` for a folder that is carried from one to the other, and a link with a code for the one made last.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import click
import pytest
import structlog

from node.app import running_node
from node.cli import _murmur
from node.clock import SystemClock
from node.config import load_config
from node.running import Node
from tests.integration.console import Console
from tests.node_kit import PLAN, Shop, free_port, until

METRIC = """\
metric: people
question: How many people are there?
from: any
measure: people
window: day
privacy: {max_cells: "1", rho: "1/400"}
"""
_ADDRESS = re.compile(r"https://([a-z]+)\.example")
_LISTEN = re.compile(r"127\.0\.0\.1:8077")
_LINK = re.compile(r"(https?://[^\s#']+)#[1-9][0-9]*(?:-[a-z]+)+")
_KINDS = (
    (re.compile(r"https?://(?:127\.0\.0\.1:\d+|[a-z]+\.example)"), "<address>"),
    (re.compile(r"#[1-9][0-9]*(?:-[a-z]+){3}\b"), "#<code>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d(?:T\d\d| \d\d:\d\d)?"), "<date>"),
    (re.compile(r"Type [0-9a-f]{4} [0-9a-f]{4} to go on: [0-9a-f]{4} [0-9a-f]{4}"), "Type <mark>"),
    (re.compile(r"\bin \d+ days"), "in <number> days"),
    (re.compile(r"\bentry \d+ of"), "entry <number> of"),
)


class Machines(Console):
    """Runs scripts on the machines of a founded federation and of one more."""

    def __init__(self, root: Path, founders: Sequence[str], newcomer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shops = {name: Shop(root / name, free_port(), token="none") for name in (*founders, newcomer)}
        self.nodes: dict[str, Node] = {}
        self.at = founders[0]
        self.root, self.founders, self.patch = root, founders, monkeypatch
        self.link = ""
        (root / "stick").mkdir()
        for shop in self.shops.values():
            shop.folder.mkdir()
            (shop.folder / "plan.yaml").write_text(PLAN)
        super().__init__(self.shops[self.at], monkeypatch)
        monkeypatch.setenv("XDG_STATE_HOME", str(root / "home/.local/state"))
        self._stack = contextlib.AsyncExitStack()
        self._found()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Machines]:
        """The founders run; whoever the script starts does so until the block ends."""
        assert self._stack is not None
        with structlog.testing.capture_logs():
            async with self._stack:
                for name in self.founders:
                    await self._start_at(name)
                yield self

    async def check(self, script: str) -> None:
        self.patch.setattr("sys.stdin", _Terminal())
        self.patch.setattr("click.prompt", _typed)
        await super().check(script)

    def plain(self, text: str) -> str:
        for pattern, kind in _KINDS:
            text = pattern.sub(kind, text)
        return super().plain(text)

    # -- helpers

    def _found(self) -> None:
        for name in self.founders:
            shop = self.shops[name]
            _verb(
                "init", "--data", shop.data, "--config", shop.config, "--name", name, "--organisation", name,
                "--listen", f"127.0.0.1:{shop.port}", "--advertise", f"http://127.0.0.1:{shop.port}",
                "--plan", shop.folder / "plan.yaml", "--root-key", shop.folder / "root.key",
                "--governance-key", shop.folder / "governance.key", "--request", shop.folder / "request",
                "--anchor", shop.folder / "anchor",
            )  # fmt: skip
            self._quicken(shop)
        (self.root / "metrics").mkdir()
        (self.root / "metrics" / "people.yaml").write_text(METRIC)
        charter = self.root / "charter.murmur"
        requests = [word for name in self.founders for word in ("--with", self.shops[name].folder / "request")]
        _verb(
            "federation", "create", *requests, "--metrics", self.root / "metrics", "--name", "coast", "--counts-from",
            "2026-11-01", "--allow-private", "--out", charter,
        )  # fmt: skip
        for name in self.founders:
            _verb("charter", "sign", charter, "--governance-key", self.shops[name].folder / "governance.key")
        for name in self.founders:
            _verb("charter", "accept", charter, "--config", self.shops[name].config)

    def _quicken(self, shop: Shop) -> None:
        text = shop.config.read_text().replace("[mesh]\n", "[mesh]\nsync_interval_s = 1.0\n")
        shop.config.write_text(f"{text}\n[release]\ntick_s = 1\n")

    async def _start_at(self, name: str) -> None:
        shop = self.shops[name]
        if "sync_interval_s = 1.0" not in shop.config.read_text():
            self._quicken(shop)
        assert self._stack is not None
        started = running_node(load_config(shop.config), asyncio.Event(), clock=SystemClock())
        self.nodes[name] = await self._stack.enter_async_context(started)

    def _words(self, line: str) -> list[str]:
        shop = self.shops[self.at]
        line = _LINK.sub(lambda _: self.link, line)
        line = _ADDRESS.sub(lambda found: f"http://127.0.0.1:{self.shops[found[1]].port}", line)
        line = _LISTEN.sub(f"127.0.0.1:{shop.port}", line).replace("/media/stick", str(self.root / "stick"))
        return super()._words(line)

    async def _ready(self) -> None:
        """Every node signs, and all know and trust the same."""

        def is_settled() -> bool:
            cores = [node.mesh.core for node in self.nodes.values()]
            known = {
                (core.logs.digest, *(one.document.encode() for one in core.charters.council.proposals()))
                for core in cores
            }
            return (
                all(node.holds_back() is None and not node.outbox.held for node in self.nodes.values())
                and len(known) == 1
                and not any(core.charters.council.wanted() for core in cores)
            )

        await until(is_settled, timeout_s=60)

    async def _command(self, line: str) -> list[str]:
        said = await super()._command(line)
        for one in said:
            if found := _LINK.search(one):
                self.link = found[0]
        return said

    def _shown(self, text: str) -> str:
        for folder, name in ((self.root / "stick", "/media/stick"), (self.root / "home", "~"), (self.root, "/srv")):
            text = text.replace(str(folder), name)
        return text

    async def _directive(self, words: list[str]) -> None:
        if words[0] == "on":
            self.at = words[1]
            self.shop = self.shops[self.at]
            self.patch.chdir(self.shop.folder)
        elif words[0] == "start":
            await self._start_at(words[1])
        else:
            await super()._directive(words)


class _Terminal:
    """A person sits at it."""

    def isatty(self) -> bool:
        return True


def _typed(text: str, **_options: object) -> str:
    """What is asked for, as it looks on the screen."""
    wanted = re.search(r"^Type (.*) to go on$", text, re.MULTILINE)
    assert wanted is not None, text
    click.echo(f"{text}: {wanted[1]}", err=True)
    return wanted[1]


def _verb(*words: object) -> None:
    _murmur.main(["--quiet", *map(str, words)], prog_name="murmur", standalone_mode=False)
