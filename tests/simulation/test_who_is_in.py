"""Who is in an answer: a release that comes late, a member that is added, each as every node's answer tells it.

Void, cut, suspended and recovered members: `test_combine_rules.py`; removed and taken back: `test_charters.py`.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.answering import agreed
from tests.simulation.author import day
from tests.simulation.founding import FIRST_HOUR, found, identity
from tests.simulation.governing import Governing, with_newcomer
from tests.simulation.test_combine_rules import CELLS, calls, commit, federation, standing, summed, three_days


def _by_window(answer: Any) -> dict[str, int]:
    return {point["window"]: point["estimate"] for point in answer["series"]}


def test_a_late_release_is_missing_until_it_comes_and_then_adds_exactly_itself() -> None:
    """Before: named as missing, the rest summed. After: its cells and nothing else, under another identity."""
    world, late = federation()
    for number in (0, 2):
        commit(world, late, lambda author, at=number: calls(author, at, CELLS[0]))
    before = three_days(world)
    assert standing(before, late) == {day(1): ("missing", "no_release")}
    assert before["reporting"] == "2 of 3"
    assert before["total"]["estimate"] == summed((0, 2), (1, 3), (2, 3))
    commit(world, late, lambda author: calls(author, 1, CELLS[0]))
    after = three_days(world)
    assert standing(after, late) == {}
    assert after["reporting"] == "3 of 3"
    assert after["total"]["estimate"] == before["total"]["estimate"] + summed((0, 1))
    assert after["identity"] != before["identity"]
    moved = {window for window, value in _by_window(after).items() if value != _by_window(before)[window]}
    assert moved == {day(1)}
    assert float(after["total"]["sigma"]) > float(before["total"]["sigma"])


def test_a_member_that_is_added_counts_from_its_window_on_and_changes_nothing_before() -> None:
    """Neither expected nor counted before `counts_from`, whatever it releases; from there on like everybody."""
    world, first = federation()
    for number in range(3):
        commit(world, first, lambda author, at=number: calls(author, at, CELLS[0]))
    before = three_days(world)
    people, who = Governing(world), identity(3)
    charter = people.after(
        people.trusted(world.nodes[0]), **with_newcomer(found(3).rules().charter, who, 3, FIRST_HOUR + 24)
    )
    document = people.propose(world.nodes[0], charter)
    for place in (0, 1):
        people.approve(world.nodes[place], document, place)
    world.run(10_000)
    people.approve(world.nodes[0], document, 3)
    world.settle()
    newcomer = world.join(who, [people.signed(charter, (0, 1, 3))])
    admitted = three_days(world)
    assert standing(admitted, newcomer) == {day(number): ("missing", "no_release") for number in (1, 2)}
    assert (before["reporting"], admitted["reporting"]) == ("3 of 3", "3 of 4")
    assert admitted["total"]["estimate"] == before["total"]["estimate"]
    for number in range(3):
        commit(world, newcomer, lambda author, at=number: calls(author, at, CELLS[3]))
    after = three_days(world)
    assert after["reporting"] == "4 of 4"
    assert standing(after, newcomer) == {}
    gained = {window: value - _by_window(before)[window] for window, value in _by_window(after).items()}
    assert gained == {day(0): 0, day(1): summed((3, 1)), day(2): summed((3, 1))}
    assert agreed(world, "calls", window=day(0))["reporting"] == "3 of 3"
