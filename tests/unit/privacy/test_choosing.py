"""Private choices: what a text must state, what it costs, and the law of the draw by brute force."""

from __future__ import annotations

from itertools import permutations, product
from math import exp, factorial, prod
from typing import Any

import pytest

from privacy.choosing import ETA_PER_CANDIDATE, parse_choice
from privacy.errors import BoundMissing, InvalidDefinition, InvalidParameterError, PrivacyError
from privacy.layout import compile_layout
from privacy.units import Window

TREE: dict[str, Any] = {
    "choice": "usual_country", "from": "any", "among": {"country": ["DE", "FR", "CH"]}, "window": "day",
    "privacy": {"max_cells": "1", "epsilon": "1/10"},
}  # fmt: skip


def test_a_choice_is_among_listed_values_and_costs_half_of_epsilon_squared() -> None:
    choice = parse_choice(TREE)
    assert choice.candidates == ("DE", "FR", "CH")
    assert choice.cost.rho_nano == 5_000_000  # (1/10)²/2
    assert choice.cost.delta_atto == -(-4 * 3 * ETA_PER_CANDIDATE.numerator * 10**18 // ETA_PER_CANDIDATE.denominator)


def test_utilities_are_the_candidates_people_without_the_rest() -> None:
    choice = parse_choice(TREE)
    layout = compile_layout(choice.people, Window.parse("2026-11-01/P1D"))
    assert choice.utilities(layout, [5, 9, 2, 700, 800]) == [5, 9, 2]


def test_edges_make_the_fullest_bin_a_choice() -> None:
    choice = parse_choice({**TREE, "from": {"app": "a"}, "among": {"months": {"edges": ["0", "6"]}}})
    assert choice.candidates == ("< 0", "[0, 6)", ">= 6")


@pytest.mark.parametrize(("changes", "error"), [
    ({"among": {}}, InvalidDefinition), ({"among": {"country": ["DE"]}}, InvalidDefinition),
    ({"among": {"country": ["DE", "FR"], "hour": ["1"]}}, InvalidDefinition),
    ({"among": {"country": []}}, BoundMissing),
    ({"from": {"app": "a"}, "among": {"page": {"discover": "true"}}}, PrivacyError),
    ({"privacy": {"max_cells": "1"}}, InvalidDefinition),
    ({"privacy": {"max_cells": "1", "rho": "1/2"}}, InvalidDefinition),
    ({"privacy": {"max_cells": "1", "epsilon": "0.1"}}, InvalidParameterError),
    ({"privacy": {"max_cells": "0", "epsilon": "1/10"}}, InvalidParameterError),
    ({"privacy": {"max_cells": "1", "epsilon": "0"}}, InvalidParameterError),
    ({"choice": "No Name"}, InvalidDefinition), ({"window": "year"}, InvalidDefinition),
    ({"seed": "1"}, InvalidDefinition),
], ids=range(13))  # fmt: skip
def test_what_would_weaken_it_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_choice({**TREE, **changes})


def law(utilities: list[int], epsilon: float) -> list[float]:
    """Permute and flip at sensitivity 1, over all orders of the candidates."""
    coins = [exp(epsilon / 2 * (one - max(utilities))) for one in utilities]
    chances = [0.0] * len(utilities)
    for order in permutations(range(len(utilities))):
        for place, one in enumerate(order):
            missed = prod(1 - coins[other] for other in order[:place])
            chances[one] += missed * coins[one] / factorial(len(utilities))
    return chances


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 2.0])
def test_no_neighbouring_people_change_a_choice_by_more_than_epsilon(epsilon: float) -> None:
    """One person more in any set of values (C does not matter): every pair of small tables, both ways."""
    for base in product(range(4), repeat=3):
        for person in product(range(2), repeat=3):
            one, other = law(list(base), epsilon), law([b + p for b, p in zip(base, person, strict=True)], epsilon)
            assert sum(one) == pytest.approx(1)
            assert all(a <= exp(epsilon) * b + 1e-12 for a, b in zip(one, other, strict=True))
            assert all(b <= exp(epsilon) * a + 1e-12 for a, b in zip(one, other, strict=True))
