"""A member beside its own past: change points and too exact numbers, with the false alarms that are stated."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from random import Random

import pytest

from federation import own_series
from federation.own_series import FEWEST_WINDOWS, change_point, rare_from, still_within, stillness
from privacy.definition import parse_definition
from privacy.estimates import Estimate
from privacy.sampling import draw_gaussian, draw_laplace
from tests.unit.federation.flock import EIGHT, NODES, PEOPLE, inputs_of, noised

FLAT = [500, 200, 40, 0, 0, 0]


def numbers(values: list[int], variance: int = 1200) -> list[Estimate]:
    return [Estimate(Fraction(value), Fraction(variance)) for value in values]


def noisy(levels: list[float], seed: int, deviation: float = 35.0) -> list[Estimate]:
    random = Random(seed)
    return numbers([round(random.gauss(level, deviation)) for level in levels])


# ── change points ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("levels", "place", "grows"),
    [
        ([1000.0] * 40 + [100_000.0] * 20, 40, True),
        ([1000.0] * 85 + [5000.0] * 5, 85, True),  # five windows after the jump
        ([5000.0] * 40 + [1000.0] * 20, 40, False),
        ([1000.0 * 1.03**day for day in range(60)], None, True),  # drift has no one place
        ([-2000.0] * 30 + [2000.0] * 30, 30, True),
    ],
)
def test_a_changed_level_is_found(levels: list[float], place: int | None, grows: bool) -> None:
    state, change = change_point(noisy(levels, 1))
    assert state == "alarm"
    assert change is not None
    assert place is None or change.place == place
    assert (change.after > change.before) == grows


@pytest.mark.parametrize(
    "levels",
    [
        [1000.0] * 90,
        [0.0] * 90,
        [1000.0 if day % 7 < 5 else 400.0 for day in range(90)],  # weekends
        [1000.0 * 1.002**day for day in range(90)],  # slow growth: a fifth in three months
        [1000.0] * 89 + [100_000.0],  # one window is no level yet; the sum's own badge speaks of it
    ],
)
def test_ordinary_life_is_no_change(levels: list[float]) -> None:
    for seed in range(6):
        assert change_point(noisy(levels, seed)) == ("quiet", None)


def test_a_short_series_is_not_tested() -> None:
    assert change_point([]) == ("not_tested", None)
    assert change_point(numbers([1] * (FEWEST_WINDOWS - 1))) == ("not_tested", None)
    half = FEWEST_WINDOWS // 2
    assert change_point(numbers([1] * half + [9] * half))[0] == "alarm"
    assert comb(FEWEST_WINDOWS - 1, half) < 2 * (FEWEST_WINDOWS - 2) * 10**4  # with one less nothing is rare enough


def test_ties_speak_against_an_alarm() -> None:
    """Numbers that are all the same have no order, in either direction."""
    assert change_point(numbers([7] * 60)) == ("quiet", None)
    assert change_point(numbers([0] * 55 + [5] * 2 + [0] * 3)) == ("quiet", None)


def test_only_windows_of_one_noise_are_compared() -> None:
    """Twenty windows at another price do not count as a past."""
    series = numbers([1000] * 20, variance=99) + numbers([5000] * 10)
    assert change_point(series) == ("not_tested", None)


def test_false_alarms_of_a_change_are_as_rare_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1/20 instead of 10⁻⁴, and any size of change: at most one in twenty of level series, and not none.

    200 series of 30 windows from fixed seeds.
    """
    monkeypatch.setattr(own_series, "CHANGE_ERROR", Fraction(1, 20))
    monkeypatch.setattr(own_series, "_is_large", lambda before, after: True)
    alarms = sum(change_point(noisy([1000.0] * 30, seed))[0] == "alarm" for seed in range(200))
    assert 0 < alarms <= 10
    drifting = sum(
        change_point(noisy([1000.0 + 6 * day for day in range(30)], seed))[0] == "alarm" for seed in range(30)
    )
    assert drifting == 30


# ── too exact ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cells", [10, 11, 60, 300, 1000])
def test_the_rare_number_is_the_binomial_one(cells: int) -> None:
    """Against the sum over all counts, written anew."""

    def tail(least: int) -> Fraction:
        return Fraction(sum(comb(cells, j) * 3 ** (cells - j) for j in range(least, cells + 1)), 4**cells)

    found = rare_from(cells)
    assert tail(found) <= Fraction(1, 10**6) < tail(found - 1)


def test_nine_cells_cannot_be_too_exact() -> None:
    assert rare_from(9) == 10
    assert own_series.Stillness(9, 9).state == "not_tested"


@pytest.mark.parametrize("sigma_squared", [2, 5, 20, 200])
def test_gaussian_draws_stay_together_in_at_most_a_quarter(sigma_squared: int) -> None:
    """The exact law of the difference of two draws, from their weights; and the bound is not loose."""
    d = still_within(Fraction(sigma_squared))
    assert d is not None
    reach = 12 * sigma_squared
    from math import exp

    weights = {x: exp(-x * x / (2 * sigma_squared)) for x in range(-reach, reach + 1)}
    whole = sum(weights.values())
    together = sum(
        weights[x] * weights[x + k] for k in range(-d, d + 1) for x in weights if x + k in weights
    ) / (whole * whole)  # fmt: skip
    assert together <= 0.25
    assert together > 0.12 or d == 0


@pytest.mark.parametrize("scale", [2, 5, 20, 100])
def test_laplace_draws_stay_together_in_at_most_a_quarter(scale: int) -> None:
    d = still_within(Fraction(2 * scale * scale), Fraction(scale))
    assert d is not None
    noise = draw_laplace(Fraction(scale), 20_000, Random(3).randbytes)
    apart = abs(noise[::2] - noise[1::2])
    assert (apart <= d).mean() <= 0.25
    assert (apart <= d).mean() > 0.1 or d == 0


def test_too_little_noise_is_not_tested() -> None:
    assert still_within(Fraction(1)) is None
    assert still_within(Fraction(1, 2), Fraction(1, 2)) is None


def test_un_noised_numbers_are_too_exact_and_noised_ones_are_not() -> None:
    """Eight members for ten days: one publishes what it counted."""
    table = noised(lambda day, name: FLAT, 10, 4)
    for vectors in table.values():
        vectors["platform-3"] = FLAT
    inputs = inputs_of(parse_definition(PEOPLE), table)
    states = {name: stillness(inputs, NODES[name]).state for name in EIGHT}
    assert states == {name: "alarm" if name == "platform-3" else "quiet" for name in EIGHT}


def test_half_the_noise_is_found_with_enough_cells() -> None:
    """σ instead of 2σ: a change of the noise by a factor, not only its absence."""
    honest = noised(lambda day, name: FLAT, 120, 5)
    halved = {
        window: {name: [real + (cell - real) // 2 for cell, real in zip(cells, FLAT, strict=True)]
                 for name, cells in vectors.items()}
        for window, vectors in honest.items()
    }  # fmt: skip
    made = parse_definition(PEOPLE)
    assert stillness(inputs_of(made, halved), NODES[EIGHT[0]]).state == "alarm"
    assert stillness(inputs_of(made, honest), NODES[EIGHT[0]]).state == "quiet"


def test_cells_that_change_do_not_hide_those_that_stand_still() -> None:
    """Three cells grow by hundreds a day without noise; the other three are zeros."""
    table = {
        window: {EIGHT[0]: [day * 300, day * 200, day * 100, 0, 0, 0]}
        for day, window in enumerate(noised(lambda day, name: FLAT, 30, 6))
    }
    found = stillness(inputs_of(parse_definition(PEOPLE), table), NODES[EIGHT[0]])
    assert (found.small, found.cells, found.state) == (45, 90, "alarm")


def test_no_more_than_the_stated_cells_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest pairs first: with a limit of 9 a whole pair and half of the one before."""
    monkeypatch.setattr(own_series, "MOST_CELLS", 9)
    table = noised(lambda day, name: FLAT, 8, 8)
    found = stillness(inputs_of(parse_definition(PEOPLE), table), NODES[EIGHT[0]])
    newest = [vectors[EIGHT[0]] for vectors in table.values()][::-1]
    gaps = [one - other for at in (0, 2) for one, other in zip(newest[at], newest[at + 1], strict=True)][:9]
    assert (found.small, found.cells) == (sum(abs(gap) <= 5 for gap in gaps), 9)


def test_no_release_is_in_two_pairs() -> None:
    """Five releases are two pairs: else the noise of one would be counted twice."""
    table = noised(lambda day, name: FLAT, 5, 7)
    assert stillness(inputs_of(parse_definition(PEOPLE), table), NODES[EIGHT[0]]).cells == 2 * 6


def test_false_alarms_of_exactness_are_as_rare_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1/20 instead of 10⁻⁶: at most one in twenty of honest members, whatever its cells do."""
    monkeypatch.setattr(own_series, "EXACT_ERROR", Fraction(1, 20))
    rare_from.cache_clear()
    try:
        made, alarms, tested = parse_definition(PEOPLE), 0, 0
        for seed in range(20):
            inputs = inputs_of(made, noised(lambda day, name: FLAT, 8, seed))
            alarms += sum(stillness(inputs, node).state == "alarm" for node in NODES.values())
            tested += len(NODES)
    finally:
        rare_from.cache_clear()
    assert alarms <= tested / 20
    assert (draw_gaussian(Fraction(200), 1000, Random(1).randbytes) != 0).any()
