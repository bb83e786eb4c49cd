"""One whole run from its seed: a storm, healing, and the check of everything that must hold."""

from __future__ import annotations

from tests.simulation.governing import govern_in_storm
from tests.simulation.play import Play, check_converged
from tests.simulation.world import World


def weather(seed: int, *, with_votes: bool = False) -> World:
    """Three to six nodes; in two runs of three one of them lies. `with_votes`: charters change meanwhile."""
    size = 3 + seed % 4
    liars = [seed % size] if seed % 3 else []
    world = World(size, seed)
    if with_votes:
        govern_in_storm(world, 20_000)
    Play(world, liars).storm()
    world.heal()
    world.settle()
    check_converged(world, liars)
    return world
