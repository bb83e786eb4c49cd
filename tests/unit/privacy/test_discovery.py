"""Discovered keys: what a definition must state, and that only noised people let a key out."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from privacy.bounding import bind
from privacy.definition import Definition, parse_definition
from privacy.discovery import ExactKeys, KeyNoise, read_keys, release_keys
from privacy.errors import BoundMissing, BoundViolated, InvalidDefinition, InvalidParameterError, ReleaseRefused
from privacy.layout import Layout, compile_layout
from privacy.partitions import MAX_KEYS
from privacy.release import Release, Slot
from privacy.sampling import draw_gaussian, draw_laplace, keystream
from privacy.tracking_plan import parse_plan
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")
SLOT = Slot(bytes(32), DAY, b"n" * 32)
KEY = bytes(range(32))
PRIVACY = {"max_cells": "2", "max_per_cell": "3", "rho": "1/400", "delta": "1/100000000"}
TREE: dict[str, Any] = {
    "metric": "top_pages", "question": "Which pages are opened most?", "from": {"app": "blog", "action": "open"},
    "measure": {"top": "5"}, "by": {"page": {"discover": "true"}}, "window": "day", "privacy": PRIVACY,
}  # fmt: skip
LAPLACE = {"max_cells": "2", "max_per_cell": "3", "mechanism": "laplace", "epsilon": "1/2", "delta": "1/100000000"}


def asked(**changes: Any) -> Definition:
    return parse_definition({**TREE, **changes})


def layout_of(**changes: Any) -> Layout:
    return compile_layout(asked(**changes), DAY)


def charges(layout: Layout, *, less: int = 0) -> tuple[tuple[str, int, int], ...]:
    return (("2026-11-01/P1D", 2_500_000, layout.delta_atto - less),)


def released(exact: dict[str, tuple[int, ...]], layout: Layout | None = None, rng: Callable[[int], bytes] = os.urandom,
             **changes: Any) -> Release:  # fmt: skip
    layout = layout or layout_of()
    arguments = {"charges": charges(layout), "unit": "user", **changes}
    return release_keys(SLOT, layout, KeyNoise(layout, rng), ExactKeys(exact), **arguments)


# ── definitions ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_definition_that_discovers_compiles_to_a_people_block_and_its_own() -> None:
    """No cell until a release brings its keys; τ and the price in δ follow from the text."""
    layout = layout_of()
    assert [block.name for block in layout.blocks] == ["people", "count"]
    assert (layout.cells, layout.delta_atto) == (0, 10**10)
    assert layout.rho == Fraction(1, 400)
    people, count = layout.blocks
    assert (people.l0, people.linf, people.l2_squared, people.sigma_squared) == (2, 1, 2, 800)
    assert (count.l0, count.linf, count.l2_squared) == (2, 3, 18)
    assert layout.discovery is not None
    assert layout.discovery.threshold == 164  # 1 + 28.3 times the normal quantile of 5e-9 above
    keyed = layout.with_keys(["a", "b"])
    assert list(keyed.keys()) == [{"page": "a"}, {"page": "b"}] * 2


def test_people_alone_have_the_whole_price() -> None:
    layout = layout_of(
        measure="people", privacy={key: value for key, value in PRIVACY.items() if key != "max_per_cell"}
    )
    [people] = layout.blocks
    assert people.sigma_squared == 400


def test_laplace_keys_are_drawn_by_the_table_however_many_there_are() -> None:
    """The carrier must not hang on how many keys there happen to be."""
    assert {block.mechanism for block in layout_of(privacy=LAPLACE).blocks} == {"laplace"}


REFUSED: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
    ({"privacy": {**PRIVACY, "delta": "0.00000001"}}, InvalidParameterError, "decimal"),
    ({"privacy": {**PRIVACY, "delta": "0"}}, InvalidParameterError, "above 0"),
    ({"privacy": {**PRIVACY, "delta": "-1/100"}}, InvalidParameterError, "above 0"),
    ({"privacy": {**PRIVACY, "delta": "1/1000000"}}, InvalidParameterError, "capped at"),
    ({"privacy": {key: value for key, value in PRIVACY.items() if key != "delta"}}, BoundMissing, "no delta"),
    ({"by": {"country": ["DE"]}}, InvalidDefinition, "states a delta"),
    ({"by": {"page": {"discover": "true"}, "country": ["DE"]}}, InvalidDefinition, "beside others"),
    ({"by": {"page": {"discover": "true"}, "tag": {"discover": "true"}}}, InvalidDefinition, "beside others"),
    ({"by": {"page": {"discover": "yes"}}}, InvalidDefinition, "discover"),
    ({"by": {"page": {"discover": "true", "edges": ["1"]}}}, InvalidDefinition, "discover"),
    ({"by": {"country": {"discover": "true"}}}, InvalidDefinition, "country"),
    ({"from": "any"}, InvalidDefinition, "from: any"),
    (
        {
            "from": {"app": "blog"},
            "measure": {"funnel": ["open", "close"], "per": "epoch"},
            "privacy": {key: value for key, value in PRIVACY.items() if key != "max_per_cell"},
        },
        InvalidDefinition,
        "funnel has",
    ),
    ({"measure": {"histogram": "stars", "edges": ["1"]}}, InvalidDefinition, "histogram"),
    ({"privacy": {**PRIVACY, "clipped_people": "yes"}}, InvalidDefinition, "clipped_people"),
    ({"privacy": {**PRIVACY, "rho": "1/1000000000"}}, InvalidParameterError, "no key could be seen"),
    ({"privacy": {**PRIVACY, "shares": {"count": "1"}}}, InvalidDefinition, "shares"),
)


@pytest.mark.parametrize(("changes", "error", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_weaken_it_is_refused_at_load(changes: Any, error: type[Exception], words: str) -> None:
    """With what happened, why and what to do."""
    with pytest.raises(error, match=words):
        asked(**changes)


def test_a_weekly_metric_has_the_cap_of_a_week() -> None:
    """7e-8 in a week; 31e-8 where a month may hold it."""
    asked(window="week", privacy={**PRIVACY, "delta": "7/100000000"})
    with pytest.raises(InvalidParameterError, match="one week"):
        asked(window="week", privacy={**PRIVACY, "delta": "8/100000000"})


def test_a_plan_that_stores_no_text_of_it_cannot_answer() -> None:
    def plan(kind: object) -> Any:
        actions = {"open": {"page": kind}}
        return parse_plan({"plan": "p", "apps": {"blog": {"person": "user", "consent": "none", "actions": actions}}})

    for kind in (
        {"type": "flag"},
        {"type": "band", "edges": ["1"]},
        {"type": "number", "quantum": "1", "range": ["0", "9"]},
    ):
        assert bind(asked(), layout_of(), {1: plan(kind)}) == "plan_incompatible"
    assert not isinstance(bind(asked(), layout_of(), {1: plan({"type": "key", "max_bytes": "8"})}), str)
    listed = {1: plan({"type": "key", "max_bytes": "8"})}
    by_value = asked(by={"page": ["a"]}, privacy={key: value for key, value in PRIVACY.items() if key != "delta"})
    assert bind(by_value, compile_layout(by_value, DAY), listed) == "plan_incompatible"


# ── releases ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_is_the_exact_numbers_plus_the_draws_of_its_keys() -> None:
    """Bytes in, samples out: each candidate has its draw in each block, whether it passes or not."""
    exact = {"apples": (900, 2000), "few": (5, 9), "plums": (700, 1500)}
    release = released(dict(exact), rng=lambda size: KEY[:size])
    stream = keystream(lambda size: KEY[:size])
    people = draw_gaussian(Fraction(800), 3, stream).tolist()
    events = draw_gaussian(Fraction(7200), 3, stream).tolist()
    assert release.keys == ("apples", "plums")
    assert release.cells == (900 + people[0], 700 + people[2], 2000 + events[0], 1500 + events[2])
    assert [(block.cells, block.sigma_squared) for block in release.blocks] == [(2, 800), (2, 7200)]


def test_laplace_draws_are_those_of_the_table() -> None:
    layout = layout_of(privacy=LAPLACE)
    release = released(
        {"apples": (900, 2000)}, layout, rng=lambda size: KEY[:size], charges=((DAY.text, 10**9, 10**10),)
    )
    stream = keystream(lambda size: KEY[:size])
    draws = [draw_laplace(block.scale or Fraction(0), 1, stream).tolist()[0] for block in layout.blocks]
    assert release.cells == (900 + draws[0], 2000 + draws[1])


def test_every_key_that_goes_out_has_its_noised_people() -> None:
    """And every cell of the others is held back, whatever it holds."""
    layout = layout_of()
    tau = layout.discovery.threshold if layout.discovery else 0
    exact = ExactKeys({f"page-{number:03}": (number, 10**6) for number in range(0, 400, 2)})
    release = release_keys(SLOT, layout, KeyNoise(layout, os.urandom), exact, charges(layout), "user")
    assert release.keys is not None
    people = release.cells[: len(release.keys)]
    assert min(people) >= tau
    assert 60 < len(release.keys) < 170
    assert len(release.cells) == 2 * len(release.keys)
    assert not exact, "what was exact is forgotten"


def test_no_key_may_pass_and_that_is_a_release() -> None:
    assert released({}).keys == ()
    assert released({"alone": (1, 3)}).cells == ()


def test_of_very_many_keys_those_of_most_noised_people_go_out() -> None:
    exact = {f"page-{number:04}": (2_000 + number, 1) for number in range(MAX_KEYS + 100)}
    names = sorted(exact)
    release = released(exact)
    assert release.keys is not None
    assert len(release.keys) == MAX_KEYS
    assert list(release.keys) == sorted(release.keys)
    assert set(names[-200:]) <= set(release.keys)
    assert min(release.cells[:MAX_KEYS]) > 1_800


def test_texts_that_may_be_no_key_are_no_candidates() -> None:
    """However many people share them: a mail address is none."""
    rows = [(text.encode().hex().rstrip("0").upper(), 5000, 9000) for text in ("a page", "mail@host.example", "x" * 65)]
    assert read_keys([*rows, ("7", 1, 2)]) == {"a page": (5000, 9000), "p": (1, 2)}


def test_nothing_shows_exact_numbers_or_noise() -> None:
    exact, noise = ExactKeys({"secret": (4711, 1)}), KeyNoise(layout_of(), os.urandom)
    assert "4711" not in f"{exact!r}{exact}"
    assert "secret" not in f"{exact!r}{exact}{noise!r}"
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            act(noise)


def test_noise_serves_once() -> None:
    noise = KeyNoise(layout_of(), os.urandom)
    noise.take(["a"])
    with pytest.raises(ReleaseRefused, match="used before"):
        noise.take(["a"])


def test_a_charge_short_of_delta_releases_nothing() -> None:
    layout = layout_of()
    with pytest.raises(ReleaseRefused, match="delta"):
        released({"apples": (900, 2000)}, layout, charges=charges(layout, less=1))


@pytest.mark.parametrize("cells", [(2**31, 1), (9000, 3 * 2**30 + 1), (9000, -1), (9000, 1.0)])
def test_cells_out_of_their_bounds_stop_the_release(cells: Any) -> None:
    """A fault of the engine; nothing is released."""
    with pytest.raises(BoundViolated):
        released({"apples": cells})
