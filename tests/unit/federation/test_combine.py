"""Sums over nodes and windows: exact, in any order, with every member accounted for."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.combine import Absence, Combined, Place, combine, summed_out
from privacy.estimates import Estimate
from privacy.estimates.numbers import LaplacePart
from privacy.units import Window
from tests.unit.federation.combining import (
    COUNTRIES,
    DAY,
    HOURS,
    NAMES,
    NODES,
    RUNWAY,
    definition,
    members,
    window_input,
)

PEOPLE = definition(COUNTRIES)
VECTORS = {name: [100 * i, 10 * i, i, -i] for i, name in enumerate(NAMES, 1)}


def values(combined: Combined) -> list[int]:
    return [int(cell.value) for cell in combined.blocks[0].cells]


def variances(combined: Combined) -> list[Fraction]:
    return [cell.variance for cell in combined.blocks[0].cells]


def standings(combined: Combined) -> dict[str, list[Place | None]]:
    return {member.name: list(places) for member, places in combined.places}


def test_vectors_and_variances_add_over_nodes() -> None:
    combined = combine(members(), [window_input(PEOPLE, DAY, VECTORS)], PEOPLE.by, ["country"])
    assert values(combined) == [1000, 100, 10, -10]
    assert variances(combined) == [Fraction(800)] * 4


def test_windows_add_like_nodes() -> None:
    """Three days of four nodes: twelve releases, twelve variances."""
    days = [DAY, DAY.next, DAY.next.next]
    combined = combine(members(), [window_input(PEOPLE, day, VECTORS) for day in days], PEOPLE.by, ["country"])
    assert values(combined) == [3000, 300, 30, -30]
    assert variances(combined) == [Fraction(2400)] * 4
    assert len(combined.release_ids) == 12
    assert [int(totals[0].value) for totals in combined.totals] == [1100] * 3


def test_summing_out_adds_the_noise_of_every_cell() -> None:
    combined = combine(members(), [window_input(PEOPLE, DAY, VECTORS)], PEOPLE.by, [])
    assert (values(combined), variances(combined)) == ([1100], [Fraction(3200)])


def test_one_axis_of_several_is_kept_by_its_labels() -> None:
    """Histogram by industry, remote and bin: 4 · 3 · 6 cells; each kept cell sums 3 of them."""
    runway = definition(RUNWAY)
    cells = list(range(72))
    axes = (*runway.by, *runway.measure.axes)
    one = window_input(runway, DAY, {"addvalue": cells})
    combined = combine(members(), [one], axes, ["industry", "bin"])
    assert [axis.name for axis in combined.axes] == ["industry", "bin"]
    expected = [sum(i * 18 + r * 6 + b for r in range(3)) for i in range(4) for b in range(6)]
    assert values(combined) == expected
    assert set(variances(combined)) == {Fraction(600)}


def test_windows_with_fewer_labels_land_on_their_own() -> None:
    """An hour window has one label on the axis `hour`; the others get neither value nor noise from it."""
    hours = definition(HOURS)
    inputs = [
        window_input(hours, Window.parse(f"2026-11-01T{hour:02}/PT1H"), {"addvalue": [hour + 1]}) for hour in (3, 5)
    ]
    combined = combine(members(), inputs, hours.by, ["hour"])
    assert {i: v for i, v in enumerate(values(combined)) if v} == {3: 4, 5: 6}
    assert {i for i, v in enumerate(variances(combined)) if v} == {3, 5}


@given(st.randoms(), st.lists(st.lists(st.integers(-(2**53), 2**53), min_size=4, max_size=4), min_size=4, max_size=4))
def test_order_of_arrival_does_not_matter(shuffler: random.Random, vectors: list[list[int]]) -> None:
    """Any order of windows and releases gives the same value in every field."""
    table = dict(zip(NAMES, vectors, strict=True))
    inputs = [window_input(PEOPLE, day, table) for day in (DAY, DAY.next)]
    straight = combine(members(), inputs, PEOPLE.by, ["country"])
    mixed = []
    for one in inputs:
        releases = list(one.releases)
        shuffler.shuffle(releases)
        mixed.append(replace(one, releases=tuple(releases)))
    shuffler.shuffle(mixed)
    assert combine(members(), mixed, PEOPLE.by, ["country"]) == straight


@given(
    st.lists(st.integers(-1000, 1000), min_size=72, max_size=72),
    st.sets(st.sampled_from(["industry", "remote", "bin"])),
)
def test_summing_out_before_or_after_combining_is_the_same(cells: list[int], keep: set[str]) -> None:
    runway = definition(RUNWAY)
    axes = (*runway.by, *runway.measure.axes)
    one = window_input(runway, DAY, {"addvalue": cells, "harmonie": cells[::-1]})
    full = combine(members(), [one], axes, [axis.name for axis in axes])
    kept, later = summed_out(full.blocks[0].cells, full.axes, keep)
    at_once = combine(members(), [one], axes, keep)
    assert at_once.axes == kept
    assert at_once.blocks[0].cells == later


def test_everyone_is_accounted_for() -> None:
    """Included, abstained with its reason, void with its reason, missing; and nobody twice."""
    one = window_input(
        PEOPLE,
        DAY,
        {"addvalue": [1, 2, 3, 4]},
        abstained={"harmonie": "budget"},
        voided={"liberation-system": "slot_conflict"},
    )
    combined = combine(members(), [one], PEOPLE.by, [])
    assert standings(combined) == {
        "addvalue": [Place("included")],
        "harmonie": [Place("abstained", "budget")],
        "liberation-system": [Place("void", "slot_conflict")],
        "liberation-tools": [Place("missing", "no_release")],
    }


def test_members_are_expected_from_their_first_window_on() -> None:
    inputs = [window_input(PEOPLE, day, {}) for day in (DAY, DAY.next)]
    combined = combine(members(counts_from=DAY.next.text), inputs, PEOPLE.by, [])
    assert standings(combined)["addvalue"] == [None, Place("missing", "no_release")]


def test_a_suspended_member_is_left_out_by_the_window() -> None:
    """Excluded while suspended, expected again after; a release that counts is never hidden by it."""
    paused = replace(members()[0], absences=(Absence(DAY.start_hour, DAY.end_hour, "suspended"),))
    inputs = [window_input(PEOPLE, day, {}) for day in (DAY, DAY.next)]
    combined = combine([paused], inputs, PEOPLE.by, [])
    assert standings(combined)["addvalue"] == [Place("excluded", "suspended"), Place("missing", "no_release")]
    released = combine([paused], [window_input(PEOPLE, DAY, {"addvalue": [1, 1, 1, 1]})], PEOPLE.by, [])
    assert standings(released)["addvalue"] == [Place("included")]


def test_an_abstention_before_a_release_gives_way_to_it() -> None:
    one = window_input(PEOPLE, DAY, {"addvalue": [1, 2, 3, 4]}, abstained={"addvalue": "paused"})
    assert standings(combine(members(), [one], PEOPLE.by, []))["addvalue"] == [Place("included")]


def test_nothing_released_is_nothing_not_zero() -> None:
    combined = combine(members(), [window_input(PEOPLE, DAY, {})], PEOPLE.by, ["country"])
    assert combined.is_empty
    assert combined.totals == ((),)


def test_kinds_mechanisms_and_samples_travel() -> None:
    one = window_input(PEOPLE, DAY, {"addvalue": [0] * 4}, unit="session", sampling=Fraction(1, 2))
    combined = combine(members(), [one], PEOPLE.by, [])
    assert combined.units == {NODES["addvalue"]: ("session",)}
    assert combined.mechanisms == ("gaussian",)
    assert combined.sampled == (NODES["addvalue"],)


def test_inputs_that_judgement_would_refuse_are_a_programmers_mistake() -> None:
    good = window_input(PEOPLE, DAY, {"addvalue": [1, 2, 3, 4]})
    release = good.releases[0]
    for broken in (
        replace(good, releases=(release, release)),
        replace(good, releases=(replace(release, cells=(1, 2, 3)),)),
        replace(good, releases=(replace(release, window=DAY.next),)),
        replace(good, releases=(replace(release, blocks=()),)),
    ):
        with pytest.raises(ValueError):
            combine(members(), [broken], PEOPLE.by, [])
    with pytest.raises(ValueError, match="unknown axes"):
        combine(members(), [good], PEOPLE.by, ["city"])


def test_estimates_of_cells_keep_their_own_variance() -> None:
    """Nodes that released under definitions of different rho add what each stated."""
    finer = definition(COUNTRIES, privacy={"max_cells": "1", "rho": "1/200"})
    inputs = [
        window_input(PEOPLE, DAY, {"addvalue": [5, 5, 5, 5]}),
        window_input(finer, DAY.next, {"addvalue": [5, 5, 5, 5]}),
    ]
    combined = combine(members(), inputs, PEOPLE.by, ["country"])
    assert combined.blocks[0].cells[0] == Estimate(Fraction(10), Fraction(300))
    assert len(combined.definitions) == 2


def test_a_sample_is_weighted_after_the_noise_and_widens_the_interval() -> None:
    """Half of the persons: twice the cells, four times the variance; other nodes stay as they are."""
    halved = window_input(PEOPLE, DAY, {"addvalue": [10, 20, 30, 41]}, sampling=Fraction(1, 2))
    whole = window_input(PEOPLE, DAY, {"harmonie": [1, 2, 3, 4]})
    both = replace(whole, releases=(*whole.releases, *halved.releases))
    combined = combine(members(), [both], PEOPLE.by, ["country"])
    assert combined.blocks[0].cells[0] == Estimate(Fraction(21), Fraction(200 + 4 * 200))
    assert combined.blocks[0].cells[3] == Estimate(Fraction(86), Fraction(1000))
    assert combined.totals[0][0] == Estimate(Fraction(10 + 202), Fraction(4000))
    thirds = window_input(PEOPLE, DAY, {"addvalue": [10, 20, 30, 41]}, sampling=Fraction(2, 3))
    assert combine(members(), [thirds], PEOPLE.by, []).blocks[0].cells[0].value == Fraction(303, 2)


def test_sums_keep_the_law_of_their_noise() -> None:
    """Laplace cells of two nodes, two windows, four countries: sixteen draws of one b; sampled ones step wider."""
    laplace = definition(COUNTRIES, privacy={"max_cells": "1", "epsilon": "1/10", "mechanism": "laplace"})
    cells = {"addvalue": [5, 5, 5, 5], "harmonie": [1, 1, 1, 1]}
    inputs = [window_input(laplace, day, cells) for day in (DAY, DAY.next)]
    combined = combine(members(), inputs, PEOPLE.by, [])
    assert combined.blocks[0].cells[0].laplace == (LaplacePart(Fraction(10), Fraction(1), 16),)
    assert combined.totals[0][0].laplace == (LaplacePart(Fraction(10), Fraction(1), 8),)
    sampled = combine(members(), [window_input(laplace, DAY, cells, sampling=Fraction(1, 2))], PEOPLE.by, [])
    assert sampled.blocks[0].cells[0].laplace == (LaplacePart(Fraction(10), Fraction(2), 8),)
    mixed = combine(members(), [inputs[0], window_input(PEOPLE, DAY.next, cells)], PEOPLE.by, [])
    cell = mixed.blocks[0].cells[0]
    assert cell.laplace == (LaplacePart(Fraction(10), Fraction(1), 8),)
    assert cell.variance > 8 * 200  # the other window's Gaussian noise
