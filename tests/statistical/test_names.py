"""Names alone, as a node draws them: each key is kept with the probability of the optimal rule, at (ε/C, δ/C).

Draws go through `NamesAsked.kept` with the node's stream under fresh keys. What they are held to is the rule written
here from the paper, in floats. Definitions cap δ at 3.1·10⁻⁷, where nothing of one person's could be counted, so the
same code is given a large δ here.

False alarms: a count outside 7 standard errors, 21 counts, and one bound at 1e-9: below 10⁻⁹ a run. Power: each wrong
rule below lies more than 20 standard errors away at some of the numbers of people asked, and must be seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import exp, sqrt

import pytest
from scipy import stats  # type: ignore[import-untyped]

from privacy.discovery import ExactKeys
from privacy.naming import NamesAsked, parse_names
from privacy.sampling import keystream

KEYS = 20_000
STANDARD_ERRORS = 7
EPSILON, DELTA, CELLS = Fraction(1), Fraction(1, 25), 2
PEOPLE = (0, 1, 2, 4, 6, 9, 40)

Kept = Callable[[int], int]
"""For a number of people, how many of so many keys are kept."""


def rule(people: int, epsilon: float, delta: float) -> float:
    """π of Desfontaines et al., for one key."""
    kept = 0.0
    for _ in range(people):
        kept = min(exp(epsilon) * kept + delta, 1 - exp(-epsilon) * (1 - kept - delta), 1.0)
    return kept


def asked(epsilon: Fraction = EPSILON, delta: Fraction = DELTA, max_cells: int = CELLS) -> NamesAsked:
    """A request whose δ is larger than any may state."""
    privacy = {"max_cells": str(max_cells), "epsilon": str(epsilon), "delta": "1/100000000"}
    return replace(parse_names({"names": "page", "from": {"app": "blog"}, "privacy": privacy}, "day"), delta=delta)


def kept_by(request: NamesAsked) -> Kept:
    return lambda people: len(
        request.kept(ExactKeys({f"k{key}": (people,) for key in range(KEYS)}), keystream(os.urandom))
    )


def far(kept: Kept, epsilon: float, delta: float) -> float:
    """The largest distance from the rule over all numbers of people, in standard errors; huge where it is certain."""
    most = 0.0
    for people in PEOPLE:
        chance = rule(people, epsilon, delta)
        found, error = kept(people) / KEYS, sqrt(chance * (1 - chance) / KEYS)
        most = max(most, abs(found - chance) / error if error > 1e-12 else 0.0 if found == round(chance) else 1e9)
    return most


def test_the_numbers_of_people_asked_are_few_and_many() -> None:
    """Never, hardly, sometimes, always: so that the comparison says something everywhere."""
    chances = [rule(people, float(EPSILON / CELLS), float(DELTA / CELLS)) for people in PEOPLE]
    assert chances[:2] == [0, pytest.approx(0.02)]
    assert chances == sorted(chances)
    assert 0.05 < chances[3] < 0.3 < chances[4] < 0.7 < chances[5] < 0.95
    assert chances[-1] == 1


@pytest.mark.parametrize(("epsilon", "delta", "max_cells"), [
    (EPSILON, DELTA, CELLS), (Fraction(1, 2), Fraction(1, 10), 1), (Fraction(3), Fraction(1, 50), 4),
])  # fmt: skip
def test_names_are_kept_as_the_rule_says(epsilon: Fraction, delta: Fraction, max_cells: int) -> None:
    kept = kept_by(asked(epsilon, delta, max_cells))
    assert far(kept, float(epsilon / max_cells), float(delta / max_cells)) < STANDARD_ERRORS


def by_true_count(people: int) -> int:
    """Whoever has five people, for certain."""
    return KEYS if people >= 5 else 0


@pytest.mark.parametrize("wrong", [
    by_true_count,
    kept_by(asked(max_cells=1)),  # the whole price for every key: C forgotten
    kept_by(asked(epsilon=EPSILON * CELLS)),  # ε for ε/C
    kept_by(asked(delta=DELTA * CELLS)),  # δ for δ/C
    kept_by(asked(delta=Fraction(1, 10**9))),  # δ not used
], ids=["true count", "C forgotten", "whole epsilon", "whole delta", "no delta"])  # fmt: skip
def test_wrong_rules_are_seen(wrong: Kept) -> None:
    assert far(wrong, float(EPSILON / CELLS), float(DELTA / CELLS)) > 20


def at_least(shown: int, trials: int) -> float:
    """A lower bound on the probability, wrong with probability 1e-9 (Clopper, Pearson)."""
    return 0.0 if shown == 0 else float(stats.beta.ppf(1e-9, shown, trials - shown + 1))


def persons_shown(request: NamesAsked, persons: int = KEYS) -> int:
    """So many persons side by side, each alone with C keys: of how many anything is shown."""
    own = {f"p{person}.{key}": (1,) for person in range(persons) for key in range(request.people.max_cells)}
    return len({name.partition(".")[0] for name in request.kept(ExactKeys(own), keystream(os.urandom))})


def test_names_of_one_person_show_with_at_most_delta_together() -> None:
    """All C of them; and a rule that spends δ on each of them is caught."""
    assert at_least(persons_shown(asked()), KEYS) <= DELTA
    assert at_least(persons_shown(asked(delta=DELTA * CELLS)), KEYS) > DELTA
