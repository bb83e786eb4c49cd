"""/v1/budget tells the fact beside the exact data: computed by this node, and never in `data`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp.test_utils import make_mocked_request

from node.commons import EpochCharge
from node.http.research import ResearchEndpoint
from node.jobs.facts import Facts
from node.jobs.workshop import Epsilons
from privacy.errors import NoiseUnavailable
from tests.unit.federation.combining import DAY, NODES
from tests.unit.node.fake_commons import PEOPLE_ROW, FakeCommons

SPEC = yaml.safe_load((Path(__file__).parents[3] / "specs/api/openapi.yaml").read_text())


class Explained(FakeCommons):
    """Two releases of one metric by each node, as their charges say."""

    def charges(self) -> list[EpochCharge]:
        twice = (PEOPLE_ROW.definition_hash,) * 2
        return [EpochCharge(node, DAY, 5_000_000, 0, 8, twice) for node in sorted(NODES.values())]


class Counting:
    """A workshop that says 0.5, 2 and 7, and counts its questions."""

    asked = 0
    is_ill = False

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def epsilons(self, losses: object, epochs: object) -> Epsilons:
        Counting.asked += 1
        if Counting.is_ill:
            raise NoiseUnavailable(what="Release stopped", why="it died", fix="Try again")
        tight = (Decimal("0.1"), Decimal("1"), Decimal("3"))
        return Epsilons(tight, tuple(10 * one for one in tight))


@pytest.fixture(autouse=True)
def fresh() -> None:
    Counting.asked, Counting.is_ill = 0, False


async def budget(endpoint: ResearchEndpoint) -> dict[str, Any]:
    response = await endpoint.budget(make_mocked_request("GET", "/v1/budget"))
    assert isinstance(response.body, bytes)
    document: dict[str, Any] = json.loads(response.body)
    return document


async def test_the_fact_stands_beside_the_data_with_its_second_opinion() -> None:
    """One question to the child for four nodes that did the same, and none the second time."""
    endpoint = ResearchEndpoint(Explained(), lambda _: None, Facts(Counting))  # type: ignore[arg-type]
    document = await budget(endpoint)
    schema = SPEC["paths"]["/v1/budget"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(document, {**schema, "components": SPEC["components"]})
    year = document["metadata"]["fact"][0]["guarantees"][2]
    assert (year["epsilon"], year["accounting"], year["second_opinion"]) == ("3", "pld", "30")
    assert "pld" not in json.dumps(document["data"]), "what nodes agree on holds no float's figure"
    await budget(endpoint)
    assert Counting.asked == 1


async def test_data_is_the_same_with_and_without_a_fact() -> None:
    plain = await budget(ResearchEndpoint(Explained(), lambda _: None))
    told = await budget(ResearchEndpoint(Explained(), lambda _: None, Facts(Counting)))  # type: ignore[arg-type]
    assert plain["data"] == told["data"]
    assert plain["metadata"]["fact"] is None


@pytest.mark.parametrize("commons", [FakeCommons(), Explained()], ids=["unexplained", "child died"])
async def test_without_a_tight_figure_zcdp_speaks(commons: FakeCommons) -> None:
    Counting.is_ill = True
    document = await budget(ResearchEndpoint(commons, lambda _: None, Facts(Counting)))  # type: ignore[arg-type]
    fact, data = document["metadata"]["fact"][0]["guarantees"], document["data"]["charged"][0]["guarantees"]
    assert [one["epsilon"] for one in fact] == [one["epsilon"] for one in data]
    assert all(one["accounting"] == "zcdp" and one["second_opinion"] is None for one in fact)
