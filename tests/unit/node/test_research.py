"""The query routes and the page: one envelope, equal data on every node, errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient

import federation.errors
import federation.query
import node.errors
import privacy.errors
import protocol.errors
from federation.judgement import JUDGEMENT_VERSION
from node.dashboard import Dashboard
from node.http.access import read_gate
from node.http.problems import FAMILIES, problem, problem_middleware, status_of
from node.http.research import ResearchEndpoint
from node.state.tokens import AccessDenied
from tests.unit.federation.combining import NAMES
from tests.unit.node.fake_commons import DAYS, FakeCommons

Client = TestClient[web.Request, web.Application]
Ask = Callable[..., Awaitable[Any]]
SPEC = Path(__file__).parents[3] / "specs" / "api" / "openapi.yaml"


class Keys:
    """Knows one read key."""

    def check(self, secret: str | None, kind: str, scope: str) -> object:
        if (secret, kind, scope) == ("mr_good", "read", "query"):
            return object()
        raise AccessDenied(status=401, code="key_missing", what="Refused", why="no read key", fix="Send one")


def application(commons: FakeCommons, *, is_open: bool = True) -> web.Application:
    app = web.Application(middlewares=[problem_middleware])
    app.router.add_routes(ResearchEndpoint(commons, read_gate(Keys(), is_open=is_open)).routes())
    app.router.add_routes(Dashboard().routes())
    return app


@pytest.fixture
def ask(aiohttp_client: Callable[..., Awaitable[Client]]) -> Ask:
    """GET a path of a node; gives (status, document, headers)."""

    async def get(path: str, commons: FakeCommons | None = None, *, is_open: bool = True, **headers: str) -> Any:
        client = await aiohttp_client(application(commons or FakeCommons(), is_open=is_open))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await client.get(path, headers=named)
        body = await response.read()
        is_json = response.content_type.endswith("json")
        return response.status, json.loads(body) if is_json else body, response.headers

    return get


async def test_an_insight_has_data_and_metadata(ask: Ask) -> None:
    status, document, headers = await ask(f"/v1/insights/people_by_country?window={DAYS[0].text}&raw=1")
    assert status == 200
    assert document["status"] == "ok"
    assert [cell["estimate"] for cell in document["data"]["cells"]] == [4000, 800, 80, 12]
    assert document["data"]["reporting"] == "4 of 4"
    assert document["metadata"]["calculated_at"] == "2026-11-04T00:00:00Z"
    assert document["metadata"]["data_points"] == 16
    assert document["metadata"]["confidence"] == "0.95"
    assert document["metadata"]["served_by"]["name"] == "addvalue"
    assert document["metadata"]["served_by"]["judgement_version"] == JUDGEMENT_VERSION
    assert headers["Content-Type"].startswith("application/json")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/metrics",
        "/v1/federation",
        "/v1/budget",
        "/v1/insights/people_by_country",
        "/v1/insights/runway_months?by=industry",
        "/v1/insights/people_by_country?last=2&raw=1&level=0.99",
    ],
)
async def test_data_is_equal_byte_for_byte_on_every_node(
    aiohttp_client: Callable[..., Awaitable[Client]], path: str
) -> None:
    """I8: what differs between nodes stands in metadata."""
    texts = set()
    for name in NAMES:
        client = await aiohttp_client(application(FakeCommons(name)))
        body = await (await client.get(path)).text()
        data, _, rest = body.partition(',"metadata":')
        texts.add(data)
        assert name in rest
    assert len(texts) == 1


async def test_a_missing_node_is_named(ask: Ask) -> None:
    commons = FakeCommons(without=frozenset({"harmonie"}))
    _, document, _ = await ask(f"/v1/insights/people_by_country?window={DAYS[0].text}", commons)
    assert document["data"]["reporting"] == "3 of 4"
    states = {member["name"]: member["state"] for member in document["data"]["members"]}
    assert states["harmonie"] == "missing"


async def test_before_the_first_release_answers_are_empty_not_errors(ask: Ask) -> None:
    commons = FakeCommons(newest=None, at_s=None)
    status, document, _ = await ask("/v1/insights/people_by_country", commons)
    assert status == 200
    assert document["data"]["total"] is None
    assert document["metadata"]["calculated_at"] is None


async def test_a_time_beyond_the_calendar_is_no_time(ask: Ask) -> None:
    """An entry's time is its author's claim and may be anything."""
    status, document, _ = await ask("/v1/insights/people_by_country", FakeCommons(at_s=2**53))
    assert (status, document["metadata"]["calculated_at"]) == (200, None)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/insights/no_such", 404, "unknown_metric"),
        ("/v1/insights/people_by_country?window=today", 400, "bad_window"),
        ("/v1/insights/people_by_country?by=city", 400, "unknown_dimension"),
        ("/v1/insights/people_by_country?level=0.5", 400, "bad_parameter"),
        ("/v1/insights/people_by_country?level=0.95&level=0.99", 400, "bad_parameter"),
        ("/v1/insights/people_by_country?%3Cscript%3E=1", 400, "bad_parameter"),
        ("/v1/nothing", 404, "not_found"),
        ("/static/..%2F__init__.py", 404, "not_found"),
        ("/static/shell.html", 404, "not_found"),
    ],
)
async def test_errors_are_problem_documents(ask: Ask, path: str, status: int, code: str) -> None:
    """RFC 9457: one shape, a stable code, what to do; nothing of the request comes back as markup."""
    got, document, headers = await ask(path)
    assert (got, document["code"], document["status"]) == (status, code, status)
    assert headers["Content-Type"].startswith("application/problem+json")
    assert document["type"] == f"urn:murmur:problem:{code}"
    assert all(document[part].endswith((".", "!")) for part in ("detail", "hint"))


async def test_other_methods_are_refused_in_the_same_shape(
    aiohttp_client: Callable[..., Awaitable[Client]],
) -> None:
    client = await aiohttp_client(application(FakeCommons()))
    response = await client.post("/v1/metrics")
    assert response.status == 405
    assert "GET" in response.headers["Allow"]
    assert (await response.json())["code"] == "method_not_allowed"


async def test_an_unforeseen_error_says_nothing_of_its_cause(ask: Ask) -> None:
    """Its message may quote an event or a key."""

    class Broken(FakeCommons):
        def rows(self) -> Any:
            raise RuntimeError("planted-marker-7351")

    status, document, _ = await ask("/v1/metrics", Broken())
    assert (status, document["code"]) == (500, "internal")
    assert "planted" not in json.dumps(document)


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/insights/people_by_country", "/v1/federation", "/v1/budget"])
async def test_reads_need_a_key_unless_the_listener_is_loopback(ask: Ask, path: str) -> None:
    status, document, headers = await ask(path, is_open=False)
    assert (status, document["code"]) == (401, "key_missing")
    assert headers["WWW-Authenticate"].startswith("Bearer")
    assert (await ask(path, is_open=False, Authorization="Bearer mw_wrong"))[0] == 401
    assert (await ask(path, is_open=False, Authorization="Bearer mr_good"))[0] == 200


async def test_an_unchanged_answer_is_not_sent_again(ask: Ask) -> None:
    _, _, headers = await ask("/v1/metrics")
    status, body, _ = await ask("/v1/metrics", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")


async def test_the_catalogue_says_what_a_metric_counts(ask: Ask) -> None:
    _, document, _ = await ask("/v1/metrics")
    people, runway = document["data"]["metrics"]
    assert people["metric"] == "people_by_country"
    assert people["privacy"] == {
        "mechanism": "gaussian",
        "max_cells": 1,
        "max_per_cell": 1,
        "rho": "1/400",
        "sigma": "14.142136",
    }
    assert people["source"] == "any"
    assert runway["source"] == {"app": "runway-calculator", "action": "calculate"}
    assert runway["cells"] == 72
    assert people["newest"] == DAYS[-1].text


async def test_the_budget_tells_three_spans(ask: Ask) -> None:
    """PRIVACY 1: 1.0 / 6.6 / 30.3 at the default cap of a day."""
    _, document, _ = await ask("/v1/budget")
    day = document["data"]["promised"][0]
    assert [f"{float(one['epsilon']):.1f}" for one in day["guarantees"]] == ["1.0", "6.6", "30.3"]
    assert [row["name"] for row in document["data"]["charged"]] == list(NAMES)
    assert all(row["rho"] == "1/200" for row in document["data"]["charged"])


async def test_every_answer_fits_the_specification(ask: Ask) -> None:
    """specs/api/openapi.yaml: each route has its path, each body its schema."""
    spec = yaml.safe_load(SPEC.read_text())
    described = {path for path, operations in spec["paths"].items() if "get" in operations}
    routes = {route.path for route in ResearchEndpoint(FakeCommons(), lambda _: None).routes()}
    assert routes <= described
    asked = {
        "/v1/metrics": ["/v1/metrics"],
        "/v1/federation": ["/v1/federation"],
        "/v1/budget": ["/v1/budget"],
        "/v1/insights/{metric}": [
            "/v1/insights/people_by_country?raw=1",
            "/v1/insights/runway_months",
            "/v1/insights/runway_months?by=total",
        ],
    }
    assert asked.keys() == {route for route in routes if "{form}" not in route}
    for template, paths in asked.items():
        schema = spec["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        for path in paths:
            _, document, _ = await ask(path)
            jsonschema.validate(document, {**schema, "components": spec["components"]})
    _, document, _ = await ask("/v1/insights/no_such")
    refusal = {"$ref": "#/components/schemas/Problem", "components": spec["components"]}
    jsonschema.validate(document, refusal)


def test_every_error_family_has_a_status() -> None:
    """No class of the families is left out, and every document has its own code."""
    for module in (privacy.errors, protocol.errors, federation.errors, federation.query, node.errors):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, FAMILIES):
                error = kind.__new__(kind)
                error.what, error.why, error.fix = "What", "why", "fix"
                assert 400 <= status_of(error) < 600
                document = json.loads(problem(error).body or b"{}")
                assert document["code"] == kind.code
