"""Checking an answer: the proof of every release behind it, and the sum over them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from federation.proofs import NOT_PROVED, PROVED, verify_proof
from node.client.answers import Verification
from node.client.errors import BadQuestion
from privacy.units import Window

if TYPE_CHECKING:
    from node.client.answers import Answer


def verify(answer: Answer, federation: str | None) -> Verification:
    """As `Answer.verify` says."""
    data = answer.data
    if "where" in data or "nodes" in data:
        raise _refused("it is narrowed by where or nodes", "Verify the whole answer; narrowing is arithmetic on it")
    if not data["windows"]["first"]:
        return Verification(0, PROVED, NOT_PROVED)
    first, last = Window.parse(data["windows"]["first"]), Window.parse(data["windows"]["last"])
    expected = None if federation is None else bytes.fromhex(federation)
    total = Fraction(0)
    checked = 0
    for row in answer.client.releases(metric=data["metric"]):
        window = Window.parse(row["window"])
        if not first.start_hour <= window.start_hour <= last.start_hour:
            continue
        proved = verify_proof(answer.client.proof(row["release"]), expected)
        headline = proved.summary.blocks[0]
        total += sum(proved.cells[: headline.cells]) * headline.quantum
        checked += 1
    if checked != answer.metadata["releases"]:
        raise _refused(
            f"it sums {answer.metadata['releases']} releases, the node now lists {checked}", "Ask again, then verify"
        )
    raw = answer.again(raw=True).data["total"]
    if data["measure"] in ("count", "people", "histogram") and Fraction(str(raw["estimate"])) != total:
        raise _refused(
            f"its total is {raw['estimate']}, the proved releases sum to {total}", "Do not use it; tell the operator"
        )
    return Verification(checked, PROVED, NOT_PROVED)


def _refused(why: str, fix: str) -> BadQuestion:
    return BadQuestion("The answer is not verified", why, fix, code="not_verified")
