"""Nodes of two versions of judgement in one federation, and an honest author whose software has a bug.

The older version is a stand-in: it does not read the later kinds and data versions of this software, as an earlier
release does not. What both can read they judge alike; what one cannot read is opaque to it, and never in the way.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from federation import judged_log
from federation.judgement import Opinion, Prefix, judge
from federation.rules import Rules
from federation.verdicts import COUNTED, OPAQUE, Opaque, Void
from protocol import canonical
from protocol.entries import SUMMARY, TOKEN_KEY, ParsedEntry
from protocol.ids import EntryId
from protocol.token_data import TokenKeyData
from tests.simulation.author import day
from tests.simulation.play import view
from tests.simulation.world import SimNode, World


class OlderJudgement:
    """Some nodes judge without what came later: `token_key`, and summaries of version 2."""

    def __init__(self, patch: pytest.MonkeyPatch, nodes: Collection[SimNode]) -> None:
        self._nodes = nodes
        patch.setattr(judged_log, "judge", self.judge)

    def judge(self, parsed: ParsedEntry, prefix: Prefix, rules: Rules) -> Opinion:
        is_older = any(node.core is not None and node.core.rules is rules for node in self._nodes)
        is_later = parsed.header.kind == TOKEN_KEY or (
            parsed.header.kind == SUMMARY and canonical.decode(parsed.entry.data)["v"] == 2  # type: ignore[index, call-overload]
        )
        return Opinion(OPAQUE) if is_older and is_later else judge(parsed, prefix, rules)


def with_bugs(node: SimNode, world: World) -> dict[EntryId, Void]:
    """Ill-formed summaries of an honest author, in the middle of its log: entry and why it is void."""
    author, calls = node.author, world.founding.named("calls")
    good, cells = author.summary_data(calls, day(3))
    blocks = [replace(block, sigma2=block.sigma2 / 2) for block in good.blocks]
    extra = canonical.decode(good.encode())
    assert isinstance(extra, dict)
    bugs = {
        "sigma_mismatch": author.summary(calls, day(4), blocks=blocks),
        "malformed": author.write(SUMMARY, canonical.encode({**extra, "users": 12}), cells),
        "charge_mismatch": author.summary(calls, day(5), rho_nano=1),
        "outside_catalogue_row": author.summary(calls, "2020-01-01/P1D"),
    }
    for parsed in bugs.values():
        world.commit(node, parsed)
    return {parsed.id: Void(reason) for reason, parsed in bugs.items()}


@pytest.mark.parametrize("older", [(), (2, 3)], ids=["one_version", "half_of_them_older"])
def test_a_bug_of_an_honest_node_voids_its_entries_and_nothing_after_them(
    older: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Void on every node for the same reason, whichever version judges; every later entry counts; one set of sums."""
    world = World(4, 41)
    OlderJudgement(monkeypatch, [world.nodes[place] for place in older])
    world.settle()
    node, calls = world.nodes[0], world.founding.named("calls")
    before = [node.author.summary(calls, day(number)) for number in range(2)]
    for parsed in before:
        world.commit(node, parsed)
    void = with_bugs(node, world)
    after = [node.author.summary(calls, day(number)) for number in range(10, 14)]
    for parsed in after:
        world.commit(node, parsed)
    world.settle()
    for _ in range(2):
        for other in world.nodes:
            assert [other.verdicts[parsed.id] for parsed in (*before, *after)] == [COUNTED] * 6
            assert {entry: other.verdicts[entry] for entry in void} == void
            assert view(other) == view(world.nodes[0])
        for other in world.nodes:
            world.boot(other)


def test_what_the_older_half_cannot_read_holds_up_neither_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later kind between good and ill-formed entries: opaque to the older, counted by the newer; else equal."""
    world = World(4, 42)
    older, newer = world.nodes[2:], world.nodes[:2]
    OlderJudgement(monkeypatch, older)
    world.settle()
    node, calls = world.nodes[0], world.founding.named("calls")
    later = node.author.write(TOKEN_KEY, TokenKeyData(()).encode())
    world.commit(node, later)
    void = with_bugs(node, world)
    after = node.author.summary(calls, day(20))
    world.commit(node, after)
    world.settle()
    assert world.in_step()
    for one in world.nodes:
        assert one.verdicts[after.id] == COUNTED
        assert {entry: one.verdicts[entry] for entry in void} == void
    assert {one.verdicts[later.id] for one in newer} == {COUNTED}
    assert all(isinstance(one.verdicts[later.id], Opaque) for one in older)
    slots = [{author: found[1] for author, found in view(one).items()} for one in world.nodes]
    assert all(one == slots[0] for one in slots)


def test_after_the_upgrade_all_judge_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same entries, judged again by the newer software at its next start."""
    with monkeypatch.context() as before:
        world = World(3, 43)
        OlderJudgement(before, world.nodes[1:])
        world.settle()
        later = world.nodes[0].author.write(TOKEN_KEY, TokenKeyData(()).encode())
        world.commit(world.nodes[0], later)
        world.settle()
        assert [node.verdicts[later.id] for node in world.nodes] == [COUNTED, OPAQUE, OPAQUE]
    for node in world.nodes:
        world.boot(node)
    assert [node.verdicts[later.id] for node in world.nodes] == [COUNTED] * 3
