"""One whole run from its seed: a storm, healing, and the check of everything that must hold."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.governing import govern_in_storm
from tests.simulation.play import Play, check_converged
from tests.simulation.world import QUICK, World


def weather(seed: int, *, with_votes: bool = False) -> World:
    """Three to six nodes; in two runs of three one of them lies. `with_votes`: charters change meanwhile.

    Every other run compares heads by spans, as large federations do.
    """
    size = 3 + seed % 4
    liars = [seed % size] if seed % 3 else []
    world = World(size, seed, settings=replace(QUICK, spans_above=0) if seed % 2 else QUICK)
    if with_votes:
        govern_in_storm(world, 20_000)
    Play(world, liars).storm()
    world.heal()
    world.settle()
    check_converged(world, liars)
    return world
