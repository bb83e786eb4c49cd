"""Badges beside an answer: they fire on a member that poisons it, are silent on noise, and exclude nobody.

The poisoning of attack case 19 stands here by name: of eight members one reports a hundredfold, then drifts 3 % a day
for sixty days, then publishes what it counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from federation.answers import CharterView, answer, canonical_json
from federation.badges import MOST_CELLS, badges
from federation.combine import Contributor, WindowInput
from federation.figure_rows import Json
from federation.influence import SHARE
from federation.query import Query
from privacy.definition import parse_definition
from privacy.units import Window
from tests.conftest import Measure
from tests.unit.federation import test_discovered as keyed
from tests.unit.federation.combining import DAY, NAMES
from tests.unit.federation.combining import members as four
from tests.unit.federation.flock import EIGHT, NODES, PEOPLE, asked, days, inputs_of, members, noised

CHARTER = CharterView(1, b"c" * 32)
LIAR = EIGHT[3]
MADE = parse_definition(PEOPLE)
Table = Mapping[Window, Mapping[str, Sequence[int]]]


def truth(_day: int, name: str) -> list[int]:
    return [500 + 20 * EIGHT.index(name), 200, 40, 0, 0, 0]


def told(table: Table, charter: CharterView = CHARTER, **parameters: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(answer, badges)."""
    return told_of(asked(PEOPLE, table, **parameters), members(), inputs_of(MADE, table), charter)


def told_of(
    query: Query, who: Sequence[Contributor], inputs: Sequence[WindowInput], charter: CharterView = CHARTER
) -> tuple[dict[str, Any], dict[str, Any]]:
    data: dict[str, Any] = answer(query, who, inputs, charter).data
    found: Any = badges(query, who, inputs, charter, data)
    return data, found


def fired(found: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [(alarm["badge"], alarm["names"]) for alarm in found["alarms"]]


def poisoned(story: Callable[[int], float | None], number: int, seed: int) -> Table:
    """Eight members; the liar's numbers are multiplied by what the story says of a day, or un-noised for None."""

    def said(day: int, name: str) -> list[int]:
        factor = story(day) if name == LIAR else 1.0
        return [round((1.0 if factor is None else factor) * cell) for cell in truth(day, name)]

    table = noised(said, number, seed)
    for day, window in enumerate(days(number)):
        if story(day) is None:
            table[window][LIAR] = truth(day, LIAR)
    return table


# ── the poisoning of case 19 ─────────────────────────────────────────────────────────────────────────────


def test_case_19_a_hundredfold_report_is_named_and_capped() -> None:
    """The plain total stays the headline; the capped one holds at most SHARE of the liar's; the badge names it."""
    honest = noised(truth, 1, 19)
    table = poisoned(lambda day: 100.0, 1, 19)
    data, found = told(table, by="total", raw="1")
    assert fired(found) == [("driven_by_one", [LIAR])]
    [alarm] = found["alarms"]
    assert Fraction(alarm["share"]) > Fraction(9, 10)
    plain = sum(sum(cells) for cells in table[days(1)[0]].values())
    without = sum(sum(cells) for name, cells in table[days(1)[0]].items() if name != LIAR)
    assert (data["total"]["estimate"], found["sums"]["plain"], alarm["without"]) == (plain, plain, without)
    assert abs(found["sums"]["capped"] - without) <= SHARE * found["sums"]["capped"] + 1
    assert found["sums"]["trimmed"] <= sum(sum(cells) for cells in honest[days(1)[0]].values())
    assert [row["without"] for row in found["influence"] if row["names"] == [LIAR]] == [without]


def test_case_19_a_drift_of_three_percent_a_day_is_a_change_point() -> None:
    """Thirty honest days, then sixty in which a member grows sixfold: only its level changed."""
    table = poisoned(lambda day: 1.03 ** max(0, day - 30), 90, 20)
    _, found = told(table)
    assert fired(found) == [("change_point", [LIAR])]
    [alarm] = found["alarms"]
    assert alarm["after"] > 2 * alarm["before"]
    assert days(90)[30].text < alarm["window"] < days(90)[89].text
    assert {row["name"]: row["change_point"] for row in found["members"]} == {
        name: "alarm" if name == LIAR else "quiet" for name in EIGHT
    }


def test_case_19_un_noised_values_are_too_exact() -> None:
    table = poisoned(lambda day: None, 20, 21)
    _, found = told(table)
    assert fired(found) == [("too_exact", [LIAR])]
    assert {row["name"]: row["too_exact"] for row in found["members"]} == {
        name: "alarm" if name == LIAR else "quiet" for name in EIGHT
    }


def test_case_19_from_end_to_end() -> None:
    """All three in one log of 120 days: each alarm names the liar, and nobody else is named."""
    table = poisoned(lambda day: 1.0 if day < 30 else 100.0 if day == 30 else 1.03 ** (day - 31) if day <= 90 else None,
                     120, 22)  # fmt: skip
    windows = days(120)
    spans = {"driven_by_one": windows[30:31], "change_point": windows[31:91], "too_exact": windows[91:]}
    for badge, span in spans.items():
        _, found = told({window: table[window] for window in span}, by="total")
        assert (badge, [LIAR]) in fired(found)
        assert {tuple(names) for _, names in fired(found)} == {(LIAR,)}


def test_honest_noise_triggers_nothing_in_a_thousand_slots() -> None:
    """Five months of eight members by thirty days."""
    for seed in range(5):
        _, found = told(noised(truth, 30, 100 + seed))
        assert fired(found) == []


@pytest.mark.slow
def test_honest_noise_triggers_less_than_one_percent_in_ten_thousand_slots(measured: Measure) -> None:
    """42 months of eight members: the stated rates allow 42 · 8 · 1.01·10⁻⁴ + 42 · 10⁻⁶ = 0.03 alarms."""
    slots = alarms = 0
    for seed in range(42):
        _, found = told(noised(truth, 30, 1000 + seed))
        alarms += len(found["alarms"])
        slots += 30 * len(EIGHT)
    measured("Badges: false alarms in 10,080 slots of honest noise", str(alarms), "< 1 %", alarms * 100 < slots)
    assert slots > 10_000
    assert alarms <= 1
    assert alarms * 100 < slots


# ── what badges are, and are not ─────────────────────────────────────────────────────────────────────────


def test_a_badge_excludes_nobody() -> None:
    """The answer is the same bytes with and without, and the liar is in it."""
    table = poisoned(lambda day: 100.0, 1, 23)
    query, inputs = asked(PEOPLE, table), inputs_of(MADE, table)
    before = canonical_json(answer(query, members(), inputs, CHARTER).data)
    data, _ = told_of(query, members(), inputs)
    assert canonical_json(data) == before
    assert {row["name"]: row["state"] for row in data["members"]}[LIAR] == "included"
    assert data["reporting"] == "8 of 8"


def test_badges_are_equal_bytes_whatever_the_order() -> None:
    table = poisoned(lambda day: 100.0 if day == 5 else 1.0, 24, 24)
    query, inputs = asked(PEOPLE, table), inputs_of(MADE, table)
    _, straight = told_of(query, members(), inputs)
    shuffler = Random(1)
    mixed = []
    for one in shuffler.sample(inputs, len(inputs)):
        mixed.append(replace(one, releases=tuple(shuffler.sample(one.releases, len(one.releases)))))
    _, again = told_of(query, members(), mixed)
    assert canonical_json(straight) == canonical_json(again)


def test_nodes_of_one_organisation_count_as_one() -> None:
    """Five nodes of one organisation are most of the sum together, none alone."""
    table = noised(truth, 1, 25)
    who = members(dict.fromkeys(EIGHT[:5], "holding"))
    _, found = told_of(asked(PEOPLE, table), who, inputs_of(MADE, table))
    assert fired(found) == [("driven_by_one", list(EIGHT[:5]))]
    assert found["sums"]["organisations"] == 4
    _, apart = told_of(asked(PEOPLE, table), members(), inputs_of(MADE, table))
    assert fired(apart) == []


def test_sums_of_single_cells_stand_beside_the_cells_that_are_shown() -> None:
    """A hundredfold cell shows in its own row; hidden cells have none."""
    table = {window: dict(vectors) for window, vectors in noised(truth, 1, 26).items()}
    [window] = table
    table[window][LIAR] = [*table[window][LIAR][:2], 4000, *table[window][LIAR][3:]]
    data, found = told(table)
    shown = [cell["key"]["country"] for cell in data["cells"]]
    assert [row["key"]["country"] for row in found["cells"]] == shown == ["DE", "FR", "IT"]
    italy = found["cells"][2]
    others = sum(vectors[2] for name, vectors in table[window].items() if name != LIAR)
    assert italy["capped"] == pytest.approx(others * 5 / 3, abs=6)
    assert found["cells"][1]["capped"] == pytest.approx(data["cells"][1]["estimate"], abs=6)
    assert italy["trimmed"] < 2 * others


def test_two_organisations_have_no_sums_beside_theirs() -> None:
    table = noised(truth, 1, 27, EIGHT[:2])
    _, found = told(table)
    assert (found["sums"], found["cells"], fired(found)) == (None, [], [])
    assert len(found["influence"]) == 2


def test_nothing_released_has_empty_badges() -> None:
    table: dict[Window, dict[str, list[int]]] = {days(1)[0]: {}}
    _, found = told(table)
    assert (found["alarms"], found["sums"], found["members"]) == ([], None, [])


def test_badges_say_nothing_of_single_members_where_the_charter_forbids_it() -> None:
    table = poisoned(lambda day: 100.0, 1, 28)
    _, found = told(table, CharterView(1, b"c" * 32, 3))
    assert found["withheld"] == "too_few_organisations"
    assert not any((found["alarms"], found["sums"], found["cells"], found["influence"], found["members"]))


def test_discovered_keys_are_not_tested_for_exactness() -> None:
    """What is seen of their noise was chosen by being large."""
    counts = {"a": (300, 300), "b": (400, 400)}
    windows = [DAY]
    while len(windows) < 14:
        windows.append(windows[-1].next)
    inputs = [keyed.window_of(window, dict.fromkeys(NAMES, counts)) for window in windows]
    query = keyed.asked(window=f"{DAY.start:%Y-%m}-01/P1M")
    _, found = told_of(query, four(), inputs)
    assert {row["too_exact"] for row in found["members"]} == {"not_tested"}
    assert {row["change_point"] for row in found["members"]} == {"not_tested"}
    assert [row["key"]["page"] for row in found["cells"]] == ["a", "b"]
    assert found["cells"][0]["trimmed"] == 2 * 14 * 300


def test_the_rules_are_told_beside_the_badges() -> None:
    _, found = told(noised(truth, 1, 29))
    rules: Json = found["rules"]
    assert rules == {
        "share": "2/5",
        "organisations": 3,
        "times": 2,
        "false_alarm": {"driven_by_one": "1/1000000", "change_point": "1/10000", "too_exact": "1/1000000"},
    }
    assert MOST_CELLS == 1000
    assert set(NODES) == {row["name"] for row in found["members"]}
