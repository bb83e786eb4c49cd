"""A charter that demands three organisations, over real logs: what a researcher reaches by HTTP, SQL and live.

Two nodes of two federations with one charter. What single members released differs between them; every sum over three
organisations or more is the same. Nothing a researcher asks may tell them apart.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from node.http.access import read_gate
from node.http.problems import problem_middleware
from node.http.releases import ReleasesEndpoint
from node.live import Live
from tests.research_kit import ResearchNode
from tests.simulation.author import Author, day
from tests.simulation.founding import found
from tests.unit.node.test_research_surface import SPAN, Client, MakeClient, application

DEMANDED = 3
FEW = "too_few_organisations"


def logs(apart: int, demanded: int = DEMANDED) -> list[Author]:
    """Four members, two metrics, three days; only two release the last `visits`. `apart` moves amounts between them."""
    founding = found(4, min_organisations=demanded)
    authors = [Author(founding, member) for member in founding.members]
    random, mover = Random(1), Random(apart)
    for author in authors:
        author.born()
    for number, metric in itertools.product(range(3), ("calls", "visits")):
        vectors = [[random.randrange(900, 2000) for _ in range(4)] for _ in authors]
        is_few = (number, metric) == (2, "visits")
        for cell in range(4) if apart else ():
            moved = mover.randrange(1, 400)
            vectors[0][cell] += moved
            vectors[1][cell] -= 0 if is_few else moved
        for author, cells in zip(authors, vectors, strict=True):
            if is_few and author in authors[2:]:
                author.abstain(founding.named(metric), day(number), "not_in_plan")
            else:
                author.summary(founding.named(metric), day(number), cells)
    return authors


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ResearchNode]:
    made = ResearchNode(tmp_path / "node", logs(0))
    yield made
    await made.close()


def questions() -> list[str]:
    paths = []
    for where, span, metric, tail in itertools.product(
        ("", "country:DE", "country:other,none"),
        (SPAN, "window=2026-11-03/P1D"),
        ("calls", "visits"),
        ("", "&raw=1", "&by=total&raw=1", "&badges=1", "&compare=previous"),
    ):
        paths.append(f"/v1/insights/{metric}?{span}{tail}" + (f"&where={where}" if where else ""))
    for form in ("csv", "parquet", "csv.meta.json"):
        paths.append(f"/v1/insights/visits.{form}?{SPAN}&raw=1")
    paths += ["/v1/metrics", "/v1/federation", "/v1/budget", "/v1/releases", "/v1/releases?metric=calls&node=node0"]
    chosen = (
        ",".join(names) for size in (1, 3, 4) for names in itertools.combinations(map("node{}".format, range(4)), size)
    )
    return [*paths, *(f"/v1/insights/calls?{SPAN}&nodes={names}" for names in chosen)]


SQL = [
    "SELECT c.node, sum(c.units), min(i.estimate - c.value) FROM insights i"
    " FULL JOIN released_cells c USING (metric, period, cell) GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM releases ORDER BY ALL",
    "SELECT * FROM insights ORDER BY metric, period, block, cell",
    "SELECT * FROM store.cells",
]


async def test_two_federations_with_equal_sums_cannot_be_told_apart(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """Every question, form, table and refusal is the same bytes; SQL leaves out the window of two."""
    nodes = [ResearchNode(tmp_path / str(apart), logs(apart)) for apart in (0, 5)]
    for one in nodes:
        await one.start()
    clients: list[Client] = [await aiohttp_client(application(one)) for one in nodes]
    statuses = set()
    for path in questions():
        answers = [await client.get(path) for client in clients]
        bodies = [await answer.read() for answer in answers]
        assert bodies[0] == bodies[1], path
        assert answers[0].headers.get("ETag") == answers[1].headers.get("ETag")
        statuses.add(answers[0].status)
        assert answers[0].status == 200 or json.loads(bodies[0])["code"] == FEW, path
    assert statuses == {200, 403}
    for sql in SQL:
        found_rows = [await (await client.post("/v1/sql", json={"sql": sql})).json() for client in clients]
        assert found_rows[0] == found_rows[1], sql
        assert ("store" in sql) == (found_rows[0].get("status") != "ok"), found_rows[0]
    rows = await _rows(
        clients[0],
        "SELECT metric, period, min(nodes) FROM insights GROUP BY ALL"
        " UNION ALL SELECT 'cells', 'of one', count(*) FROM released_cells"
        " UNION ALL SELECT 'ids', 'of one', count(release) + count(entry) FROM releases ORDER BY ALL",
    )
    assert rows == [*(["calls", day(number), 4] for number in range(3)), ["cells", "of one", 0], ["ids", "of one", 0],
                    *(["visits", day(number), 4] for number in range(2))]  # fmt: skip
    for one in nodes:
        await one.close()


async def test_without_the_demand_they_are_told_apart(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """The test above can fail: ids, identities and choices of members differ."""
    nodes = [ResearchNode(tmp_path / str(apart), logs(apart, 1)) for apart in (0, 5)]
    clients = [await aiohttp_client(application(one)) for one in nodes]
    for path in ("/v1/releases", f"/v1/insights/calls?{SPAN}", f"/v1/insights/calls?{SPAN}&nodes=node0,node1,node2"):
        answers = [await client.get(path) for client in clients]
        assert {answer.status for answer in answers} == {200}
        assert await answers[0].read() != await answers[1].read(), path
    for one in nodes:
        await one.close()


async def test_what_is_withheld_says_so(node: ResearchNode, aiohttp_client: MakeClient) -> None:
    """The window of two is named with its code; single releases and proofs are refused in words."""
    client = await aiohttp_client(application(node))
    data = (await (await client.get(f"/v1/insights/visits?{SPAN}")).json())["data"]
    assert data["withheld"] == {"code": FEW, "organisations": DEMANDED, "windows": [day(2)]}
    assert [row["window"] for row in data["series"]] == [day(0), day(1)]
    release = next(iter(node.commons.releases())).release.hex()
    for path in ("/v1/releases", f"/v1/releases/{release}", f"/v1/releases/{release}.csv", f"/v1/proofs/{release}"):
        answer = await client.get(path)
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (403, FEW), path
        assert "at least 3 organisations" in problem["detail"]
        assert "charter" in problem["hint"]


async def test_an_operator_sees_what_left_the_node(node: ResearchNode, aiohttp_client: MakeClient) -> None:
    """On the admin socket: a member holds every log anyway."""
    app = web.Application(middlewares=[problem_middleware])
    gate = read_gate(None, is_open=True)  # type: ignore[arg-type]  # an open gate asks for no key
    app.router.add_routes(ReleasesEndpoint(node.commons, gate, is_operator=True).routes())
    client = await aiohttp_client(app)
    listed = (await (await client.get("/v1/releases")).json())["data"]["releases"]
    assert len(listed) == 22
    assert (await client.get(f"/v1/proofs/{listed[0]['release']}")).status == 200


@pytest.mark.parametrize("demanded", [1, DEMANDED])
async def test_live_tells_no_release_id_where_several_organisations_are_demanded(tmp_path: Path, demanded: int) -> None:
    authors = logs(0, demanded)
    node = ResearchNode(tmp_path / "node", authors)
    live = Live("b00f", node.logs, node.rows, {}, lambda: node.core.rules.charter.min_organisations)
    live.start()
    listener = live.listen()
    live.on_judged(node.learn(authors[0].summary(found(4, min_organisations=demanded).named("calls"), day(5))))
    event = await listener.next()
    assert event is not None
    assert event.name == "release"
    assert (event.data["release"] is None) == (demanded > 1)
    assert authors[0].entries[-1].id.hex() not in json.dumps(dict(event.data))
    await node.close()


async def _rows(client: Client, sql: str) -> Any:
    return (await (await client.post("/v1/sql", json={"sql": sql})).json())["data"]["rows"]
