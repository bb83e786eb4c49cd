"""What was asked for anew, and what became of it: proposed metrics, who approved them, and each member's answers.

A metric is proposed by a charter that adds its row. While the charter is open, it has approvals and says whose are
missing; once it is trusted, the row holds and every member releases its windows, or says why not. All of it is read
from the logs and charters that members share, so every member tells the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from federation.core import Core
from federation.documents import read_definition
from privacy.definition import Definition
from privacy.units import Window, datetime_of_hour
from protocol.charter import CatalogueRow, Charter
from protocol.charter_chain import TrustedCharter, unsigned
from protocol.charter_document import CharterDocument
from protocol.ids import NodeId

FOUNDING: Final = 1  # version of the charter whose metrics nobody proposed


class Proposals:
    """Reads what a core knows; in the event loop."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def rows(self, metric: str | None = None) -> list[dict[str, Any]]:
        """Every proposed metric, open ones first, then those adopted, the newest charter first.

        Args:
            metric: Only this one, and then also if it was there from the founding on.
        """
        found = [*self._open(), *self._adopted(with_founding=metric is not None)]
        return [row for row in found if metric is None or row["metric"] == metric]

    def _open(self) -> Iterator[dict[str, Any]]:
        book = self._core.charters.book
        held = set(map(_place, self._core.rules.charter.catalogue))
        for item in self._core.charters.council.proposals():
            parents = [book.known[previous].charter for previous in item.charter.previous]
            for row in item.charter.catalogue:
                if _place(row) not in held:
                    yield {
                        **self._row(row),
                        "state": "proposed",
                        "charter": _charter(item.document, item.charter),
                        "approvals": _approvals(item.document, item.charter, parents),
                        "proposers": [self._name(node) for node in item.proposers],
                        "answers": [],
                    }

    def _adopted(self, *, with_founding: bool) -> Iterator[dict[str, Any]]:
        items = self._core.rules.chain.items
        for number in reversed(range(len(items))):
            item, before = items[number], items[number - 1] if number else None
            if before is None and not with_founding:
                return
            known = set() if before is None else set(map(_place, before.charter.catalogue))
            for row in item.charter.catalogue:
                if _place(row) not in known:
                    yield self._adopted_row(row, item, before)

    def _adopted_row(self, row: CatalogueRow, item: TrustedCharter, before: TrustedCharter | None) -> dict[str, Any]:
        tip = self._core.rules.charter.catalogue
        row = next((now for now in tip if _place(now) == _place(row)), row)  # a later charter may have ended it
        parents = [] if before is None else [before.charter]
        answers = [
            self._answer(member.node, member.name, row)
            for member in self._core.rules.charter.members
            if member.cut is None
        ]
        return {
            **self._row(row),
            "state": "adopted",
            "charter": _charter(item.document, item.charter),
            "approvals": {**_approvals(item.document, item.charter, parents), "missing": []},
            "proposers": [],
            "answers": answers,
        }

    def _row(self, row: CatalogueRow) -> dict[str, Any]:
        definition = self._definition(row)
        return {
            "metric": row.name,
            "question": None if definition is None else definition.question,
            "definition": row.definition.hex(),
            "from": _hour(row.from_hour),
            "until": None if row.until_hour is None else _hour(row.until_hour),
        }

    def _answer(self, node: NodeId, name: str, row: CatalogueRow) -> dict[str, Any]:
        """What one member said in the windows of a row."""
        judged = self._core.logs.judged(node)
        released: list[Window] = []
        declined: Counter[str] = Counter()
        for text, outcome in judged.slots_of(row.definition):
            window = Window.parse(text)
            if window.start_hour < row.from_hour or (row.until_hour is not None and window.end_hour > row.until_hour):
                continue
            if outcome.released is not None:
                released.append(window)
            elif outcome.abstained is not None:
                declined[outcome.abstained.reason] += 1
        newest = max(released, key=lambda window: window.start_hour, default=None)
        return {
            "node": node.hex(),
            "name": name,
            "state": "released" if released else "abstained" if declined else "silent",
            "released": len(released),
            "newest": None if newest is None else newest.text,
            "abstained": [{"reason": reason, "windows": windows} for reason, windows in sorted(declined.items())],
        }

    def _definition(self, row: CatalogueRow) -> Definition | None:
        body = self._core.documents.definition(row.definition)
        return None if body is None else read_definition(body)

    def _name(self, node: NodeId) -> str:
        member = self._core.rules.member(node)
        return node.hex() if member is None else member.name


def _place(row: CatalogueRow) -> tuple[str, bytes, int]:
    return row.name, row.definition, row.from_hour


def _charter(document: CharterDocument, charter: Charter) -> dict[str, Any]:
    return {"version": charter.version, "attempt": charter.attempt, "hash": document.hash.hex()}


def _approvals(document: CharterDocument, charter: Charter, parents: list[Charter]) -> dict[str, Any]:
    """Which organisations signed, how many must, and who has not."""
    voters = [*parents, charter]
    names = {one.governance_key: one.id for voter in voters for one in voter.organisations}
    return {
        "signed": sorted({names.get(key, key.hex()[:16]) for key in document.approvals}),
        "needed": max(voter.threshold for voter in voters),
        "missing": sorted({name for voter in voters for name in unsigned(voter, document.approvals)}),
    }


def _hour(hour: int) -> str:
    return f"{datetime_of_hour(hour):%Y-%m-%dT%H}"
