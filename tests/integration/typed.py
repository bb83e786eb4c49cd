"""Commands typed at a shop's machine, beside the node that runs in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from node.cli import main
from tests.node_kit import Shop


class Typed:
    """`await typed("keys", "show")` gives stdout and stderr together; `typed.json(…)` the document."""

    def __init__(self, shop: Shop, capsys: pytest.CaptureFixture[str], *, has_config: bool = True) -> None:
        self.shop = shop
        self.capsys = capsys
        self.config = ["--config", str(shop.config)] if has_config else []

    async def __call__(self, *words: object, code: int = 0) -> str:
        return "".join(await self._said(words, code))

    async def json(self, *words: object, code: int = 0) -> dict[str, Any]:
        out, err = await self._said((*words, "--json"), code)
        return dict(json.loads(out or err))

    async def _said(self, words: tuple[object, ...], code: int) -> tuple[str, str]:
        said = await asyncio.to_thread(self._run, [*map(str, words), *self.config])
        assert said[0] == code, said
        return said[1:]

    def _run(self, words: list[str]) -> tuple[int, str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(str(end.value.code)), *self.capsys.readouterr()


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> list[str]:
    """Make stdin a terminal at which `answer` types; what was asked."""
    asked: list[str] = []

    def prompt(text: str, **_options: object) -> str:
        asked.append(text)
        return answer(text)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", prompt)
    return asked
