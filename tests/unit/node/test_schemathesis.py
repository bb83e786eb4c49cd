"""The research surface against its specification, by generated requests; runs where schemathesis is installed.

    pip install schemathesis

Left out: `/v1/live` (a stream without end), paths of other listeners, and the check that every request the schema
allows is answered: whether a metric, a label or a statement exists is not in a schema.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.research_kit import ResearchNode, logs_of
from tests.unit.federation.test_proofs import FOUNDING
from tests.unit.node.test_research_surface import SPEC, application

PATHS = ("metrics", "insights", "releases", "proofs", "peers", "sql", "federation")
TOOL = shutil.which("st", path=str(Path(sys.executable).parent)) or shutil.which("schemathesis")


@pytest.mark.slow
@pytest.mark.skipif(TOOL is None, reason="schemathesis is not installed")
async def test_schemathesis_finds_nothing(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[web.Request, web.Application]]]
) -> None:
    """No server error, no undocumented status or body, on what the schema generates and on what breaks it."""
    node = ResearchNode(tmp_path, logs_of(FOUNDING))
    await node.start()
    served = await aiohttp_client(application(node))
    command = [
        str(TOOL), "run", str(SPEC), "--url", str(served.make_url("/")).rstrip("/"), "--no-color",
        "--max-examples", "25",
        "--include-path-regex", f"^/v1/({'|'.join(PATHS)})", "--phases", "examples,coverage,fuzzing",
        "--exclude-checks", "positive_data_acceptance",
    ]  # fmt: skip
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, cwd=tmp_path)
    await node.close()
    assert ended.returncode == 0, ended.stdout[-6000:]
