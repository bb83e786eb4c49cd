"""The rules of what counts, as answers show them: each rule by name, and every node's answer the same bytes.

A faulty member publishes something ill-formed in the middle of its log, honest ones stand beside it. On every node the
answer is the exact sum of what counts, the member's standing says why a window is without it, and later ones count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from protocol.entries import ParsedEntry
from tests.simulation.answering import agreed
from tests.simulation.author import Author, day
from tests.simulation.founding import FIRST_HOUR
from tests.simulation.governing import Governing, cut_at, with_cut
from tests.simulation.liars import Liar
from tests.simulation.world import SimNode, World
from tests.unit.federation import test_judgement as wrong

CELLS = {place: [1000 * (place + 1) + cell for cell in range(4)] for place in range(4)}
SPAN = {"from_": "2026-11-01", "to": "2026-11-04", "by": "total", "raw": "1", "badges": "1", "compare": ""}
IN_THE_SLOT = {
    "sigma_mismatch": wrong.scaled_noise,
    "quantum_mismatch": wrong.other_quantum,
    "mechanism_mismatch": wrong.other_mechanism,
    "cells_mismatch": wrong.fewer_cells,
    "charge_mismatch": wrong.cheaper,
    "charge_mismatch, too dear": wrong.dearer,
    "total_mismatch": wrong.total_too_small,
    "over_cap": wrong.over_the_cap,
    "not_one_epoch": wrong.epoch_of_another_day,
    "epoch_overlap": wrong.epoch_within_an_epoch,
    "malformed, another release id": wrong.wrong_release_id,
}
BESIDE_IT = {
    "outside_catalogue_row": wrong.outside_the_row,
    "before_counts_from": wrong.before_it_counts,
    "window_mismatch": wrong.other_window,
    "unit_too_weak": wrong.weaker_key,
    "malformed": wrong.no_summary_at_all,
    "malformed, an invented reason": wrong.invented_reason,
    "not_in_catalogue": wrong.abstain_from_nothing,
}


def some_slow(rules: Mapping[str, object], *fast: str) -> list[Any]:
    """Each rule by name; all but these are run by make test-slow, for judgement has a fast test of each."""
    return [pytest.param(rule, marks=() if rule in fast else pytest.mark.slow) for rule in rules]


def federation(size: int = 3) -> tuple[World, SimNode]:
    """A settled world, and the member whose log will be faulty; the others release three days."""
    world = World(size, 1)
    for place, node in enumerate(world.nodes[1:], 1):
        for number in range(3):
            commit(world, node, lambda author, at=number, of=place: calls(author, at, CELLS[of]))
    return world, world.nodes[0]


def calls(author: Author, number: int, cells: Sequence[int]) -> ParsedEntry:
    return author.summary(author.founding.named("calls"), day(number), cells)


def commit(world: World, node: SimNode, write: Callable[[Author], object]) -> None:
    """Everything the author writes is stored and told."""
    before = len(node.author.entries)
    write(node.author)
    for parsed in node.author.entries[before:]:
        world.commit(node, parsed)


def summed(*of: tuple[int, int]) -> int:
    """The exact sum of so many days of each place."""
    return sum(days * sum(CELLS[place]) for place, days in of)


def standing(answer: Any, node: SimNode) -> dict[str, tuple[str, str]]:
    """Where a member is not in: (standing, reason) by window."""
    [row] = [one for one in answer["members"] if one["node"] == node.id.hex()]
    return {window: (part["standing"], part["reason"]) for part in row["without"] for window in part["windows"]}


def three_days(world: World) -> Any:
    world.settle()
    return agreed(world, "calls", **{name: text for name, text in SPAN.items() if text})


@pytest.mark.parametrize(
    "rule", some_slow(IN_THE_SLOT, "sigma_mismatch", "quantum_mismatch", "charge_mismatch", "over_cap")
)
def test_what_is_not_as_defined_adds_nothing_and_says_why(rule: str) -> None:
    """σ, mechanism, quantum, cells, charge, total and epoch as defined, else void by that name; the next day counts."""
    world, faulty = federation()
    commit(world, faulty, IN_THE_SLOT[rule])
    for number in (1, 2):
        commit(world, faulty, lambda author, at=number: calls(author, at, CELLS[0]))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 2), (1, 3), (2, 3))
    slot = ("missing", "no_release") if rule.startswith("malformed") else ("void", rule.partition(",")[0])
    assert standing(answer, faulty) == {day(0): slot}
    assert answer["reporting"] == "2 of 3"
    assert {row["windows"] for row in answer["badges"]["members"]} == {2, 3}


@pytest.mark.parametrize("rule", some_slow(BESIDE_IT, "outside_catalogue_row", "before_counts_from"))
def test_what_speaks_of_no_slot_here_changes_no_answer(rule: str) -> None:
    """Windows outside the catalogue row or before the member counts, weaker keys, other windows, no summary at all."""
    world, faulty = federation()
    commit(world, faulty, BESIDE_IT[rule])
    for number in range(3):
        commit(world, faulty, lambda author, at=number: calls(author, at, CELLS[0]))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 3), (1, 3), (2, 3))
    assert standing(answer, faulty) == {}


def test_a_slot_conflict_voids_both_releases() -> None:
    world, faulty = federation()
    commit(world, faulty, lambda author: calls(author, 0, CELLS[0]))
    commit(world, faulty, lambda author: calls(author, 0, CELLS[1]))
    commit(world, faulty, lambda author: calls(author, 1, CELLS[0]))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 1), (1, 3), (2, 3))
    assert standing(answer, faulty) == {day(0): ("void", "slot_conflict"), day(2): ("missing", "no_release")}


def test_a_release_published_again_counts_once() -> None:
    world, faulty = federation()
    commit(world, faulty, lambda author: calls(author, 0, CELLS[0]))
    commit(world, faulty, lambda author: author.again(next(iter(author.releases))))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 1), (1, 3), (2, 3))


def test_after_an_abstain_a_summary_counts_and_after_a_summary_no_abstain() -> None:
    world, faulty = federation()
    named = world.founding.named("calls")
    commit(world, faulty, lambda author: author.abstain(named, day(0)))
    commit(world, faulty, lambda author: calls(author, 0, CELLS[0]))
    commit(world, faulty, lambda author: author.abstain(named, day(0)))
    commit(world, faulty, lambda author: author.abstain(named, day(1), "budget"))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 1), (1, 3), (2, 3))
    assert standing(answer, faulty) == {day(1): ("abstained", "budget"), day(2): ("missing", "no_release")}


def test_what_is_cut_and_what_is_suspended_is_left_out_by_its_window() -> None:
    """A removed member counts up to its cut; a suspended one before and after."""
    world, faulty = federation(4)
    for number in range(3):
        commit(world, faulty, lambda author, at=number: calls(author, at, CELLS[0]))
    people = Governing(world)
    people.suspend(world.nodes[1], faulty, (FIRST_HOUR + 24, FIRST_HOUR + 48), (0,))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 2), (1, 3), (2, 3), (3, 3))
    assert standing(answer, faulty)[day(1)] == ("excluded", "suspended")
    charter = people.trusted(world.nodes[1])
    people.decide(people.after(charter, **with_cut(charter.charter, faulty, cut_at(faulty, 1))), (1, 2, 3))
    world.run(60_000)
    world.nodes.remove(faulty)
    answer = agreed(world, "calls", **{name: text for name, text in SPAN.items() if text})
    assert answer["total"]["estimate"] == summed((0, 1), (1, 3), (2, 3), (3, 3))


def test_a_recovery_takes_back_what_it_leaves_behind() -> None:
    world, faulty = federation()
    for number in range(3):
        commit(world, faulty, lambda author, at=number: calls(author, at, CELLS[0]))
    world.settle()
    world.commit(faulty, faulty.author.recover(2))
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 2), (1, 3), (2, 3))
    # It stands in no line any more, and a node may never have seen it: so no answer says more than this.
    assert standing(answer, faulty) == {day(2): ("missing", "no_release")}


def test_a_fork_freezes_its_author_in_every_answer() -> None:
    """What stood before it counts, nothing after, and neither branch."""
    world, faulty = federation(4)
    commit(world, faulty, lambda author: calls(author, 0, CELLS[0]))
    world.settle()
    twin = Author(world.founding, faulty.author.who, list(faulty.author.entries), dict(faulty.author.totals))
    world.cut([[0, 1], [2, 3]])
    commit(world, faulty, lambda author: calls(author, 1, CELLS[0]))
    other = calls(twin, 1, CELLS[1])
    Liar(world, faulty).push(world.nodes[2], [other])
    world.run(5_000)
    world.heal()
    answer = three_days(world)
    assert answer["total"]["estimate"] == summed((0, 1), (1, 3), (2, 3), (3, 3))
    assert standing(answer, faulty) == {day(1): ("missing", "no_release"), day(2): ("missing", "no_release")}


def test_cells_are_whole_quanta_and_add_exactly() -> None:
    """Sums of the largest and smallest cells that fit, to the last unit, on every node."""
    world, faulty = federation()
    far = [2**52, -(2**52), 2**53 - 1, -7]
    commit(world, faulty, lambda author: calls(author, 0, far))
    world.settle()
    answer = agreed(world, "calls", window=day(0), raw="1")
    expected = [sum(column) for column in zip(far, CELLS[1], CELLS[2], strict=True)]
    assert [cell["estimate"] for cell in answer["cells"]] == expected
