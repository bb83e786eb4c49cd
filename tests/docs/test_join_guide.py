"""The guide for who joins, run from its first block to its last on four machines: what it shows is what is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.machines import Machines

GUIDE = ROOT / "docs/guides/operator-join.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


async def test_every_block_of_the_guide_is_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order: invite, ask, approve by two, sign, install, run; then decide, offline too."""
    machines = Machines(tmp_path, ("amber", "birch", "cedar"), "dune", monkeypatch)
    async with machines.running():
        for text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
            await machines.check(text)
