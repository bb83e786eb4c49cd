"""Mistakes 5 and 15: nothing but the noised cells depends on the data, not even what is not shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import count
from pathlib import Path

import pytest

from federation.answers import CharterView, answer, canonical_json
from federation.query import parse_query
from privacy.errors import BoundViolated
from privacy.estimates import Estimate, is_shown
from privacy.units import Window
from protocol.entries import ParsedEntry
from protocol.summaries import parse_summary, read_cells
from tests.evidence.mistakes import fixed, rejected
from tests.evidence.releasing import NODE, Node, count_of
from tests.unit.federation.combining import NAMES, members, row, window_input

DAY = Window.parse("2026-11-02/P1D")
THRESHOLD = 10
SIGMA_SQUARED = Fraction(200)


# ── 5 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_hiding(shows: Callable[[int, int], bool]) -> None:
    """(true, noised) -> shown: with one noised number at hand, the true one behind it decides nothing."""
    for noised in range(-60, 120):
        assert shows(THRESHOLD - 1, noised) == shows(THRESHOLD, noised)


def test_mistake_05_what_is_shown_is_decided_by_noised_numbers() -> None:
    """The rule's only argument is the released number and its σ; and it is presentation: raw cells go out anyway."""
    check_hiding(lambda _true, noised: is_shown(Estimate(Fraction(noised), SIGMA_SQUARED)))
    with rejected("cells below 10 are hidden, then noised"):
        check_hiding(lambda true, noised: true >= THRESHOLD and noised > 0)


def test_mistake_05_a_hidden_cell_is_in_the_raw_answer() -> None:
    """Nobody needs the threshold for protection: the signed vector holds every cell."""
    tree = {"metric": "m", "question": "?", "from": "any", "measure": "count", "by": {"country": ["DE", "FR"]}}
    tree |= {"window": "day", "privacy": {"max_cells": "1", "max_per_cell": "1", "rho": "1/400"}}
    one = row(tree, "2026-01-01/P1D")
    inputs = [window_input(one.definition, DAY, {NAMES[0]: [500, 3, 0, -7]})]
    shown = {}
    for raw in ("0", "1"):
        query = parse_query("m", [one], {"window": DAY.text, "raw": raw}, DAY)
        data = answer(query, members(), inputs, CharterView(1, bytes(32))).data
        cells = data["cells"]
        assert isinstance(cells, list)
        shown[raw] = len(cells)
        canonical_json(data)
    assert shown == {"0": 1, "1": 4}


# ── 15 ───────────────────────────────────────────────────────────────────────────────────────────────────────────

VECTORS = ([0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 40_000])  # nobody, one person more, a crowd
SECRETS = ("4242", "1001")


def released(folder: Path, value: int) -> ParsedEntry:
    """The entry of a release of one cell; noise and clock are fixed."""
    folder.mkdir()
    entry = Node(folder, rng=fixed(3)).answer(count_of(), DAY, [value])
    assert entry is not None
    return entry


def cell_of(entry: ParsedEntry) -> int:
    return read_cells(parse_summary(entry.entry.data, NODE), entry.entry.cells)[0]


def visible(entry: ParsedEntry) -> dict[str, object]:
    """Everything of an entry that a peer sees, without the noised cells and what is their hash."""
    summary, header = parse_summary(entry.entry.data, NODE), entry.header
    told = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    told |= {f"header.{name}": getattr(header, name) for name in header.__dataclass_fields__}
    return {name: value for name, value in told.items() if name not in ("cells_hash", "release", "header.data_hash")}


def check_canary(told: Callable[[Sequence[int]], dict[str, object]]) -> None:
    """Neighbouring data, and a crowd: every byte but the noised cells is the same."""
    first, *others = (told(vector) for vector in VECTORS)
    for other in others:
        assert other == first


def test_mistake_15_everything_beside_the_noised_cells_is_the_same(tmp_path: Path) -> None:
    """Header, sizes, charges, σ², unit, time: equal for nobody, one person more and 40,000 more."""
    folders = (tmp_path / str(number) for number in count())

    def told(vector: Sequence[int]) -> dict[str, object]:
        return visible(released(next(folders), sum(vector)))

    check_canary(told)
    with rejected("a count of rows beside the summary"):
        check_canary(lambda vector: {**told(vector), "rows": sum(vector)})
    with rejected("a size that tells how many groups there are"):
        check_canary(lambda vector: {**told(vector), "groups": sum(value > 0 for value in vector)})


def test_mistake_15_noised_cells_differ_by_the_data_and_nothing_else(tmp_path: Path) -> None:
    """With the noise fixed, 40,000 people more are 40,000 more in the cell: no other road from data to bytes."""
    cells = [cell_of(released(tmp_path / str(value), value)) for value in (0, 40_000)]
    assert cells[1] - cells[0] == 40_000


def test_mistake_15_an_error_quotes_no_value(tmp_path: Path) -> None:
    """A vector that breaks its bounds stops the release with a text that holds none of its numbers."""
    node = Node(tmp_path)
    for values in ([-4242], [4242, 1001, 7]):
        with pytest.raises(BoundViolated) as caught:
            node.answer(count_of(), DAY, values)
        assert not any(secret in str(caught.value) or secret in repr(caught.value) for secret in SECRETS)
    assert node.entries() == []
