"""The check of the demo strays as it says: over 200 noises of one truth the mean of z² has the spread √(v/n).

A check that counted a number twice, compared cumulated cells, or added up dependent ones would stray further than it
states, and its five standard deviations would be fewer. Here the truth of two days of all four platforms stands
still, with the cells whose truth a secret hides, and only the noise of the release path is drawn anew.

Draws come from fixed keys, so nothing here fails by chance. The bounds are those of fresh draws at α = 1e-9: χ² for the
spread (a check that counts each number twice has twice the variance and is found, as a test shows), the normal law for
the mean. False alarm of one run of the demo itself: 2·10⁻⁶ (5 standard deviations on two figures).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from math import sqrt

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from node.demo.check import Check, Comparison, Released, compare, judge
from node.demo.platforms import PLATFORMS
from node.demo.play import make_play
from node.demo.reading import read_events
from node.demo.stage import platforms_stage
from node.demo.truth import Counted, Truth, count_truth
from node.yaml import load_strings
from privacy.definition import parse_definition
from privacy.diffprivlib_adapter import draw_geometric
from privacy.layout import Layout, compile_layout
from privacy.ledger import nano_rho_of_charge
from privacy.release import Slot, draw_noise, make_release
from privacy.sampling import keystream
from privacy.units import Window

ALPHA = 1e-9
NOISES = 200
SCALE = 0.02  # of the crowd
DAYS = 2

Judge = Callable[[Sequence[Comparison]], Check]


@dataclass(frozen=True)
class Owed:
    """One release that a node owes, with a bounded vector that its truth allows."""

    node: str
    metric: str
    window: str
    layout: Layout
    vector: tuple[int, ...]


@pytest.fixture(scope="module")
def demo() -> tuple[list[Owed], dict[str, Truth]]:
    """What four platforms owe of two days, and the truth."""
    stage = platforms_stage(date(2026, 11, 20), seed=5, scale=SCALE)
    start = (date(2026, 11, 5) - date(1970, 1, 1)).days
    windows = stage.windows[:DAYS]
    definitions = [
        parse_definition(load_strings(file.read_text(), file.name))
        for file in sorted(stage.metrics_folder.glob("*.yaml"))
    ]
    owed, truths = [], {}
    for platform, part in zip(PLATFORMS, stage.parts, strict=True):
        play = make_play(platform, 5, start, DAYS, SCALE)
        truth = count_truth(read_events(play.batches, part.apps), stage.metrics, part.apps, windows)
        truths[part.name] = truth
        for definition in definitions:
            for window in windows:
                if (definition.metric, window) in truth:
                    layout = compile_layout(definition, Window.parse(window))
                    vector = tuple(_vector(truth[definition.metric, window], layout))
                    owed.append(Owed(part.name, definition.metric, window, layout, vector))
    return owed, truths


def _vector(truth: Counted, layout: Layout) -> Iterator[int]:
    """A vector with this truth; of the cells it does not know, the first holds their sum."""
    for number, _ in enumerate(layout.blocks):
        counted = truth.block(number)
        lost = counted.lost_total or 0
        for value in counted.bounded:
            if value is None:
                value, lost = lost, 0
            yield value


def _comparisons(owed: Sequence[Owed], truths: dict[str, Truth], key: int) -> list[Comparison]:
    """Every number of one run, its noise from the release path under a fixed key."""
    stream = keystream(lambda size: key.to_bytes(size, "big"))
    releases = []
    for one in owed:
        slot = Slot(bytes(32), one.layout.window, bytes(32))
        price = [(one.window, nano_rho_of_charge(one.layout.rho), 0)]
        noise = draw_noise(one.layout, stream, draw_geometric)
        cells = make_release(slot, one.layout, noise, one.vector, price, "user").cells
        for number, block in enumerate(one.layout.blocks):
            start = one.layout.offset(block)
            releases.append((
                one.node,
                Released(one.metric, one.window, cells[start : start + block.cells], block.sigma_squared,
                         block.mechanism, number),
            ))  # fmt: skip
    comparisons, _ = compare(releases, truths)
    return comparisons


def _strays(checks: Sequence[Check]) -> set[str]:
    """Which of "mean" and "spread" of z² are not what the checks state of themselves."""
    z = np.array([(check.z2 - 1) / (check.z2_margin / 5) for check in checks])
    found = set()
    if abs(z.mean()) * sqrt(len(z)) > stats.norm.isf(ALPHA / 2):
        found.add("mean")
    share = stats.chi2.cdf(z.var(ddof=1) * (len(z) - 1), len(z) - 1)
    if not ALPHA / 2 < share < 1 - ALPHA / 2:
        found.add("spread")
    return found


def test_the_mean_of_z2_strays_as_the_check_says(demo: tuple[list[Owed], dict[str, Truth]]) -> None:
    """And a check that counts each number twice is found."""
    runs = [_comparisons(*demo, key) for key in range(NOISES)]
    assert len(runs[0]) > 600
    assert any(one.terms > 1 for one in runs[0]), "some truths are hidden, and compared as a sum"
    assert _strays([judge(run) for run in runs]) == set()
    assert "spread" in _strays([judge([*run, *run]) for run in runs])
    assert all(judge(run).is_passed for run in runs)
