"""/privacy.json says what the filter does and what the ledger allows; a request's document keeps nothing of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from node.http.privacy_page import Disclosed, example_of, privacy_routes
from node.yaml import load_strings
from privacy.coding import encoder_of
from privacy.tracking_plan import Attribute, Band, Category, Flag, Number, Plan, parse_plan
from tests.unit.node.fake_commons import FakeCommons

Client = TestClient[web.Request, web.Application]
PLAN = Path(__file__).parents[3] / "node" / "demo" / "plans" / "liberation-tools.yaml"


def plan() -> Plan:
    return parse_plan(load_strings(PLAN.read_text(), str(PLAN)))


@pytest.fixture
async def client(aiohttp_client: Callable[..., Awaitable[Client]]) -> Client:
    commons = FakeCommons()
    app = web.Application()
    app.router.add_routes(privacy_routes(Disclosed("amber", plan, PLAN, "day", commons, True)))
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        (Category(("book", "tool")), "book"),
        (Band((Fraction(5), Fraction(10), Fraction(20))), "5 to 10"),
        (Band((Fraction(5),)), "below 5"),
        (Number(Fraction(1, 100), Fraction(0), Fraction(500)), "185"),
        (Flag(), "yes"),
    ],
    ids=["category", "band", "one-edge", "number", "flag"],
)
def test_an_example_is_what_the_filter_makes_of_it(kind: Category | Band | Number | Flag, after: str) -> None:
    before, kept = example_of(Attribute("thing", kind))
    assert kept == after
    assert encoder_of(kind)(before) is not None


def test_every_attribute_of_a_plan_has_an_example() -> None:
    attributes = [one for app in plan().apps for action in app.actions for one in action.attributes]
    assert attributes
    for attribute in attributes:
        assert all(example_of(attribute))


async def test_the_statement_names_every_field_of_the_plan_and_the_cost_of_both(client: Client) -> None:
    told = json.loads(await (await client.get("/privacy.json")).read())
    fields = {(app["app"], action["action"], field["field"])
              for app in told["plan"]["apps"] for action in app["actions"] for field in action["fields"]}  # fmt: skip
    assert fields == {(app.name, action.name, attribute.name)
                      for app in plan().apps for action in app.actions for attribute in action.attributes}  # fmt: skip
    cap = told["guarantees"]["at_the_cap"]
    for one, all_ in zip(cap["one_platform"], cap["all_platforms"], strict=True):
        assert one["days"] == all_["days"]
        assert float(one["epsilon"]) < float(all_["epsilon"])
    assert told["kept"] == {
        "epoch": "day", "pseudonym_key_hours": 48, "data_key_days": 90,
        "close_after_hours": {"hour": 2, "day": 24, "week": 24, "month": 24},
    }  # fmt: skip


@pytest.mark.parametrize(("header", "value"), [("Sec-GPC", "1"), ("DNT", "1")])
async def test_a_signal_means_nothing_would_be_kept(client: Client, header: str, value: str) -> None:
    told = await (await client.get("/privacy/request.json", headers={header: value})).json()
    assert told["would_be_kept"] is False
    assert told["stored_now"] == []


async def test_a_request_is_told_names_of_headers_and_never_their_values(client: Client) -> None:
    response = await client.get(
        "/privacy/request.json", headers={"User-Agent": "marker-7", "Referer": "marker-8", "Sec-GPC": "0"}
    )
    text = await response.text()
    assert "marker" not in text
    told = json.loads(text)
    assert told["would_be_kept"] is True
    assert {"User-Agent", "Referer"} <= set(told["headers_dropped"])
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers


async def test_gpc_is_announced_as_the_specification_of_gpc_wants(client: Client) -> None:
    response = await client.get("/.well-known/gpc.json")
    told = await response.json()
    assert response.content_type == "application/json"
    assert told.keys() == {"gpc", "lastUpdate"}
    assert told["gpc"] is True
