"""Threats T7, T12 and T13 where they concern keys and logs; each attack as told, on real cores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.verdicts import COUNTED, Void
from protocol.entries import ABSTAIN, ROTATE, Entry, ParsedEntry, parse_header
from protocol.errors import ProtocolError
from protocol.ids import EntryId
from protocol.key_chain import verify_chain
from protocol.kind_data import AbstainData, RotateData
from protocol.requests import parse_request
from tests.simulation.author import AT_S, Author, day
from tests.simulation.founding import key_of
from tests.simulation.liars import Liar
from tests.simulation.play import check_converged
from tests.simulation.test_keys import abstain, commit, core_of, log_at, show
from tests.simulation.world import World

YEAR_S = 365 * 86_400


def summaries(world: World, author: Author, numbers: range, **wrong: int) -> list[ParsedEntry]:
    calls = world.founding.named("calls")
    return [author.summary(calls, day(number), **wrong) for number in numbers]


@pytest.mark.requirement("T-KEY-5", "M-ENT-5")
def test_t7_a_stolen_key_publishes_back_dated_entries_and_recovery_voids_exactly_those() -> None:
    """Stolen at entry 50; ten entries dated a year ago; its rotation is refused; what was said before stays."""
    world = World(4, 71)
    world.settle()
    owner = world.nodes[0]
    calls = world.founding.named("calls")
    good = [owner.author.entries[0]]
    for number in range(50):
        good.append(owner.author.summary(calls, day(number)))
        world.commit(owner, good[-1])
    world.settle()
    thief = owner.author.copy()
    owner.core = None
    before = {node.place: core_of(node).logs.digest for node in world.nodes[1:]}
    stolen = [thief.summary(calls, day(60 + number), at=AT_S - YEAR_S) for number in range(10)]
    bad_key = key_of("thief")
    forged = thief.sign(ROTATE, RotateData(bad_key.public_key, bytes(32)).encode(), next_key=bad_key)
    show(world, thief, world.nodes[1], [*stolen, forged])
    world.run(30_000)
    for node in world.nodes[1:]:
        assert core_of(node).logs.digest != before[node.place]
        assert log_at(node, owner).height == 61  # ten more, and no rotation: nobody committed to that key
    world.boot(owner)
    owner.author.entries = [*good]
    recovered = owner.author.recover(50)
    world.commit(owner, recovered)
    after = owner.author.summary(calls, day(80))
    world.commit(owner, after)
    world.settle()
    check_converged(world)
    for node in world.nodes:
        assert all(node.verdicts[parsed.id] == COUNTED for parsed in (*good, recovered, after))
        assert all(node.verdicts.get(parsed.id, Void("recovered")) == Void("recovered") for parsed in stolen)
        assert log_at(node, owner).ids == [parsed.id for parsed in (*good, recovered, after)]


@pytest.mark.requirement("T-KEY-6")
@pytest.mark.parametrize("turns", [1, 2])
def test_t7_retired_keys_change_nothing_anywhere(turns: int) -> None:
    """The key before the last rotation, and the two before it: no entry at an old, the present or a later position."""
    world = World(3, 72)
    world.settle()
    owner, witness = world.nodes[0], world.nodes[1]
    thieves = []
    for number in range(2):
        thieves.append(owner.author.copy())
        commit(world, owner, number)
        world.commit(owner, owner.author.rotate())
    commit(world, owner, 8)
    world.settle()
    digest = core_of(witness).logs.digest
    for thief in thieves[-turns:]:
        height = len(owner.author.entries)
        for seq in (1, len(thief.entries), len(thief.entries) + 1, height, height + 3):  # the third: at the rotation
            prev = owner.author.entries[min(seq, height) - 1].id
            entry = thief.sign(ABSTAIN, AbstainData(world.founding.named("calls"), day(90), "paused").encode(),
                               seq=seq, prev=EntryId(prev))  # fmt: skip
            Liar(world, world.nodes[2]).push(witness, [entry])
            assert entry.id not in witness.disk.by_id
    assert core_of(witness).logs.digest == digest
    world.settle()
    check_converged(world)


@pytest.mark.requirement("T-KEY-7")
def test_t12_a_log_moves_by_one_entry_whatever_its_numbers_say() -> None:
    """Positions of 2^53 − 1, a charter of version 2^53 − 1, a date ten years ahead: only what follows is taken."""
    world = World(3, 73)
    world.settle()
    author, witness = world.nodes[0].author, world.nodes[1]
    calls, most = world.founding.named("calls"), 2**53 - 1
    body = AbstainData(calls, day(1), "paused").encode()
    for wrong in ({"seq": most}, {"generation": most}, {"generation": most, "seq": most}, {"seq": 3}):
        entry = author.copy().sign(ABSTAIN, body, **wrong)
        Liar(world, world.nodes[2]).push(witness, [entry])
        world.run(5_000)
        assert log_at(witness, world.nodes[0]).height == 1
        assert entry.id not in witness.disk.by_id
    Liar(world, world.nodes[2]).push(witness, [author.copy().sign(ABSTAIN, body, at=AT_S + 10 * YEAR_S)])
    assert log_at(witness, world.nodes[0]).height == 2  # the same way, in its place: taken
    future = author.sign(ABSTAIN, body, at=AT_S + 10 * YEAR_S)
    author.entries.append(future)
    world.commit(world.nodes[0], future)
    world.settle()
    assert all(node.verdicts[future.id] == COUNTED for node in world.nodes)  # a date is shown, and decides nothing
    check_converged(world)


@pytest.mark.requirement("T-KEY-7")
def test_t13_nothing_of_a_signature_can_be_left_out_or_exchanged() -> None:
    """A rotation with one signature, with both swapped, an entry without or with one too many; another wire major."""
    world = World(3, 74)
    world.settle()
    owner, witness = world.nodes[0], world.nodes[1]
    rotated = owner.author.copy().rotate()
    plain = abstain(world, owner.author.copy(), 5)
    first, second = rotated.entry.signatures
    [only] = plain.entry.signatures
    broken = [
        replace(rotated.entry, signatures=(first,)), replace(rotated.entry, signatures=(second, first)),
        replace(rotated.entry, signatures=(first, first)), replace(plain.entry, signatures=()),
        replace(plain.entry, signatures=(only, only)),
        Entry(plain.entry.header.replace(b"\x9b\x01", b"\x9b\x02", 1), plain.entry.signatures, plain.entry.data, None),
    ]  # fmt: skip
    for entry in broken:
        try:
            header = parse_header(entry.header)
        except ProtocolError:
            continue  # another wire major is refused before anything else
        Liar(world, world.nodes[2]).push(witness, [ParsedEntry(entry.id, header, entry)])
        assert log_at(witness, owner).height == 1
    Liar(world, world.nodes[2]).push(witness, [rotated])  # the same way, whole: taken
    assert log_at(witness, owner).height == 2
    owner.author.rotate()
    with pytest.raises(ProtocolError):
        verify_chain(owner.author.who.inception, [broken[0].encode()], world.founding.federation)
    with pytest.raises(ProtocolError):
        parse_request(b"\x94\x02")
    world.settle()
    check_converged(world)
