"""specs/api/openapi.yaml says what a running node serves, and which errors each path answers."""

from __future__ import annotations

import asyncio
import http.client
import re
from typing import Any

import pytest
import yaml
from aiohttp import web

from node.dashboard import PAGES
from node.routes import listener_routes
from tests.conftest import ROOT
from tests.node_kit import HandClock, Shop, found_shop

SPEC: Any = yaml.safe_load((ROOT / "specs/api/openapi.yaml").read_text(encoding="utf-8"))
CODES = set(
    re.findall(r"^### `([^`]+)`$", (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8"), re.MULTILINE)
)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in SPEC["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}
ELSEWHERE = re.compile(
    r"OPTIONS |GET (/docs.*|/static/.*|/privacy.*|/client\..*|/healthz|/readyz|/\.well-known/.*)$|\w+ /mesh/v1/"
)
"""Preflights; pages and their files; health; the mesh: specs/mesh.md and docs/reference/http.md describe them."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return found_shop(tmp_path_factory.mktemp("openapi") / "shop")


async def test_the_document_and_the_routes_of_a_running_node_are_equal(shop: Shop) -> None:
    """Paths and methods of the public and the research listener, both ways."""
    async with shop.run(HandClock()) as (node, _):
        by_address, _ = listener_routes(node)
        served = {
            f"{route.method} {route.path}"
            for routes in by_address.values()
            for route in routes
            if isinstance(route, web.RouteDef)
        }
    pages = {f"GET {path}" for path in PAGES}
    assert {route for route in served - pages if not ELSEWHERE.match(route)} == OPERATIONS.keys()


def test_every_operation_says_its_error_codes() -> None:
    """Each has a section on the page of error codes."""
    for name, operation in OPERATIONS.items():
        codes = operation.get("x-problems", [])
        assert codes == sorted(set(codes)), name
        assert set(codes) <= CODES, (name, set(codes) - CODES)
        assert codes or operation.get("security") == [{}], name


REFUSED = (
    ("GET /v1/metrics", "/v1/metrics", {"Accept": "image/png"}),
    ("GET /v1/insights/{metric}", "/v1/insights/nothing", {}),
    ("GET /v1/insights/{metric}", "/v1/insights/people?by=nothing", {}),
    ("GET /v1/insights/{metric}", "/v1/insights/people?colour=red", {}),
    ("GET /v1/insights/{metric}", "/v1/insights/people?from=2026-11-01", {}),
    ("GET /v1/insights/{metric}", "/v1/insights/people?where=x", {}),
    ("GET /v1/insights/{metric}", "/v1/insights/people.proof?compare=previous", {}),
    ("GET /v1/releases", "/v1/releases?limit=0", {}),
    ("GET /v1/releases", "/v1/releases?window=soon", {}),
    ("GET /v1/releases/{id}", f"/v1/releases/{'0' * 64}", {}),
    ("GET /v1/releases/{id}", "/v1/releases/short", {}),
    ("GET /v1/proofs/{id}", f"/v1/proofs/{'0' * 64}", {}),
    ("GET /v1/proposals", "/v1/proposals?colour=red", {}),
    ("POST /v1/sql", "/v1/sql", {}),
    ("POST /v1/events", "/v1/events", {}),
    ("POST /v1/events", "/v1/events", {"Authorization": "Bearer mw_wrong"}),
    ("POST /v1/track", "/v1/track", {}),
    ("POST /v1/identify", "/v1/identify", {}),
    ("POST /api/event", "/api/event?key=mw_wrong", {}),
    ("POST /v1/consent", "/v1/consent", {}),
    ("DELETE /v1/person", "/v1/person", {}),
)


async def test_a_refusal_names_a_code_of_its_operation_and_a_page_that_exists(shop: Shop) -> None:
    """What, why, what to do, a stable code, and its section on the page that the node serves."""
    async with shop.run(HandClock()):
        page = await asyncio.to_thread(_text, shop, "/docs/errors")
        sections = set(re.findall(r'<section id="([^"]+)">', page))
        assert sections == CODES
        for name, path, headers in REFUSED:
            method = name.split()[0]
            body = b"" if method == "GET" else b"{}"
            status, document = await asyncio.to_thread(shop.call, method, path, body, headers)
            assert status >= 400, name
            assert document["code"] in OPERATIONS[name]["x-problems"], (name, document["code"])
            assert all(document[part] for part in ("title", "detail", "hint"))
            anchor = document["docs"].removeprefix("/docs/errors#")
            assert anchor == document["code"]
            assert anchor in sections


def _text(shop: Shop, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
