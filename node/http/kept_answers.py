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
from node.commons import Commons
from node.http.insights import ask

KEPT_BYTES: Final = 8 << 20


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
        return told

    def _keep(self, key: Hashable, mark: object, told: Told) -> None:
        before = self._kept.pop(key, None)
        self._bytes += len(told.data) - (0 if before is None else len(before[1].data))
        self._kept[key] = mark, told
        while self._bytes > self._most_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= len(dropped.data)
