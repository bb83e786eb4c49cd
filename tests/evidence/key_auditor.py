"""The attacker of `auditor`, for keys that nobody listed: who is shown, and with which numbers.

Every trial is a key of its own. In the neighbouring data each key has one person more. Releases go the whole road of a
node: DuckDB, bounding, selection, noise, ledger (ρ and δ), signature, and back from the signed entry. The score of a
key is the log likelihood ratio of its cells under the claimed noise, and −∞ where it is not shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from node.clock import SystemClock
from node.jobs.publishing import Identity, Publisher
from node.state.database import StateDatabase
from node.state.log import LogStore
from node.vault.engine import EngineLimits, run_window
from privacy import discovery
from privacy.coding import key_encoder_of
from privacy.definition import Definition, parse_definition
from privacy.layout import Layout, compile_layout
from privacy.ledger import Balance, nano_rho_of_cap
from privacy.rows import ATTRIBUTE_SLOTS, Row
from privacy.tracking_plan import Key, parse_plan
from privacy.units import Window
from protocol.entries import SUMMARY
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.summaries import parse_summary, read_cells
from tests.evidence.auditor import Cells, Verdict, as_table, claimed_epsilon, epsilon_bound

DAY: Final = Window.parse("2026-11-02/P1D")
KEYS: Final = 500  # of one release; all of them may pass
EVENTS: Final = 2  # of each person
CAP: Final = Balance(nano_rho_of_cap(1000), 2**53 - 1)  # type: ignore[arg-type]  # whole numbers are ratios

_NODE: Final = NodeId(b"n" * 32)
_TEXT: Final = Key(8)
_PLANS: Final = {
    1: parse_plan(
        {"plan": "p", "apps": {"blog": {"person": "user", "consent": "none",
                                        "actions": {"open": {"page": {"type": "key", "max_bytes": "8"}}}}}}
    )
}  # fmt: skip

Shown = Mapping[str, tuple[int, ...]]


def definition(measure: str, rho: str = "1/2") -> Definition:
    """One key of a person; at ρ = 1/2 a fault can exceed the claim within some ten thousand trials."""
    terms = {"max_cells": "1", "rho": rho, "delta": "1/1000000000000"}
    return parse_definition(
        {"metric": "pages", "question": "?", "from": {"app": "blog", "action": "open"}, "measure": measure,
         "by": {"page": {"discover": "true"}}, "window": "day",
         "privacy": terms if measure == "people" else {**terms, "max_per_cell": str(EVENTS)}}
    )  # fmt: skip


def name_of(trial: int) -> str:
    """A text without the look of a person's."""
    return "".join(chr(ord("a") + digit) for digit in divmod(trial, 26))


def rows(people: int) -> list[Row]:
    """So many people a key, each with their events."""
    encode, persons = key_encoder_of(_TEXT), count(1)
    found: list[Row] = []
    for trial in range(KEYS):
        text = encode(name_of(trial)) or ()
        for _ in range(people):
            person = next(persons)
            for event in range(EVENTS):
                slots = (*text, *([None] * (ATTRIBUTE_SLOTS - len(text))))
                found.append((person, 0, None, event, DAY.start_hour, event, 0, 0, 0, 0, 1, 1_000_000, *slots))
    return found


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────


def by_true_count(
    candidates: Sequence[str], exact: Mapping[str, tuple[int, ...]], _draws: object, tau: int
) -> list[int]:
    """A threshold on the true count: what is shown is noised, whether it is shown is not."""
    return [place for place, key in enumerate(candidates) if exact[key][0] >= tau]


def whatever_exists(candidates: Sequence[str], _exact: object, _draws: object, _tau: int) -> list[int]:
    """δ ignored: every key that somebody has, with noise on its numbers."""
    return list(range(len(candidates)))


def without_noise(self: discovery.KeyNoise, keys: Sequence[str]) -> list[list[int]]:
    """A threshold without noise, and numbers without it, too."""
    return [[0] * len(keys) for _ in self._layout.blocks]


@contextmanager
def planted(fault: Callable[..., Any] | None) -> Iterator[None]:
    """The fault in the node's own code. The release's own look at τ is a second fence, and is taken down as well."""
    with ExitStack() as stack:
        if fault is not None:
            stack.enter_context(patch.object(discovery, "PassedKeys", lambda keys, _tau: _Unfenced(keys)))
            if fault is without_noise:
                stack.enter_context(patch.object(discovery.KeyNoise, "take", fault))
            else:
                stack.enter_context(patch.object(discovery, "_passed", fault))
        yield


@dataclass(frozen=True)
class _Unfenced:
    keys: tuple[str, ...]
    threshold: int = -(2**60)


# ── audits ───────────────────────────────────────────────────────────────────────────────────────────────


def audit(
    measure: str, others: int | None, folder: Path, trials: int, fault: Callable[..., Any] | None = None
) -> tuple[Verdict, float]:
    """The verdict over at least so many pairs of keys, and how often a key with the person was shown.

    Args:
        measure: "people" or "count".
        others: People that every key has beside the person; None for as many as miss the threshold by one.
    """
    claimed = definition(measure)
    layout = compile_layout(claimed, DAY)
    assert layout.discovery is not None
    base = layout.discovery.threshold - 1 if others is None else others
    rounds = -(-trials // KEYS)
    with planted(fault):
        present, absent = (
            np.concatenate([_scores(shown, base, layout) for shown in _releases(folder, claimed, people, rounds)])
            for people in (base + 1, base)
        )
    shown_share = float(np.isfinite(present).mean())
    return Verdict(epsilon_bound(present, absent), claimed_epsilon(layout), rounds * KEYS), shown_share


def _releases(folder: Path, asked: Definition, people: int, rounds: int) -> list[Shown]:
    """What a node publishes of so many slots over these rows."""
    database = StateDatabase(folder / f"{sha256(os.urandom(8)).hexdigest()[:8]}.db")
    publisher = Publisher(
        database=database, logs=LogStore(database), anchor=folder / "anchor", epoch_length="day",
        identity=Identity(_NODE, FederationId(b"f" * 32), SigningKey(b"s" * 32), 1),
        cap_of=lambda _epoch: CAP, clock=SystemClock(), rng=os.urandom,
    )  # fmt: skip
    found = []
    with run_window(as_table(rows(people)), DAY, EngineLimits(memory_mb=1000)) as engine:
        for number in range(rounds):
            digest = DefinitionHash(sha256(str(number).encode()).digest())
            entry = publisher.answer(digest, asked, DAY, _PLANS, engine)
            assert entry is not None
            assert entry.header.kind == SUMMARY, "the node released"
            summary = parse_summary(entry.entry.data, _NODE)
            cells = read_cells(summary, entry.entry.cells)
            keys = summary.keys or ()
            found.append({key: cells[place :: len(keys)] for place, key in enumerate(keys)})
    database.close()
    return found


def _scores(shown: Shown, base: int, layout: Layout) -> Cells:
    """Of each key: the log likelihood ratio of one person more, −∞ where it is not shown."""
    scores = np.full(KEYS, -np.inf)
    for trial in range(KEYS):
        values = shown.get(name_of(trial))
        if values is None:
            continue
        scores[trial] = 0.0
        for value, block in zip(values, layout.blocks, strict=True):
            step = 1 if block.name == "people" else EVENTS
            noise = value - base * step
            scores[trial] += (noise**2 - (noise - step) ** 2) / (2 * float(block.sigma_squared))
    return scores
