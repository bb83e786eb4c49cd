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

from federation.answer_proofs import verify_answer_proof
from federation.answers import canonical_json
from federation.core import Core
from federation.query import MetricRow, QueryRefused
from node.clock import SystemClock
from node.http.insights import ask
from node.http.kept_answers import KeptAnswers
from node.live_commons import LiveCommons
from node.state.log import LogStore
from protocol.entries import Entry, ParsedEntry
from protocol.ids import EntryId, NodeId
from protocol.objects import definition_hash
from tests.unit.federation.replaying import Held, Replay

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "vectors" / "v1"
FILES = {
    name: json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))
    for name in ("answers", "answers_later", "badges")
}
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

    def entries_after(self, author: NodeId, position: tuple[int, int], max_bytes: int, limit: int) -> list[Entry]:
        held = sorted((one for one in self.entries.values() if one.header.author == author), key=_position)
        return [one.entry for one in held if one.header.position > position][:limit]


def _position(entry: ParsedEntry) -> tuple[int, int]:
    return entry.header.position


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
        definitions={definition_hash(raw(body)): raw(body) for body in file["definitions"].values()},
    )


def proved() -> list[Any]:
    """Questions that a bundle can answer (no badges, no compare): of `answers_later` all, of `answers` some."""
    found = []
    for name, step in (("answers", 7), ("answers_later", 1)):
        plain = [case for case in FILES[name]["accepted"] if not case["parameters"].keys() & {"badges", "compare"}]
        found += [pytest.param(name, case, id=case["name"]) for case in plain[::step] if case["chain"] != "two"]
    return found


def cases(which: str) -> list[Any]:
    return [pytest.param(name, case, id=case["name"]) for name in FILES for case in FILES[name][which]]


@pytest.mark.parametrize(("file", "case"), cases("accepted"))
def test_every_answer_is_the_bytes_of_the_vector(file: str, case: Case) -> None:
    """Of the fields that a vector has; others may stand beside them."""
    data = ask(commons_of(file, case["chain"]), case["metric"], case["parameters"]).data
    found = canonical_json({name: data[name] for name in json.loads(case["answer"])})
    assert found.decode("ascii") == case["answer"]
    assert hashlib.sha256(found).hexdigest() == case["sha256"]


@pytest.mark.parametrize(("file", "case"), proved())
def test_every_answer_follows_from_its_bundle(file: str, case: Case) -> None:
    """Also where an older definition governs all windows, and the newest one names the axes."""
    commons = commons_of(file, case["chain"])
    _, bundle = KeptAnswers(commons).proof(case["metric"], case["parameters"])
    found = verify_answer_proof(bundle, commons.federation().id).data
    assert canonical_json({name: found[name] for name in json.loads(case["answer"])}).decode("ascii") == case["answer"]


@pytest.mark.parametrize(("file", "case"), cases("refused"))
def test_every_refused_question_is_refused_by_its_code(file: str, case: Case) -> None:
    """And nothing is answered."""
    with pytest.raises(QueryRefused) as caught:
        ask(commons_of(file, case.get("chain", "all")), case["metric"], case["parameters"])
    assert caught.value.code == case["code"]
