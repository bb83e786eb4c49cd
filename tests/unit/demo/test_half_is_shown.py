"""Over the fourteen days, every answer that the demo prints shows at least half of its cells (issue: Metrics).

Counted on the truth, so without luck in the noise: a cell is shown from max(10, 3.3 σ) of the combined cell on. A
quarter of the people is drawn and counted four times, which is right to a few percent; a margin of 10 % covers it.
"""

from __future__ import annotations

from datetime import date
from math import sqrt

import pytest

from node.demo.platforms import PLATFORMS
from node.demo.play import make_play
from node.demo.reading import read_events
from node.demo.stage import platforms_stage
from node.demo.truth import Metric, Truth, count_truth

TODAY = date(2026, 11, 20)
START = (date(2026, 11, 5) - date(1970, 1, 1)).days
SCALE = 0.25
MARGIN = 1.1
STAGE = platforms_stage(TODAY, seed=1, scale=SCALE)


@pytest.fixture(scope="module")
def truths() -> list[Truth]:
    found = []
    for platform, part in zip(PLATFORMS, STAGE.parts, strict=True):
        events = read_events(make_play(platform, 1, START, 14, SCALE).batches, part.apps)
        found.append(count_truth(events, STAGE.metrics, part.apps, STAGE.windows))
    return found


@pytest.mark.parametrize("metric", STAGE.metrics, ids=lambda metric: metric.name)
def test_at_least_half_of_the_cells_are_shown(metric: Metric, truths: list[Truth]) -> None:
    releases = [
        truth[metric.name, window].block(metric.headline)
        for truth in truths
        for window in STAGE.windows
        if (metric.name, window) in truth
    ]
    cells = [
        sum(one.unbounded[at] if one.bounded[at] is None else one.bounded[at] or 0 for one in releases) / SCALE
        for at in range(len(metric.keys()))
    ]
    bins = len(metric.axes[-1].labels) if metric.measure == "histogram" else 1
    groups = [sum(cells[at : at + bins]) for at in range(0, len(cells), bins)]
    sigma_squared = float(metric.sigma_squared_of(metric.headline))
    threshold = max(10.0, 3.3 * sqrt(bins * len(releases) * sigma_squared)) * MARGIN
    shown = sum(group >= threshold for group in groups)
    assert 2 * shown >= len(groups), f"{shown} of {len(groups)} shown from {threshold:.0f} on: {groups}"


def test_nine_cells_in_ten_have_a_truth(truths: list[Truth]) -> None:
    """With few people the wanderers weigh the same: they touch a fixed number of cells."""
    counted = [one for truth in truths for one in truth.values()]
    cells = sum(len(one.bounded) for one in counted)
    known = sum(value is not None for one in counted for value in one.bounded)
    assert known >= 0.9 * cells
