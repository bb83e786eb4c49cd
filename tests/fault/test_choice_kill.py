"""A private answer is charged as it is stored or not at all, killed at any step; and there is one, for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from node.state.database import StateDatabase
from node.state.ledger import LedgerStore
from privacy.errors import BudgetExhausted, InvalidDefinition, InvalidWindow
from tests.fault.choice_child import CHOICE, NAMES, WINDOW, asker, make_choices, make_names

CHILD = Path(__file__).with_name("choice_child.py")
COST = 5_000_000


def run_child(kind: str, folder: Path, step: str) -> tuple[int, str]:
    root = CHILD.parents[2]
    done = subprocess.run(
        [sys.executable, str(CHILD), kind, str(folder), step], capture_output=True, text=True, cwd=root,
        env={"PYTHONPATH": str(root), "PATH": ""}, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def charged(folder: Path) -> int:
    return sum(line.charged.rho_nano for line in LedgerStore(StateDatabase(folder / "state.db")).lines())


# Each step in the fast suite with one of the two, which share the code of the transaction.
@pytest.mark.parametrize(
    ("kind", "step", "paid"),
    [
        pytest.param("choice", "begin", 0, marks=pytest.mark.slow),
        ("names", "begin", 0),
        ("choice", "charged", 0),
        pytest.param("names", "charged", 0, marks=pytest.mark.slow),
        pytest.param("choice", "commit", 0, marks=pytest.mark.slow),
        ("names", "commit", 0),
        ("choice", "committed", COST),
        pytest.param("names", "committed", COST, marks=pytest.mark.slow),
    ],
)
def test_a_kill_loses_no_charge_and_gives_no_second_answer(tmp_path: Path, kind: str, step: str, paid: int) -> None:
    """What was not committed was neither charged nor told; what was committed is what is told later."""
    code, told = run_child(kind, tmp_path, step)
    assert (code, told) == (-9, "")
    assert charged(tmp_path) == paid
    answers = {run_child(kind, tmp_path, "never")[1] for _ in range(2)}
    assert len(answers) == 1
    assert answers != {""}
    assert charged(tmp_path) == COST


@pytest.mark.parametrize("kind", ["choice", "names"])
def test_two_who_ask_at_once_get_one_answer_and_one_charge(tmp_path: Path, kind: str) -> None:
    answers: list[tuple[str, bool]] = []
    ask = asker(kind, tmp_path)
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({told for told, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert charged(tmp_path) == COST


def test_the_ledger_refuses_what_its_epoch_cannot_pay(tmp_path: Path) -> None:
    """Two fit a cap of 0.01; the third is refused in four parts, charges nothing and tells nothing."""
    choices = make_choices(tmp_path)
    for name in ("one", "two"):
        choices.make({**CHOICE, "choice": name}, WINDOW.text)
    with pytest.raises(BudgetExhausted) as refused:
        choices.make({**CHOICE, "choice": "three"}, WINDOW.text)
    assert (refused.value.rule, refused.value.deficit) == ("rho of 2026-11-01/P1D", COST)
    assert charged(tmp_path) == 2 * COST
    assert choices.make({**CHOICE, "choice": "two"}, WINDOW.text).is_new is False


def test_the_ledger_refuses_names_that_its_epoch_cannot_pay(tmp_path: Path) -> None:
    """Either column; what was asked before is still told. Choices and names share one epoch."""
    make_choices(tmp_path).make(CHOICE, WINDOW.text)
    names = make_names(tmp_path)
    dear = {**NAMES, "privacy": {**NAMES["privacy"], "delta": "1/90000000"}}
    with pytest.raises(BudgetExhausted) as refused:
        make_names(tmp_path, population=None).make(dear, WINDOW.text)
    assert refused.value.rule == "delta of 2026-11-01/P1D"
    first = names.make(NAMES, WINDOW.text)
    with pytest.raises(BudgetExhausted) as refused:
        names.make({**NAMES, "privacy": {**NAMES["privacy"], "max_cells": "2"}}, WINDOW.text)
    assert (refused.value.rule, refused.value.deficit) == ("rho of 2026-11-01/P1D", COST)
    assert charged(tmp_path) == 2 * COST
    again = names.make(NAMES, WINDOW.text)
    assert (again.names, again.is_new) == (first.names, False)


def test_a_delta_that_is_large_beside_the_declared_people_is_refused(tmp_path: Path) -> None:
    """Above 1/(10 · people), exactly; nothing is charged, and names told before stay."""
    crowded = make_names(tmp_path, population=10**8 + 1)
    with pytest.raises(BudgetExhausted) as refused:
        crowded.make(NAMES, WINDOW.text)
    assert refused.value.rule == "delta of one release"
    assert charged(tmp_path) == 0
    told = make_names(tmp_path, population=10**8).make(NAMES, WINDOW.text)
    assert crowded.make(NAMES, WINDOW.text).names == told.names


def test_windows_that_are_open_or_no_day_are_refused(tmp_path: Path) -> None:
    choices = make_choices(tmp_path)
    for window in ("2026-11-02/P1D", "2026-11-02/P1W", "2026-11-01T05/PT1H"):
        with pytest.raises(InvalidWindow):
            choices.make(CHOICE, window)
    names = make_names(tmp_path)
    for window in ("2026-11-02/P1D", "2026-11-02/P1W", "2026-11/P1M"):
        with pytest.raises(InvalidWindow):
            names.make(NAMES, window)
    with pytest.raises(InvalidDefinition, match="plan"):
        names.make({**NAMES, "names": "slug"}, WINDOW.text)
    with pytest.raises(InvalidDefinition, match="plan"):
        choices.make({**CHOICE, "from": {"app": "other"}}, WINDOW.text)
    assert charged(tmp_path) == 0


def test_a_restart_reconciles_the_ledger_with_choices_in_it(tmp_path: Path) -> None:
    """What only the table knows stays charged: the log of entries says nothing of a choice."""
    make_choices(tmp_path).make(CHOICE, WINDOW.text)
    ledger = LedgerStore(StateDatabase(tmp_path / "state.db"))
    assert ledger.reconcile([]) == []
    assert charged(tmp_path) == COST
