"""Answers: exact, the same bytes everywhere, a number with its interval or none."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.answers import Answer, CharterView, answer, canonical_json, screen_quantum
from federation.combine import WindowInput
from federation.query import MetricRow, parse_query
from privacy.units import Window
from tests.unit.federation.combining import (
    COUNTRIES,
    DAY,
    NAMES,
    RUNWAY,
    definition,
    members,
    row,
    window_input,
)

CHARTER = CharterView(1, b"c" * 32)
PEOPLE = definition(COUNTRIES)
VECTORS = {name: [100 * i, 100, 10, 0] for i, name in enumerate(NAMES, 1)}  # DE, FR, other, none


def ask(
    tree: Mapping[str, object], inputs: list[WindowInput], charter: CharterView = CHARTER, **parameters: str
) -> Any:
    return full(tree, inputs, charter, **parameters).data


def full(
    tree: Mapping[str, object], inputs: list[WindowInput], charter: CharterView = CHARTER, **parameters: str
) -> Answer:
    rows: list[MetricRow] = [row(tree)]
    newest = max((one.window for one in inputs if one.releases), default=None)
    query = parse_query(rows[0].name, rows, parameters, newest)
    by_window = {one.window: one for one in inputs}
    made = definition(tree)
    wanted = [by_window.get(window) or window_input(made, window, {}) for window, _ in query.windows]
    return answer(query, members(), wanted, charter)


def test_raw_answer_gives_sums_sigma_and_intervals() -> None:
    """Four nodes at sigma² 200 each: sigma √800, half-width 55."""
    data = ask(COUNTRIES, [window_input(PEOPLE, DAY, VECTORS)], window=DAY.text, raw="1")
    assert data["cells"][0] == {
        "key": {"country": "DE"},
        "estimate": 1000,
        "lower": 945,
        "upper": 1055,
        "sigma": "28.284271",
        "wide": False,
        "shown": True,
        "consistent": 1000,
    }
    assert [cell["estimate"] for cell in data["cells"]] == [1000, 400, 40, 0]
    assert [cell["shown"] for cell in data["cells"]] == [True, True, False, False]
    assert data["hidden"]["cells"] == 2
    assert data["hidden"]["estimate"] == 40
    assert data["hidden"]["sigma"] == "40.000000"
    assert data["total"]["estimate"] == 1440
    assert data["total"]["sigma"] == "56.568542"
    assert data["reporting"] == "4 of 4"
    assert data["counts"] == "users"


def test_a_screen_rounds_to_the_noise_and_hides_small_cells_in_one_row() -> None:
    """sigma 28: rounded to 10. Hidden cells are named nowhere, only their sum is."""
    data = ask(COUNTRIES, [window_input(PEOPLE, DAY, VECTORS)], window=DAY.text)
    assert data["quantum"] == "10"
    assert [cell["key"]["country"] for cell in data["cells"]] == ["DE", "FR"]
    assert (data["cells"][0]["lower"], data["cells"][0]["upper"]) == (940, 1060)
    assert data["hidden"]["cells"] == 2


def test_the_answers_bytes_are_canonical_and_hold_no_float() -> None:
    data = ask(COUNTRIES, [window_input(PEOPLE, DAY, VECTORS)], window=DAY.text)
    text = canonical_json(data)
    assert text == json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}"))


@pytest.mark.parametrize("value", [1.0, float("nan"), Fraction(1, 2), b"x", {1: 2}, (1,), [[{"a": 0.5}]]])
def test_canonical_json_refuses_what_has_no_exact_form(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_canonical_json_is_ascii_with_sorted_keys() -> None:
    assert canonical_json({"b": "é\u2028", "a": [True, None, -1]}) == b'{"a":[true,null,-1],"b":"\\u00e9\\u2028"}'


def test_equal_inputs_in_any_order_give_equal_bytes() -> None:
    days = [DAY, DAY.next]
    inputs = [window_input(PEOPLE, day, VECTORS) for day in days]
    turned = [window_input(PEOPLE, day, dict(reversed(VECTORS.items()))) for day in reversed(days)]
    assert canonical_json(ask(COUNTRIES, inputs)) == canonical_json(ask(COUNTRIES, turned))


def test_identity_covers_charter_query_and_releases() -> None:
    inputs = [window_input(PEOPLE, DAY, VECTORS)]
    base = ask(COUNTRIES, inputs, window=DAY.text)["identity"]
    fewer = [window_input(PEOPLE, DAY, {k: VECTORS[k] for k in NAMES[:3]})]
    others = [
        ask(COUNTRIES, inputs, CharterView(2, b"d" * 32), window=DAY.text)["identity"],
        ask(COUNTRIES, inputs, window=DAY.text, raw="1")["identity"],
        ask(COUNTRIES, inputs, window=DAY.text, by="total")["identity"],
        ask(COUNTRIES, inputs, window=DAY.text, level="0.8")["identity"],
        ask(COUNTRIES, fewer, window=DAY.text)["identity"],
        ask(COUNTRIES, inputs, **{"from": "2026-10-31", "to": "2026-11-02"})["identity"],
    ]
    assert len({base, *others}) == 7
    assert ask(COUNTRIES, inputs, window=DAY.text)["identity"] == base


@pytest.mark.requirement("T-LOG-8")
def test_a_missing_node_is_named() -> None:
    """A node that was killed before its tick: 3 of 4, and who is missing, with the reason."""
    vectors = {name: VECTORS[name] for name in NAMES if name != "harmonie"}
    data = ask(COUNTRIES, [window_input(PEOPLE, DAY, vectors)], window=DAY.text)
    assert data["reporting"] == "3 of 4"
    harmonie = next(member for member in data["members"] if member["name"] == "harmonie")
    assert harmonie["state"] == "missing"
    assert harmonie["without"] == [{"standing": "missing", "reason": "no_release", "windows": ["2026-11-01/P1D"]}]


def test_those_who_abstain_are_not_expected() -> None:
    """n of m: included of expected minus abstained; a void entry still counts as expected."""
    vectors = {name: VECTORS[name] for name in NAMES[:2]}
    one = window_input(PEOPLE, DAY, vectors, abstained={NAMES[2]: "not_in_plan"}, voided={NAMES[3]: "sigma_mismatch"})
    data = ask(COUNTRIES, [one], window=DAY.text)
    assert data["reporting"] == "2 of 3"
    assert [member["state"] for member in data["members"]] == ["included", "included", "abstained", "void"]


def test_a_member_in_some_windows_only_is_partial() -> None:
    vectors = {name: VECTORS[name] for name in NAMES[:3]}
    inputs = [window_input(PEOPLE, DAY, VECTORS), window_input(PEOPLE, DAY.next, vectors)]
    data = ask(COUNTRIES, inputs, last="2")
    assert data["reporting"] == "3 of 4"
    assert data["members"][3]["state"] == "partial"
    assert data["members"][3]["windows"] == 1


def test_where_nothing_was_released_there_is_no_number() -> None:
    """Not zero: null. The members say why."""
    for parameters in ({"window": DAY.text}, {}):
        data = ask(COUNTRIES, [], **parameters)
        assert (data["cells"], data["hidden"], data["total"], data["series"]) == ([], None, None, [])
    assert ask(COUNTRIES, [], window=DAY.text)["reporting"] == "0 of 4"


def test_people_over_windows_are_person_days() -> None:
    inputs = [window_input(PEOPLE, day, VECTORS) for day in (DAY, DAY.next)]
    data = ask(COUNTRIES, inputs, last="2")
    assert data["counts"] == "person-days"
    assert "people_per_window" in data["notes"]
    assert [one["window"] for one in data["series"]] == ["2026-11-01/P1D", "2026-11-02/P1D"]
    assert data["series"][0]["estimate"] == 1440


def test_a_span_that_counts_back_begins_with_the_first_word() -> None:
    """Thirty days back, two of them released: everybody is in; a span with dates keeps its silent windows."""
    inputs = [window_input(PEOPLE, day, VECTORS) for day in (DAY, DAY.next)]
    back = ask(COUNTRIES, inputs)
    assert back["windows"] == {"kind": "day", "count": 2, "first": DAY.text, "last": DAY.next.text}
    assert back["reporting"] == "4 of 4"
    dated = ask(COUNTRIES, inputs, **{"from": "2026-10-31", "to": "2026-11-03"})
    assert (dated["windows"]["count"], dated["reporting"]) == (3, "0 of 4")
    assert back["identity"] == ask(COUNTRIES, inputs, last="7d")["identity"]


def test_kinds_of_person_keys_are_said() -> None:
    one = window_input(PEOPLE, DAY, VECTORS, unit="session")
    data = ask(COUNTRIES, [one], window=DAY.text)
    assert (data["counts"], data["person_keys"]) == ("sessions", ["session"])
    users = window_input(PEOPLE, DAY, {NAMES[0]: VECTORS[NAMES[0]]})
    mixed = WindowInput(DAY, one.definition_hash, one.layout, (*users.releases, *one.releases[1:]))
    data = ask(COUNTRIES, [mixed], window=DAY.text)
    assert (data["counts"], data["person_keys"]) == ("person keys", ["session", "user"])
    kinds = {member["name"]: member["person_keys"] for member in data["members"]}
    assert kinds.pop(NAMES[0]) == ["user"]
    assert all(own == ["session"] for own in kinds.values())


def test_people_kept_in_several_cells_are_said() -> None:
    wide = {**COUNTRIES, "privacy": {"max_cells": "2", "rho": "1/400"}}
    data = ask(wide, [window_input(definition(wide), DAY, VECTORS)], window=DAY.text)
    assert "people_per_cell" in data["notes"]


def runway_input(counts: list[int]) -> WindowInput:
    """Bins < 0, [0,3), [3,6), [6,12), >= 12, none for software & remote yes; nothing elsewhere."""
    runway = definition(RUNWAY)
    cells = [0] * 72
    cells[:6] = counts
    return window_input(runway, DAY, {"liberation-tools": cells}, unit="session")


def test_histogram_gives_a_median_by_group_and_hides_whole_groups() -> None:
    data = ask(RUNWAY, [runway_input([0, 1000, 2000, 1000, 0, 500])], window=DAY.text, by="industry", raw="1")
    software = [cell for cell in data["cells"] if cell["key"]["industry"] == "software"]
    assert [cell["estimate"] for cell in software] == [0, 1000, 2000, 1000, 0, 500]
    assert all(cell["shown"] for cell in software)
    assert not any(cell["shown"] for cell in data["cells"] if cell["key"]["industry"] != "software")
    assert data["medians"] == [
        {"key": {"industry": "software"}, "estimate": "4.5", "lower": "3", "upper": "6", "status": "ok"}
    ]
    assert [axis["name"] for axis in data["dimensions"]] == ["industry", "bin"]


def test_median_of_the_whole() -> None:
    data = ask(RUNWAY, [runway_input([0, 1000, 2000, 1000, 0, 500])], window=DAY.text, by="total")
    assert [one["key"] for one in data["medians"]] == [{}]
    assert data["medians"][0]["estimate"] == "4.5"


def test_median_in_an_open_bin_has_no_number() -> None:
    data = ask(RUNWAY, [runway_input([0, 10, 10, 10, 3000, 0])], window=DAY.text, by="total")
    assert data["medians"][0] == {
        "key": {},
        "estimate": None,
        "lower": "12",
        "upper": None,
        "status": "above_last_edge",
    }


@pytest.mark.parametrize(
    ("variance", "quantum"), [(0, 1), (3, 1), (16, 2), (200, 5), (800, 10), (10_000, 50), (39_999, 50), (40_000, 100)]
)
def test_screens_round_to_half_a_sigma(variance: int, quantum: int) -> None:
    assert screen_quantum([Fraction(variance)]) == quantum


@given(st.integers(1, 10**12))
def test_a_screen_never_rounds_by_more_than_half_a_sigma(variance: int) -> None:
    quantum = screen_quantum([Fraction(variance)])
    assert quantum == 1 or 4 * quantum * quantum <= variance
    assert str(quantum).strip("0") in ("1", "2", "5")


def test_points_are_the_released_cells() -> None:
    result = full(COUNTRIES, [window_input(PEOPLE, DAY, VECTORS)], window=DAY.text)
    assert (result.data_points, result.releases) == (16, 4)


def test_a_year_of_days_is_quick() -> None:
    """365 windows of four nodes: a regression bound, far above what it takes."""
    windows = [Window.parse("2026-01-01/P1D")]
    while len(windows) < 365:
        windows.append(windows[-1].next)
    tree = {**COUNTRIES}
    rows = [row(tree, "2026-01-01/P1D")]
    inputs = [window_input(PEOPLE, window, VECTORS) for window in windows]
    query = parse_query(rows[0].name, rows, {"from": "2026-01-01", "to": "2027-01-01"}, windows[-1])
    started = time.perf_counter()
    answer(query, members(counts_from="2026-01-01/P1D"), inputs, CHARTER)
    assert time.perf_counter() - started < 2
