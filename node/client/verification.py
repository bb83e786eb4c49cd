"""Checking an answer: its proof bundle, computed anew, has to be this very answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.answer_proofs import NOT_PROVED, PROVED, verify_answer_proof
from node.client.answers import Verification
from node.client.errors import BadQuestion

if TYPE_CHECKING:
    from node.client.answers import Answer

_BESIDE = ("badges", "compare")  # no part of the plain answer


def verify(answer: Answer, federation: str | None) -> Verification:
    """As `Answer.verify` says."""
    proved = verify_answer_proof(answer.proof(), None if federation is None else bytes.fromhex(federation))
    mine = {name: value for name, value in answer.data.items() if name not in _BESIDE}
    if dict(proved.data) == mine:
        return Verification(proved.releases, PROVED, NOT_PROVED)
    if proved.data["identity"] != answer.identity:
        raise BadQuestion(
            "The answer is not verified",
            f"its inputs have changed since: it was {answer.identity[:16]}, the node now proves "
            f"{str(proved.data['identity'])[:16]}",
            "Ask again, then verify",
            code="not_verified",
        )
    raise BadQuestion(
        "The answer is not verified",
        "the proved releases give other numbers than it has",
        "Do not use it; tell the operator",
        code="not_verified",
    )
