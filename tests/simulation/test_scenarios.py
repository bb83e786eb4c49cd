"""Single stories of the mesh, each on real cores: what is pushed, relayed, refused, healed and shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.budget import Rate
from federation.core import Core
from federation.evidence import parse_evidence, verify_evidence
from federation.verdicts import COUNTED, Void, Waiting
from protocol.entries import ABSTAIN, ParsedEntry
from protocol.kind_data import AbstainData
from tests.simulation.author import Author, day
from tests.simulation.liars import Liar
from tests.simulation.play import check_converged, view
from tests.simulation.world import QUICK, SimNode, World, real_core

SLOW = replace(QUICK, sync_interval_ms=3_600_000)  # anti-entropy by chance is out of the way


def publish(world: World, node: SimNode, number: int = 0) -> ParsedEntry:
    """The node releases `calls` for a day."""
    parsed = node.author.summary(world.founding.named("calls"), day(number))
    world.commit(node, parsed)
    return parsed


def has(node: SimNode, parsed: ParsedEntry) -> bool:
    return parsed.id in node.disk.ids


def core_of(node: SimNode) -> Core:
    assert node.core is not None
    return node.core


def test_a_commit_is_seen_by_all_within_a_moment() -> None:
    """Push at commit: 20 ms of waiting for company and one way through the network."""
    world = World(6, 1, settings=SLOW)
    world.settle()
    parsed = publish(world, world.nodes[0])
    world.run(60)
    assert all(node.verdicts[parsed.id] == COUNTED for node in world.nodes)
    assert world.in_step()


def test_entries_committed_together_share_a_push() -> None:
    """Ten entries within 20 ms are one request a peer, and no heads are asked for afterwards."""
    world = World(4, 1, settings=SLOW)
    world.settle()
    world.run(1_000)
    before = world.traffic.copy()
    for number in range(10):
        publish(world, world.nodes[0], number)
    world.run(5_000)
    assert world.in_step()
    assert world.traffic["push"] - before["push"] == 3
    assert world.traffic["heads"] == before["heads"]
    assert world.traffic["range"] == before["range"]


@pytest.mark.requirement("M-MSG-23", "T-MESH-3")
def test_others_relay_what_a_dead_author_said() -> None:
    """One peer saw the entry before its author died for good; everybody gets it."""
    world = World(4, 2)
    world.settle()
    author, witness = world.nodes[0], world.nodes[1]
    world.cut([[0, 1], [2, 3]])
    parsed = publish(world, author)
    world.run(1_000)
    assert has(witness, parsed)
    author.core = None
    world.heal()
    world.run(30_000)
    assert all(has(node, parsed) for node in world.nodes)


@pytest.mark.requirement("T-NET-1")
def test_a_byte_flipped_in_flight_is_refused_shown_and_healed() -> None:
    """The receiver says what was wrong and counts nothing; the next exchange brings the true bytes."""
    world = World(3, 3, settings=SLOW)
    world.settle()
    world.run(1_000)
    carried = world.carried
    world.carried = lambda body: (
        body[:700] + bytes([body[700] ^ 1]) + body[701:] if len(body) > 700 else body
    )  # answers and questions are shorter
    parsed = publish(world, world.nodes[0])
    world.run(30)
    receiver = world.nodes[1]
    assert parsed.id not in receiver.verdicts
    status = next(peer for peer in core_of(receiver).peers() if peer.node == world.nodes[0].id)
    assert status.refused is not None
    assert status.refused.what == "request"
    assert status.refused.code == "bad-signature"
    world.carried = carried
    world.settle()
    assert receiver.verdicts[parsed.id] == COUNTED
    check_converged(world)


@pytest.mark.requirement("T-MESH-2")
def test_an_entry_a_relay_changed_is_refused_with_its_reason() -> None:
    """A member's own signature on the request does not help: parts that do not match are named."""
    world = World(3, 4)
    world.settle()
    relay, victim = world.nodes[0], world.nodes[2]
    world.cut([[0, 1], [2]])
    parsed = publish(world, world.nodes[1])
    cells = parsed.entry.cells
    assert cells is not None
    changed = replace(parsed, entry=replace(parsed.entry, cells=cells[:-1] + bytes([cells[-1] ^ 1])))
    Liar(world, relay).push(victim, [changed])
    assert not has(victim, parsed)
    status = next(peer for peer in core_of(victim).peers() if peer.node == relay.id)
    assert status.refused is not None
    assert (status.refused.what, status.refused.code) == ("entry", "parts-mismatch")
    world.heal()
    world.settle()
    assert victim.verdicts[parsed.id] == COUNTED


@pytest.mark.requirement("T-FLT-3")
def test_a_node_nobody_can_call_keeps_up() -> None:
    """It publishes no endpoint: it pushes out, pulls, and gets others' entries by asking."""
    world = World(4, 5)
    silent = world.nodes[2]
    world.commit(silent, silent.author.endpoint())
    world.settle()
    for node in world.nodes:
        publish(world, node)
    world.settle()
    assert [status.url for status in core_of(world.nodes[0]).peers() if status.node == silent.id] == [None]
    check_converged(world)


@pytest.mark.requirement("T-FLT-3")
def test_a_node_that_cannot_call_is_fed() -> None:
    """Its requests are lost, it answers: the others send it what it lacks."""
    world = World(3, 6)
    world.settle()
    deaf = world.nodes[1]
    for other in (0, 2):
        world.cut_one_way(1, other)
    core = deaf.core
    deaf.core = None
    parsed = [publish(world, world.nodes[0], number) for number in range(3)]
    world.run(40_000)  # long enough to be no longer taken for a node that fetches for itself
    deaf.core = core
    world.run(40_000)
    assert all(has(deaf, item) for item in parsed)


@pytest.mark.requirement("T-CLK-1")
def test_a_clock_an_hour_off_is_reported_and_stops_nothing() -> None:
    """Every request of such a node is excused by a challenge."""
    world = World(3, 7)
    world.skew_ms[1] = 3_600_000
    for node in world.nodes:
        world.boot(node)
    publish(world, world.nodes[1])
    publish(world, world.nodes[0])
    world.settle()
    check_converged(world)
    assert any(alarm.code == "clock-skew" for node in world.nodes for alarm in node.alarms)


def test_a_long_absence_is_caught_up_page_by_page() -> None:
    """A node that was away fetches everything, in pages of three, from several peers."""
    world = World(4, 8, settings=replace(QUICK, payload_entries=3))
    world.settle()
    away = world.nodes[3]
    away.core = None
    for number in range(8):
        for node in world.nodes[:3]:
            publish(world, node, number)
    world.run(5_000)
    world.boot(away)
    world.settle()
    check_converged(world)
    assert core_of(away).logs.count == core_of(world.nodes[0]).logs.count == 4 + 24


@pytest.mark.requirement("M-MSG-22", "T-MESH-6")
def test_entries_out_of_order_wait_in_memory_for_the_one_between() -> None:
    """The later entry is answered `behind` and kept; the missing one lets both in, without a fetch."""
    world = World(3, 9, settings=SLOW)
    world.settle()
    world.run(1_000)
    sender, receiver = Liar(world, world.nodes[0]), world.nodes[1]
    first, second = (sender.node.author.abstain(world.founding.named("calls"), day(n)) for n in range(2))
    before = world.traffic["range"]
    world._cut.add((1, 0))  # the receiver cannot fetch
    sender.push(receiver, [second])
    assert not has(receiver, second)
    sender.push(receiver, [first])
    assert has(receiver, first)
    assert has(receiver, second)
    assert world.traffic["range"] == before


@pytest.mark.requirement("M-LINE-4", "T-LOG-1")
def test_a_fork_freezes_its_author_everywhere_and_proves_itself() -> None:
    """Two entries at one position, shown to two halves: in the end all hold both, count neither, and can prove it."""
    world = World(4, 10)
    world.settle()
    liar = Liar(world, world.nodes[0])
    good = publish(world, liar.node, 0)
    world.settle()
    twin = Author(world.founding, liar.node.author.who, list(liar.node.author.entries))
    world.cut([[0, 1], [2, 3]])
    one = publish(world, liar.node, 1)
    other = twin.abstain(world.founding.named("calls"), day(1))
    liar.push(world.nodes[2], [other])
    world.run(5_000)
    assert world.nodes[1].verdicts[one.id] == world.nodes[3].verdicts[other.id] == COUNTED
    world.heal()
    world.settle()
    for node in world.nodes:
        log = core_of(node).logs.log(liar.node.id)
        assert log is not None
        assert (log.is_frozen, log.height) == (True, 2)
        assert node.verdicts[good.id] == COUNTED
        assert node.verdicts[one.id] == node.verdicts[other.id] == Void("forked")
        evidence = parse_evidence(node.disk.evidence[liar.node.id])
        key = liar.node.author.who.key.public_key
        assert verify_evidence(evidence, world.founding.federation, liar.node.id, (key,)).seq == 2
        own = ["own-entry-from-elsewhere"] if node is liar.node else []  # it must stop signing
        assert [alarm.code for alarm in node.alarms] == ["equivocation", *own]


@pytest.mark.requirement("M-LINE-4", "T-LOG-1")
def test_a_log_forked_twice_freezes_at_the_lower_fork() -> None:
    """Two halves froze one author at one position, above a fork they did not know: comparing finds the lower one."""
    world = World(4, 11)
    world.settle()
    liar = Liar(world, world.nodes[0])
    liar.node.core = None
    calls = world.founding.named("calls")
    world.cut([[1], [2, 3]])
    for half, number in ((world.nodes[1], 0), (world.nodes[2], 10)):
        branch = Author(world.founding, liar.node.author.who, list(liar.node.author.entries))
        below = [branch.abstain(calls, day(number + step)) for step in range(3)]
        twins = [branch.sign(ABSTAIN, AbstainData(calls, day(20), reason).encode()) for reason in ("paused", "budget")]
        liar.push(half, [*below, *twins])
        log = core_of(half).logs.log(liar.node.id)
        assert log is not None
        assert (log.is_frozen, log.height) == (True, 4)
    assert core_of(world.nodes[1]).logs.digest != core_of(world.nodes[2]).logs.digest
    world.heal()
    world.boot(liar.node)
    world.settle()
    for node in world.nodes:
        log = core_of(node).logs.log(liar.node.id)
        assert log is not None
        assert log.height == 1
    assert len({str(view(node)) for node in world.nodes}) == 1


@pytest.mark.requirement("T-DISK-2")
def test_an_own_entry_from_elsewhere_is_adopted_and_reported() -> None:
    """A clone or a lost disk: the node takes what it signed, and says that it did not know."""
    world = World(3, 12)
    world.settle()
    clone = Author(world.founding, world.nodes[0].author.who, list(world.nodes[0].author.entries))
    parsed = clone.abstain(world.founding.named("calls"), day(0))
    Liar(world, world.nodes[0]).push(world.nodes[1], [parsed])
    world.settle()
    assert has(world.nodes[0], parsed)
    assert [alarm.code for alarm in world.nodes[0].alarms] == ["own-entry-from-elsewhere"]


@pytest.mark.requirement("M-JUD-2", "T-FLT-4")
@pytest.mark.requirement("T-DISK-2")
@pytest.mark.parametrize("both", [False, True], ids=["one_writes", "both_write"])
def test_two_processes_of_one_member_find_out_about_each_other(both: bool) -> None:
    """Same keys, same data: who hears what the other wrote says so and stops; two branches freeze the log."""
    world = World(4, 21)
    first = world.nodes[0]
    publish(world, first)
    world.settle()
    twin = world.copy_of(first)
    world.settle()
    world.cut([[0, 1], [2, 3, twin.place]])
    written = publish(world, twin, 1)
    if both:
        publish(world, first, 2)
    world.run(5_000)
    world.heal()
    world.settle()
    told = [[alarm.code for alarm in node.alarms] for node in (first, twin)]
    assert "own-entry-from-elsewhere" in told[0]
    assert ("own-entry-from-elsewhere" in told[1]) is both
    for node in world.nodes:
        log = core_of(node).logs.log(first.id)
        assert log is not None
        assert (log.is_frozen, log.height) == ((True, 2) if both else (False, 3))
        assert node.verdicts[written.id] == (Void("forked") if both else COUNTED)


def test_a_missing_definition_is_fetched_by_hash() -> None:
    """Its summaries wait, then count; the body is stored."""

    def without_calls(world: World, node: SimNode) -> Core:
        calls = world.founding.named("calls")
        if node.place == 1 and not world.traffic["docs"]:
            node.disk.definitions.pop(calls, None)
        return real_core(world, node)

    world = World(3, 13, make_core=without_calls)
    calls = world.founding.named("calls")
    blind = world.nodes[1]
    core_of(blind).logs.learn_inception(world.founding.members[0].inception, world.nodes[0].id)
    parsed = world.nodes[0].author.summary(calls, day(0))
    Liar(world, world.nodes[0]).push(blind, world.nodes[0].author.entries)
    assert blind.verdicts[parsed.id] == Waiting(calls)
    world.commit(world.nodes[0], parsed)
    world.settle()
    world.run(5_000)
    assert blind.verdicts[parsed.id] == COUNTED
    assert blind.disk.definitions[calls] == world.founding.definitions[calls]


@pytest.mark.requirement("M-MSG-25", "T-MESH-8")
def test_a_dead_peer_is_left_alone_longer_and_longer() -> None:
    """Pauses double from half a second; the first authentic word ends them."""
    world = World(2, 14, settings=replace(SLOW, backoff_most_ms=64_000))
    world.settle()
    dead, alive = world.nodes[0], world.nodes[1]
    dead.core = None
    publish(world, alive)
    before = world.traffic.copy()
    world.run(64_000)
    asked = sum(world.traffic[op] - before[op] for op in ("push", "hello", "heads"))
    assert 7 <= asked <= 9
    assert core_of(alive).peers()[0].last_failure == "unreachable"
    world.boot(dead)
    world.run(1_000)
    assert world.in_step()
    assert core_of(alive).peers()[0].paused_until_ms == 0


@pytest.mark.requirement("T-MESH-8")
def test_a_slow_sync_does_not_keep_others_from_fetching() -> None:
    """A peer that answers heads and then dies leaves its claims behind for nobody."""
    world = World(3, 15, settings=replace(QUICK, payload_entries=1))
    world.settle()
    away = world.nodes[2]
    away.core = None
    for number in range(5):
        publish(world, world.nodes[0], number)
    world.run(2_000)
    world.boot(away)
    for _ in range(300):  # until the first page is under way
        world.run(1)
        if core_of(away)._caller.means.claims:
            break
    fetching_from = set(core_of(away)._caller.means.claims.values())
    for node in world.nodes[:2]:
        if node.id in fetching_from:
            node.core = None
            break
    world.run(30_000)
    assert len(away.disk.entries[world.nodes[0].id]) == 6


@pytest.mark.parametrize("size", [2, 12])
def test_quiet_nodes_say_little(size: int) -> None:
    """In step, a node sends one small question an interval."""
    world = World(size, 16, settings=replace(QUICK, sync_interval_ms=10_000))
    world.settle()
    world.run(5_000)
    before = world.traffic.copy()
    world.run(100_000)
    asked = sum(world.traffic[op] - before[op] for op in ("hello", "heads", "range", "push", "docs"))
    assert asked <= 12 * size
    assert (world.traffic["bytes"] - before["bytes"]) / asked < 1_000


def test_a_burst_of_all_is_compared_once_a_node() -> None:
    """Twelve nodes publish at once: every peer's last word is an old one, and one question each settles it."""
    world = World(12, 17, settings=SLOW)
    world.settle()
    world.run(5_000)
    before = world.traffic.copy()
    for number in range(3):
        for node in world.nodes:
            publish(world, node, number)
    world.run(20_000)
    assert world.in_step()
    assert world.traffic["heads"] - before["heads"] <= 24
    assert world.traffic["push"] - before["push"] == 12 * 11


def test_a_large_federation_announces_and_fetches() -> None:
    """Above ten members entries are named to a few peers, which fetch and name them on; bodies travel about once."""
    world = World(14, 18, settings=replace(SLOW, push_up_to=10, announce_to=4))
    world.settle()
    world.run(5_000)
    before = world.traffic.copy()
    parsed = [publish(world, world.nodes[0], number) for number in range(3)]
    world.run(2_000)
    assert all(has(node, item) for node in world.nodes for item in parsed)
    assert world.traffic["push"] == before["push"]
    assert world.traffic["range"] - before["range"] <= 2 * 13
    check_converged(world)


def test_a_federation_above_the_limit_compares_by_spans() -> None:
    """Above ten authors: digest first, then spans; a node that was away gets all, and idle questions stay small."""
    world = World(12, 20, settings=replace(SLOW, sync_interval_ms=10_000, spans_above=10))
    world.settle()
    away = world.nodes[11]
    world.cut([[11], list(range(11))])
    for number in range(2):
        for node in world.nodes[:5]:
            publish(world, node, number)
    publish(world, away)
    world.run(5_000)
    assert not world.in_step()
    world.heal()
    world.settle()
    before = world.traffic.copy()
    world.run(60_000)
    asked = sum(world.traffic[op] - before[op] for op in ("hello", "heads", "range", "push", "docs"))
    assert world.traffic["heads"] > before["heads"]
    assert (world.traffic["bytes"] - before["bytes"]) / asked < 400
    shown = [status for node in world.nodes for status in core_of(node).peers() if status.in_step]
    assert {(status.missing_here, status.missing_there) for status in shown} == {(0, 0)}, "in step, and behind?"
    assert {(status.protocols, status.charter_version, status.quarantine) for status in shown} == {((1, 1), 1, None)}
    check_converged(world)


@pytest.mark.requirement("M-MSG-26", "T-MESH-10")
def test_a_peer_that_pushes_too_much_is_told_to_wait() -> None:
    """Its pushes are refused for a while, nobody else's are, and in the end everything is everywhere."""
    settings = replace(QUICK, pushed_requests=Rate(1, 3), payload_entries=1)
    world = World(3, 19, settings=settings)
    world.settle()
    for number in range(12):
        publish(world, world.nodes[0], number)
        world.run(50)
    world.settle()
    check_converged(world)
    refused = [node for node in world.nodes if any(log[1] == "busy" for log in node.refusals)]
    assert refused
