"""Names alone: what a request must state, what it costs, what may be a candidate, and how the coins are drawn."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from privacy.discovery import ExactKeys, read_keys
from privacy.errors import BoundMissing, InvalidDefinition, InvalidParameterError, PrivacyError
from privacy.naming import parse_names
from privacy.partitions import keep_probability

TREE: dict[str, Any] = {
    "names": "page", "from": {"app": "blog", "action": "open"},
    "privacy": {"max_cells": "4", "epsilon": "1/10", "delta": "1/1000000000"},
}  # fmt: skip


def never(size: int) -> bytes:
    """A coin that is kept only where the probability is 1."""
    return b"\xff" * size


def always(size: int) -> bytes:
    """A coin that is kept wherever the probability is not 0."""
    return bytes(size)


def test_names_cost_half_of_epsilon_squared_and_delta() -> None:
    asked = parse_names(TREE, "day")
    assert (asked.cost.rho_nano, asked.cost.delta_atto) == (5_000_000, 10**9)
    odd = parse_names({**TREE, "privacy": {**TREE["privacy"], "epsilon": "1/7", "delta": "1/3000000000"}}, "day")
    assert (odd.cost.rho_nano, odd.cost.delta_atto) == (10_204_082, 333_333_334)  # rounded up, both


def test_one_request_has_one_spelling() -> None:
    """2/20 is 1/10: the same slot, so asking in other words is free."""
    other = {**TREE, "privacy": {"delta": "2/2000000000", "epsilon": "2/20", "max_cells": "4"}}
    assert parse_names(other, "day").text == parse_names(TREE, "day").text == TREE
    assert parse_names({**TREE, "names": "slug"}, "day").text != TREE


@pytest.mark.parametrize(("changes", "error"), [
    ({"names": ["page"]}, InvalidDefinition), ({"names": "country"}, InvalidDefinition),
    ({"from": "any"}, InvalidDefinition), ({"window": "day"}, InvalidDefinition), ({"seed": "1"}, InvalidDefinition),
    ({"privacy": {"max_cells": "4", "epsilon": "1/10"}}, InvalidDefinition),
    ({"privacy": {**TREE["privacy"], "rho": "1/2"}}, InvalidDefinition),
    ({"privacy": {**TREE["privacy"], "epsilon": "0.1"}}, InvalidParameterError),
    ({"privacy": {**TREE["privacy"], "epsilon": "0"}}, InvalidParameterError),
    ({"privacy": {**TREE["privacy"], "delta": "1e-9"}}, InvalidParameterError),
    ({"privacy": {**TREE["privacy"], "delta": "1/1000"}}, InvalidParameterError),
    ({"privacy": {**TREE["privacy"], "max_cells": "0"}}, InvalidParameterError),
], ids=range(12))  # fmt: skip
def test_what_would_weaken_it_is_refused(changes: dict[str, Any], error: type[PrivacyError]) -> None:
    with pytest.raises(error) as refused:
        parse_names({**TREE, **changes}, "day")
    assert not isinstance(refused.value, BoundMissing)
    assert refused.value.what != "Metric names refused"


def test_candidates_that_look_personal_are_no_names_however_many_people_share_them() -> None:
    """A mail address, a phone number, an invisible sign and too long a text; hostile print stays, as text."""
    texts = ["ann@example.org", "+41 79 123 45 67", "a\u202eb", "x" * 65, "<b>bold</b>", "seed-swap"]
    exact = read_keys((text.encode().hex(), 10**6) for text in texts)
    assert parse_names(TREE, "day").kept(exact, never) == ("<b>bold</b>", "seed-swap")


def test_a_list_is_by_name_and_its_numbers_are_forgotten() -> None:
    """The order says nothing about people; a key of nobody has no chance; what was exact is gone."""
    exact = ExactKeys({"ö": (3,), "b": (10**6,), "a": (1,), "none": (0,)})
    assert parse_names(TREE, "day").kept(exact, always) == ("a", "b", "ö")
    assert not exact


def test_a_name_is_certain_only_from_where_the_rule_says_so() -> None:
    """At ε/C and δ/C: with the worst coin, π = 1 decides alone."""
    rule = keep_probability(Fraction(1, 10), Fraction(1, 10**9), 4)
    least = next(people for people in range(5000) if rule(people) == 1)
    exact = ExactKeys({"enough": (least,), "one-less": (least - 1,)})
    assert parse_names(TREE, "day").kept(exact, never) == ("enough",)


def test_each_candidate_has_a_coin_of_its_own_in_the_order_of_names() -> None:
    sizes: list[int] = []

    def counted(size: int) -> bytes:
        sizes.append(size)
        return bytes(size)

    parse_names(TREE, "day").kept(ExactKeys({f"k{number}": (5,) for number in range(9)}), counted)
    assert sizes == [8] * 9
