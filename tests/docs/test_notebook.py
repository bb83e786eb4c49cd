"""The researcher's guide, run as it stands: its Python blocks are one notebook."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.conftest import ROOT
from tests.docs.test_reference import _check_command
from tests.research_kit import ResearchNode, logs_of
from tests.unit.federation.test_proofs import FOUNDING
from tests.unit.node.test_research_surface import application

GUIDE = ROOT / "docs/guides/researcher-notebook.md"
_BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
MakeClient = Callable[..., Awaitable[TestClient[web.Request, web.Application]]]


async def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """Every block, in order, in one namespace; the values it makes are what the text says."""
    node = ResearchNode(tmp_path, logs_of(FOUNDING))
    await node.start()
    served = await aiohttp_client(application(node))
    names: dict[str, Any] = {
        "URL": str(served.make_url("/")), "METRIC": "calls", "FEDERATION": FOUNDING.federation.hex(),
    }  # fmt: skip
    blocks = [text for language, text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8")) if language == "python"]
    assert len(blocks) >= 8
    for text in blocks:
        await asyncio.to_thread(exec, compile(text, str(GUIDE), "exec"), names)
    assert names["rows"][0]["country"] == "DE"
    cells = await asyncio.to_thread(_cells, names["c"])
    assert names["together"] == sum(row["units"] for row in cells)
    assert names["latest"].data["compare"]["cells"][0]["verdict"] == "real"
    assert [row[0] for row in names["table"].rows] == ["2026-11-01/P1D", "2026-11-02/P1D", "2026-11-03/P1D"]
    await node.close()


def test_every_command_of_the_guide_exists() -> None:
    """Each murmur line names a command with its options."""
    lines = [line for language, text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8")) if language == "sh"
             for line in text.splitlines()]  # fmt: skip
    assert lines
    for line in lines:
        _check_command(line.split()[1:], line)


def _cells(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.sql(
        "SELECT units FROM released_cells WHERE metric = 'calls' AND period = '2026-11-03/P1D'"
    ).to_dicts()
    return found
