"""Faults and attacks that specs/threat-model.md names, on whole federations: cases 6, 7, 8 and 9."""

from __future__ import annotations

from collections import Counter
from statistics import mean

import pytest

from federation.evidence import parse_evidence, verify_evidence
from federation.settings import Settings
from federation.verdicts import COUNTED, Void
from protocol.entries import ParsedEntry
from tests.bench.mesh_sim import spread
from tests.conftest import Measure
from tests.simulation.author import Author, day
from tests.simulation.liars import Liar
from tests.simulation.play import view
from tests.simulation.world import QUICK, Faults, SimNode, World

# ── case 6: partition, loss and churn ───────────────────────────────────────────────────────────────────────────


def test_case_6_after_sixty_rounds_apart_all_are_equal() -> None:
    """Two sides for sixty rounds, 10 % loss and churn throughout: equal within 64 rounds, and nobody is put out."""
    found = spread(5, 12, 10, churn=True, seed=6, settings=Settings(), apart_rounds=60)
    assert found["rounds"] <= 64
    assert found["members"] == 5


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("size", [3, 10, 50])
def test_case_6_bodies_travel_about_once(size: int, measured: Measure) -> None:
    """The same from five seeds, three for fifty nodes: on average at most 1.3 times the least number of bodies."""
    seeds = range(3 if size == 50 else 5)
    runs = [spread(size, 24, 10, churn=True, seed=seed, settings=Settings(), apart_rounds=60) for seed in seeds]
    bodies, rounds = mean(run["bodies"] for run in runs), max(run["rounds"] for run in runs)
    what = f"bodies over the least, {size} nodes, 10 % loss, churn, sixty rounds apart; rounds after healing"
    is_good = bodies <= 1.3 and rounds <= 64 and all(run["members"] == size for run in runs)
    measured(what, f"{bodies:.2f}; {rounds:.0f}", "1.3; 64", is_good)
    assert is_good


# ── case 7: a fork, one branch on each side ─────────────────────────────────────────────────────────────────────


def test_case_7_a_fork_on_two_sides_is_proved_and_counted_alike_by_all() -> None:
    """Two entries at seq 7: all freeze the author at one point, hold a proof that verifies, and answer alike.

    Which two branches prove it may differ (PROTOCOL 4); that the proof holds, and for which position, may not.
    """
    world = World(6, 7)
    world.settle()
    liar = Liar(world, world.nodes[0])
    calls = world.founding.named("calls")
    for number in range(6):
        world.commit(liar.node, liar.node.author.summary(calls, day(number)))
    world.settle()
    twin = Author(world.founding, liar.node.author.who, list(liar.node.author.entries), dict(liar.node.author.totals))
    world.cut([[0, 1, 2], [3, 4, 5]])
    one = liar.node.author.summary(calls, day(6), [1, 2, 3, 4])
    world.commit(liar.node, one)
    other = twin.summary(calls, day(6), [3, 4, 5, 6])
    liar.push(world.nodes[4], [other])
    world.run(20_000)
    assert one.header.position == other.header.position == (0, 7)
    assert world.nodes[1].verdicts[one.id] == world.nodes[5].verdicts[other.id] == COUNTED
    world.heal()
    world.settle()
    key = liar.node.author.who.key.public_key
    for node in world.nodes:
        proof = verify_evidence(parse_evidence(node.disk.evidence[liar.node.id]), world.founding.federation,
                                liar.node.id, (key,))  # fmt: skip
        assert proof.position == (0, 7)
        assert node.core is not None
        log = node.core.logs.log(liar.node.id)
        assert log is not None
        assert (log.is_frozen, log.height) == (True, 7)
        assert {node.verdicts[one.id], node.verdicts[other.id]} == {Void("forked")}
    assert len({str(view(node)) for node in world.nodes}) == 1


# ── case 8: one slot, noised twice ──────────────────────────────────────────────────────────────────────────────


def test_case_8_two_releases_of_one_slot_are_both_void_and_both_charged() -> None:
    """Other noise under a later position: neither counts anywhere, the epoch has paid twice, the log goes on."""
    world = World(4, 8)
    world.settle()
    author = world.nodes[0].author
    calls, visits = world.founding.named("calls"), world.founding.named("visits")
    first = author.summary(calls, day(0), [10, 20, 30, 40])
    world.commit(world.nodes[0], first)
    world.settle()
    assert world.nodes[3].verdicts[first.id] == COUNTED
    second = author.summary(calls, day(0), [11, 19, 30, 40])
    world.commit(world.nodes[0], second)
    cost = world.founding.rho_nano(calls)
    cheated = author.summary(visits, day(0), total=2 * cost)  # as if the second had cost nothing
    world.commit(world.nodes[0], cheated)
    honest = author.summary(visits, day(1))
    world.commit(world.nodes[0], honest)
    world.settle()
    for node in world.nodes:
        assert node.verdicts[first.id] == node.verdicts[second.id] == Void("slot_conflict")
        assert node.verdicts[cheated.id] == Void("total_mismatch")
        assert node.verdicts[honest.id] == COUNTED
    assert len({str(view(node)) for node in world.nodes}) == 1


# ── case 9: death between saving, sending and being answered ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kills",
    [30, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])],
    ids=lambda kills: f"{kills}",
)
def test_case_9_no_death_makes_two_entries_at_one_position_or_loses_one(kills: int) -> None:
    """Nodes die before and after saving, their messages and answers are lost: one id a position, everything everywhere.

    That a node signs only on top of what its disk and its anchor hold is test_own_log_kills, at every call to the disk.
    """
    world = World(3, 9, settings=QUICK)
    world.settle()
    calls = world.founding.named("calls")
    world.faults = Faults(loss=5, crash_before_save=15, crash_after_save=15)
    published: dict[tuple[bytes, int], set[bytes]] = {}
    number = 0
    while world.traffic["crash"] < kills:
        node = world.nodes[number % 3]
        if node.core is not None:
            entry = _next(node, calls, number)
            published.setdefault((entry.header.author, entry.header.seq), set()).add(entry.id)
            world.commit(node, entry)
        number += 1
        world.run(1_500)
    world.heal()
    world.settle()
    assert {len(ids) for ids in published.values()} == {1}
    for node in world.nodes:
        assert {entry for ids in published.values() for entry in ids} <= node.disk.ids
        assert not [alarm for alarm in node.alarms if alarm.code == "equivocation"]
        counts = Counter(parsed.header.position for parsed in node.disk.entries[world.nodes[0].id])
        assert set(counts.values()) == {1}
    assert len({str(view(node)) for node in world.nodes}) == 1


def _next(node: SimNode, definition: bytes, number: int) -> ParsedEntry:
    """What the node says next: each a slot of its own for as long as there are days, then again."""
    return node.author.abstain(definition, day(number % 300))  # type: ignore[arg-type]  # a hash by its name
