"""The workshop: a child that ends with its job, answers as a pure function, and whose failure spends nothing."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import pytest

from node.jobs import workshop as module
from node.jobs.workshop import Workshop
from privacy.diffprivlib_adapter import draw_geometric
from privacy.errors import NoiseUnavailable
from privacy.losses import Loss

KEY = bytes(range(32))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_child_draws_what_the_adapter_draws_and_ends_with_the_block() -> None:
    with Workshop() as workshop:
        assert workshop.geometric(Fraction(40), 20, KEY) == draw_geometric(Fraction(40), 20, KEY)
        child = workshop._child
        assert child is not None
        assert is_alive(child.pid)
    assert not is_alive(child.pid)


def test_a_child_started_ahead_answers_its_first_question_at_once() -> None:
    """It has diffprivlib by then; the answer is the same. A late child is measured beside it."""
    with Workshop() as workshop:
        workshop.start()
        child = workshop._child
        assert child is not None
        assert child.stdout is not None
        maps = Path(f"/proc/{child.pid}/maps")
        deadline = time.monotonic() + 60
        while "sklearn" not in maps.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "sklearn" in maps.read_text()
        assert workshop.geometric(Fraction(40), 5, KEY) == draw_geometric(Fraction(40), 5, KEY)
        assert workshop._child is child


def test_a_child_that_was_not_needed_ends_with_the_block() -> None:
    with Workshop() as workshop:
        workshop.start()
        child = workshop._child
        assert child is not None
    assert not is_alive(child.pid)


def test_a_refused_question_is_told_and_the_child_lives_on() -> None:
    with Workshop() as workshop:
        with pytest.raises(NoiseUnavailable, match="expected a Fraction above 0"):
            workshop.geometric(Fraction(-1), 1, KEY)
        assert workshop.choose([0, 500], Fraction(1), 1, KEY) == 1


def test_a_child_that_dies_is_no_noise_and_the_next_question_has_another() -> None:
    with Workshop() as workshop:
        workshop.geometric(Fraction(1), 1, KEY)
        child = workshop._child
        assert child is not None
        child.kill()
        child.wait()
        workshop.geometric(Fraction(1), 1, KEY)
        assert workshop._child is not child


def test_no_answer_in_time_is_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that nothing was released or charged."""
    monkeypatch.setattr(module.sys, "executable", "/bin/sleep")
    with Workshop(timeout_s=0.2) as workshop, pytest.raises(NoiseUnavailable, match="Nothing was released or charged"):
        workshop.geometric(Fraction(1), 1, KEY)


def test_epsilons_tell_both_opinions() -> None:
    """Ten usual metrics a day: PLD 0.94 / 6.2 / 28.8 (PRIVACY 1), and diffprivlib's accountant above."""
    with Workshop() as workshop:
        told = workshop.epsilons({Loss("gaussian", Fraction(200), 1, 1, 1): 10}, (1, 30, 365))
    assert [f"{epsilon:.1f}" for epsilon in told.pld] == ["0.9", "6.2", "28.8"]
    assert all(second > tight for second, tight in zip(told.second, told.pld, strict=True))
