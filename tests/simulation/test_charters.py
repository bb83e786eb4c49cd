"""Federations that decide: charters through logs and files, newcomers, cuts, split votes, and who was away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from federation.charter_book import CharterBook
from federation.charters import Charters
from federation.definitions import definition_bytes
from federation.settings import Settings
from federation.verdicts import COUNTED, OPAQUE, Void
from protocol.charter import CatalogueRow
from protocol.charter_chain import CharterChain, TrustedCharter, extend_chain
from protocol.charter_document import CharterDocument, sign_charter
from protocol.errors import ProtocolError
from protocol.objects import definition_hash
from tests.simulation.author import day
from tests.simulation.founding import FIRST_HOUR, TREES, found, identity, key_of
from tests.simulation.governing import DAY_S, Governing, cut_at, organisation_of, voice, with_cut, with_newcomer
from tests.simulation.play import view
from tests.simulation.storm import weather
from tests.simulation.world import START_MS, SimNode, World


def federation(size: int = 4, seed: int = 0) -> tuple[World, Governing]:
    world = World(size, seed)
    world.settle()
    return world, Governing(world)


def versions(world: World) -> set[int]:
    return {node.core.rules.charter.version for node in world.nodes if node.core is not None}


def agree(world: World) -> None:
    """All nodes trust one charter, judge alike, and do so again from their disks."""
    tips = {node.core.rules.stamp.hash for node in world.nodes if node.core is not None}
    assert len(tips) == 1
    before = [view(node) for node in world.nodes]
    assert all(seen == before[0] for seen in before)
    for node in world.nodes:
        world.boot(node)
    assert [view(node) for node in world.nodes] == before, "a restart changes the verdicts"


def verdict(of: SimNode, at: SimNode, seq: int) -> object:
    assert at.core is not None
    return at.core.logs.judged(of.id).verdicts[seq]


def test_a_charter_is_proposed_and_approved_through_logs() -> None:
    """Three of four are enough; everybody trusts it, and what was said before still counts."""
    world, people = federation()
    calls = world.founding.named("calls")
    world.commit(world.nodes[3], world.nodes[3].author.summary(calls, day(0)))
    people.decide(people.after(people.trusted(world.nodes[0]), name="renamed"), places=(0, 1, 2))
    world.settle()
    assert versions(world) == {2}
    world.commit(world.nodes[3], world.nodes[3].author.summary(calls, day(1)))
    world.settle()
    assert [verdict(world.nodes[3], node, seq) for node in world.nodes for seq in (1, 2)] == [COUNTED] * 8
    assert world.nodes[3].author.entries[-1].header.charter_version == 2
    agree(world)


@pytest.mark.requirement("T-GOV-2")
def test_too_few_approvals_change_nothing_and_bad_ones_do_not_stand_in_the_way() -> None:
    """Two of four; a forged signature under the third key; then the third itself."""
    world, people = federation()
    charter = people.after(people.trusted(world.nodes[0]), name="renamed")
    document = people.decide(charter, places=(0, 1))
    third, fourth = (organisation_of(node) for node in world.nodes[2:])
    people.approve(world.nodes[3], document, third, signature=bytes(64))
    people.approve(world.nodes[3], document, fourth, signature=voice(fourth).sign(b"another thing"))
    world.settle()
    world.run(10_000)
    assert versions(world) == {1}
    assert [len(node.core.charters.council.proposals()) for node in world.nodes if node.core] == [1] * 4
    people.approve(world.nodes[1], document, third)
    world.settle()
    assert versions(world) == {2}
    agree(world)


def test_what_a_proposal_would_collect_can_be_read_everywhere_before_anybody_signs() -> None:
    """A new definition travels with the proposal, not only once the charter is trusted."""
    world = World(4, 6, settings=Settings(sync_interval_ms=3_600_000))
    world.settle()
    people, first = Governing(world), world.nodes[0]
    before = people.trusted(first)
    body = definition_bytes({**TREES[0], "metric": "newcomers"})
    assert first.core is not None
    world._do(first, first.core.learn_definition(body))
    row = CatalogueRow("newcomers", definition_hash(body), FIRST_HOUR + 240, None)
    people.propose(first, people.after(before, catalogue=(*before.charter.catalogue, row)))
    world.run(5_000)
    for node in world.nodes:
        assert node.core is not None
        assert node.core.documents.definition(definition_hash(body)) == body
        assert node.disk.definitions[definition_hash(body)] == body
    assert versions(world) == {1}


def test_charters_that_follow_each_other_quickly_are_fetched_at_once() -> None:
    """Handed to one member as files, seconds apart: whoever asked for the first need not wait a minute for the next.

    What is limited is asking in vain, of a peer that names charters it does not show.
    """
    world = World(4, 5, settings=Settings(sync_interval_ms=3_600_000))
    world.settle()
    people = Governing(world)
    for version in (2, 3, 4):
        tip = people.trusted(world.nodes[0])
        people.give(world.nodes[0], people.signed(people.after(tip, name=f"renamed {version}"), range(4)))
        world.run(5_000)
        assert versions(world) == {version}
    agree(world)


def test_a_newcomer_counts_from_its_window_on() -> None:
    """Admitted by a charter, started from it; its earlier windows are void, the others count everywhere."""
    world, people = federation(3)
    who = identity(3)
    charter = people.after(
        people.trusted(world.nodes[0]), **with_newcomer(found(3).rules().charter, who, 3, FIRST_HOUR + 24)
    )
    document = people.propose(world.nodes[0], charter)
    for place in (0, 1):
        people.approve(world.nodes[place], document, place)
    world.run(10_000)
    assert versions(world) == {1}, "the new key has not signed"
    people.approve(world.nodes[0], document, 3)
    world.settle()
    newcomer = world.join(who, [people.signed(charter, (0, 1, 3))])
    calls = world.founding.named("calls")
    for number in (0, 1):
        world.commit(newcomer, newcomer.author.summary(calls, day(number)))
    world.settle()
    for node in world.nodes:
        found_ = [verdict(newcomer, node, seq) for seq in (1, 2)]
        assert found_ == [Void("before_counts_from"), COUNTED]
    agree(world)


@pytest.mark.requirement("M-ADM-8", "M-LINE-1", "T-GOV-8")
def test_a_removed_member_counts_up_to_its_cut_and_is_told() -> None:
    """Beyond the cut nothing counts, wherever it is known; the removed node knows, and asks nobody any more."""
    world, people = federation()
    gone, calls = world.nodes[3], world.founding.named("calls")
    for number in range(4):
        world.commit(gone, gone.author.summary(calls, day(number)))
    world.settle()
    charter = people.trusted(world.nodes[0])
    document = people.decide(people.after(charter, **with_cut(charter.charter, gone, cut_at(gone, 2))), (0, 1, 2))
    world.run(60_000)
    assert versions(world) == {2}
    for node in world.nodes:
        assert node.core is not None
        log = node.core.logs.log(gone.id)
        assert log is not None
        assert log.height == 3
        assert [node.verdicts[parsed.id] for parsed in gone.author.entries[3:]] == [Void("cut")] * 2
    assert world.nodes[0].core is not None
    called = [peer.node for peer in world.nodes[0].core.peers() if peer.url is not None]
    assert len(called) == 2
    assert gone.id not in called
    assert document.hash == people.trusted(gone).hash
    agree(world)


@pytest.mark.requirement("M-LINE-1")
def test_a_readmitted_member_goes_on_from_its_cut() -> None:
    """With a recovery by its root key; what stood beyond the cut stays out."""
    world, people = federation()
    back, calls = world.nodes[3], world.founding.named("calls")
    for number in range(4):
        world.commit(back, back.author.summary(calls, day(number)))
    world.settle()
    first = people.trusted(world.nodes[0])
    people.decide(people.after(first, **with_cut(first.charter, back, cut_at(back, 2))), (0, 1, 2))
    world.run(30_000)
    second = people.trusted(world.nodes[0])
    people.decide(people.after(second, **with_cut(second.charter, back, None)), (0, 1, 2))
    world.run(30_000)
    assert versions(world) == {3}
    world.commit(back, back.author.recover(2))
    world.commit(back, back.author.summary(calls, day(6)))
    world.settle()
    for node in world.nodes:
        assert [verdict(back, node, seq) for seq in (2, 3, 4)] == [COUNTED] * 3
        assert [node.verdicts[parsed.id] for parsed in back.author.lost] != [COUNTED] * 2
    agree(world)


@pytest.mark.requirement("T-GOV-8")
def test_a_removed_member_cannot_readmit_itself() -> None:
    """Its recovery on the cut is its own word only; nothing there counts while the charter has the cut."""
    world, people = federation()
    gone, calls = world.nodes[3], world.founding.named("calls")
    world.commit(gone, gone.author.summary(calls, day(0)))
    world.settle()
    first = people.trusted(world.nodes[0])
    people.decide(people.after(first, **with_cut(first.charter, gone, cut_at(gone, 1))), (0, 1, 2))
    world.run(30_000)
    world.commit(gone, gone.author.recover(1))
    world.commit(gone, gone.author.summary(calls, day(1)))
    world.run(30_000)
    assert [verdict(gone, gone, seq) for seq in (2, 3)] == [Void("cut")] * 2
    assert all(node.core.logs.log(gone.id).height == 2 for node in world.nodes[:3] if node.core)  # type: ignore[union-attr]


@pytest.mark.requirement("T-GOV-4")
def test_a_split_vote_is_seen_by_all_and_healed_by_a_charter_on_both() -> None:
    """Two quorums, one on each side of a partition; one charter is trusted after it, and the chain then holds both."""
    world, people = federation()
    base = people.trusted(world.nodes[0])
    bodies = people.after(base, name="one"), people.after(base, name="other")
    one, other = people.signed(bodies[0], (0, 1, 2)), people.signed(bodies[1], (1, 2, 3))
    world.cut([(0, 1), (2, 3)])
    for place, charter, document in ((0, bodies[0], one), (2, bodies[1], other)):
        people.propose(world.nodes[place], charter)
        people.give(world.nodes[place], document)
    world.run(30_000)
    assert versions(world) == {2}
    assert len({people.trusted(node).hash for node in world.nodes}) == 2
    world.heal()
    world.settle()
    assert people.trusted(world.nodes[0]).hash == min(one.hash, other.hash)
    for node in world.nodes:
        assert "charter-split" in {alarm.code for alarm in node.alarms}
    healing = people.after(*_both(people, world.nodes[0]))
    people.give(world.nodes[3], people.signed(healing, (0, 1, 3)))
    world.settle()
    assert versions(world) == {3}
    for node in world.nodes:
        assert node.core is not None
        assert {item.hash for item in node.core.rules.chain.items} >= {one.hash, other.hash}
    agree(world)


def _both(people: Governing, node: SimNode) -> list[TrustedCharter]:
    assert node.core is not None
    return [people.trusted(node), *node.core.charters.book.rivals()]


@pytest.mark.requirement("T-GOV-6")
def test_who_was_down_for_three_charters_catches_up_unattended() -> None:
    """A turnover of a governance key, a newcomer, a removal; the node comes back with its old disk."""
    world, people = federation()
    sleeper = world.nodes[3]
    sleeper.core = None
    first = people.trusted(world.nodes[0])
    fresh = key_of("fresh governance")
    organisations = tuple(
        replace(item, governance_key=fresh.public_key) if item.id == "org3" else item
        for item in first.charter.organisations
    )
    second = people.after(first, organisations=organisations)
    document = people.signed(second, (0, 1, 2))
    document = document.with_approval(fresh.public_key, sign_charter(fresh, document.body, world.founding.federation))
    people.give(world.nodes[0], document)
    world.run(20_000)
    for name in ("third", "fourth"):
        people.give(world.nodes[1], people.signed(people.after(people.trusted(world.nodes[1]), name=name), (0, 1, 2)))
        world.run(20_000)
    world.boot(sleeper)
    world.settle()
    assert versions(world) == {4}
    agree(world)


def test_entries_of_a_charter_that_is_not_known_yet_wait_for_it() -> None:
    """Held and opaque, judged when it comes: a row that only the second charter has."""
    world, people = federation(3)
    node, other = world.nodes[0], world.nodes[1]
    definition = world.founding.named("calls")
    early = FIRST_HOUR - 40 * 24
    base = people.trusted(node)
    rows = (*base.charter.catalogue, CatalogueRow("calls", definition, early, FIRST_HOUR - 30 * 24))
    members = tuple(replace(member, counts_from=early) for member in base.charter.members)
    document = people.signed(people.after(base, catalogue=rows, members=members), (0, 1))
    node.author.charter_version = 2
    world.commit(node, node.author.summary(definition, day(-35)))
    world.settle()
    assert verdict(node, other, 1) == OPAQUE
    people.give(other, document)
    world.settle()
    assert [verdict(node, at, 1) for at in world.nodes] == [COUNTED] * 3
    agree(world)


@pytest.mark.requirement("M-JUD-3")
def test_rows_that_come_or_end_judge_anew_what_they_touch() -> None:
    """A window before its row becomes good, one after the row's new end void; a cap that fell voids what is beyond it.

    Each is compared with a core that judges the same entries by the new charter from the start.
    """
    world, people = federation(3)
    base = people.trusted(world.nodes[0])
    node, calls = world.nodes[1], world.founding.named("calls")
    first = base.charter.catalogue[0].from_hour
    number = (first - FIRST_HOUR) // 24 - 5
    members = tuple(replace(member, counts_from=first - 24 * 30) for member in base.charter.members)
    people.give(node, people.signed(people.after(base, members=members), (0, 1)))
    world.settle()
    for place in (number, 0, 200):
        world.commit(node, node.author.summary(calls, day(place)))
    world.settle()
    outside = Void("outside_catalogue_row")
    assert [verdict(node, world.nodes[0], seq) for seq in (-3, -2, -1)] == [outside, COUNTED, COUNTED]
    second = people.trusted(node)
    rows = tuple(
        replace(row, until_hour=FIRST_HOUR + 24 * 100) if row.definition == calls else row
        for row in second.charter.catalogue
    )
    old_row = CatalogueRow("calls", calls, first - 24 * 10, first)
    caps = {**second.charter.caps, "day": Fraction(1, 100_000)}
    charter = people.after(second, catalogue=(*rows, old_row), caps=caps, created=(FIRST_HOUR - 24 * 10) * 3600)
    people.give(node, people.signed(charter, (0, 1)))
    world.settle()
    for at in world.nodes:
        assert [verdict(node, at, seq) for seq in (-3, -2, -1)] == [COUNTED, Void("over_cap"), outside]
    agree(world)


@pytest.mark.requirement("T-GOV-7")
def test_caps_may_change_only_for_epochs_that_begin_later() -> None:
    """The day that has begun keeps its cap; a day after the notice has the new one, on every node."""
    world, people = federation(3)
    base = people.trusted(world.nodes[0])
    small = {"day": Fraction(1, 1000), "week": Fraction(1, 16), "month": Fraction(1, 4)}
    created = (FIRST_HOUR + 24) * 3600
    people.decide(people.after(base, caps=small, created=created))
    world.settle()
    node, calls = world.nodes[1], world.founding.named("calls")
    for number in (1, 2, 3):
        world.commit(node, node.author.summary(calls, day(number)))
    world.settle()
    for at in world.nodes:
        found_ = [verdict(node, at, seq) for seq in (-3, -2, -1)]
        assert found_ == [COUNTED, COUNTED, Void("over_cap")]
    agree(world)


@pytest.mark.requirement("M-LINE-2", "T-KEY-8")
def test_a_replaced_root_takes_a_log_back_from_who_stole_the_first() -> None:
    """A recovery by the new root stands before one of a higher generation by the old."""
    world, people = federation()
    owner, calls = world.nodes[3], world.founding.named("calls")
    world.commit(owner, owner.author.summary(calls, day(0)))
    world.settle()
    before = owner.author.copy()
    world.commit(owner, owner.author.recover(1, generation=7))  # the thief's, who holds the root key
    world.commit(owner, owner.author.summary(calls, day(1)))
    world.settle()
    fresh = key_of("fresh root")
    base = people.trusted(world.nodes[0])
    members = tuple(
        replace(item, root=fresh.public_key) if item.node == owner.id else item for item in base.charter.members
    )
    people.decide(people.after(base, members=members), (0, 1, 2))
    world.settle()
    stolen = [parsed.id for parsed in owner.author.entries[2:]]
    owner.author = before
    owner.author.charter_version = 2
    owner.author.who = replace(before.who, root=fresh)
    owner.author.turns = 40
    world.commit(owner, owner.author.recover(1))
    world.commit(owner, owner.author.summary(calls, day(2)))
    world.settle()
    for node in world.nodes:
        assert node.core is not None
        assert node.core.logs.log(owner.id).ids == [parsed.id for parsed in owner.author.entries]  # type: ignore[union-attr]
        assert [node.verdicts[entry] for entry in stolen] != [COUNTED] * len(stolen)
        assert verdict(owner, node, -1) == COUNTED
    agree(world)


def test_a_suspension_takes_windows_out_on_every_node() -> None:
    """Signed by one key, as this charter says; before and after it counts, and a second one adds nothing."""
    world, people = federation()
    node, calls = world.nodes[2], world.founding.named("calls")
    for number in range(4):
        world.commit(node, node.author.summary(calls, day(number)))
    people.suspend(world.nodes[0], node, (FIRST_HOUR + 24, FIRST_HOUR + 72), (0,))
    world.settle()
    expected = [COUNTED, Void("suspended"), Void("suspended"), COUNTED]
    assert [[verdict(node, at, seq) for seq in (1, 2, 3, 4)] for at in world.nodes] == [expected] * 4
    agree(world)
    before = [view(at) for at in world.nodes]
    people.suspend(world.nodes[1], node, (FIRST_HOUR, FIRST_HOUR + 300), ())
    world.settle()
    assert [view(at)[node.id] for at in world.nodes] == [seen[node.id] for seen in before]


def forged(people: Governing, base: TrustedCharter, count: int) -> list[CharterDocument]:
    """A chain made with stolen governance keys."""
    made: list[CharterDocument] = []
    for number in range(count):
        charter = people.after(base, name=f"forged {number}", attempt=9)
        document = people.signed(charter, (0, 1, 2))
        base = TrustedCharter(document, charter)
        made.append(document)
    return made


@pytest.mark.requirement("T-GOV-5")
def test_a_deeper_switch_stops_and_asks() -> None:
    """Retired keys made a longer chain from the past; the node says so and stays, until its operator decides."""
    world, people = federation()
    base = people.trusted(world.nodes[0])
    for name in ("second", "third"):
        people.give(world.nodes[0], people.signed(people.after(people.trusted(world.nodes[0]), name=name), (0, 1, 2)))
        world.settle()
    chain = forged(people, base, 4)
    for document in chain:
        people.give(world.nodes[1], document)
    world.run(20_000)
    node = world.nodes[1]
    assert versions(world) == {3}
    assert "charter-needs-confirmation" in {alarm.code for alarm in node.alarms}
    assert node.core is not None
    assert node.core.charters.waiting is not None
    tip = chain[-1].hash
    world._do(node, node.core.confirm_charter(tip, world.clock(node)))
    assert node.core.rules.charter.version == 5


@pytest.mark.requirement("T-GOV-5")
def test_after_the_expiry_a_new_charter_needs_most_members_or_the_operator() -> None:
    """One peer alone shows a chain forged with retired keys: the node stops and asks. Most of them: it follows."""
    world, people = federation()
    base = people.trusted(world.nodes[0])
    sleeper, liar = world.nodes[3], world.nodes[0]
    sleeper.core = None
    for place in range(4):
        world.skew_ms[place] = base.charter.expires * 1000 - START_MS
    world.cut([(0, 3), (1,), (2,)])
    document = people.signed(people.after(base, name="renewed", expires=base.charter.expires + 400 * DAY_S), (0, 1, 2))
    liar.core.charters.confirm(document.hash)  # type: ignore[union-attr]
    people.give(liar, document)
    world.boot(sleeper)
    world.run(60_000)
    assert people.trusted(sleeper).charter.version == 1
    assert "charter-needs-confirmation" in {alarm.code for alarm in sleeper.alarms}
    for node in world.nodes[1:3]:
        node.core.charters.confirm(document.hash)  # type: ignore[union-attr]
        people.give(node, document)
    world.heal()
    world.settle()
    assert versions(world) == {2}


@pytest.mark.requirement("M-MSG-21")
def test_what_a_peer_says_is_decided_is_kept_only_when_it_is() -> None:
    """A member that answers with charters nobody signed fills no disk and no memory of others."""
    world, people = federation(3)
    liar, victim = world.nodes[0], world.nodes[1]
    assert liar.core is not None
    base = people.trusted(liar)
    junk = [people.signed(people.after(base, name=f"junk {number}"), (0,)) for number in range(50)]
    real = type(liar.core.charters.book).documents
    book = liar.core.charters.book
    book.documents = lambda from_version=1: [*real(book, from_version), *junk]  # type: ignore[method-assign]
    good = people.signed(people.after(base, name="good"), (0, 1))
    people.give(liar, good)
    world.run(30_000)
    assert versions(world) == {2}
    assert len(victim.disk.charters) == 1
    assert victim.core is not None
    assert not victim.core.charters.council.proposals()


def test_broken_and_unrelated_charters_from_a_file_are_refused_by_name() -> None:
    """And leave nothing behind."""
    world, people = federation()
    node = world.nodes[0]
    base = people.trusted(node)
    second = people.after(base)
    for charter in (replace(second, members=base.charter.members[1:]), replace(second, version=4)):
        with pytest.raises(ProtocolError):
            people.give(node, people.signed(charter, (0, 1, 2)))
    assert not node.disk.charters
    assert versions(world) == {1}


@pytest.mark.parametrize("seed", range(12), ids=lambda seed: f"seed_{seed}")
def test_charters_change_in_any_weather(seed: int) -> None:
    """Proposals, rival attempts and approvals in logs while everything breaks: one charter, one judgement after it."""
    world = weather(seed, with_votes=True)
    assert len({people_tip(node) for node in world.nodes}) == 1


def people_tip(node: SimNode) -> bytes:
    assert node.core is not None
    return node.core.rules.stamp.hash


def trust_any_number(patch: pytest.MonkeyPatch) -> None:
    """A charter needs no threshold."""
    patch.setattr("protocol.charter_chain.unsigned", lambda charter, signed: [])


def keep_the_first_of_two(patch: pytest.MonkeyPatch) -> None:
    """Of two charters of one vote the one that came first is trusted."""
    patch.setattr(CharterBook, "next_chain", longer_only)


def longer_only(book: CharterBook) -> CharterChain | None:
    version = book.chain.charter.version
    longer = [item for item in book.known.values() if item.charter.version > version]
    return extend_chain(book.chain, longer[0], book.known) if longer else None


def forget_the_cut(patch: pytest.MonkeyPatch) -> None:
    """A cut in a charter changes no log."""
    patch.setattr("federation.logs._cut_of", lambda author, rules: None)
    patch.setattr("federation.rules.Rules.is_removed", lambda rules, node: False)


def judge_only_what_is_new(patch: pytest.MonkeyPatch) -> None:
    """What was judged by the old charter is never judged again."""
    patch.setattr("federation.logs._is_touched", lambda author, old, new, judged: False)


def cap_at_once(patch: pytest.MonkeyPatch) -> None:
    """The trusted charter's caps hold for all epochs."""
    patch.setattr(CharterChain, "caps_at", lambda chain, hour: chain.charter.caps)


def follow_anything_longer(patch: pytest.MonkeyPatch) -> None:
    """A longer chain is followed without asking, however deep, however late."""
    patch.setattr(Charters, "_may_follow", lambda charters, found, now_ms, batch: True)


def lose_charters(patch: pytest.MonkeyPatch) -> None:
    """Charters are trusted and never reach the disk."""
    patch.setattr(Charters, "_store", lambda charters, item, batch: None)


MUTANTS: dict[Callable[[pytest.MonkeyPatch], None], Callable[[], None]] = {
    trust_any_number: test_too_few_approvals_change_nothing_and_bad_ones_do_not_stand_in_the_way,
    keep_the_first_of_two: test_a_split_vote_is_seen_by_all_and_healed_by_a_charter_on_both,
    forget_the_cut: test_a_removed_member_counts_up_to_its_cut_and_is_told,
    judge_only_what_is_new: test_entries_of_a_charter_that_is_not_known_yet_wait_for_it,
    cap_at_once: test_caps_may_change_only_for_epochs_that_begin_later,
    follow_anything_longer: test_after_the_expiry_a_new_charter_needs_most_members_or_the_operator,
    lose_charters: test_a_charter_is_proposed_and_approved_through_logs,
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_of_charters_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The story that goes with it fails under the mutant."""
    mutant(monkeypatch)
    with pytest.raises((AssertionError, KeyError, LookupError, ProtocolError)):
        MUTANTS[mutant]()
