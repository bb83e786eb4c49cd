"""Attacks that specs/threat-model.md names, on whole federations: cases 13, 14 and 20, threats T10, T11 and T15."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation import judgement
from federation.verdicts import COUNTED, OPAQUE, Void
from protocol import canonical
from protocol.charter import Charter
from protocol.charter_chain import TrustedCharter
from protocol.charter_document import CharterDocument, sign_charter
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry
from protocol.keys import SigningKey
from tests.simulation.author import day
from tests.simulation.founding import FIRST_HOUR, found, identity, key_of
from tests.simulation.governing import DAY_S, cut_at, voice, with_cut, with_newcomer
from tests.simulation.liars import Liar
from tests.simulation.play import view
from tests.simulation.test_charters import agree, federation, forged, verdict, versions
from tests.simulation.test_keys import log_at
from tests.simulation.world import START_MS


def test_case_13_two_charters_of_one_vote_are_an_alarm_on_every_node() -> None:
    """Three of five signed each: all see both, trust the same one, and say so; another vote waits for one on both."""
    world, people = federation(5, 13)
    base = people.trusted(world.nodes[0])
    one, other = (people.signed(people.after(base, name=name), (0, 1, 2)) for name in ("one", "other"))
    people.give(world.nodes[0], one)
    people.give(world.nodes[4], other)
    world.settle()
    world.run(20_000)
    for node in world.nodes:
        assert "charter-split" in {alarm.code for alarm in node.alarms}
        assert people.trusted(node).hash == min(one.hash, other.hash)
    agree(world)


# ── case 14: months away ────────────────────────────────────────────────────────────────────────────────────────


def turned(charter: Charter, place: int, fresh: SigningKey) -> dict[str, object]:
    """The organisations, one of them with a new governance key."""
    organisations = tuple(
        replace(one, governance_key=fresh.public_key) if one.id == f"org{place}" else one
        for one in charter.organisations
    )
    return {"organisations": organisations}


def test_case_14_a_node_away_for_twelve_charters_catches_up_unattended() -> None:
    """Two governance keys turned over, a member removed, its peers' and its own view of keys long out of date."""
    world, people = federation(5, 14)
    calls = world.founding.named("calls")
    sleeper, gone = world.nodes[4], world.nodes[3]
    world.commit(sleeper, sleeper.author.summary(calls, day(0)))
    world.settle()
    sleeper.core = None
    keys = {place: voice(place) for place in range(5)}
    base = people.trusted(world.nodes[0])
    for version in range(2, 14):
        before = dict(keys)
        changes: dict[str, object] = {"name": f"version {version}"}
        if version in (3, 6):
            place = version // 3  # org1, then org2
            keys[place] = key_of("fresh governance", place)
            changes = turned(base.charter, place, keys[place])
        if version == 8:
            changes = with_cut(base.charter, gone, cut_at(gone, 0))
        charter = people.after(base, **changes)
        document = CharterDocument(charter.encode())
        for key in {one.public_key: one for one in (*before.values(), *keys.values())}.values():
            document = document.with_approval(
                key.public_key, sign_charter(key, document.body, world.founding.federation)
            )
        people.give(world.nodes[version % 3], document)
        world.run(5_000)
        base = TrustedCharter(document, charter)
        if version in (4, 9):
            world.commit(world.nodes[0], world.nodes[0].author.rotate())
            world.commit(world.nodes[0], world.nodes[0].author.summary(calls, day(version)))
    assert {people.trusted(node).charter.version for node in world.nodes[:3]} == {13}
    world.boot(sleeper)
    world.run(60_000)
    assert people.trusted(sleeper).hash == base.hash
    assert "charter-needs-confirmation" not in {alarm.code for alarm in sleeper.alarms}
    world.commit(sleeper, sleeper.author.rotate())  # its own key, due long ago
    world.commit(sleeper, sleeper.author.summary(calls, day(20)))
    world.run(60_000)
    for node in (*world.nodes[:3], sleeper):
        assert [verdict(sleeper, node, seq) for seq in (1, 3)] == [COUNTED] * 2
        assert [verdict(world.nodes[0], node, seq) for seq in (2, 4)] == [COUNTED] * 2
    assert view(sleeper) == view(world.nodes[0])


@pytest.mark.requirement("T-GOV-5")
def test_case_14_and_threat_10_a_long_chain_of_retired_keys_stops_and_asks() -> None:
    """Three governance keys were replaced and stolen later: a chain forged from version 1, longer than the true one.

    Shown first to a node that was away past the expiry of what it trusts, by one liar alone, then to everybody.
    """
    world, people = federation(5, 10)
    sleeper, liar = world.nodes[4], world.nodes[3]
    first = people.trusted(world.nodes[0])
    sleeper.core = None
    base, keys = first, {place: voice(place) for place in range(5)}
    for place in range(3):
        before = dict(keys)
        keys[place] = key_of("fresh governance", place)
        expires = first.charter.expires + 400 * DAY_S
        charter = people.after(base, **turned(base.charter, place, keys[place]), expires=expires)
        document = CharterDocument(charter.encode())
        for key in {one.public_key: one for one in (*before.values(), *keys.values())}.values():
            document = document.with_approval(
                key.public_key, sign_charter(key, document.body, world.founding.federation)
            )
        people.give(world.nodes[0], document)
        world.run(5_000)
        base = TrustedCharter(document, charter)
    honest = world.nodes[:3]
    assert {people.trusted(node).hash for node in honest} == {base.hash}
    for place in range(5):
        world.skew_ms[place] = first.charter.expires * 1000 + 180 * DAY_S * 1000 - START_MS
    world.cut([(3, 4), (0, 1, 2)])
    chain = forged(people, first, 6)
    liar.core.charters.confirm(chain[-1].hash)  # type: ignore[union-attr]
    for document in chain:
        people.give(liar, document)
    assert people.trusted(liar).hash == chain[-1].hash
    world.boot(sleeper)
    world.run(60_000)
    assert people.trusted(sleeper).hash == first.hash
    assert "charter-needs-confirmation" in {alarm.code for alarm in sleeper.alarms}
    world.heal()
    world.run(60_000)
    assert {people.trusted(node).hash for node in honest} == {base.hash}
    assert people.trusted(sleeper).hash in (first.hash, base.hash)


@pytest.mark.requirement("T-GOV-6")
def test_threat_11_one_honest_peer_undoes_a_freeze() -> None:
    """Everybody a node reaches keeps to the old charter; the first who knows the newer one is enough."""
    world, people = federation(4, 11)
    base = people.trusted(world.nodes[0])
    victim = world.nodes[3]
    world.cut([(0, 1), (2, 3)])
    document = people.signed(people.after(base, name="newer"), (0, 1, 2))
    people.give(world.nodes[0], document)
    world.run(30_000)
    assert people.trusted(world.nodes[1]).hash == document.hash
    assert people.trusted(victim).hash == base.hash
    world.cut([(0,), (1, 3), (2,)])
    world.run(60_000)
    assert people.trusted(victim).hash == document.hash


def test_threat_15_who_is_admitted_counts_only_from_its_window_on() -> None:
    """History of its own that a newcomer brings along is void on every node; it changes nobody else's answers."""
    world, people = federation(3)
    who = identity(3)
    charter = people.after(
        people.trusted(world.nodes[0]), **with_newcomer(found(3).rules().charter, who, 3, FIRST_HOUR + 24 * 7)
    )
    newcomer_voice = voice(3)
    document = people.signed(charter, (0, 1))
    people.give(world.nodes[0], document)
    world.run(10_000)
    assert versions(world) == {1}, "its own key has not signed"
    document = document.with_approval(
        newcomer_voice.public_key, sign_charter(newcomer_voice, document.body, world.founding.federation)
    )
    people.give(world.nodes[0], document)
    world.settle()
    newcomer = world.join(who, [document])
    calls = world.founding.named("calls")
    for number in range(9):
        world.commit(newcomer, newcomer.author.summary(calls, day(number)))
    world.settle()
    for node in world.nodes:
        found_ = [verdict(newcomer, node, seq) for seq in range(1, 10)]
        assert found_ == [Void("before_counts_from")] * 7 + [COUNTED] * 2
    agree(world)


# ── case 20: two versions in one federation ─────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("M-ENT-9", "M-JUD-1")
def test_case_20_what_a_later_version_says_is_carried_and_not_interpreted() -> None:
    """Half the nodes write a later kind and later data among theirs: all logs reach all, only what is known counts.

    It is kept over a restart, so that a node that is upgraded one day finds it.
    """
    world, _ = federation(4, 20)
    calls = world.founding.named("calls")
    later: list[ParsedEntry] = []
    known: list[ParsedEntry] = []
    for number in range(3):
        for node in world.nodes:
            known.append(node.author.summary(calls, day(number)))
            world.commit(node, known[-1])
        for node in world.nodes[2:]:
            for kind, data in (("weather", b"\x01"), (SUMMARY, {"v": 2}), (ABSTAIN, {"v": 2})):
                later.append(node.author.write(kind, data if isinstance(data, bytes) else canonical.encode(data)))
                world.commit(node, later[-1])
    world.settle()
    assert world.in_step()
    for _ in range(2):
        for node in world.nodes:
            assert [node.verdicts[parsed.id] for parsed in known] == [COUNTED] * 12
            assert [node.verdicts[parsed.id] for parsed in later] == [OPAQUE] * 18
            assert {parsed.id for parsed in later} <= node.disk.ids
        agree(world)


def test_case_20_an_upgrade_completes_node_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was carried is judged by each node once it knows the kind; heads stay equal all the way, nothing is sent."""
    world, _ = federation(4, 23)
    calls = world.founding.named("calls")
    later: list[ParsedEntry] = []
    for number, node in enumerate(world.nodes[:2]):
        later.append(node.author.write("weather", b"\x01"))
        world.commit(node, later[-1])
        world.commit(node, node.author.summary(calls, day(number)))
    world.settle()
    before = [node.disk.ids for node in world.nodes]
    monkeypatch.setattr(judgement, "_IN_FORM", {**judgement._IN_FORM, "weather": lambda _data: None})
    for upgraded, node in enumerate(world.nodes):
        assert [one.verdicts[parsed.id] for one in world.nodes[upgraded:] for parsed in later] == [OPAQUE] * 2 * (
            4 - upgraded
        )
        world.boot(node)
        world.run(5_000)
        assert [one.verdicts[parsed.id] for one in world.nodes[: upgraded + 1] for parsed in later] == [COUNTED] * 2 * (
            upgraded + 1
        )
        assert world.in_step()
    assert [node.disk.ids for node in world.nodes] == before
    agree(world)


def test_case_20_a_stripped_signature_is_no_downgrade() -> None:
    """A rotation carries two signatures; a relay that leaves out either moves nobody's log."""
    world, _ = federation(3, 21)
    owner, relay, witness = world.nodes
    rotated = owner.author.copy().rotate()
    for signatures in (rotated.entry.signatures[:1], rotated.entry.signatures[1:], ()):
        stripped = ParsedEntry(rotated.id, rotated.header, replace(rotated.entry, signatures=signatures))
        Liar(world, relay).push(witness, [stripped])
        assert log_at(witness, owner).height == 1
    Liar(world, relay).push(witness, [rotated])
    assert log_at(witness, owner).height == 2


def test_case_20_the_least_version_rises_by_charter_alone_and_never_falls() -> None:
    """Raised by three of four; a charter that lowers it again follows nothing, however many signed."""
    world, people = federation(4, 22)
    people.give(world.nodes[0], people.signed(people.after(people.trusted(world.nodes[0]), min_suite=2), (0, 1, 2)))
    world.settle()
    assert {people.trusted(node).charter.min_suite for node in world.nodes} == {2}
    lower = people.signed(people.after(people.trusted(world.nodes[0]), min_suite=1), (0, 1, 2, 3))
    with pytest.raises(Exception, match="min") as refused:
        people.give(world.nodes[1], lower)
    assert getattr(refused.value, "code", "") == "bad-succession"
    world.run(10_000)
    assert {people.trusted(node).charter.min_suite for node in world.nodes} == {2}
