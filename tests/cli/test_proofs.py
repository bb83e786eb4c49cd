"""`murmur verify` on the proof of an answer, and `murmur query --compare`: what people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from federation.proofs import ProofRefused
from node.cli.kit.comparing import compare_lines
from node.cli.verify import command
from node.http.insights import ask
from node.http.kept_answers import KeptAnswers
from tests.research_kit import ResearchNode, logs_of
from tests.unit.federation.test_proofs import FOUNDING

SPAN = {"from": "2026-11-02", "to": "2026-11-04"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ResearchNode]:
    made = ResearchNode(tmp_path, logs_of(FOUNDING, days=4))
    yield made
    made.database.close()


def test_an_answer_is_verified_and_shown(node: ResearchNode, tmp_path: Path) -> None:
    """The answer computed anew, the two lines on what is proved; a changed byte is exit 6 and names the part."""
    identity, bundle = KeptAnswers(node.commons).proof("calls", SPAN)
    file = tmp_path / "answer.proof"
    file.write_bytes(bundle)
    run = CliRunner().invoke(command, [str(file), "--federation", FOUNDING.federation.hex()])
    assert run.exit_code == 0, run.output
    for words in (
        f"Good: the answer {identity}",
        "from 6 signed releases, 0 other releases",
        "Not proved: that a",
    ):
        assert words in run.output
    document = json.loads(CliRunner().invoke(command, [str(file), "--json"]).stdout)
    assert (document["identity"], document["releases"], document["federation_is_given"]) == (identity, 6, False)
    assert document["answer"] == ask(node.commons, "calls", SPAN).data
    file.write_bytes(bundle.replace(b'"estimate":', b'"estimatf":', 1))
    refused = CliRunner().invoke(command, [str(file)])
    assert isinstance(refused.exception, ProofRefused)
    assert refused.exception.part == "answer"


def test_the_span_before_stands_beside(node: ResearchNode) -> None:
    """Numbers with separators, the sign of a difference, and in words whether it is more than noise."""
    lines = compare_lines(dict(ask(node.commons, "calls", {"last": "2d", "compare": "previous"}).data), 100)
    assert "beside 2026-11-01 … 2026-11-02, the span before" in lines
    [total] = [line for line in lines if line.startswith("total")]
    assert "+4,800" in total
    assert "more than noise" in total
    nothing = compare_lines(
        dict(ask(node.commons, "calls", {**SPAN, "from": "2026-11-03", "compare": "previous"}).data), 80
    )
    assert any("beside 2026-11-02, the span before" in line for line in nothing)
