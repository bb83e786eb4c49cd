"""What an answer says beside its cells for each measure: figures with intervals, ranks, changes, consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.answers import CharterView, answer, canonical_json
from federation.combine import WindowInput
from federation.query import Where, parse_query
from federation.selection import select
from privacy.estimates.consistency import falling
from privacy.layout import compile_layout
from privacy.units import Window
from tests.unit.federation.combining import DAY, NAMES, definition, members, row, window_input

CHARTER = CharterView(1, b"c" * 32)
MONTH = Window.parse("2026-10-01/P1M")
BOUNDS = {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"}
APP = {"app": "shop"}


def tree(measure: object, *, by: Mapping[str, object] | None = None, window: str = "day", **privacy: str) -> Any:
    """A definition over the app `shop`."""
    terms = {**BOUNDS, **privacy}
    return {
        "metric": "m",
        "question": "?",
        "from": APP,
        "measure": measure,
        **({} if by is None else {"by": by}),
        "window": window,
        "privacy": {name: text for name, text in terms.items() if text},
    }


MEAN = tree({"mean": "gap", "range": ["-50", "50"], "quantum": "0.5"}, by={"country": ["DE", "FR"]})
FUNNEL = tree({"funnel": ["visit", "order", "pay"], "per": "epoch"}, max_per_cell="")
RETENTION = tree({"retention": "week", "ages": "3"}, window="month", max_per_cell="")
SCORE = tree(
    {
        "score": {
            "mood": {"value": "mood", "in": "check-in", "quantum": "1", "most": "5"},
            "acts": {"count": "act", "points": "1", "most": "3"},
        }
    },
    max_per_cell="",
)
JOURNEY = tree({"journey": "action", "values": ["visit", "order"]})
TOP = tree({"top": "2"}, by={"action": ["a", "b", "c"]})
LAPLACE = tree("count", by={"country": ["DE", "FR"]}, mechanism="laplace")


def ask(tree: Any, vectors: Mapping[str, list[int]] | list[int], window: Window = DAY, **parameters: str) -> Any:
    """The answer for one window in which these nodes released these cells (a list: one node)."""
    by_node = {NAMES[0]: vectors} if isinstance(vectors, list) else vectors
    return data(tree, [window_input(definition(tree), window, by_node)], window=window.text, **parameters)


def data(tree: Any, inputs: list[WindowInput], **parameters: str) -> Any:
    rows = [row(tree, "2026-01-01/P1D")]
    query = parse_query(rows[0].name, rows, parameters, max(one.window for one in inputs))
    found = answer(query, members(counts_from="2026-01-01/P1D"), inputs, CHARTER).data
    canonical_json(found)
    return found


def narrowed(tree: Any, vector: list[int], where: Where) -> Any:
    """The answer over some labels of a dimension only."""
    rows = [row(tree, "2026-01-01/P1D")]
    one = window_input(definition(tree), DAY, {NAMES[0]: vector})
    query = parse_query(rows[0].name, rows, {"window": DAY.text, "raw": "1"}, DAY)
    everybody = members(counts_from="2026-01-01/P1D")
    return answer(*select(replace(query, where=where), everybody, [one]), CHARTER).data


def figures(data: Any) -> dict[tuple[str, ...], Any]:
    """By (labels…, name)."""
    return {(*one["key"].values(), one["name"]): one for one in data["figures"]}


def test_a_mean_is_its_middle_and_the_ratio_of_two_sums() -> None:
    """Deviation of 2000 half quanta of 0.5 over 1000 people: 0.25 · 2000 / 1000 = 0.5 above the middle, 0."""
    found = ask(MEAN, [2000, 0, 0, 0, 1000, 5, 0, 0])
    rows = figures(found)
    assert set(rows) == {("DE", "mean"), ("mean",)}  # 5 people are too few to show; the whole is of all
    mean = rows["DE", "mean"]
    assert mean["kind"] == "mean"
    assert mean["status"] == "ok"
    assert float(mean["lower"]) < float(mean["estimate"]) < float(mean["upper"])
    assert float(mean["estimate"]) == pytest.approx(0.5, abs=0.1)
    assert figures(ask(MEAN, [2000, 0, 0, 0, 1000, 5, 0, 0], raw="1"))["DE", "mean"]["estimate"] == "0.500000"
    # The cells of the answer are the people the mean is of.
    assert [cell["key"] for cell in found["cells"]] == [{"country": "DE"}]
    assert found["total"]["estimate"] == pytest.approx(1005, abs=20)


def test_a_mean_stays_in_its_range_whatever_the_noise() -> None:
    """A deviation beyond what any value can give is no mean outside [−50, 50]."""
    mean = figures(ask(MEAN, [10**9, 0, 0, 0, 1000, 0, 0, 0]))["DE", "mean"]
    assert (mean["estimate"], mean["status"]) == (None, "empty")
    edge = figures(ask(MEAN, [200 * 1000, 0, 0, 0, 1000, 0, 0, 0]))["DE", "mean"]
    assert float(edge["upper"]) == 50


def test_a_funnel_is_cumulated_and_its_rates_know_their_whole() -> None:
    """600 stop at visit, 300 at order, 100 pay."""
    rows = figures(ask(FUNNEL, [600, 300, 100]))
    assert [rows[f"reached {step}",]["estimate"] for step in ("visit", "order", "pay")] == ["1000", "400", "100"]
    assert rows["reached order",]["consistent"] == "400"
    order, pay = rows["rate order",], rows["rate pay",]
    assert (order["estimate"], pay["estimate"]) == ("0.400", "0.250")
    assert float(order["lower"]) < 0.4 < float(order["upper"])
    assert float(order["upper"]) - float(order["lower"]) < float(pay["upper"]) - float(pay["lower"])


def test_a_funnel_that_noise_turned_over_says_what_would_agree() -> None:
    """−20 people stop at order: more pay than ordered. The raw numbers stand, the consistent ones fall."""
    rows = figures(ask(FUNNEL, [600, -20, 100], raw="1"))
    assert [rows[f"reached {step}",]["estimate"] for step in ("visit", "order", "pay")] == ["680", "80", "100"]
    assert [rows[f"reached {step}",]["consistent"] for step in ("visit", "order", "pay")] == ["680", "90", "90"]
    assert rows["rate pay",]["estimate"] == "1.000000"


def test_retention_is_told_by_cohort_for_ages_it_can_reach() -> None:
    """Four weeks, three ages: the last cohort has only age 0, the third ages 0 and 1."""
    cells = [1000, 400, 200, 800, 300, 100, 500, 250, 0, 300, 0, 0]
    found = ask(RETENTION, cells, MONTH)
    rows = figures(found)
    assert [name for (name,) in rows] == [
        "cohort 1 age 1", "cohort 1 age 2", "cohort 2 age 1", "cohort 2 age 2", "cohort 3 age 1",
    ]  # fmt: skip
    assert rows["cohort 1 age 1",]["estimate"] == "0.400"
    assert rows["cohort 3 age 1",]["estimate"] == "0.500"
    assert found["total"]["estimate"] == pytest.approx(2600, abs=30)
    assert found["series"] == []  # the ages of a cohort are the same people: no sum over all cells


def test_a_score_has_a_breakdown_and_a_whole() -> None:
    """1000 people, 2000 points of acts and −1000 of mood: 2, −1 and together 1."""
    assert compile_layout(definition(SCORE), DAY).dimensions[-1].labels == ("acts", "mood")
    rows = figures(ask(SCORE, [2000, -1000, 1000], raw="1"))
    assert {name: one["estimate"] for (name,), one in rows.items()} == {
        "acts": "2.000000", "mood": "-1.000000", "score": "1.000000",
    }  # fmt: skip
    assert float(rows["score",]["lower"]) < 1 < float(rows["score",]["upper"])


def test_a_journey_says_where_people_go_next() -> None:
    """Of 400 moves out of visit 300 lead to order; a label's own cell is noise only and is not asked."""
    rows = figures(ask(JOURNEY, [99, 300, 100, 3, 0, 0, 0, 0, 0]))
    assert {name: one["estimate"] for (name,), one in rows.items()} == {
        "visit > order": "0.750", "visit > other": "0.250",
    }  # fmt: skip


def test_the_top_is_ranked_and_says_whether_a_lead_is_real() -> None:
    """σ 14: 500 leads 480 perhaps, 480 leads 300 surely. `other` has no rank, however large."""
    found = ask(TOP, [480, 500, 300, 9000])
    assert [(one["rank"], one["key"]["action"], one["ahead"]) for one in found["ranking"]] == [
        (1, "b", False),
        (2, "a", True),
    ]


def test_laplace_noise_is_named_and_its_interval_is_exact() -> None:
    """b = 14.15 at ρ = 1/400: one cell strays 42 at 0.95, four nodes' sum 80; the normal quantile says 39 and 78."""
    one = ask(LAPLACE, [1000, 500, 0, 0], raw="1")
    assert one["mechanisms"] == ["geometric"]
    assert one["cells"][0]["upper"] - one["cells"][0]["estimate"] == 42
    four = ask(LAPLACE, {name: [1000, 500, 0, 0] for name in NAMES}, raw="1")
    assert four["cells"][0]["upper"] - four["cells"][0]["estimate"] == 80


def test_changes_are_told_between_windows_of_the_same_members() -> None:
    """+400 is real, +10 could be noise; where a member is missing there is no word."""
    counts = tree("count")
    made = definition(counts)
    days = [DAY, DAY.next, DAY.next.next, DAY.next.next.next]
    vectors = [{NAMES[0]: [100], NAMES[1]: [100]} for _ in days]
    vectors[1] = {NAMES[0]: [300], NAMES[1]: [300]}
    vectors[2] = {NAMES[0]: [305], NAMES[1]: [305]}
    vectors[3] = {NAMES[0]: [100]}
    found = data(counts, [window_input(made, day, one) for day, one in zip(days, vectors, strict=True)])
    assert [one["change"] for one in found["series"]] == [None, "real", "could_be_noise", None]


def test_quantiles_stand_beside_the_median() -> None:
    histogram = tree({"histogram": "months", "edges": ["0", "3", "6", "12"]})
    found = ask(histogram, [0, 1000, 2000, 1000, 0, 500])
    rows = figures(found)
    assert [rows[name,]["estimate"] for name in ("p10", "p25", "p50", "p75", "p90")] == [
        "1.2",
        "3.0",
        "4.5",
        "6.0",
        "9.6",
    ]
    assert rows["p50",]["estimate"] == found["medians"][0]["estimate"]


def test_clipped_people_stand_by_themselves() -> None:
    found = ask(tree("count", clipped_people="yes"), [1000, 70], raw="1")
    assert found["total"]["estimate"] == 1000
    assert found["clipped"]["estimate"] == 70


def test_a_sum_is_always_shown() -> None:
    """It counts neither people nor events, so no threshold speaks of it."""
    found = ask(tree({"sum": "amount", "range": ["0", "10"], "quantum": "0.5"}), [3], raw="1")
    assert found["cells"][0]["shown"]
    assert found["cells"][0]["estimate"] == "1.5"
    assert found["counts"] == "sum"


def test_every_node_and_order_gives_the_same_bytes() -> None:
    """Figures of sums are made of integers and ratios: the order of arrival cannot show."""
    vectors = {name: [600 + number, 300, 100] for number, name in enumerate(NAMES)}
    turned = dict(reversed(vectors.items()))
    assert canonical_json(ask(FUNNEL, vectors)) == canonical_json(ask(FUNNEL, turned))


def test_figures_of_four_nodes_are_those_of_their_sum() -> None:
    """Four nodes of one vector: the same rate, its interval half as wide as one node's."""
    one = figures(ask(FUNNEL, [600, 300, 100], raw="1"))["rate order",]
    four = figures(ask(FUNNEL, {name: [600, 300, 100] for name in NAMES}, raw="1"))["rate order",]
    assert one["estimate"] == four["estimate"]
    widths = [Fraction(rate["upper"]) - Fraction(rate["lower"]) for rate in (one, four)]
    assert float(widths[1] / widths[0]) == pytest.approx(0.5, rel=0.02)


SUM = tree({"sum": "amount", "range": ["0", "10"], "quantum": "0.5"}, by={"country": ["DE", "FR"]})
WHOLE = tree("people", by={"country": ["DE", "FR"]}, max_cells="2", max_per_cell="", whole="yes")
HISTOGRAM = tree({"histogram": "months", "edges": ["0", "3", "6"]}, by={"country": ["DE", "FR"]}, mechanism="laplace")
EVERY = {"mean": MEAN, "funnel": FUNNEL, "score": SCORE, "journey": JOURNEY, "top": TOP, "laplace": LAPLACE, "sum": SUM,
         "histogram": HISTOGRAM, "retention": RETENTION, "whole": WHOLE}  # fmt: skip
CELLS = st.one_of(st.integers(-50, 3000), st.integers(-(2**53) + 1, 2**53 - 1))


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_any_released_vector_has_an_answer(name: str, draw: st.DataObject) -> None:
    """Whatever a member releases, every node answers; ends stand in order, and a point lies between them."""
    window = MONTH if name == "retention" else DAY
    size = compile_layout(definition(EVERY[name]), window).cells
    vector = draw.draw(st.lists(CELLS, min_size=size, max_size=size))
    found = ask(EVERY[name], vector, window, raw=draw.draw(st.sampled_from(["0", "1"])))
    for figure in found["figures"]:
        ends = [Fraction(figure[end]) for end in ("lower", "estimate", "upper") if figure[end] is not None]
        assert ends == sorted(ends), figure
        if figure["status"] == "empty":
            assert ends == []
    for cell in (*found["cells"], *found["ranking"]):
        assert Fraction(cell["lower"]) <= Fraction(cell["estimate"]) <= Fraction(cell["upper"])
    check_consistency(found, vector)


def check_consistency(found: Mapping[str, Any], vector: Sequence[int]) -> None:
    """Cells agree by their rule, the status says whether one was moved, and the raw numbers stand beside."""
    rule, status = found["consistency"]["rule"], found["consistency"]["status"]
    values = [Fraction(cell["consistent"]) for cell in found["cells"]]
    raw = [Fraction(cell["estimate"]) for cell in found["cells"]]
    assert (status == "adjusted") == (found["consistency"]["adjusted"] > 0)
    expected = "partition" if found["whole"] else {"funnel": "falling"}.get(found["measure"], "non_negative")
    assert rule == expected
    if rule == "partition":
        check_partition(found, values, raw)
        return
    assert min(values, default=Fraction(0)) >= 0
    if status == "as_released":
        assert values == raw
    if found["raw"] and rule == "falling":  # the cumulated cells are the figures' consistent numbers, but for rounding
        reached = [sum(values[at:]) for at in range(len(values))]
        told = [Fraction(figure["consistent"]) for figure in found["figures"] if figure["kind"] == "count"]
        assert all(abs(one - other) <= len(values) for one, other in zip(reached, told, strict=bool(told)))
    elif found["raw"]:
        assert values == [max(value, Fraction(0)) for value in raw]
        assert found["consistency"]["adjusted"] == sum(value < 0 for value in raw)


def check_partition(found: Mapping[str, Any], values: Sequence[Fraction], raw: Sequence[Fraction]) -> None:
    """The cells add up to the whole, but for rounding; an inconsistent pair is left alone."""
    whole = Fraction(found["whole"]["consistent"])
    if found["consistency"]["status"] == "inconsistent":
        assert (list(values), whole) == (list(raw), Fraction(found["whole"]["estimate"]))
        assert found["consistency"]["adjusted"] == 0
    elif found["raw"]:
        assert abs(sum(values) - whole) <= len(values) + 1


@pytest.mark.parametrize(("whole", "status", "adjusted"), [
    (1000, "as_released", 0), (1048, "adjusted", 4), (930, "adjusted", 4), (3000, "inconsistent", 0),
])  # fmt: skip
def test_cells_and_their_whole_agree(whole: int, status: str, adjusted: int) -> None:
    """Four cells of σ² = 800 and a whole of 1600: of a gap of 48 each cell takes a sixth, the whole gives a third."""
    found = ask(WHOLE, [600, 300, 70, 30, whole], raw="1")
    assert found["consistency"] == {"rule": "partition", "status": status, "adjusted": adjusted}
    assert found["whole"]["estimate"] == whole
    assert [cell["estimate"] for cell in found["cells"]] == [600, 300, 70, 30]
    assert found["total"]["estimate"] == 1000, "the total stays the plain sum"
    if whole == 1048:
        assert [cell["consistent"] for cell in found["cells"]] == [608, 308, 78, 38]
        assert found["whole"]["consistent"] == 1032
    assert Fraction(found["whole"]["sigma"]) ** 2 == pytest.approx(1600, rel=1e-6)
    assert Fraction(found["total"]["sigma"]) ** 2 == pytest.approx(3200, rel=1e-6), "the whole is the better number"


def test_a_whole_is_summed_over_nodes_and_cells_summed_out() -> None:
    """Four nodes and no axis left: two numbers for one thing, and what they are together."""
    found = ask(WHOLE, {name: [600, 300, 70, 30, 1010] for name in NAMES}, raw="1", by="total")
    assert found["whole"]["estimate"] == 4040
    assert [cell["estimate"] for cell in found["cells"]] == [4000]
    assert found["cells"][0]["consistent"] == found["whole"]["consistent"]
    assert 4000 < found["whole"]["consistent"] < 4040


def test_under_where_the_cells_are_no_parts_of_the_whole() -> None:
    found = narrowed(WHOLE, [600, 300, 70, 30, 1048], (("country", ("DE",)),))
    assert found["whole"] is None
    assert found["consistency"] == {"rule": "non_negative", "status": "as_released", "adjusted": 0}


@pytest.mark.parametrize(("vector", "status"), [
    ([300, 200, 100], "as_released"), ([300, -40, 100], "adjusted"), ([0, 0, -8], "adjusted"),
])  # fmt: skip
def test_a_funnel_says_what_was_moved(vector: list[int], status: str) -> None:
    """In whole cells, and beside the numbers as they were released."""
    found = ask(FUNNEL, vector, raw="1")
    assert found["consistency"]["rule"] == "falling"
    assert found["consistency"]["status"] == status
    assert [cell["estimate"] for cell in found["cells"]] == vector
    reached = [sum(vector[at:]) for at in range(3)]
    agreed = falling([Fraction(value) for value in reached]).values
    assert [cell["consistent"] for cell in found["cells"]] == [
        int(one - other) for one, other in pairwise((*agreed, Fraction(0)))
    ]


def test_a_count_below_zero_is_told_and_moved() -> None:
    found = ask(tree("count", by={"country": ["DE", "FR"]}), [500, -7, 30, -2], raw="1")
    assert found["consistency"] == {"rule": "non_negative", "status": "adjusted", "adjusted": 2}
    assert [(cell["estimate"], cell["consistent"]) for cell in found["cells"]] == [
        (500, 500),
        (-7, 0),
        (30, 30),
        (-2, 0),
    ]
    assert found["total"]["estimate"] == 521, "sums are of raw numbers"


def test_a_sum_that_may_be_negative_is_free() -> None:
    found = ask(tree({"sum": "amount", "range": ["-5", "5"], "quantum": "0.5"}), [-30], raw="1")
    assert found["consistency"] == {"rule": "free", "status": "as_released", "adjusted": 0}
    assert found["cells"][0]["consistent"] == "-15.0"


def test_an_answer_without_releases_has_nothing_to_adjust() -> None:
    found = ask(tree("count"), {})
    assert found["consistency"] == {"rule": "free", "status": "as_released", "adjusted": 0}


PINNED = {
    "mean": "f5690f7255b36fab",
    "funnel": "f84f114d5f88427f",
    "score": "218891ec8b57d1c8",
    "journey": "c8805dc5e4917fb3",
    "top": "d24229e3eb6ccf53",
    "laplace": "6a7ea98331c67087",
    "sum": "40e3b323d2365aab",
    "histogram": "aa0b4f1b2f737754",
    "retention": "c841d27ab00e82ee",
    "whole": "98e60b2b66a9318b",
}


@pytest.mark.parametrize("name", EVERY)
def test_figures_are_the_same_bytes_on_every_machine(name: str) -> None:
    """Of a fixed vector: no float, no platform, no version of Python has a say in a digit."""
    window = MONTH if name == "retention" else DAY
    size = compile_layout(definition(EVERY[name]), window).cells
    found = ask(EVERY[name], [(7919 * (place + 3)) % 2111 for place in range(size)], window, level="0.99")
    told = canonical_json([found["cells"], found["figures"], found["ranking"], found["total"], found["consistency"]])
    assert sha256(told).hexdigest()[:16] == PINNED[name]
