"""The research surface over real logs: forms, narrowing, comparison, releases, proofs, live, keys, an adversary."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from aiohttp import ClientSession, TCPConnector, WSMsgType, web
from aiohttp.test_utils import TestClient
from yarl import URL

from federation.answer_proofs import verify_answer_proof
from federation.proofs import verify_proof
from node.http.access import RateLimiter, read_gate, tell_allowance
from node.http.kept_answers import KeptAnswers
from node.http.live import LiveEndpoint
from node.http.problems import problem_middleware
from node.http.releases import ReleasesEndpoint
from node.http.research import ResearchEndpoint
from node.http.sql import SqlEndpoint
from node.live import BEHIND, Live
from tests.conftest import ROOT
from tests.docs.test_reference import routes
from tests.research_kit import ResearchNode, logs_of, small
from tests.simulation.author import day
from tests.simulation.founding import found

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[..., Awaitable[Client]]
SPEC = ROOT / "specs/api/openapi.yaml"
SPAN = "from=2026-11-01&to=2026-11-04"


def live_of(node: ResearchNode) -> Live:
    live = Live("b00f", node.logs, node.rows, {one.node: one.name for one in node.authors[0].founding.members})
    live.start()
    return live


def application(node: ResearchNode, live: Live | None = None, gate: Any = None) -> web.Application:
    gate = gate or read_gate(None, is_open=True)  # type: ignore[arg-type]  # an open gate asks for no key
    app = web.Application(middlewares=[problem_middleware])
    app.on_response_prepare.append(tell_allowance)
    for of_part in (
        ResearchEndpoint(node.commons, gate, None, answers := KeptAnswers(node.commons)).routes(),
        ReleasesEndpoint(node.commons, gate, answers).routes(),
        SqlEndpoint(node.researcher, gate, node.commons.node, node.commons.name).routes(),
        LiveEndpoint(live or live_of(node), gate).routes(),
    ):
        app.router.add_routes(of_part)
    return app


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ResearchNode]:
    made = small(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def client(node: ResearchNode, aiohttp_client: MakeClient) -> Client:
    return await aiohttp_client(application(node))


async def get(client: Client, path: str, **headers: str) -> Any:
    response = await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    body = await response.read()
    is_document = response.content_type in ("application/json", "application/problem+json")
    return json.loads(body) if is_document and response.status != 304 else body


# -- forms


async def test_an_insight_in_every_form(client: Client) -> None:
    """Suffix or Accept; the same rows; the twin holds the rest."""
    path = "/v1/insights/calls"
    cells = (await get(client, f"{path}?{SPAN}&raw=1"))["data"]["cells"]
    text = (await get(client, f"{path}.csv?{SPAN}&raw=1")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["row"] for row in rows] == ["cell"] * 4 + ["hidden"] * (len(rows) - 5) + ["total"]
    assert [int(row["estimate"]) for row in rows[:4]] == [cell["estimate"] for cell in cells]
    assert (await get(client, f"{path}?{SPAN}&raw=1", Accept="text/csv")).decode() == text
    lines = (await get(client, f"{path}.ndjson?{SPAN}&raw=1")).decode().splitlines()
    assert [json.loads(line)["estimate"] for line in lines[:4]] == [cell["estimate"] for cell in cells]
    parquet = pyarrow.parquet.read_table(pa.BufferReader(await get(client, f"{path}.parquet?{SPAN}&raw=1")))
    assert parquet.column("estimate").to_pylist()[:4] == [cell["estimate"] for cell in cells]
    assert json.loads(parquet.schema.metadata[b"murmur"])["metric"] == "calls"
    arrow = pa.ipc.open_stream(await get(client, f"{path}.arrow?{SPAN}&raw=1")).read_all()
    assert arrow.equals(parquet)
    response = await client.get(f"{path}.csv?{SPAN}&raw=1")
    twin = re.search(r"<([^>]+)>; rel=\"describedby\"", response.headers["Link"])
    assert twin is not None
    about = await get(client, twin[1])
    assert about["data"]["identity"] == (await get(client, f"{path}?{SPAN}&raw=1"))["data"]["identity"]
    assert "cells" not in about["data"]


@pytest.mark.parametrize("listed", ["metrics", "releases"])
async def test_lists_in_every_form(client: Client, listed: str) -> None:
    rows = (await get(client, f"/v1/{listed}"))["data"][listed]
    assert len((await get(client, f"/v1/{listed}.ndjson")).splitlines()) == len(rows)
    assert len(list(csv.reader(io.StringIO((await get(client, f"/v1/{listed}.csv")).decode())))) == len(rows) + 1
    for form in ("parquet", "arrow"):
        data = pa.BufferReader(await get(client, f"/v1/{listed}.{form}"))
        table = pyarrow.parquet.read_table(data) if form == "parquet" else pa.ipc.open_stream(data).read_all()
        assert table.num_rows == len(rows)
    assert (await get(client, f"/v1/{listed}.xml"))["code"] == "not_found"


async def test_a_header_says_the_question_as_it_was_encoded(client: Client) -> None:
    """A control character of the question stays %1F: no header holds it raw."""
    response = await client.get(URL("/v1/releases.csv?node=%1F%0D%0Ax", encoded=True))
    assert response.status in (200, 400), await response.text()
    if response.status == 200:
        assert "node=%1F%0D%0Ax" in response.headers["Link"]


async def test_entity_tags_and_gzip(client: Client) -> None:
    first = await client.get(f"/v1/insights/calls?{SPAN}", headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    tag = first.headers["ETag"]
    again = await client.get(f"/v1/insights/calls?{SPAN}", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status, await again.read()) == (304, b"")
    other = await client.get(f"/v1/insights/calls.csv?{SPAN}")
    assert other.headers["ETag"] != tag
    assert "Accept" in other.headers["Vary"]


# -- narrowing and comparing


async def test_where_keeps_labels_and_nodes_keeps_members(client: Client) -> None:
    """Sums of the released integers that are left, with the noise of exactly those."""
    whole = (await get(client, f"/v1/insights/calls?{SPAN}&raw=1"))["data"]
    some = (await get(client, f"/v1/insights/calls?{SPAN}&raw=1&where=country:FR,DE"))["data"]
    assert some["cells"] == whole["cells"][:2]
    assert some["where"] == {"country": ["DE", "FR"]}
    total = (await get(client, f"/v1/insights/calls?{SPAN}&raw=1&where=country:DE&by=total"))["data"]
    assert total["cells"][0]["estimate"] == whole["cells"][0]["estimate"]
    assert total["cells"][0]["sigma"] == whole["cells"][0]["sigma"]
    names = [member["name"] for member in whole["members"]]
    one = (await get(client, f"/v1/insights/calls?{SPAN}&raw=1&nodes={names[0]}"))["data"]
    two = (await get(client, f"/v1/insights/calls?{SPAN}&raw=1&nodes={names[2]},{names[1]}"))["data"]
    assert one["reporting"] == "1 of 1"
    sums = [a["estimate"] + b["estimate"] for a, b in zip(one["cells"], two["cells"], strict=True)]
    assert sums == [cell["estimate"] for cell in whole["cells"]]
    assert len({answer["identity"] for answer in (whole, some, total, one, two)}) == 5


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("where=city:DE", "unknown_dimension"),
        ("where=country:XX", "bad_parameter"),
        ("where=country", "bad_parameter"),
        ("where=country:", "bad_parameter"),
        ("where=country:DE;country:FR", "bad_parameter"),
        ("nodes=nobody", "bad_parameter"),
        ("nodes=n", "bad_parameter"),
        ("compare=next", "bad_parameter"),
        ("compare=previous&from=2026-10-02&to=2026-10-08", "bad_window"),
    ],
)
async def test_what_cannot_be_narrowed_is_refused(client: Client, query: str, code: str) -> None:
    assert (await get(client, f"/v1/insights/calls?{query}"))["code"] == code


async def test_a_comparison_says_what_is_more_than_noise(client: Client) -> None:
    """Each node grew by 100 a day: real; cells that did not differ could be noise."""
    data = (await get(client, "/v1/insights/calls?window=2026-11-03/P1D&compare=previous&raw=1"))["data"]
    compare = data["compare"]
    assert compare["windows"] == ["2026-11-02/P1D"]
    assert compare["same_members"] is True
    assert [row["difference"] for row in compare["cells"]] == [300] * 4
    assert [row["before"] + row["difference"] for row in compare["cells"]] == [c["estimate"] for c in data["cells"]]
    assert {row["verdict"] for row in compare["cells"]} == {"real"}
    assert compare["total"]["difference"] == 1200


# -- releases and proofs


async def test_releases_come_in_pages_newest_first(client: Client) -> None:
    seen: list[str] = []
    path = "/v1/releases?limit=4"
    while path:
        page = await get(client, path)
        seen += [row["release"] for row in page["data"]["releases"]]
        path = page["metadata"]["next"] or ""
    everything = (await get(client, "/v1/releases?limit=1000"))["data"]["releases"]
    assert seen == [row["release"] for row in everything]
    assert len(set(seen)) == 15
    windows = [row["window"] for row in everything]
    assert windows == sorted(windows, reverse=True)
    one = await get(client, f"/v1/releases?metric=calls&window={windows[0]}&node={everything[0]['name']}")
    assert [row["release"] for row in one["data"]["releases"]] == [everything[0]["release"]]
    for wrong in ("limit=0", "limit=x", "after=ab", f"after={'0' * 64}", "colour=red", "limit=1&limit=2"):
        assert (await get(client, f"/v1/releases?{wrong}"))["code"] == "bad_parameter"


async def test_a_release_is_shown_as_it_was_signed(client: Client) -> None:
    row = (await get(client, "/v1/releases?metric=calls&limit=1"))["data"]["releases"][0]
    release = (await get(client, f"/v1/releases/{row['release']}"))["data"]
    assert release["cells"][0] == {"block": "count", "key": {"country": "DE"}, "units": 1197}
    assert release["blocks"][0]["sigma_squared"] == "200"
    text = (await get(client, f"/v1/releases/{row['release']}.csv")).decode()
    assert text.splitlines()[:2] == ["block,country,units", "count,DE,1197"]
    missing = await client.get(f"/v1/releases/{'0' * 64}")
    assert (missing.status, (await missing.json())["code"]) == (404, "unknown_release")
    assert (await get(client, "/v1/proofs/zz"))["code"] == "bad_parameter"


async def test_a_proof_is_served_and_holds(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    from tests.unit.federation.test_proofs import FOUNDING

    node = ResearchNode(tmp_path, logs_of(FOUNDING))
    client = await aiohttp_client(application(node))
    rows = (await get(client, "/v1/releases?metric=visits&limit=1"))["data"]["releases"]
    bundle = await get(client, f"/v1/proofs/{rows[0]['release']}")
    verified = verify_proof(bundle, FOUNDING.federation)
    assert (verified.summary.release.hex(), verified.others) == (rows[0]["release"], 1)
    await node.close()


# -- keys


class _Keys:
    def check(self, secret: str | None, kind: str, scope: str) -> object:
        from node.state.tokens import AccessDenied, Token

        if secret != "mr_good":
            raise AccessDenied(status=401, code="key_missing", what="Refused", why="no read key", fix="Send one")
        return Token("k1", "read", ("query",), "", 0, None)


async def test_a_key_has_so_many_requests_an_hour(node: ResearchNode, aiohttp_client: MakeClient) -> None:
    """RateLimit headers count down; then 429 says when; time refills evenly; each read is recorded."""
    now = [0.0]
    reads: list[tuple[str, str]] = []
    gate = read_gate(_Keys(), is_open=False, limiter=RateLimiter(lambda: now[0], 3),
                     record=lambda key, route: reads.append((key, route)))  # fmt: skip
    client = await aiohttp_client(application(node, gate=gate))
    headers = {"Authorization": "Bearer mr_good"}
    left = [(await client.get("/v1/metrics", headers=headers)).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = await client.get("/v1/releases", headers=headers)
    assert (refused.status, (await refused.json())["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"] == "1200"
    now[0] = 1200.0
    assert (await client.get("/v1/metrics", headers=headers)).status == 200
    assert reads[0] == ("k1", "/v1/metrics")
    for path in ("/v1/releases", "/v1/peers", "/v1/live", f"/v1/proofs/{'0' * 64}", "/v1/insights/calls.csv"):
        assert (await client.get(path)).status == 401, path
    assert (await client.post("/v1/sql", json={"sql": "SELECT 1"})).status == 401


# -- live


async def _events(response: Any, count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if not line and "data" in event:
            found.append(event)
            if len(found) == count:
                return found
            event = {}
        elif ": " in line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
    return found


async def test_releases_and_changed_answers_are_pushed_and_resumed(
    node: ResearchNode, aiohttp_client: MakeClient
) -> None:
    """SSE and WebSocket tell the same; an id resumes; an unknown id says ask again."""
    live = live_of(node)
    client = await aiohttp_client(application(node, live))
    definition = found(3).named("visits")
    async with client.get("/v1/live") as stream, client.ws_connect("/v1/live") as socket:
        while live.listeners < 2:
            await asyncio.sleep(0.01)
        entry = node.authors[0].summary(definition, day(9), [5, 6, 7, 8])
        changes = node.learn(entry)
        live.on_judged(changes)
        release, answer = await _events(stream, 2)
        assert (release["event"], answer["event"]) == ("release", "answer")
        told = json.loads(release["data"])
        assert (told["metric"], told["window"], told["verdict"]) == ("visits", day(9), "counted")
        ask = json.loads(answer["data"])["ask"]
        over_socket = await socket.receive_json()
        assert (over_socket["id"], over_socket["event"]) == (release["id"], "release")
    assert (await get(client, ask))["data"]["total"]["estimate"] in range(20, 30)
    for resume in ({"headers": {"Last-Event-ID": release["id"]}}, {"params": {"after": release["id"]}}):
        async with client.get("/v1/live", **resume) as stream:
            assert [one["id"] for one in await _events(stream, 1)] == [answer["id"]]
    for unknown in ("b00f-99", "other-1", "b00f-x", "nonsense"):
        async with client.get("/v1/live", headers={"Last-Event-ID": unknown}) as stream:
            assert [one["event"] for one in await _events(stream, 1)] == ["resync"]


async def test_two_hundred_listeners_and_a_slow_one(node: ResearchNode, aiohttp_client: MakeClient) -> None:
    """All hear each event; one that never reads is dropped and holds nobody up."""
    live = live_of(node)
    client = await aiohttp_client(application(node, live))
    definition = found(3).named("visits")
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        url = client.make_url("/v1/live")
        streams = [await session.get(url) for _ in range(99)]
        slow = await session.get(url)
        sockets = [await session.ws_connect(url) for _ in range(100)]
        while live.listeners < 200:
            await asyncio.sleep(0.01)
        changes = node.learn(node.authors[0].summary(definition, day(9), [5, 6, 7, 8]))
        live.on_judged(changes)
        heard = await asyncio.gather(*(_events(stream, 2) for stream in streams))
        assert {tuple(event["event"] for event in events) for events in heard} == {("release", "answer")}
        for socket in sockets:
            assert (await socket.receive()).type == WSMsgType.TEXT
        quick = live.listen()
        stuck = live.listen()
        for _ in range(BEHIND):
            live.on_judged(changes)
            while not quick._queue.empty():
                await quick.next()
        assert stuck.is_dropped
        assert not quick.is_dropped
        assert await stuck.next() is None
        live.leave(quick)
        slow.close()
        for stream in streams:
            stream.close()
    live.close()


# -- the specification


async def test_openapi_and_routes_are_equal(node: ResearchNode) -> None:
    """Each route has its operation and each operation its route."""
    spec = yaml.safe_load(SPEC.read_text())
    described = {
        (method.upper(), path)
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if "ingest" not in operation.get("tags", ())
    }
    served = {
        (route.method, route.resource.canonical)
        for route in application(node).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    elsewhere = {tuple(route.split(" ", 1)) for route in routes()}  # events and more, on other listeners
    assert served <= described
    assert described - served <= elsewhere


async def test_answers_fit_the_specification(client: Client, node: ResearchNode) -> None:
    spec = yaml.safe_load(SPEC.read_text())
    row = (await get(client, "/v1/releases?limit=1"))["data"]["releases"][0]
    for path, schema in (
        ("/v1/releases", "Releases"),
        (f"/v1/releases/{row['release']}", "Release"),
        (f"/v1/insights/calls?{SPAN}&where=country:DE&nodes={row['name']}", "Answer"),
        ("/v1/insights/calls?window=2026-11-03/P1D&compare=previous", "Answer"),
        ("/v1/metrics", "Catalogue"),
    ):
        document = await get(client, path)
        jsonschema.validate(
            document["data"], {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
        )


# -- an adversary


def _attacks() -> list[str]:
    """Questions whose differences might single out a raw event: by where, nodes, windows, repeats, unions, levels."""
    paths = []
    for where, nodes, span in itertools.product(
        ("", "country:DE", "country:FR", "country:DE,FR", "country:other,none"),
        ("", "node0", "node1", "node0,node1", "node0,node1,node2"),
        (SPAN, "from=2026-11-01&to=2026-11-02", "from=2026-11-01&to=2026-11-03", "window=2026-11-02/P1D", "last=1"),
    ):
        for metric in ("calls", "visits"):
            tail = (f"&where={where}" if where else "") + (f"&nodes={nodes}" if nodes else "")
            paths.append(f"/v1/insights/{metric}?{span}&raw=1{tail}")
    paths += [
        f"/v1/insights/calls?{SPAN}&by={by}&level={level}" for by in ("total", "country") for level in ("0.80", "0.99")
    ]
    paths += [f"/v1/insights/calls.{form}?{SPAN}" for form in ("csv", "ndjson")]
    paths += ["/v1/insights/calls?window=2026-11-03/P1D&compare=previous", "/v1/metrics", "/v1/releases?limit=1000"]
    return paths + paths[:10]  # asking again


_SQL = [
    "SELECT * FROM released_cells ORDER BY release, cell",
    "SELECT * EXCLUDE (name) FROM releases ORDER BY release",
    "SELECT a.units - b.units FROM released_cells a JOIN released_cells b USING (metric, period, cell) ORDER BY ALL",
    "SELECT metric, sum(units) FROM released_cells GROUP BY ALL"
    " UNION ALL SELECT reason, count(*) FROM abstentions GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM insights ORDER BY metric, period, cell",
]


async def test_an_adversary_learns_the_same_from_nodes_over_different_events(
    tmp_path: Path, aiohttp_client: MakeClient
) -> None:
    """Two nodes hold the same releases; their own events differ (and lie in no place this surface can reach)."""
    nodes = [small(tmp_path / str(place), place=place) for place in (0, 1)]
    for place, node in enumerate(nodes):
        (tmp_path / str(place) / "segments").mkdir()
        (tmp_path / str(place) / "segments" / "raw.seg").write_bytes(b"person-%d" % place * 1000)
        await node.start()
    clients = [await aiohttp_client(application(node)) for node in nodes]
    for path in _attacks():
        bodies = [await (await one.get(path)).read() for one in clients]
        data = {body.partition(b',"metadata":')[0] for body in bodies}
        assert len(data) == 1, path
        assert b"person-" not in bodies[0] + bodies[1]
    for sql in _SQL:
        answers = [await (await one.post("/v1/sql", json={"sql": sql})).json() for one in clients]
        assert answers[0]["status"] == "ok", answers[0]
        assert answers[0]["data"] == answers[1]["data"], sql
        assert answers[0]["data"]["rows"], sql
    for node in nodes:
        await node.close()


async def test_an_answer_is_proved_by_its_question_and_by_its_identity(
    tmp_path: Path, aiohttp_client: MakeClient
) -> None:
    """The same bundle both ways; unknown, compared, and cited before its inputs changed: refused in words."""
    from tests.unit.federation.test_proofs import FOUNDING

    node = ResearchNode(tmp_path, logs_of(FOUNDING))
    served = await aiohttp_client(application(node))
    asked = await (await served.get(f"/v1/insights/calls?{SPAN}&where=country:DE")).json()
    identity = asked["data"]["identity"]
    answer = await served.get(f"/v1/insights/calls.proof?{SPAN}&where=country:DE")
    assert (answer.status, answer.content_type) == (200, "application/vnd.murmur.proof")
    bundle = await answer.read()
    assert verify_answer_proof(bundle).data == asked["data"]
    assert await (await served.get(f"/v1/proofs/{identity}")).read() == bundle
    for path, status, code in (
        (f"/v1/proofs/{'0' * 64}", 404, "unknown_release"),
        (f"/v1/insights/calls.proof?{SPAN}&compare=previous", 400, "bad_parameter"),
        ("/v1/insights/nothing.proof", 404, "unknown_metric"),
    ):
        refused = await served.get(path)
        assert (refused.status, (await refused.json())["code"]) == (status, code)
    relative = (await (await served.get("/v1/insights/calls?last=2d")).json())["data"]["identity"]
    node.learn(node.authors[0].summary(node.authors[0].founding.named("calls"), day(3), [5, 6, 7, 8]))
    gone = await served.get(f"/v1/proofs/{relative}")
    assert (gone.status, (await gone.json())["code"]) == (410, "answer_changed")
    assert await (await served.get(f"/v1/proofs/{identity}")).read() == bundle
    await node.close()
