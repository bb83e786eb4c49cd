"""The golden vectors of answers, asked of the node's own commons (specs/answers.md, specs/vectors/v1/README.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.answers import canonical_json
from federation.core import Core
from federation.query import MetricRow, QueryRefused
from node.clock import SystemClock
from node.http.insights import ask
from node.live_commons import LiveCommons
from node.state.log import LogStore
from protocol.ids import EntryId
from tests.unit.federation.replaying import Held, Replay

FILE = json.loads(
    (Path(__file__).resolve().parents[3] / "specs" / "vectors" / "v1" / "answers.json").read_text(encoding="ascii")
)
Case = dict[str, Any]  # JSON, whose shape the README gives
raw = bytes.fromhex


class Bodies(Held):
    """A log store in memory, as far as answers read it."""

    def __init__(self, held: Held) -> None:
        super().__init__(held.entries)

    def bodies(self, ids: Sequence[EntryId]) -> Iterator[tuple[EntryId, bytes, bytes, bytes | None]]:
        for one in ids:
            entry = self.entries[one].entry
            yield one, entry.header, entry.data, entry.cells


def commons_of(chain: str) -> LiveCommons:
    """The commons of a node that knows everything in the file, under one chain of charters; entries came last first."""
    node = Replay(
        [raw(FILE["charters"][name]) for name in FILE["chains"][chain]], map(raw, FILE["definitions"].values())
    )
    node.offer_all([raw(entry) for entry in FILE["entries"].values()][::-1])
    rules = node.logs.rules
    rows = [
        MetricRow(row.name, row.definition, definition, row.from_hour, row.until_hour)
        for row in rules.charter.catalogue
        if (definition := rules.definitions[row.definition]) is not None
    ]
    core = SimpleNamespace(me=rules.authors[0], rules=rules, logs=node.logs)
    return LiveCommons(
        core=cast(Core, core),  # an answer reads rules and logs alone
        logs=cast(LogStore, Bodies(node.held)),  # and bodies
        rows=rows,
        name="hare",
        clock=SystemClock(),  # never read
    )


@pytest.fixture(scope="module", params=list(FILE["chains"]))
def known(request: pytest.FixtureRequest) -> tuple[str, LiveCommons]:
    return request.param, commons_of(request.param)


def test_every_answer_is_the_bytes_of_the_vector(known: tuple[str, LiveCommons]) -> None:
    """Of the fields that a vector has; others may stand beside them."""
    chain, commons = known
    for case in FILE["accepted"]:
        if case["chain"] != chain:
            continue
        expected = json.loads(case["answer"])
        data = ask(commons, case["metric"], case["parameters"]).data
        found = canonical_json({name: data[name] for name in expected})
        assert found.decode("ascii") == case["answer"], case["name"]
        assert hashlib.sha256(found).hexdigest() == case["sha256"]


@pytest.mark.parametrize("case", FILE["refused"], ids=[case["name"] for case in FILE["refused"]])
def test_every_refused_question_is_refused_by_its_code(case: Case, known: tuple[str, LiveCommons]) -> None:
    """And nothing is answered."""
    with pytest.raises(QueryRefused) as caught:
        ask(known[1], case["metric"], case["parameters"])
    assert caught.value.code == case["code"]
