"""`min_organisations`: no answer is finer than a sum over so many organisations, whatever a researcher asks.

The adversary has two federations in front of it whose sums over organisations are equal, cell by cell and window by
window, while every single member's numbers differ. It asks all it can; it must not be able to tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random
from typing import Any

import pytest

from federation.answers import CharterView, answer, canonical_json
from federation.badges import badges
from federation.combine import Contributor, WindowInput
from federation.comparison import compared, previous_query
from federation.organisations import TooFewOrganisations, enough_organisations
from federation.query import Query
from federation.selection import parse_nodes, parse_where, select
from privacy.definition import parse_definition
from privacy.units import Window
from tests.unit.federation import test_discovered as keyed
from tests.unit.federation.combining import DAY, NAMES
from tests.unit.federation.combining import members as four
from tests.unit.federation.flock import CELLS, EIGHT, NODES, PEOPLE, asked, days, inputs_of, members, row_of

MADE = parse_definition(PEOPLE)
DEMANDED = 3
OPEN, CLOSED = (CharterView(4, b"c" * 32, demanded) for demanded in (1, DEMANDED))
Table = dict[Window, dict[str, list[int]]]
SPAN = days(3)
ALONE = SPAN[1]  # a day that two organisations released


def flock(seed: int, *, apart: int) -> Table:
    """Three days of six members; `apart` moves amounts between members without changing any sum of a full day."""
    random = Random(seed)
    table = {
        window: {
            name: [random.randrange(200, 900) for _ in range(CELLS)] for name in EIGHT[: 2 if window == ALONE else 6]
        }
        for window in SPAN
    }
    mover = Random(apart)
    for window, vectors in table.items() if apart else ():
        for cell in range(CELLS):
            for giver, taker in pairwise(EIGHT[:6]):
                if window == ALONE:
                    vectors[EIGHT[0]][cell] += mover.randrange(1, 50)  # nobody may see this day at all
                    break
                moved = mover.randrange(1, 50)
                vectors[giver][cell] += moved
                vectors[taker][cell] -= moved
    return table


def all_answers(table: Table, charter: CharterView, labels: int = 4) -> dict[str, bytes]:
    """Every answer to every question that parameters can make."""
    inputs, who = inputs_of(MADE, table), members()
    spans = [{"from_": f"{one.start:%Y-%m-%d}", "to": f"{other.end:%Y-%m-%d}"}
             for at, one in enumerate(SPAN) for other in SPAN[at:]]  # fmt: skip
    spans += [{"window": window.text} for window in SPAN] + [{"last": "2"}, {"last": "3d"}]
    shapes = [
        {"by": by, "raw": raw, "level": level} for by in ("country", "total") for raw in "01" for level in ("99",)
    ]
    wheres = [None, "country:DE", "country:DE,FR", "country:other,none"]
    found: dict[str, bytes] = {}
    for span in spans:
        for shape in shapes:
            for where in wheres[:labels]:
                query = asked(PEOPLE, table, **{name: text for name, text in {**span, **shape}.items() if text})
                found |= _told(query, who, inputs, charter, where, str((span, shape, where)))
    return found


def _told(
    query: Query,
    who: Sequence[Contributor],
    inputs: Sequence[WindowInput],
    charter: CharterView,
    where: str | None,
    what: str,
) -> dict[str, bytes]:
    if where is not None:
        query = replace(query, where=parse_where(where, query.row.definition.by))
    wanted = {window for window, _ in query.windows}
    narrowed, chosen, selected = select(query, who, [one for one in inputs if one.window in wanted])
    result = answer(narrowed, chosen, selected, charter)
    data = result.data
    data["badges"] = badges(narrowed, chosen, selected, charter, data)
    if min(wanted) > SPAN[0] and len(wanted) == 1 and where is None:
        earlier = previous_query(narrowed, [row_of(PEOPLE)])
        before = [one for one in inputs if one.window in {window for window, _ in earlier.windows}]
        data["compare"] = compared(narrowed, earlier, chosen, result.combined, before, charter)
    return {what: canonical_json(data)}


def test_equal_sums_give_equal_answers_to_everything_that_can_be_asked() -> None:
    """Not one of the questions tells two federations apart whose sums over organisations are equal."""
    one, other = (all_answers(flock(1, apart=apart), CLOSED) for apart in (0, 7))
    assert len(one) > 150
    assert one == other


def test_with_one_organisation_the_same_questions_do_tell_them_apart() -> None:
    """The test above can fail: without the demand identities, single days and badges differ."""
    one, other = (all_answers(flock(1, apart=apart), OPEN, 1) for apart in (0, 7))
    assert one.keys() == other.keys()
    assert not any(one[what] == other[what] for what in one)


def test_a_window_of_too_few_is_withheld_with_its_reason() -> None:
    table = flock(1, apart=0)
    data = answer(asked(PEOPLE, table, raw="1"), members(), inputs_of(MADE, table), CLOSED).data
    assert data["withheld"] == {"code": "too_few_organisations", "organisations": 3, "windows": [ALONE.text]}
    whole = sum(sum(map(sum, vectors.values())) for window, vectors in table.items() if window != ALONE)
    total: Any = data["total"]
    assert total["estimate"] == whole
    rows: Any = data["members"]
    assert [row["state"] for row in rows if row["name"] == EIGHT[0]] == ["partial"]
    assert rows[0]["without"] == [{"standing": "withheld", "reason": "too_few_organisations", "windows": [ALONE.text]}]


def test_a_withheld_window_alone_is_an_answer_without_numbers() -> None:
    table = flock(1, apart=0)
    [data] = [
        answer(asked(PEOPLE, table, window=ALONE.text), members(), [one], CLOSED).data
        for one in inputs_of(MADE, table)
        if one.window == ALONE
    ]
    assert (data["cells"], data["total"], data["series"], data["hidden"], data["clipped"]) == ([], None, [], None, None)
    assert data["reporting"] == "0 of 8"
    states: Any = data["members"]
    assert {row["state"] for row in states} == {"withheld", "missing"}


def test_nodes_of_one_organisation_are_one() -> None:
    """Six members of two organisations are two."""
    table = flock(1, apart=0)
    who = members({name: "a" if place < 3 else "b" for place, name in enumerate(EIGHT)})
    data = answer(asked(PEOPLE, table), who, inputs_of(MADE, table), CLOSED).data
    assert data["total"] is None
    assert data["withheld"] == {
        "code": "too_few_organisations",
        "organisations": 3,
        "windows": [one.text for one in SPAN],
    }


@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_members_cannot_be_chosen(size: int) -> None:
    """Neither few of them nor all but one: the difference to the whole would be the one."""
    table = flock(1, apart=0)
    who, inputs = members(), inputs_of(MADE, table)
    for chosen in list(combinations(EIGHT, size))[:8]:
        query = replace(asked(PEOPLE, table), nodes=parse_nodes(",".join(chosen), who))
        with pytest.raises(TooFewOrganisations) as refused:
            answer(*select(query, who, inputs), CLOSED)
        assert refused.value.code == "too_few_organisations"
        answer(*select(query, who, inputs), OPEN)


def test_a_discovered_key_of_too_few_is_withheld_window_by_window() -> None:
    """`b` is named by two on the first day and by three on the second: it counts on the second alone."""
    first = {NAMES[0]: {"a": (300, 900), "b": (400, 500)}, NAMES[1]: {"a": (310, 700), "b": (300, 300)},
             NAMES[2]: {"a": (320, 800)}}  # fmt: skip
    second = {name: {"b": (250, 260)} for name in NAMES[:3]}
    inputs = [keyed.window_of(DAY, first), keyed.window_of(DAY.next, second)]
    query = keyed.asked(window="", **{"from": "2026-11-01", "to": "2026-11-03"}, raw="1")
    data: Any = answer(query, four(), inputs, CLOSED).data
    assert {cell["key"]["page"]: cell["estimate"] for cell in data["cells"]} == {"a": 2400, "b": 780}
    assert data["total"]["estimate"] == 2400 + 780
    assert data["withheld"]["windows"] == []
    shown = enough_organisations(inputs, four(), DEMANDED)
    assert [release.keys for release in shown[0].releases] == [("a",)] * 3


def test_one_organisation_is_the_default_and_changes_nothing() -> None:
    table = flock(1, apart=0)
    inputs = inputs_of(MADE, table)
    assert enough_organisations(inputs, members(), 1) is inputs
    plain = answer(asked(PEOPLE, table), members(), inputs, CharterView(4, b"c" * 32)).data
    assert "withheld" not in plain
    assert canonical_json(plain) == canonical_json(answer(asked(PEOPLE, table), members(), inputs, OPEN).data)


def test_a_member_that_no_charter_names_adds_no_organisation() -> None:
    table = flock(1, apart=0)
    who = members(names=EIGHT[:2])
    data = answer(asked(PEOPLE, table), who, inputs_of(MADE, table), CLOSED).data
    assert data["total"] is None
    assert set(NODES) > {one.name for one in who}
