"""A publisher over rows whose bounded vector is known, and what it wrote: for tests of ledger and leaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from node.clock import Clock
from node.commons import EpochCharge
from node.jobs.publishing import Identity, Publisher
from node.state.database import StateDatabase
from node.state.log import LogStore
from privacy.bounding import Binding
from privacy.definition import Definition, parse_definition
from privacy.diffprivlib_adapter import draw_geometric
from privacy.ledger import Balance, nano_rho_of_cap
from privacy.tracking_plan import parse_plan
from privacy.units import EpochLength, Window
from protocol.entries import SUMMARY, ParsedEntry
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.summaries import SummaryData, parse_summary, read_cells

NODE = NodeId(b"n" * 32)
CAP = Balance(nano_rho_of_cap(Fraction(1, 40)), 0)
PLANS = {
    1: parse_plan({"plan": "shop", "apps": {"web": {"person": "user", "consent": "none", "actions": {"buy": {}}}}})
}


class StoppedClock(Clock):
    """Always the same instant, so that two runs differ in nothing but what they must."""

    def now_ms(self) -> int:
        return 1_793_750_000_000

    def monotonic_s(self) -> float:
        return 0.0


class FixedRows:
    """Rows whose bounded vector is given."""

    def __init__(self, values: Sequence[int] = (1000,)) -> None:
        self._values = values

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        return [*self._values, *([0] * (binding.cells - len(self._values)))]

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        raise NotImplementedError("nothing is discovered here")


def count_of(name: str = "orders", window: str = "day", **terms: str) -> Definition:
    """A count of one cell."""
    privacy = {"max_cells": "1", "max_per_cell": "2", "rho": "1/400", **terms}
    tree = {"metric": name, "question": "How many?", "from": "any", "measure": "count", "window": window}
    return parse_definition({**tree, "privacy": {key: value for key, value in privacy.items() if value}})


def digest(definition: Definition) -> DefinitionHash:
    return DefinitionHash(sha256(repr(definition).encode()).digest())


class Node:
    """A node's publisher with its database; opening the same folder again is a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        epoch_length: EpochLength = "day",
        cap: Balance = CAP,
        rng: Callable[[int], bytes] = os.urandom,
        **options: Any,
    ) -> None:
        self.database = StateDatabase(folder / "state.db")
        self._logs = LogStore(self.database)
        self._publisher = Publisher(
            database=self.database,
            logs=self._logs,
            identity=Identity(NODE, FederationId(b"f" * 32), SigningKey(b"s" * 32), 1),
            anchor=folder / "anchor",
            epoch_length=epoch_length,
            cap_of=lambda _epoch: cap,
            clock=StoppedClock(),
            rng=rng,
            geometric=draw_geometric,
            **options,
        )

    def answer(
        self, definition: Definition, window: Window, values: Sequence[int] | None = (1000,)
    ) -> ParsedEntry | None:
        """Answer a slot whose rows give these cells; None: the rows are gone."""
        rows = None if values is None else FixedRows(values)
        return self._publisher.answer(digest(definition), definition, window, PLANS, rows)

    def entries(self) -> list[ParsedEntry]:
        return list(self._logs.replay(NODE))

    def summaries(self) -> list[SummaryData]:
        return [parse_summary(one.entry.data, NODE) for one in self.entries() if one.header.kind == SUMMARY]

    def cells(self) -> list[tuple[int, ...]]:
        return [
            read_cells(parse_summary(one.entry.data, NODE), one.entry.cells)
            for one in self.entries()
            if one.header.kind == SUMMARY
        ]

    def charges(self) -> list[EpochCharge]:
        """What the log says was charged to each epoch, as a reader adds it up."""
        found: dict[Window, EpochCharge] = {}
        for summary in self.summaries():
            for charge in summary.charges:
                epoch = Window.parse(charge.epoch)
                hashes = (bytes(summary.definition),)
                one = EpochCharge(NODE, epoch, charge.rho_nano, charge.delta_atto, summary.cells, hashes)
                found[epoch] = found[epoch] + one if epoch in found else one
        return [found[epoch] for epoch in sorted(found)]
