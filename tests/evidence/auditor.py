"""An attacker who sees releases of neighbouring data and says how large ε must be, at least.

The releases go the whole road of a node: DuckDB deduplicates and bounds, the publisher draws the noise, charges the
ledger and signs an entry in its database; the cells are read back from that entry. The attacker knows the two data
sets, the exact difference between their vectors and the law of the noise, and looks at the likelihood ratio of a trial.

For the event S = {score >= t}, p = P(S | with the person) and q = P(S | without), (ε, δ)-differential privacy demands
p <= e^ε·q + δ, so ε >= ln((p − δ)/q); and the same for the complement with the two exchanged. With p bounded from below
and q from above (Clopper, Pearson), at a confidence shared out over all events looked at, the largest such number is a
lower confidence bound: an honest mechanism stays under its claim but for a share α of audits.

Sources: Jagielski, Ullman, Oprea 2020 (arXiv 2006.07709) for the bound; Steinke, Nasr, Jagielski 2023 (arXiv
2305.08846) for many trials in one run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from itertools import count
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from node.clock import SystemClock
from node.jobs.publishing import Identity, Publisher
from node.state.database import StateDatabase
from node.state.log import LogStore
from node.vault.engine import EngineLimits, WindowEngine, run_window
from privacy.bounding import Binding
from privacy.definition import Definition
from privacy.layout import Layout, compile_layout
from privacy.ledger import Balance, nano_rho_of_cap
from privacy.losses import losses_of
from privacy.pld import pld_epsilons
from privacy.rows import ROW_COLUMNS
from protocol.entries import SUMMARY, ParsedEntry
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.summaries import parse_summary, read_cells
from tests.evidence.questions import Question

DELTA: Final = 0.05
ALPHA: Final = 1e-6  # of one audit
THRESHOLDS: Final = np.linspace(-4, 8, 49)  # of the log likelihood ratio
CAP: Final = Balance(nano_rho_of_cap(Fraction(100)), 0)

_ARROW: Final = {"u8": pa.uint8(), "u16": pa.uint16(), "u32": pa.uint32(), "u64": pa.uint64(), "i64": pa.int64()}
_SCHEMA: Final = pa.schema([(column.name, _ARROW[column.type]) for column in ROW_COLUMNS])
_NODE: Final = NodeId(b"n" * 32)

Cells = NDArray[np.float64]
Mutate = Callable[[str], str]
Spoil = Callable[[Cells, Cells], Cells]
"""(exact cells, noised cells) of all trials -> what a broken node would publish; NaN is nothing."""


def as_it_is(sql: str) -> str:
    return sql


def mutated(binding: Binding, mutate: Mutate) -> Binding:
    """The binding with another query, whichever of its texts the engine runs."""
    assert mutate is as_it_is or mutate(binding.sql) != binding.sql, "the mutant no longer applies to the SQL"
    texts = {name: mutate(getattr(binding, name)) for name in ("sql", "amounts", "pieces", "selection")}
    return replace(binding, **texts)


@dataclass(frozen=True)
class Fault:
    """A way to break a node.

    Args:
        bounding: Changes the bounding SQL.
        terms: Terms of the definition that the noise is made from, in place of those claimed.
        spoil: Changes what is published.
    """

    bounding: Mutate = as_it_is
    terms: tuple[tuple[str, str], ...] = ()
    spoil: Spoil = lambda _exact, noised: noised


HONEST: Final = Fault()


@dataclass(frozen=True)
class Verdict:
    """What an audit found: the lower bound on ε at `DELTA`, the claim there, and over how many pairs."""

    bound: float
    claim: float
    trials: int


def audit(question: Question, folder: Path, trials: int, fault: Fault = HONEST) -> Verdict:
    """The verdict over at least so many pairs of releases of neighbouring data."""
    claimed = question.definition()
    layout = compile_layout(claimed, question.window)
    node = Node(folder, question, claimed, question.definition(**dict(fault.terms)), fault)
    rounds = -(-trials // question.trials)
    present, with_exact = node.releases(rounds, with_persons=True)
    absent, without_exact = node.releases(rounds, with_persons=False)
    difference = (with_exact - without_exact)[0]
    # The likelihoods are those of the claimed noise around what the person's rows make of the vector.
    scores = [_scores(cells, without_exact, difference, layout, question) for cells in (present, absent)]
    return Verdict(epsilon_bound(*scores), claimed_epsilon(layout), rounds * question.trials)


def claimed_epsilon(layout: Layout) -> float:
    """ε of one release at `DELTA`, as the node reports it by privacy loss distributions."""
    (epsilon,) = pld_epsilons(losses_of(layout.blocks), [1], Fraction(1, 20))
    return float(epsilon)


def epsilon_bound(present: Cells, absent: Cells) -> float:
    """A lower confidence bound, at `ALPHA`, on the ε of whatever gave these scores with and without the person."""
    alpha = ALPHA / (4 * len(THRESHOLDS))  # two bounds, two directions
    best = 0.0
    for threshold in THRESHOLDS:
        hits_with, hits_without = int((present >= threshold).sum()), int((absent >= threshold).sum())
        for one, other, size_one, size_other in (
            (hits_with, hits_without, len(present), len(absent)),
            (len(absent) - hits_without, len(present) - hits_with, len(absent), len(present)),
        ):
            least = 0.0 if one == 0 else float(stats.beta.ppf(alpha, one, size_one - one + 1))
            most = 1.0 if other == size_other else float(stats.beta.ppf(1 - alpha, other + 1, size_other - other))
            if least > DELTA:
                best = max(best, log((least - DELTA) / most))
    return best


class Node:
    """A publisher with its database, over the rows of one question."""

    def __init__(self, folder: Path, question: Question, claimed: Definition, noised: Definition, fault: Fault) -> None:
        self._question = question
        self._plans = {1: question.plan()}
        self._noised = noised
        self._fault = fault
        self._slots = count()
        self._layout = compile_layout(claimed, question.window)
        self._database = StateDatabase(folder / f"{sha256(os.urandom(8)).hexdigest()[:8]}.db")
        self._publisher = Publisher(
            database=self._database,
            logs=LogStore(self._database),
            identity=Identity(_NODE, FederationId(b"f" * 32), SigningKey(b"s" * 32), 1),
            anchor=folder / "anchor",
            epoch_length="month" if question.window.kind == "month" else "day",
            cap_of=lambda _epoch: CAP,
            clock=SystemClock(),
            rng=os.urandom,
        )

    def releases(self, rounds: int, *, with_persons: bool) -> tuple[Cells, Cells]:
        """Noised cells of all trials of so many releases, and the exact ones of one release; a row a trial."""
        table = as_table(self._question.rows(with_persons=with_persons))
        with run_window(table, self._question.window, EngineLimits(memory_mb=2000)) as engine:
            rows = Watched(engine, self._fault.bounding)
            found = [self._release(rows) for _ in range(rounds)]
        exact = by_trial(rows.seen, self._layout, self._question)
        noised = [self._fault.spoil(exact, by_trial(cells, self._layout, self._question)) for cells in found]
        return np.concatenate(noised), exact

    def _release(self, rows: Watched) -> tuple[int, ...]:
        digest = DefinitionHash(sha256(str(next(self._slots)).encode()).digest())
        entry = self._publisher.answer(digest, self._noised, self._question.window, self._plans, rows)
        assert entry is not None
        return cells_of(entry)


class Watched:
    """The engine's rows, with the auditor looking at the exact vector, which a node never lets anybody do."""

    def __init__(self, engine: WindowEngine, mutate: Mutate) -> None:
        self._engine = engine
        self._mutate = mutate
        self.seen: tuple[int, ...] = ()

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        vector = self._engine.vector(mutated(binding, self._mutate), salt)
        self.seen = tuple(vector)
        return vector

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        raise NotImplementedError("nothing is discovered here")


def cells_of(entry: ParsedEntry) -> tuple[int, ...]:
    """The cells of a signed summary, block after block."""
    assert entry.header.kind == SUMMARY, "the node released"
    return read_cells(parse_summary(entry.entry.data, _NODE), entry.entry.cells)


def as_table(rows: list[tuple[int | None, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(ROW_COLUMNS)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_SCHEMA)


def by_trial(cells: tuple[int, ...], layout: Layout, question: Question) -> Cells:
    """One row a trial, one column for each of its cells, block after block; `other` and `none` are left out."""
    side = question.side
    parts = []
    for block in layout.blocks:
        start = layout.offset(block)
        cube = np.array(cells[start : start + block.cells], dtype=float).reshape(side + 2, side + 2, -1)
        parts.append(cube[:side, :side].reshape(side * side, -1))
    return np.concatenate(parts, axis=1)


def _scores(cells: Cells, base: Cells, difference: Cells, layout: Layout, question: Question) -> Cells:
    """The log likelihood ratio of each trial under the claimed noise; −∞ where nothing was published."""
    groups = (question.side + 2) ** 2
    noise = np.concatenate([cells - np.tile(base, (len(cells) // len(base), 1))])
    total = np.zeros(len(cells))
    at = 0
    for block in layout.blocks:
        own = block.cells // groups
        mine, moved = noise[:, at : at + own], difference[at : at + own]
        at += own
        if block.scale is None:
            sigma_squared = float(block.sigma_squared)
            total += ((mine**2 - (mine - moved) ** 2) / (2 * sigma_squared)).sum(axis=1)
        else:
            total += ((np.abs(mine) - np.abs(mine - moved)) / float(block.scale)).sum(axis=1)
    return np.where(np.isnan(total), -np.inf, total)
