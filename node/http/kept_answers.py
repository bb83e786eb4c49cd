"""Answers given lately, kept as the bytes that were sent, for as long as nothing that they are made of has changed.

The key is the question as asked; beside it stands the mark of the commons (`Commons.mark`): the charter in force, the
metric's rows and what every log says of their slots. Another mark, another answer: so a release that arrives, one that
is voided and a charter that changes are in the next answer, and what happens to other metrics costs this one nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from federation.answers import canonical_json
from federation.organisations import refuse_single
from federation.query import BadParameter, QueryRefused
from node.commons import Commons
from node.http.insights import ask

KEPT_BYTES: Final = 8 << 20
KEPT_IDENTITIES: Final = 4096  # of questions asked here: an identity alone does not say what was asked


class AnswerChanged(QueryRefused):
    """The same question has another answer by now: what was cited cannot be proved any more."""

    code = "answer_changed"
    status = 410


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it is told.

    Args:
        data: Its canonical JSON: what all nodes agree on.
        newest_at_s, data_points, releases, level: As `insights.Insight`.
    """

    data: bytes
    newest_at_s: int | None
    data_points: int
    releases: int
    level: str


class KeptAnswers:
    """Asks, or answers from what was asked before.

    Args:
        commons: Where answers come from.
        most_bytes: Of the answers kept, those given last.
    """

    def __init__(self, commons: Commons, most_bytes: int = KEPT_BYTES) -> None:
        self._commons = commons
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[object, Told]] = OrderedDict()
        self._bytes = 0
        self._asked: OrderedDict[str, tuple[str, Mapping[str, str]]] = OrderedDict()

    def ask(self, metric: str, parameters: Mapping[str, str]) -> Told:
        """The answer to what these parameters ask.

        Raises:
            QueryRefused: they ask nothing that can be answered.
        """
        key = metric, frozenset(parameters.items())
        mark = self._commons.mark(metric)
        known = self._kept.get(key)
        if known is not None and known[0] == mark:
            self._kept.move_to_end(key)
            return known[1]
        found = ask(self._commons, metric, parameters)
        told = Told(canonical_json(found.data), found.newest_at_s, found.data_points, found.releases, found.level)
        self._keep(key, mark, told)
        self._remember(str(found.data["identity"]), metric, parameters)
        return told

    def proof(self, metric: str, parameters: Mapping[str, str], *, is_operator: bool = False) -> tuple[str, bytes]:
        """(identity, proof bundle) of the answer to what these parameters ask.

        Raises:
            QueryRefused: they ask nothing that can be answered or proved.
        """
        beside = sorted({name for name in ("badges", "compare") if parameters.get(name, "0") not in ("", "0")})
        if beside:
            raise BadParameter(why=f"a proof is of the plain answer, without {beside[0]}", fix=f"Leave out {beside[0]}")
        if not is_operator:
            demanded = self._commons.federation().charter.min_organisations
            refuse_single("A proof shows the releases of single members", demanded)
        plain = {name: text for name, text in parameters.items() if name not in ("badges", "compare")}
        found = ask(self._commons, metric, plain)
        return str(found.data["identity"]), self._commons.answer_proof(found.query, canonical_json(found.data))

    def proof_of(self, identity: str, *, is_operator: bool = False) -> bytes | None:
        """The proof bundle of an answer that was given here lately; None when no such answer was.

        Raises:
            AnswerChanged: asked again, the question has another answer. QueryRefused: it cannot be proved.
        """
        asked = self._asked.get(identity)
        if asked is None:
            return None
        metric, parameters = asked
        now, bundle = self.proof(metric, parameters, is_operator=is_operator)
        if now != identity:
            raise AnswerChanged(
                what="The answer is not proved",
                why=f"its inputs have changed since it was given: a release arrived or was voided, or the charter "
                f"changed. Asked now, it is the answer {now[:16]}…",
                fix="Ask again, and cite and prove the new answer",
            )
        return bundle

    def _remember(self, identity: str, metric: str, parameters: Mapping[str, str]) -> None:
        self._asked[identity] = metric, {k: v for k, v in parameters.items() if k not in ("badges", "compare")}
        self._asked.move_to_end(identity)
        while len(self._asked) > KEPT_IDENTITIES:
            self._asked.popitem(last=False)

    def _keep(self, key: Hashable, mark: object, told: Told) -> None:
        before = self._kept.pop(key, None)
        self._bytes += len(told.data) - (0 if before is None else len(before[1].data))
        self._kept[key] = mark, told
        while self._bytes > self._most_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= len(dropped.data)
