"""A Commons of four platforms with two metrics and three days of releases, for the query routes and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from federation.answers import CharterView
from federation.combine import Contributor, WindowInput
from federation.query import MetricRow, Query
from node.commons import EpochCharge, FederationView, Inputs, MemberState, PeerView, ReleaseBody, ReleaseRow
from privacy.units import Window
from tests.unit.federation.combining import (
    COUNTRIES,
    DAY,
    NAMES,
    NODES,
    RUNWAY,
    hash_of,
    members,
    row,
    window_input,
)

DAYS = (DAY, DAY.next, DAY.next.next)
PEOPLE_ROW = row(COUNTRIES)
RUNWAY_ROW = row(RUNWAY)
PEOPLE = {name: [400 * i, 200, 20, 3] for i, name in enumerate(NAMES, 1)}
RUNWAYS = {"liberation-tools": [0, 300, 500, 400, 100, 40] * 12}


@dataclass
class FakeCommons:
    """One of four nodes; `without` names a member whose releases have not arrived."""

    name: str = "addvalue"
    without: frozenset[str] = frozenset()
    newest: Window | None = DAYS[-1]
    at_s: int | None = 1_793_750_400
    metrics: tuple[MetricRow, ...] = (PEOPLE_ROW, RUNWAY_ROW)
    asked: list[Sequence[tuple[Window, MetricRow]]] = field(default_factory=list)

    @property
    def node(self) -> bytes:
        return NODES[self.name]

    def federation(self) -> FederationView:
        return FederationView(
            "Four platforms",
            b"f" * 32,
            CharterView(1, b"c" * 32),
            3,
            4,
            {"day": Fraction(1, 40), "month": Fraction(1, 4)},
            tuple(MemberState(member, 0, 40 + i) for i, member in enumerate(self._members())),
        )

    def rows(self) -> Sequence[MetricRow]:
        return self.metrics

    def mark(self, metric: str) -> object:
        return object()  # nothing is kept: tests change what it holds

    def newest_window(self, metric: str) -> Window | None:
        return self.newest

    def inputs(self, windows: Sequence[tuple[Window, MetricRow]]) -> Inputs:
        self.asked.append(windows)
        return Inputs(tuple(self._input(window, one) for window, one in windows), self.at_s)

    def charges(self) -> Sequence[EpochCharge]:
        return [EpochCharge(node, DAY, 5_000_000, 0, 76) for node in sorted(NODES.values())]

    def peers(self) -> Sequence[PeerView]:
        return [
            PeerView(NODES[name], "self")
            if name == self.name
            else PeerView(NODES[name], "unreachable" if name in self.without else "ok", 1_793_750_000)
            for name in NAMES
        ]

    def releases(self) -> Sequence[ReleaseRow]:
        return []

    def release(self, release_id: bytes) -> ReleaseBody | None:
        return None

    def proof(self, release_id: bytes) -> bytes | None:
        return None

    def _members(self) -> tuple[Contributor, ...]:
        return members()

    def _input(self, window: Window, one: MetricRow) -> WindowInput:
        has_data = self.newest is not None and DAYS[0].start_hour <= window.start_hour <= self.newest.start_hour
        table = {hash_of(PEOPLE_ROW.definition): PEOPLE}.get(one.definition_hash, RUNWAYS)
        vectors = {name: cells for name, cells in table.items() if has_data and name not in self.without}
        abstained = {} if table is PEOPLE else {name: "not_in_plan" for name in NAMES if name not in table}
        return window_input(one.definition, window, vectors, unit="session", abstained=abstained)

    def answer_proof(self, query: Query, data: bytes) -> bytes:
        return data
