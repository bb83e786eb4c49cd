"""Everything a demo run found out, once, for both ways to say it: in words and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from node.demo.check import Check
from node.demo.fleet import RunningNode
from node.demo.player import Receipts
from node.demo.questions import Answers, Question
from node.demo.stage import Stage
from node.demo.truth import Truth
from node.demo.wiretap import Account
from node.jobs.facts import Span
from privacy.accounting import Guarantee


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        stage: What was played.
        nodes: The running nodes.
        receipts: What each platform was told, by name.
        people: Person keys in each platform's history, by name.
        truths: Bounded truth, by name.
        account: What crossed between the nodes.
        counters_agree: Whether the nodes' own byte counters equal the relay's.
        check: The noise against its promise.
        spans: Questions over the whole history, by metric, as a screen shows them.
        days: Questions over one window each, raw.
        answers: The answers to all of them.
        promised: ε at the charter's cap for 1, 30 and 365 days.
        charging: Computes ε as charged, by PLD beside zCDP, while the answers are told.
        kept: Where the data stays; None when it is deleted at the end.
        seconds: Wall time by phase, and `total`.
    """

    stage: Stage
    nodes: tuple[RunningNode, ...]
    receipts: Mapping[str, Receipts]
    people: Mapping[str, int]
    truths: Mapping[str, Truth]
    account: Account
    counters_agree: bool
    check: Check
    spans: Mapping[str, Question]
    days: tuple[Question, ...]
    answers: Answers
    promised: tuple[Guarantee, ...]
    charging: Future[tuple[Span, ...]]
    kept: Path | None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """What is not as it should be; the demo fails when there is any."""
        faults = [f"raw data crossed: {fault}" for fault in self.account.faults[:10]]
        faults += [f"the noise is not what was promised: {fault}" for fault in self.check.faults()]
        faults += [f"the nodes disagree about {question.path}" for question in self.answers.unequal[:5]]
        if not self.counters_agree:
            faults.append("the nodes' own byte counters differ from what the relay carried")
        links = len(self.nodes) * (len(self.nodes) - 1)
        if len(self.account.sent) != links:
            faults.append(f"{len(self.account.sent)} links carried something; there are {links}")
        owed = sum(len(truth) for truth in self.truths.values())
        if len(self.account.summaries) != owed:
            faults.append(f"{len(self.account.summaries)} releases crossed; {owed} are owed")
        return faults

    @property
    def charged(self) -> tuple[Span, ...]:
        """ε as charged; waits for it."""
        return self.charging.result()
