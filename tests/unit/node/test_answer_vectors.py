"""The golden vectors of answers, asked of the node's own commons (specs/answers.md, specs/vectors/v1/README.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
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

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "vectors" / "v1"
FILES = {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii")) for name in ("answers", "badges")}
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


@cache
def commons_of(name: str, chain: str) -> LiveCommons:
    """The commons of a node that knows everything in a file, under one chain of charters; entries came last first."""
    file = FILES[name]
    node = Replay([raw(file["charters"][one]) for one in file["chains"][chain]], map(raw, file["definitions"].values()))
    node.offer_all([raw(entry) for entry in file["entries"].values()][::-1])
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


def cases(which: str) -> list[Any]:
    return [pytest.param(name, case, id=case["name"]) for name in FILES for case in FILES[name][which]]


@pytest.mark.parametrize(("file", "case"), cases("accepted"))
def test_every_answer_is_the_bytes_of_the_vector(file: str, case: Case) -> None:
    """Of the fields that a vector has; others may stand beside them."""
    data = ask(commons_of(file, case["chain"]), case["metric"], case["parameters"]).data
    found = canonical_json({name: data[name] for name in json.loads(case["answer"])})
    assert found.decode("ascii") == case["answer"]
    assert hashlib.sha256(found).hexdigest() == case["sha256"]


@pytest.mark.parametrize(("file", "case"), cases("refused"))
def test_every_refused_question_is_refused_by_its_code(file: str, case: Case) -> None:
    """And nothing is answered."""
    with pytest.raises(QueryRefused) as caught:
        ask(commons_of(file, case.get("chain", "all")), case["metric"], case["parameters"])
    assert caught.value.code == case["code"]
