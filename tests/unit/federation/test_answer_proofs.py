"""Proof bundles of answers: a good one gives the answer anew; every changed byte and every wrong statement is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from federation.answer_proofs import is_answer_proof, verify_answer_proof
from federation.answers import canonical_json
from federation.proofs import ProofRefused
from node.http.insights import ask
from node.http.kept_answers import KeptAnswers
from protocol import canonical
from tests.research_kit import ResearchNode
from tests.simulation.author import Author, day
from tests.unit.federation.test_proofs import FOUNDING

SPAN = {"from": "2026-11-01", "to": "2026-11-04"}


def authors() -> list[Author]:
    """Three days of two metrics; a rotation and a recovery, an abstention, a slot that was voided, one missing."""
    made = [Author(FOUNDING, member) for member in FOUNDING.members]
    calls, visits = FOUNDING.named("calls"), FOUNDING.named("visits")
    for place, author in enumerate(made):
        author.born()
        for number in range(3):
            author.summary(visits, day(number), [1, 2, 3, 4])
            if (place, number) == (0, 1):
                author.rotate()
            if (place, number) == (1, 0):
                author.summary(visits, day(number), [9, 9, 9, 9])  # a second one: both are void
            if (place, number) == (2, 1):
                author.abstain(calls, day(number), "budget")
            elif (place, number) == (2, 2):
                author.summary(calls, day(number), [1, 1, 1, 1])
                author.summary(calls, day(number), [2, 1, 1, 1])
            elif (place, number) != (1, 2):
                author.summary(calls, day(number), [100 * place + 10 * number + cell for cell in range(4)])
    made[1].recover(made[1].entries[-1].header.seq)
    return made


@pytest.fixture
def node(tmp_path: Path) -> Any:
    made = ResearchNode(tmp_path, authors())
    yield made
    made.database.close()


def bundle(node: ResearchNode, **parameters: str) -> bytes:
    return KeptAnswers(node.commons).proof("calls", {**SPAN, **parameters})[1]


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"by": "total"}, {"raw": "1", "level": "0.99"}, {"where": "country:DE,other"}, {"nodes": "node1"},
        {"nodes": "node0,node2", "where": "country:FR", "by": "total"},
    ],
)  # fmt: skip
def test_an_answer_follows_from_what_its_bundle_holds(node: ResearchNode, asked: dict[str, str]) -> None:
    """Members included, abstained, void, missing; keys turned and recovered: the same bytes as the node's answer."""
    data = bundle(node, **asked)
    assert is_answer_proof(data)
    found = verify_answer_proof(data, FOUNDING.federation)
    assert canonical_json(dict(found.data)) == canonical_json(ask(node.commons, "calls", {**SPAN, **asked}).data)
    assert found.charter_version == 1
    if not asked:
        assert (found.releases, found.others) == (6, 5)
        states = {one["name"]: one["without"] for one in found.data["members"]}  # type: ignore[index, call-overload, union-attr]  # JSON
        assert sorted(part["standing"] for without in states.values() for part in without) == [
            "abstained", "missing", "void",
        ]  # fmt: skip


@pytest.mark.parametrize("step", [97, pytest.param(3, marks=pytest.mark.slow)])
def test_every_changed_byte_is_refused(node: ResearchNode, step: int) -> None:
    """Each byte in turn (quickly: some), its lowest bit turned; the refusal names a part."""
    good = bundle(node, to="2026-11-02")
    parts = set()
    for place in range(0, len(good), step):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        with pytest.raises(ProofRefused) as refused:
            verify_answer_proof(bad, FOUNDING.federation)
        parts.add(refused.value.part)
    assert {"charter", "definition", "inception record", "entries", "other summaries", "answer"} <= parts


def test_what_is_left_out_or_put_in_is_refused(node: ResearchNode) -> None:
    """A release left out, one of another span, two authors in one place, a void slot made up."""
    good: Any = canonical.decode(bundle(node))
    for change, part in (
        (lambda parts: parts[7].pop(), "answer"),
        (lambda parts: parts[7].append(parts[7][0]), "authors"),
        (lambda parts: parts[7][0][2].reverse(), "other summaries"),
        (lambda parts: parts[8].append([FOUNDING.members[1].node, day(2), "over_cap"]), "answer"),
        (lambda parts: parts[8].append([b"x" * 32, day(2), "over_cap"]), "voided slots"),
        (lambda parts: parts[9].append([FOUNDING.members[0].node, 0, 10**6]), "entries"),
        (lambda parts: parts[4].clear(), "entries"),
        (lambda parts: parts[7][0][2].__delitem__(-1), "other summaries"),
    ):
        parts: Any = canonical.decode(canonical.encode(good))
        change(parts)
        with pytest.raises(ProofRefused) as refused:
            verify_answer_proof(canonical.encode(parts), FOUNDING.federation)
        assert refused.value.part == part
    shorter: Any = canonical.decode(bundle(node, to="2026-11-03"))
    with pytest.raises(ProofRefused, match="nothing that is asked"):
        verify_answer_proof(canonical.encode([*shorter[:7], *good[7:]]), FOUNDING.federation)


def test_another_federation_is_refused(node: ResearchNode) -> None:
    with pytest.raises(ProofRefused, match="federation id"):
        verify_answer_proof(bundle(node), b"x" * 32)
