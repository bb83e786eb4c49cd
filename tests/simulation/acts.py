"""How the operations of a run are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

from federation.settings import Settings
from tests.simulation.author import day
from tests.simulation.governing import Governing, vote
from tests.simulation.liars import Liar
from tests.simulation.operations import STORM_MS, Run
from tests.simulation.play import Play
from tests.simulation.world import QUICK, Faults, SimNode, World

MOST_SKEW_MS: Final = 300_000
QUICK_UP_TO: Final = 50  # members; above, a node keeps the pace that members keep, and has greeted all before
Act = Callable[[Play, SimNode, Random], None]


def perform(run: Run) -> tuple[World, Play]:
    """Do all of it, up to the end of the storm; the network is still broken then."""
    is_large = run.size > QUICK_UP_TO
    settings = Settings() if is_large else QUICK
    settings = replace(settings, spans_above=0) if run.by_spans else settings
    world = World(run.size, run.seed, settings=settings, acquainted=is_large)
    world.faults = Faults(**{**run.faults, "delay_ms": tuple(run.faults["delay_ms"])})
    play = Play(world, run.liars)
    for liar in play.liars.values():
        liar.commit(liar.node.author.abstain(world.founding.named("calls"), day(0)))
    for one in run.operations:
        act, draw = ACTS[one.does], Random(f"{run.seed} {one.number}")
        world.at(one.at_ms, partial(act, play, world.nodes[one.place], draw))
    world.run(STORM_MS)
    return world, play


def _publish(play: Play, node: SimNode, draw: Random) -> None:
    twins = [play.world.nodes[place] for place in play.clones if node.place in play.clones]
    play.publish(draw.choice(twins or [node]), draw)


def _crash(play: Play, node: SimNode, _draw: Random) -> None:
    play.world.crash(node, 3_000)


def _cut(play: Play, _node: SimNode, draw: Random) -> None:
    """Two or three groups that do not reach each other."""
    groups: list[list[int]] = [[] for _ in range(draw.choice((2, 2, 3)))]
    for node in play.world.nodes:
        draw.choice(groups).append(node.place)
    play.world.cut(groups)


def _cut_one_way(play: Play, node: SimNode, draw: Random) -> None:
    play.world.cut_one_way(node.place, draw.choice([one.place for one in play.world.nodes if one is not node]))


def _mend(play: Play, _node: SimNode, _draw: Random) -> None:
    """The cuts are gone; what is lost or late stays so."""
    play.world.mend()


def _skew(play: Play, node: SimNode, draw: Random) -> None:
    """The wall clock jumps, to at most five minutes off; it stays there after healing."""
    play.world.skew_ms[node.place] = draw.randrange(-MOST_SKEW_MS, MOST_SKEW_MS + 1)


def _stall(play: Play, node: SimNode, _draw: Random) -> None:
    """It takes requests in and answers none."""
    play.world.stalled.add(node.place)


def _roll_back(play: Play, node: SimNode, draw: Random) -> None:
    """An old disk is put back; nobody, one, most or all peers can be reached."""
    world = play.world
    others = [one.place for one in world.nodes if one is not node]
    reached = draw.sample(others, draw.choice((0, 1, len(others) // 2 + 1, len(others))) if len(others) > 1 else 1)
    for place in set(others) - set(reached):
        world.cut_one_way(node.place, place)
        world.cut_one_way(place, node.place)
    world.roll_back(node, draw.random())


def _clone(play: Play, node: SimNode, _draw: Random) -> None:
    """A second process with the same keys and a copy of the disk."""
    if node.place not in play.liars and not play.clones:
        play.clone(node)


def _vote(play: Play, node: SimNode, draw: Random) -> None:
    vote(Governing(play.world), node, draw)


def _lie(name: str) -> Act:
    def act(play: Play, node: SimNode, _draw: Random) -> None:
        if node.place in play.liars:
            lie: Callable[[Liar], None] = getattr(Liar, name)
            lie(play.liars[node.place])

    return act


ACTS: Final[Mapping[str, Act]] = {
    "publish": _publish, "crash": _crash, "cut": _cut, "cut_one_way": _cut_one_way, "mend": _mend, "skew": _skew,
    "stall": _stall, "roll_back": _roll_back, "clone": _clone, "vote": _vote,
    **{name: _lie(name) for name in ("noise_twice", "overspend", "fork", "forge", "skip_back", "replay", "flood")},
}  # fmt: skip
