"""Entries that half the federation cannot read: bodies beyond a limit are dropped, headers never, and nobody parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation import judgement
from federation.verdicts import BODY_AWAY, COUNTED, OPAQUE
from protocol import canonical
from protocol.entries import ABSTAIN, SUMMARY, ParsedEntry, parse_carried, parse_entry, verify_entry
from protocol.errors import ProtocolError
from tests.simulation.author import day
from tests.simulation.liars import Liar
from tests.simulation.play import check_converged, view
from tests.simulation.world import QUICK, SimNode, World

LIMIT = 2_000
SMALL = replace(QUICK, opaque_bytes=LIMIT)


def unread(world: World, node: SimNode, count: int, size: int = 500) -> list[ParsedEntry]:
    """Entries of a later kind and of later data versions, between ones that count."""
    found = []
    calls = world.founding.named("calls")
    for number in range(count):
        text = canonical.encode({"note": bytes(size), "v": 99})
        kind = ("weather", SUMMARY, ABSTAIN)[number % 3]
        found.append(node.author.write(kind, text))
        world.commit(node, found[-1])
        world.commit(node, node.author.summary(calls, day(number)))
    return found


def kept(node: SimNode, entries: list[ParsedEntry]) -> list[bool]:
    """Of which of these the node's disk holds the body."""
    return [node.disk.by_id[parsed.id].has_body for parsed in entries]


@pytest.mark.requirement("M-ENT-13", "T-MESH-13")
def test_bodies_nobody_here_can_read_are_kept_up_to_a_limit_and_headers_always() -> None:
    """Every log ends equal, verifies, is judged alike and is passed on, though a newcomer finds no body anywhere."""
    world = World(4, 31, settings=SMALL)
    late = world.nodes[3]
    late.core = None
    author = world.nodes[0]
    entries = unread(world, author, 9)
    world.run(20_000)
    assert [sum(kept(node, entries)) for node in world.nodes[:3]] == [9, 3, 3], "the author's own stay"
    author.core = None  # so that the newcomer gets what others kept
    world.boot(late)
    world.run(60_000)
    assert kept(late, entries) == [True] * 3 + [False] * 6
    for node in world.nodes[1:]:
        log = node.core.logs.log(author.id)  # type: ignore[union-attr]
        assert log is not None
        assert log.ids == [parsed.id for parsed in author.author.entries]
        for parsed in node.disk.entries[author.id]:
            verify_entry(parsed.header, parsed.entry, (author.author.key.public_key,))
        assert {node.verdicts[parsed.id] for parsed in entries if parsed.header.kind == "weather"} == {OPAQUE}
        assert [node.verdicts[parsed.id] for parsed in author.author.entries if parsed not in entries] == [COUNTED] * 10
    assert view(world.nodes[1]) == view(world.nodes[2])
    # Of kinds it knows the newcomer cannot tell, and asks: the author has them, and then all agree.
    assert BODY_AWAY in late.verdicts.values()
    world.boot(author)
    world.settle()
    world.run(30_000)
    assert kept(late, entries) == [True] * 3 + [False] * 6
    check_converged(world, {author.place})


@pytest.mark.requirement("M-ENT-15", "M-ENT-16", "T-MESH-12")
def test_a_stripped_entry_counts_as_soon_as_anybody_has_its_body() -> None:
    """A relay that leaves out bodies delays: the entry waits, its log goes on, and the next member brings the body."""
    world = World(4, 32, settings=SMALL)
    world.settle()
    author, liar, victim = world.nodes[0], world.nodes[1], world.nodes[2]
    world.cut([[0, 3], [1, 2]])
    calls = world.founding.named("calls")
    written = [author.author.summary(calls, day(number)) for number in range(4)]
    for parsed in written:
        world.commit(author, parsed)
    Liar(world, liar).push(victim, [parsed.without_body() for parsed in written])
    assert [victim.verdicts[parsed.id] for parsed in written] == [BODY_AWAY] * 4
    world.run(20_000)
    assert [victim.verdicts[parsed.id] for parsed in written] == [BODY_AWAY] * 4, "nobody who has them can be asked"
    world.heal()
    world.settle()
    world.run(10_000)
    assert [victim.verdicts[parsed.id] for parsed in written] == [COUNTED] * 4
    assert all(kept(victim, written))
    check_converged(world)


@pytest.mark.requirement("M-ENT-14")
def test_keys_never_travel_without_their_data() -> None:
    """Admission reads them; so does a proof, which takes whole entries only."""
    world = World(2, 33)
    author = world.nodes[0].author
    rotated = author.rotate()
    summary = author.summary(world.founding.named("calls"), day(0))
    for parsed in (author.entries[0], rotated):
        with pytest.raises(ProtocolError):
            parse_carried(parsed.without_body().entry.encode())
    bare = summary.without_body().entry.encode()
    assert parse_carried(bare).id == summary.id
    with pytest.raises(ProtocolError):
        parse_entry(bare)
    empty = author.write("weather", b"")
    with pytest.raises(ProtocolError):
        parse_carried(empty.without_body().entry.encode())


def test_an_upgraded_node_asks_for_what_it_had_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of judgement reads the kind: the bodies that were dropped come back, and all is judged."""
    world = World(3, 34, settings=SMALL)
    world.settle()
    author, node = world.nodes[0], world.nodes[1]
    entries = unread(world, author, 12)
    world.settle()
    assert sum(kept(node, entries)) == 3
    monkeypatch.setitem(judgement._READABLE, "weather", lambda parsed: parsed.entry.data)  # type: ignore[index]
    small = judgement._judge_small
    monkeypatch.setattr(
        judgement,
        "_judge_small",
        lambda parsed, rules: judgement.Opinion(COUNTED) if parsed.header.kind == "weather" else small(parsed, rules),
    )
    node.disk.upgrade()
    world.boot(node)
    world.run(30_000)
    weather = [parsed for parsed in entries if parsed.header.kind == "weather"]
    assert kept(node, weather) == [True] * 4
    assert [node.verdicts[parsed.id] for parsed in weather] == [COUNTED] * 4
    assert sum(kept(node, entries)) <= 4 + 3
