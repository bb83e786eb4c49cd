"""The admin's guide, run from its first block to its last: what it shows is what is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.console import Console
from tests.node_kit import found_shop

GUIDE = ROOT / "docs/admin.md"
_BLOCK = re.compile(r"```(console|toml)\n(.*?)```", re.DOTALL)


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    shop = found_shop(tmp_path / "shop")
    for name in ("passphrase", "backup.passphrase"):
        (shop.folder / name).write_text("six words that nobody guesses\n")
        (shop.folder / name).chmod(0o600)
    return Console(shop, monkeypatch)


async def test_every_block_of_the_guide_is_what_happens(console: Console) -> None:
    """In order, on one node; a toml block is what is added to node.toml."""
    async with console.running():
        for kind, text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
            if kind == "toml":
                console.shop.config.write_text(f"{console.shop.config.read_text()}\n{text}")
            else:
                await console.check(text)
