"""A node's private answer in a process of its own, which kills itself at a named step. Run by test_choice_kill.py.

usage: choice_child.py KIND FOLDER STEP    (STEP "never" runs through and prints the answer)
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from node.jobs.choosing import Choices
from node.jobs.naming import Names
from node.jobs.private_answers import PrivateAnswers
from node.state.database import StateDatabase
from privacy.bounding import Binding
from privacy.ledger import Balance
from privacy.partitions import keep_probability
from privacy.tracking_plan import parse_plan
from privacy.units import Window

WINDOW = Window.parse("2026-11-01/P1D")
CAP = Balance(10_000_000, 10**10)
COUNTRIES = [first + second for first in "ABC" for second in "ABCDEFGHIJ"]
CHOICE = {
    "choice": "usual_country", "from": "any", "among": {"country": COUNTRIES}, "window": "day",
    "privacy": {"max_cells": "1", "epsilon": "1/10"},
}  # fmt: skip
NAMES: dict[str, Any] = {
    "names": "page", "from": {"app": "web", "action": "open"},
    "privacy": {"max_cells": "1", "epsilon": "1/10", "delta": "1/1000000000"},
}  # fmt: skip
ACTIONS = {"buy": {}, "open": {"page": {"type": "key", "max_bytes": "8"}}}
PLANS = {1: parse_plan({"plan": "p", "apps": {"web": {"person": "user", "consent": "none", "actions": ACTIONS}}})}
HALF = next(n for n in range(10**4) if keep_probability(Fraction(1, 10), Fraction(1, 10**9), 1)(n) >= Fraction(1, 2))


class FixedRows:
    """As many people in every country: any of them may be chosen. Pages that are each kept or not, at even chances."""

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        return [100] * binding.cells

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        return [(country.encode().hex(), HALF) for country in COUNTRIES]


def make_answers(folder: Path, step: str = "never") -> PrivateAnswers:
    """Answers over the folder's database. Each is a fresh draw: two of them seldom agree."""

    def checkpoint(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def rows_of(_window: Window) -> Iterator[FixedRows]:
        yield FixedRows()

    return PrivateAnswers(
        database=StateDatabase(folder / "state.db"),
        epoch_length="day",
        is_closed=lambda window: window == WINDOW,
        rows_of=rows_of,
        plans_of=lambda _window: PLANS,
        cap_of=lambda _epoch: CAP,
        rng=os.urandom,
        checkpoint=checkpoint,
    )


def make_choices(folder: Path, step: str = "never") -> Choices:
    answers = make_answers(folder, step)
    return Choices(answers, lambda utilities, epsilon, sensitivity, key: int.from_bytes(key[:4]) % len(utilities))


def make_names(folder: Path, step: str = "never", population: int | None = 10**8) -> Names:
    return Names(make_answers(folder, step), population)


def asker(kind: str, folder: Path, step: str = "never") -> Callable[[], tuple[str, bool]]:
    """What asks over the folder's database: gives what the operator is told, and whether it is new."""
    names, choices = make_names(folder, step), make_choices(folder, step)

    def ask() -> tuple[str, bool]:
        if kind == "names":
            named = names.make(NAMES, WINDOW.text)
            return " ".join(named.names), named.is_new
        made = choices.make(CHOICE, WINDOW.text)
        return made.value, made.is_new

    return ask


if __name__ == "__main__":
    sys.stdout.write(asker(sys.argv[1], Path(sys.argv[2]), sys.argv[3])()[0])
