"""Keys through time, on real cores: rotation, recovery, stolen and retired keys, clones (PROTOCOL 2, DESIGN I6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.core import Core
from federation.log_state import AuthorLog
from federation.verdicts import COUNTED, Void
from protocol.entries import ParsedEntry
from tests.simulation.author import Author, day
from tests.simulation.liars import Liar
from tests.simulation.play import check_converged
from tests.simulation.world import QUICK, Faults, SimNode, World


def core_of(node: SimNode) -> Core:
    assert node.core is not None
    return node.core


def log_at(node: SimNode, author: SimNode) -> AuthorLog:
    log = core_of(node).logs.log(author.id)
    assert log is not None
    return log


def abstain(world: World, author: Author, number: int) -> ParsedEntry:
    return author.abstain(world.founding.named("calls"), day(number))


def commit(world: World, node: SimNode, number: int) -> ParsedEntry:
    parsed = abstain(world, node.author, number)
    world.commit(node, parsed)
    return parsed


def show(world: World, thief: Author, target: SimNode, entries: list[ParsedEntry]) -> None:
    """A thief with a member's key pushes entries to one node."""
    liar = Liar(world, SimNode(0, thief, target.disk, core_of(target)))
    liar.push(target, entries)


def test_a_rotation_is_followed_everywhere() -> None:
    """Entries before and after count, and the node goes on to talk with its new key."""
    world = World(3, 1)
    world.settle()
    for number in range(3):
        commit(world, world.nodes[0], number)
        world.commit(world.nodes[0], world.nodes[0].author.rotate())
    commit(world, world.nodes[0], 9)
    world.settle()
    check_converged(world)
    assert len(log_at(world.nodes[2], world.nodes[0]).links) == 3


@pytest.mark.requirement("M-MSG-15")
def test_two_nodes_that_rotated_twice_apart_still_talk() -> None:
    """Neither knows the other's key any more; the key chains in hello bring them together."""
    world = World(2, 2)
    world.settle()
    world.cut([[0], [1]])
    for node in world.nodes:
        for number in range(2):
            commit(world, node, number)
            world.commit(node, node.author.rotate())
    world.run(20_000)
    world.heal()
    world.settle()
    check_converged(world)


def test_a_chain_of_more_links_than_fit_is_told_in_several_hellos() -> None:
    """150 rotations while apart: three hellos, then they talk."""
    world = World(2, 3)
    world.settle()
    world.cut([[0], [1]])
    for _ in range(150):
        world.commit(world.nodes[0], world.nodes[0].author.rotate())
    world.run(20_000)
    world.heal()
    world.settle()
    check_converged(world)
    assert len(log_at(world.nodes[1], world.nodes[0]).links) == 150


@pytest.mark.requirement("M-LINE-3", "T-KEY-1")
def test_a_rotation_ends_a_fork_for_the_branch_that_made_it() -> None:
    """A thief of the signing key forks the log and freezes it; the owner's next rotation lifts that everywhere."""
    world = World(4, 4)
    world.settle()
    owner = world.nodes[0]
    commit(world, owner, 0)
    world.settle()
    thief = owner.author.copy()
    stolen = [abstain(world, thief, number) for number in (50, 51)]
    mine = [commit(world, owner, number) for number in (1, 2)]
    show(world, thief, world.nodes[2], stolen)
    world.settle()
    assert log_at(world.nodes[3], owner).is_frozen
    world.commit(owner, owner.author.rotate())
    after = commit(world, owner, 3)
    world.settle()
    check_converged(world)
    for node in world.nodes:
        assert all(node.verdicts[parsed.id] == COUNTED for parsed in (*mine, after))
        assert node.verdicts.get(stolen[0].id, Void("superseded")) == Void("superseded")


@pytest.mark.requirement("M-ADM-9", "T-KEY-4")
def test_a_retired_key_at_an_old_position_is_an_alert_and_nothing_else() -> None:
    """The entry is not even stored; the proof of it is."""
    world = World(3, 5)
    world.settle()
    owner, witness = world.nodes[0], world.nodes[1]
    thief = owner.author.copy()
    for number in range(3):
        commit(world, owner, number)
    world.commit(owner, owner.author.rotate())
    commit(world, owner, 4)
    world.settle()
    before = core_of(witness).logs.digest
    second = abstain(world, thief, 60)
    Liar(world, world.nodes[2]).push(witness, [second])
    Liar(world, world.nodes[2]).push(witness, [second])
    assert core_of(witness).logs.digest == before
    assert second.id not in witness.disk.by_id
    assert [alarm.code for alarm in witness.alarms] == ["retired-key-used"]
    assert owner.id in witness.disk.evidence
    world.settle()
    check_converged(world)


@pytest.mark.requirement("M-MSG-32")
def test_evidence_is_told_until_everybody_acknowledged_it() -> None:
    """One node saw a retired key used; others were away, and it restarted. In the end all hold the proof, told once."""
    world = World(5, 5)
    world.settle()
    owner, witness, away, liar = world.nodes[:4]
    thief = owner.author.copy()
    commit(world, owner, 0)
    world.commit(owner, owner.author.rotate())
    commit(world, owner, 1)
    world.settle()
    away.core = None
    world.cut([[1, 3], [0, 4], [2]])
    Liar(world, liar).push(witness, [abstain(world, thief, 60)])
    world.run(5_000)
    assert owner.id in witness.disk.evidence
    assert owner.id not in world.nodes[4].disk.evidence
    world.boot(witness)
    world.heal()
    world.run(20_000)
    everybody = {node.id for node in world.nodes}
    assert witness.disk.proofs[witness.disk.evidence[owner.id]] == everybody - {witness.id, away.id}
    world.boot(away)
    world.settle()
    world.run(60_000)
    for node in world.nodes:
        assert list(node.disk.proofs) == [witness.disk.evidence[owner.id]]
        assert [alarm.code for alarm in node.alarms].count("retired-key-used") == 1
        [told] = node.disk.proofs.values()
        assert told == everybody - {node.id}
    before = world.traffic["push"]
    for node in world.nodes:
        world.boot(node)
    world.run(60_000)
    assert world.traffic["push"] == before, "what was acknowledged is not told again, after a restart either"
    check_converged(world)


@pytest.mark.requirement("M-LINE-2", "T-KEY-2", "T-KEY-3")
def test_a_recover_voids_what_a_thief_published_and_keeps_the_rest() -> None:
    """Case 12: ten entries of a thief, and a rotate without the committed key, which everybody refuses."""
    world = World(4, 6)
    world.settle()
    owner = world.nodes[0]
    good = [commit(world, owner, number) for number in range(3)]
    world.settle()
    owner.core = None  # the owner's machine is the thief's now
    thief = owner.author.copy()
    forged = [abstain(world, thief, 70 + number) for number in range(10)]
    show(world, thief, world.nodes[1], forged)
    wrong = replace(thief, turns=thief.turns + 5).rotate()  # to keys nobody committed to
    show(world, thief, world.nodes[1], [wrong])
    world.run(20_000)
    assert all(world.nodes[3].verdicts[parsed.id] == COUNTED for parsed in forged)
    assert wrong.id not in world.nodes[1].disk.by_id
    owner.disk.append([recovery := owner.author.recover(3)])
    world.boot(owner)
    after = commit(world, owner, 5)
    world.settle()
    check_converged(world)
    for node in world.nodes:
        assert [node.verdicts[parsed.id] for parsed in (*good, recovery, after)] == [COUNTED] * 5
        assert all(node.verdicts.get(parsed.id, Void("recovered")) == Void("recovered") for parsed in forged)


def test_a_recover_can_keep_what_an_earlier_one_gave_up() -> None:
    """Everything up to the entry it names counts again, whatever generation took it away."""
    world = World(3, 7)
    world.settle()
    owner = world.nodes[0]
    entries = [commit(world, owner, number) for number in range(6)]
    world.settle()
    kept = list(owner.author.entries)
    world.commit(owner, owner.author.recover(2))
    commit(world, owner, 7)
    world.settle()
    assert world.nodes[2].verdicts[entries[5].id] == Void("recovered")
    owner.author.lost = list(owner.author.entries[3:])
    owner.author.entries = kept
    world.commit(owner, owner.author.recover(6, generation=2))
    world.settle()
    check_converged(world)
    assert world.nodes[2].verdicts[entries[5].id] == COUNTED


@pytest.mark.requirement("M-LINE-2", "T-KEY-8")
def test_two_recovers_of_one_generation_freeze_until_a_third() -> None:
    """Whoever holds the root key twice over proves nothing; a later generation ends it."""
    world = World(4, 8)
    world.settle()
    owner = world.nodes[0]
    for number in range(4):
        commit(world, owner, number)
    world.settle()
    twin = owner.author.copy()
    twin.turns = 30
    world.cut([[0, 1], [2, 3]])
    world.commit(owner, owner.author.recover(3))
    Liar(world, world.nodes[3]).push(world.nodes[2], [twin.recover(2)])
    world.run(5_000)
    world.heal()
    world.settle()
    for node in world.nodes:
        log = log_at(node, owner)
        assert (log.is_frozen, log.height, log.head.frozen_at) == (True, 3, (1, 3))
    owner.author.entries = owner.author.entries[:4]
    world.commit(owner, owner.author.recover(3, generation=2))
    world.settle()
    check_converged(world)


@pytest.mark.requirement("M-LINE-4", "M-LINE-5")
@pytest.mark.parametrize("rotations", [(1, 0), (0, 1), (1, 1), (2, 1)])
def test_clones_that_rotate_freeze_below_both(rotations: tuple[int, int]) -> None:
    """One of two branches with a rotate stands; two do not, and both are shown as proof up to their rotate."""
    world = World(4, 9)
    world.settle()
    owner = world.nodes[0]
    commit(world, owner, 0)
    world.settle()
    owner.core = None
    clones = owner.author.copy(), owner.author.copy()
    for clone, place, count in zip(clones, (1, 2), rotations, strict=True):
        abstain(world, clone, 10 * place)
        for _ in range(count):
            clone.rotate()
        abstain(world, clone, 10 * place + 1)
    world.cut([[1], [2], [0, 3]])
    for clone, place in zip(clones, (1, 2), strict=True):
        Liar(world, world.nodes[3]).push(world.nodes[place], clone.entries[1:])
        assert log_at(world.nodes[place], owner).height == len(clone.entries)
    world.heal()
    world.boot(owner)
    world.settle()
    for node in world.nodes:
        log = log_at(node, owner)
        if 0 in rotations:
            winner = clones[0] if rotations[0] else clones[1]
            assert log.ids == [parsed.id for parsed in winner.entries]
        else:
            assert (log.is_frozen, log.height) == (True, 2)


def test_who_holds_one_rotated_branch_learns_that_the_other_rotated_too() -> None:
    """Two nodes know both and freeze the log; one that has the first branch whole must see the rotate of the second."""
    world = World(4, 9)
    world.settle()
    owner = world.nodes[0]
    commit(world, owner, 0)
    world.settle()
    owner.core = None
    clones = owner.author.copy(), owner.author.copy()
    world.cut([[1, 3], [2], [0]])
    for clone, place in zip(clones, (1, 2), strict=True):
        abstain(world, clone, 10 * place)
        clone.rotate()
        Liar(world, world.nodes[3 - place]).push(world.nodes[place], clone.entries[1:])
    world.run(10_000)
    assert log_at(world.nodes[3], owner).height == len(clones[0].entries)
    world.cut([[1, 2], [3], [0]])
    world.run(10_000)
    assert log_at(world.nodes[1], owner).is_frozen
    world.heal()
    world.boot(owner)
    world.settle()
    for node in world.nodes:
        log = log_at(node, owner)
        assert (log.is_frozen, log.height) == (True, 2)


def test_an_honest_rotation_leaves_nothing_refused_in_sight() -> None:
    """Requests signed with the new key overtake the rotation: that is over once the key is known, and no alarm."""
    world = World(3, 75)
    world.settle()
    owner = world.nodes[0]
    overtaken = 0
    for number in range(6):
        world.commit(owner, owner.author.rotate())
        commit(world, owner, number)
        world.run(300)
        overtaken += sum(bool(node.refusals) for node in world.nodes)
        world.settle()
        for node in world.nodes:
            assert [status.refused for status in core_of(node).peers()] == [None, None]
    assert overtaken, "nothing overtook a rotation, so nothing was shown"


def test_quick_settings_are_the_worlds() -> None:
    assert World(2, 1).settings is QUICK


@pytest.mark.requirement("M-MSG-16", "T-DISK-1")
@pytest.mark.parametrize("reachable", [0, 1, 3, 4])
def test_a_rolled_back_node_gets_its_log_from_whoever_answers(reachable: int) -> None:
    """With no peer or one it knows that no majority answered; with most or all it holds its whole log again."""
    world = World(5, 10)
    world.settle()
    owner = world.nodes[0]
    for number in range(4):
        commit(world, owner, number)
    world.commit(owner, owner.author.rotate())
    commit(world, owner, 5)
    world.settle()
    owner.core = None
    kept = [parsed for parsed in owner.disk.all() if parsed.header.seq < 2]
    owner.disk.entries.clear()
    owner.disk.by_id.clear()
    owner.disk.append(kept)
    world.cut([[0, *range(1, reachable + 1)], list(range(reachable + 1, 5))])
    present, owner.author.turns = owner.author.turns, 0  # its key file is as old as its disk
    world.boot(owner)
    world.run(20_000)
    core = core_of(owner)
    assert (2 * len(core.compared_with) > len(core.peers())) == (reachable >= 3)
    assert log_at(owner, owner).height == (7 if reachable else 2)
    world.heal()
    world.settle()
    owner.author.turns = present
    core.use_key(owner.author.key)
    commit(world, owner, 6)
    world.settle()
    check_converged(world)


def test_coverage_reaches_all_though_some_were_away() -> None:
    """Case 11: a rotation while three peers are cut off and entries are in flight; nothing is to do on the peers."""
    world = World(7, 11)
    world.settle()
    owner = world.nodes[0]
    world.cut([[0, 1, 2, 3], [4], [5], [6]])
    for number in range(3):
        commit(world, owner, number)
        for peer in world.nodes[1:]:
            world.commit(peer, abstain(world, peer.author, number))
    world.commit(owner, owner.author.rotate())
    commit(world, owner, 9)
    core = core_of(owner)
    turned = log_at(owner, owner).keys
    assert turned is not None

    def holding() -> int:
        positions = [core.held_by(node.id) for node in world.nodes[1:]]
        return sum(position is not None and position >= turned.position for position in positions)

    assert holding() == 0
    world.run(60_000, lambda: holding() == 3)
    assert holding() == 3
    world.heal()
    world.settle()
    world.run(60_000, lambda: holding() == 6)
    assert holding() == 6
    # Nothing but first words with the new key was turned away; each is followed by a hello that brings the key.
    assert {refused for node in world.nodes for refused in node.refusals} <= {("None", "bad-signature")}
    assert all(verdict == COUNTED for node in world.nodes for verdict in node.verdicts.values())
    check_converged(world)


@pytest.mark.slow
def test_one_of_ten_rotates_every_30_seconds_while_summaries_flow() -> None:
    """Five minutes, ten rotations, a network that loses, delays, doubles and reorders: no honest entry is refused."""
    world = World(10, 30)
    world.settle()
    world.faults = Faults(loss=5, duplicate=5, delay_ms=(1, 400))
    calls, owner = world.founding.named("calls"), world.nodes[0]
    written: list[ParsedEntry] = []

    def publish(node: SimNode, turn: int) -> None:
        parsed = node.author.summary(calls, day(turn))
        written.append(parsed)
        world.commit(node, parsed)

    for second in range(0, 300, 5):
        for node in world.nodes:
            after_ms = second * 1000 + 37 * node.place
            world.at(after_ms, lambda node=node, turn=second // 5: publish(node, turn))  # type: ignore[misc]
        if second % 30 == 15:
            world.at(second * 1000, lambda: written.append(owner.author.rotate()) or world.commit(owner, written[-1]))  # type: ignore[func-returns-value]
    world.run(300_000)
    world.heal()
    world.settle()
    check_converged(world)
    assert len(log_at(world.nodes[9], owner).links) == 10
    assert len(written) == 10 * 60 + 10
    for node in world.nodes:
        assert all(node.verdicts[parsed.id] == COUNTED for parsed in written)
        assert node.alarms == []
        refused = [status.refused for status in core_of(node).peers() if status.refused is not None]
        assert [item for item in refused if item.what == "entry"] == []
    world.run(60_000, lambda: all(core_of(owner).held_by(node.id) is not None for node in world.nodes[1:]))
    turned = log_at(owner, owner).keys
    assert turned is not None
    held = [core_of(owner).held_by(node.id) for node in world.nodes[1:]]
    assert all(position is not None and position >= turned.position for position in held)


@pytest.mark.requirement("M-MSG-33")
def test_evidence_reaches_a_node_that_nobody_can_call() -> None:
    """It publishes no endpoint: it asks, gets the proof once, and says so; a restart of either changes nothing."""
    world = World(4, 6)
    world.settle()
    owner, witness, silent, liar = world.nodes
    world.commit(silent, silent.author.endpoint())
    thief = owner.author.copy()
    commit(world, owner, 0)
    world.commit(owner, owner.author.rotate())
    commit(world, owner, 1)
    world.settle()
    Liar(world, liar).push(witness, [abstain(world, thief, 60)])
    world.run(20_000)
    assert silent.disk.evidence[owner.id] == witness.disk.evidence[owner.id]
    assert [alarm.code for alarm in silent.alarms].count("retired-key-used") == 1
    for node in world.nodes:
        if node is not silent:
            assert silent.id in node.disk.proofs[witness.disk.evidence[owner.id]]
    for node in (witness, silent):
        world.boot(node)
    before = world.traffic["push"]
    world.run(60_000)
    assert world.traffic["push"] == before, "what was acknowledged is not told again"
    check_converged(world)


@pytest.mark.requirement("M-MSG-16")
def test_a_process_whose_clone_recovered_reads_so() -> None:
    """It rotated apart: its chain is on no line, and yet it says hello and reads; what it signed is void everywhere."""
    world = World(4, 9)
    world.settle()
    owner = world.nodes[0]
    commit(world, owner, 0)
    world.settle()
    clone = world.copy_of(owner)
    world.cut([[0, 1, 2, 3], [clone.place]])
    turned = clone.author.rotate()
    world.commit(clone, turned)
    after = commit(world, clone, 30)
    world.commit(owner, owner.author.recover(1))
    commit(world, owner, 20)
    world.run(20_000)
    world.heal()
    world.run(60_000)
    assert "own-entry-from-elsewhere" in [alarm.code for alarm in clone.alarms]
    assert log_at(clone, owner).ids == log_at(world.nodes[1], owner).ids
    for node in (*world.nodes[:4], clone):
        assert log_at(node, owner).generation == 1
        assert turned.id not in log_at(node, owner).ids
        assert node.verdicts.get(after.id) != COUNTED
