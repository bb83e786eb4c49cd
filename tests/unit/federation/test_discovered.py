"""Summaries with keys: what judgement demands of them, and how they are added up and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.answers import Answer, CharterView, answer, canonical_json
from federation.combine import BlockNoise, CountedRelease, Refusal, WindowInput, combine
from federation.comparison import compared
from federation.judgement import _keys_at_fault, _mismatch
from federation.query import BadParameter, MetricRow, Query, parse_query
from federation.rules import Rules, demand_of
from federation.selection import parse_where, select
from privacy.definition import parse_definition
from privacy.layout import compile_layout
from privacy.units import Window
from protocol.entries import ParsedEntry
from protocol.ids import DefinitionHash, NodeId
from protocol.summaries import BlockData, Charge, SummaryData, build_keyed_summary, build_summary
from protocol.windows import parse_window
from tests.unit.federation.combining import DAY, NAMES, NODES, hash_of, members, release_id

TREE: dict[str, Any] = {
    "metric": "top_pages", "question": "Which pages?", "from": {"app": "blog", "action": "open"},
    "measure": {"top": "2"}, "by": {"page": {"discover": "true"}}, "window": "day",
    "privacy": {"max_cells": "1", "max_per_cell": "2", "rho": "1/400", "delta": "1/100000000"},
}  # fmt: skip
ASKED = parse_definition(TREE)
LAYOUT = compile_layout(ASKED, DAY)
DEMAND = demand_of(ASKED)
TAU = cast(int, DEMAND.threshold)
ROW = MetricRow("top_pages", hash_of(ASKED), ASKED, Window.parse("2026-10-01/P1D").start_hour)
CHARTER = CharterView(1, b"c" * 32)
Counts = Mapping[str, tuple[int, int]]


# ── judgement ────────────────────────────────────────────────────────────────────────────────────────────


def summary(
    cells: Sequence[int] = (TAU, TAU + 5, 300, 9),
    keys: Sequence[str] | None = ("a", "b"),
    delta_atto: int = DEMAND.delta_atto,
    **changes: Any,
) -> tuple[SummaryData, bytes | None]:
    size = len(cells) // 2
    fields: dict[str, Any] = {
        "definition": DefinitionHash(b"d" * 32), "window": DAY.text, "node": NodeId(b"n" * 32), "unit": "user",
        "blocks": [replace(block, cells=size) for block in DEMAND.blocks],
        "charges": [Charge(DAY.text, DEMAND.rho_nano, delta_atto)],
        "total": [Charge(DAY.text, DEMAND.rho_nano, delta_atto)],
        "sampling": Fraction(1), "cells": cells, **changes,
    }  # fmt: skip
    return build_summary(**fields) if keys is None else build_keyed_summary(**fields, keys=keys)


def verdict(made: tuple[SummaryData, bytes | None], population: int | None = None) -> str | None:
    """The reason that the last step of judgement finds."""
    data, vector = made
    member = SimpleNamespace(population=population)
    rules = cast(Rules, SimpleNamespace(member=lambda node: member))
    parsed = cast(ParsedEntry, SimpleNamespace(header=SimpleNamespace(author=b""), entry=SimpleNamespace(cells=vector)))
    return _mismatch(data, parse_window(DAY.text), DEMAND) or _keys_at_fault(parsed, data, DEMAND, rules)


def test_a_summary_as_the_definition_demands_counts() -> None:
    assert verdict(summary()) is None
    assert verdict(summary(cells=(), keys=())) is None


def test_the_demand_is_the_definitions_price_and_threshold() -> None:
    assert (DEMAND.rho_nano, DEMAND.delta_atto) == (2_500_000, 10**10)
    assert LAYOUT.discovery is not None
    assert LAYOUT.discovery.threshold == TAU
    assert demand_of(parse_definition({**TREE, "by": {"page": ["a"]}, "privacy": {
        key: value for key, value in TREE["privacy"].items() if key != "delta"}})).threshold is None  # fmt: skip


FAULTS: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "a key one below the threshold": ({"cells": (TAU - 1, TAU, 300, 9)}, None, "below_threshold"),
    "a key of a negative number": ({"cells": (TAU, -TAU, 300, 9)}, None, "below_threshold"),
    "no keys where they are discovered": ({"keys": None}, None, "keys_mismatch"),
    "no delta charged": ({"delta_atto": 0}, None, "charge_mismatch"),
    "less delta charged": ({"delta_atto": DEMAND.delta_atto - 1}, None, "charge_mismatch"),
    "more delta charged": ({"delta_atto": DEMAND.delta_atto + 1}, None, "charge_mismatch"),
    "the people block left out": (
        {"blocks": [replace(DEMAND.blocks[1], cells=2)], "cells": (300, 9)}, None, "cells_mismatch"),
    "less noise on people": (
        {"blocks": [BlockData(2, "gaussian", Fraction(1), Fraction(100)), replace(DEMAND.blocks[1], cells=2)]},
        None, "sigma_mismatch"),
    "too many people declared for such a delta": ({}, 10_000_001, "delta_too_large"),
}  # fmt: skip


@pytest.mark.requirement("M-JUD-5")
@pytest.mark.parametrize("name", FAULTS)
def test_anything_else_is_void_by_name(name: str) -> None:
    changes, population, reason = FAULTS[name]
    assert verdict(summary(**changes), population) == reason


def test_ten_million_declared_people_still_fit_this_delta() -> None:
    assert verdict(summary(), 10_000_000) is None


def test_keys_on_a_metric_that_lists_its_values_are_void() -> None:
    listed = demand_of(parse_definition({**TREE, "by": {"page": ["a"]}, "privacy": {
        key: value for key, value in TREE["privacy"].items() if key != "delta"}}))  # fmt: skip
    assert _mismatch(summary()[0], parse_window(DAY.text), listed) == "keys_mismatch"


# ── sums and answers ─────────────────────────────────────────────────────────────────────────────────────


def released(name: str, window: Window, counts: Counts, sampling: Fraction = Fraction(1)) -> CountedRelease:
    """One node's release of (people, events) by key."""
    keys = tuple(sorted(counts))
    cells = (*(counts[key][0] for key in keys), *(counts[key][1] for key in keys))
    blocks = tuple(BlockNoise(len(keys), b.mechanism, b.quantum, b.sigma_squared) for b in LAYOUT.blocks)
    return CountedRelease(NODES[name], window, cells, blocks, "user", release_id(name, window), sampling, keys)


def window_of(window: Window, by_node: Mapping[str, Counts], abstained: Sequence[str] = ()) -> WindowInput:
    refusals = tuple(Refusal(NODES[name], window, "budget") for name in abstained)
    layout = compile_layout(ASKED, window)
    return WindowInput(
        window, hash_of(ASKED), layout, tuple(released(name, window, one) for name, one in by_node.items()), refusals
    )


FIRST = window_of(DAY, {NAMES[0]: {"a": (400, 900), "b": (300, 500)}, NAMES[1]: {"a": (200, 450)}, NAMES[2]: {}},
                  [NAMES[3]])  # fmt: skip
SECOND = window_of(
    DAY.next, {NAMES[0]: {"b": (310, 520)}, NAMES[1]: {"a": (190, 430)}, NAMES[2]: {"other": (500, 800)}}
)


def asked(**parameters: str) -> Query:
    return parse_query("top_pages", [ROW], {"window": DAY.text, **parameters}, DAY.next)


def told(*inputs: WindowInput, **parameters: str) -> Answer:
    span = {"window": "", "from": "2026-11-01", "to": "2026-11-03"} if len(inputs) > 1 else {}
    return answer(asked(**span, **parameters), members(), inputs, CHARTER)


def test_a_key_is_added_up_where_it_is_named_and_nowhere_else() -> None:
    """Value and noise: a node that does not name it adds neither."""
    combined = combine(members(), [FIRST, SECOND], ASKED.by, ["page"])
    people, events = combined.blocks
    assert combined.axes[0].labels == ("a", "b", "other")
    assert [int(cell.value) for cell in people.cells] == [790, 610, 500]
    assert [int(cell.value) for cell in events.cells] == [1780, 1020, 800]
    assert [cell.variance for cell in people.cells] == [3 * 400, 2 * 400, 400]
    assert combined.publishers == {"a": (NODES[NAMES[0]], NODES[NAMES[1]]), "b": (NODES[NAMES[0]],),
                                   "other": (NODES[NAMES[2]],)}  # fmt: skip


def test_sums_do_not_hang_on_order() -> None:
    one, other = (combine(members(), inputs, ASKED.by, ["page"]) for inputs in ([FIRST, SECOND], [SECOND, FIRST]))
    assert one == other


def test_a_sample_of_people_is_scaled_up_with_its_noise() -> None:
    half = replace(FIRST, releases=(released(NAMES[0], DAY, {"a": (400, 900)}, Fraction(1, 2)),))
    [cell] = combine(members(), [half], ASKED.by, ["page"]).blocks[0].cells
    assert (cell.value, cell.variance) == (800, 4 * 400)


def test_an_answer_says_which_members_named_each_key() -> None:
    data = told(FIRST).data
    assert data["discovered"] == {
        "dimension": "page", "delta": "1/100000000", "threshold": TAU,
        "keys": [{"key": "a", "members": [NAMES[0], NAMES[1]], "of": 3}, {"key": "b", "members": [NAMES[0]], "of": 3}],
    }  # fmt: skip
    assert "discovered" in cast(list[str], data["notes"])
    assert [row["key"] for row in cast(list[Any], data["ranking"])] == [{"page": "a"}, {"page": "b"}]
    assert data["dimensions"] == [{"name": "page", "labels": ["a", "b"]}]
    assert canonical_json(data)


def test_no_change_over_windows_is_told() -> None:
    """Which keys are named changes with the noise, too."""
    series = cast(list[Any], told(FIRST, SECOND).data["series"])
    assert [row["change"] for row in series] == [None, None]


def test_a_key_called_other_is_ranked_like_any() -> None:
    data = told(SECOND, **{"window": DAY.next.text}).data
    assert [row["key"]["page"] for row in cast(list[Any], data["ranking"])] == ["other", "b"]


def test_without_any_key_there_is_no_number_and_no_zero() -> None:
    empty = window_of(DAY, {NAMES[0]: {}, NAMES[1]: {}})
    for by in ("page", "total"):
        data = told(empty, by=by).data
        assert (data["total"], data["discovered"]["keys"]) == (None, [])  # type: ignore[index, call-overload]
    assert told(empty).data["cells"] == []


def test_a_total_is_of_the_named_keys() -> None:
    data = told(FIRST, by="total", raw="1").data
    assert cast(dict[str, Any], data["total"])["estimate"] == 900 + 450 + 500


def test_where_keeps_some_keys_and_nodes_some_members() -> None:
    query = replace(asked(raw="1"), where=parse_where("page:b,unheard", ASKED.by))
    narrowed, left, inputs = select(query, members(), [FIRST])
    data = answer(narrowed, left, inputs, CHARTER).data
    assert [(cell["key"], cell["estimate"]) for cell in cast(list[Any], data["cells"])] == [({"page": "b"}, 500)]
    query = replace(asked(raw="1"), nodes=(NODES[NAMES[1]].hex(),))
    data = answer(*select(query, members(), [FIRST]), CHARTER).data
    assert [cell["estimate"] for cell in cast(list[Any], data["cells"])] == [450]
    with pytest.raises(BadParameter):
        parse_where("page:", ASKED.by)


def test_two_spans_are_compared_by_keys_that_the_same_members_name() -> None:
    """`a` lost a node and `other` is new: neither has a difference that is more than who named it."""
    later = replace(asked(raw="1"), windows=((DAY.next, ROW),))
    now = answer(later, members(), [SECOND], CHARTER).combined
    rows = compared(later, asked(raw="1"), members(), now, [FIRST], CHARTER)
    assert [(row["key"], row["before"], row["difference"]) for row in cast(list[Any], rows["cells"])] == [
        ({"page": "b"}, 500, 20)
    ]
    assert rows["total"] is None


def test_means_of_discovered_keys_are_told_by_key() -> None:
    tree = {**TREE, "measure": {"mean": "stars", "range": ["0", "5"], "quantum": "1"}}
    made = parse_definition(tree)
    row = MetricRow("top_pages", hash_of(made), made, ROW.from_hour)
    layout = compile_layout(made, DAY)
    blocks = tuple(BlockNoise(1, b.mechanism, b.quantum, b.sigma_squared) for b in layout.blocks)
    one = CountedRelease(NODES[NAMES[0]], DAY, (900, 1500, 1000), blocks, "user", bytes(32), keys=("a",))
    query = parse_query("top_pages", [row], {"window": DAY.text}, DAY)
    data = answer(query, members(), [WindowInput(DAY, hash_of(made), layout, (one,))], CHARTER).data
    figures = cast(list[Any], data["figures"])
    assert (figures[0]["key"], figures[0]["name"]) == ({"page": "a"}, "mean")
    assert Fraction(figures[0]["estimate"]) == pytest.approx(2.5 + 0.75, abs=0.05)  # deviation in half quanta
