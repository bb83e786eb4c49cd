"""One whole run from its seed: a storm, healing, and the check of everything that must hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Final

from federation.errors import PeerError
from protocol.errors import ProtocolError
from tests.simulation.acts import perform
from tests.simulation.once import each_signature_once
from tests.simulation.operations import Run, draw_run
from tests.simulation.play import check_converged
from tests.simulation.world import World

FEW: Final = (3, 4, 5, 6)
HEALING_MS: Final = 120_000


def weather(seed: int, *, sizes: Sequence[int] = FEW, with_votes: bool = False) -> World:
    """The run of a seed, done and checked."""
    return survive(draw_run(seed, sizes, with_votes=with_votes))


def survive(run: Run, *, verify_each: bool = False) -> World:
    """Do a run, heal, and check what must hold.

    Args:
        verify_each: Have every node compute every signature.

    Raises:
        AssertionError: something does not.
    """
    with nullcontext() if verify_each else each_signature_once():
        return _survive(run)


def _survive(run: Run) -> World:
    world, play = perform(run)
    world.heal()
    world.settle(HEALING_MS)
    world.end_locked_out()
    play.forget_what_nobody_has()
    check_converged(world, play.dishonest)
    return world


def fault_of(run: Run) -> Exception | None:
    """What fails in a run; None where all holds."""
    try:
        survive(run)
    except (AssertionError, ValueError, LookupError, ProtocolError, PeerError) as fault:
        return fault
    return None
