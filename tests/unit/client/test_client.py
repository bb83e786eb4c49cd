"""The Python client against a real surface: questions, tables, citations, proofs, live events, errors, imports."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from federation.proofs import ProofRefused
from node.client import AsyncClient, BadQuestion, NotAllowed, NotFound, RateLimited, Unavailable
from node.client.transport import Transport
from node.http.access import RateLimiter, read_gate
from tests.conftest import ROOT
from tests.research_kit import ResearchNode, logs_of
from tests.simulation.author import day
from tests.unit.federation.test_proofs import FOUNDING
from tests.unit.node.test_research_surface import _Keys, application, live_of

MakeClient = Callable[..., Awaitable[TestClient[web.Request, web.Application]]]
SPAN = {"from_": "2026-11-01", "to": "2026-11-04"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ResearchNode]:
    made = ResearchNode(tmp_path, logs_of(FOUNDING))
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def client(node: ResearchNode, aiohttp_client: MakeClient) -> AsyncClient:
    served = await aiohttp_client(application(node))
    return AsyncClient(str(served.make_url("/")))


async def test_a_question_in_all_its_shapes(client: AsyncClient) -> None:
    """Rows, columns, HTML with a whisker per row, an Arrow table, a chart."""
    answer = await client.query("calls", **SPAN, raw=True)
    assert answer.columns == ["country", "estimate", "lower", "upper", "sigma", "shown"]
    table = answer.to_table()
    assert [row[1] for row in table.rows] == [cell["estimate"] for cell in answer.data["cells"]]
    assert answer.to_arrow().column("country").to_pylist() == ["DE", "FR", "other", "none"]
    page = answer._repr_html_()
    HTMLParser().feed(page)
    assert page.count("<svg") == 4
    assert "privacy interval" in page
    assert str(answer.chart()).count("<circle") == 4
    narrowed = await client.query("calls", **SPAN, raw=True, by="total", where={"country": ["DE", "FR"]})
    assert narrowed.data["total"]["estimate"] == sum(row[1] for row in table.rows[:2])
    assert "calls" in [row[0] for row in (await client.metrics()).rows]
    frame = answer.to_pandas() if _has("pandas") else None
    assert frame is None or list(frame.columns) == answer.columns


async def test_sql(client: AsyncClient) -> None:
    table = await client.sql("SELECT metric, count(*) AS n FROM releases GROUP BY ALL ORDER BY ALL")
    assert table.to_dicts() == [{"metric": "calls", "n": 9}, {"metric": "visits", "n": 6}]
    assert (table.commons, table.is_truncated) == ("current", False)
    assert "<th>metric</th>" in table._repr_html_()
    table = await client.sql("SELECT $a + 1 AS b", {"a": 41})
    assert table.rows == [[42]]
    with pytest.raises(BadQuestion) as refused:
        await client.sql("DROP TABLE metrics")
    assert refused.value.code == "sql_not_a_select"


async def test_a_citation_says_when_the_inputs_have_changed(client: AsyncClient, node: ResearchNode) -> None:
    answer = await client.query("visits", from_="2026-11-01", to="2026-11-12")
    same = await asyncio.to_thread(answer.cite)
    assert answer.identity in same
    assert "the same releases" in same
    node.learn(node.authors[0].summary(FOUNDING.named("visits"), day(9), [5, 6, 7, 8]))
    assert "have changed since" in await asyncio.to_thread(answer.cite)
    assert "have changed" not in answer.cite(check=False)


async def test_an_answer_is_verified_release_by_release(client: AsyncClient, node: ResearchNode) -> None:
    answer = await client.query("calls", **SPAN)
    found = await asyncio.to_thread(answer.verify, FOUNDING.federation.hex())
    assert found.releases == 9
    assert "Not proved" in str(found)
    with pytest.raises(ProofRefused, match="federation id"):
        await asyncio.to_thread(answer.verify, "00" * 32)
    narrowed = await client.query(
        "calls", **SPAN, where={"country": "DE"}, nodes=["node0", "node1"], compare="previous"
    )
    assert (await asyncio.to_thread(narrowed.verify)).releases == 6
    forged = replace(answer, data={**answer.data, "total": {**answer.data["total"], "estimate": 1}})
    with pytest.raises(BadQuestion, match="other numbers"):
        await asyncio.to_thread(forged.verify)
    relative = await client.query("calls", last="2d")
    node.learn(node.authors[0].summary(FOUNDING.named("calls"), day(3), [5, 6, 7, 8]))
    with pytest.raises(BadQuestion, match="inputs have changed"):
        await asyncio.to_thread(relative.verify)


async def test_badges_are_asked_for_when_they_are_read(client: AsyncClient) -> None:
    """Beside the same answer; with `badges=True` they come with it, and a notebook shows an alarm in words."""
    first, second, third = (FOUNDING.members[place].name for place in range(3))
    plain = await client.query("calls", **SPAN)
    asked = await client.query("calls", **SPAN, badges=True)
    assert "badges" not in plain.data
    found = await asyncio.to_thread(lambda: plain.badges)
    assert found == asked.badges == asked.data["badges"]
    assert {**asked.data, "badges": None} == {**plain.data, "badges": None}
    assert [one["names"] for one in found["influence"]] == [[name] for name in (third, second, first)]
    assert f"driven by one: {third}" in asked._repr_html_()
    assert "driven by one" not in plain._repr_html_()


async def test_live_events_and_resuming(node: ResearchNode, aiohttp_client: MakeClient) -> None:
    live = live_of(node)
    served = await aiohttp_client(application(node, live))
    client = AsyncClient(str(served.make_url("/")))
    events = client.live()
    first = asyncio.ensure_future(anext(events))
    while not live.listeners:
        await asyncio.sleep(0.01)
    live.on_judged(node.learn(node.authors[0].summary(FOUNDING.named("visits"), day(9), [5, 6, 7, 8])))
    release = await first
    answer = await anext(events)
    assert (release["event"], release["data"]["metric"], answer["event"]) == ("release", "visits", "answer")
    assert (await anext(client.live(after=release["id"])))["id"] == answer["id"]
    live.close()


async def test_errors_have_kinds(client: AsyncClient, node: ResearchNode, aiohttp_client: MakeClient) -> None:
    with pytest.raises(NotFound) as missing:
        await client.query("no_such")
    assert missing.value.code == "unknown_metric"
    with pytest.raises(BadQuestion):
        await client.query("calls", window="today")
    with pytest.raises(Unavailable) as silent:
        await asyncio.to_thread(Transport("http://127.0.0.1:1", None, 1, lambda _: None).send, "GET", "/v1/metrics")
    assert silent.value.code == "node_unreachable"
    gate = read_gate(_Keys(), is_open=False, limiter=RateLimiter(lambda: 0.0, 1))
    served = await aiohttp_client(application(node, gate=gate))
    with pytest.raises(NotAllowed):
        await AsyncClient(str(served.make_url("/"))).metrics()
    keyed = AsyncClient(str(served.make_url("/")), "mr_good")
    await keyed.metrics()
    with pytest.raises(RateLimited) as limited:  # an hour's wait is not worth it: no try is made again
        await keyed.metrics()
    assert limited.value.retry_after_s == 3600


async def test_a_busy_node_is_asked_again(aiohttp_client: MakeClient) -> None:
    """503 with Retry-After: waited for as asked, then answered."""
    left = [2]

    async def busy(_request: web.Request) -> web.Response:
        left[0] -= 1
        if left[0] >= 0:
            return web.Response(status=503, headers={"Retry-After": "1"})
        return web.json_response({"data": {"metrics": []}})

    app = web.Application()
    app.router.add_get("/v1/metrics", busy)
    served = await aiohttp_client(app)
    waits: list[float] = []
    transport = Transport(str(served.make_url("/")), None, 5, waits.append)
    reply = await asyncio.to_thread(transport.send, "GET", "/v1/metrics")
    assert (waits, reply.body) == ([1.0, 1.0], b'{"data": {"metrics": []}}')


def test_the_client_imports_nothing_heavy() -> None:
    """Neither duckdb nor diffprivlib nor scipy, nor numpy, aiohttp or pyarrow before they are asked for."""
    heavy = {"duckdb", "diffprivlib", "scipy", "numpy", "aiohttp", "pyarrow", "pandas", "sklearn", "nacl", "msgspec"}
    code = "import sys; from node.client import Client; Client(); print(*sorted(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert heavy & {name.partition(".")[0] for name in said} == set()


def _has(module: str) -> Any:
    import importlib.util

    return importlib.util.find_spec(module)
