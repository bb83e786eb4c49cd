"""Commands as an operator types them, with what they print: tests/cli/scripts/*.txt, each on a node of its own.

The form is that of tests/integration/console.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.console import Console
from tests.node_kit import found_shop

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
async def test_a_script_prints_what_it_says(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of it, good and refused ones, with exit codes."""
    shop = found_shop(tmp_path / "shop")
    (shop.folder / "secret").write_text("six words that nobody guesses\n")
    (shop.folder / "secret").chmod(0o600)
    console = Console(shop, monkeypatch)
    async with console.running():
        await console.check(script.read_text(encoding="utf-8"))


def test_there_are_scripts() -> None:
    """Not an empty folder."""
    assert len(SCRIPTS) >= 3
