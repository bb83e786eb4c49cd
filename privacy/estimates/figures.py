"""What a reader gets from one group of each measure beside its cells: means, rates, quantiles, scores, cumulated steps.

| measure | figures of a group | kind |
|---|---|---|
| mean | `mean` = middle of the range + deviation / count, Fieller inside the range | mean |
| histogram | `p10`, `p25`, `p50`, `p75`, `p90` | quantile |
| funnel | `reached STEP`, cumulated; `rate STEP` of those who reached the step before | count, rate |
| retention | `cohort C age A`: share of the cohort active at that age, for ages it can reach | rate |
| score | each component and `score`, their sum, per person; Fieller inside ± most | mean |
| journey | `FROM > TO`: share of the moves out of FROM, where the moves are enough to be shown | rate |

count, people, sum and top say all in their cells. A figure is made of one group's cells only, whose noise is
independent; so groups may be compared with `differences`. `consistent` stands beside a cumulated count and is what the
steps allow together (`consistency.falling`); the raw number is the estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final, Literal

from privacy.dimensions import NONE
from privacy.estimates.consistency import falling
from privacy.estimates.histograms import histogram_quantile
from privacy.estimates.numbers import FINE, Estimate, half_width_squared, is_shown, total
from privacy.estimates.ratios import RATE, Ratio, ratio, share_of_sum
from privacy.measures.base import Measure
from privacy.measures.funnel import Funnel
from privacy.measures.histogram import Histogram
from privacy.measures.journey import Journey
from privacy.measures.mean import Mean
from privacy.measures.retention import Retention
from privacy.measures.score import Score
from privacy.measures.sum import Sum
from privacy.quantiles import sqrt_half_even

Kind = Literal["count", "mean", "rate", "quantile"]
Cells = Mapping[str, Sequence[Estimate]]
SHARES: Final = {f"p{percent}": Fraction(percent, 100) for percent in (10, 25, 50, 75, 90)}


@dataclass(frozen=True, slots=True)
class Figure:
    """One named number of a group, unrounded.

    Args:
        name: See the module; labels stand in it as they are.
        kind: What it is.
        value, lower, upper: Point and privacy interval; None where there is no point, or an open end.
        status: "ok", "unbounded" or "empty" (`ratios`); of a quantile that of `histograms.QuantileEstimate`.
        consistent: Of a cumulated count: what the steps allow together.
    """

    name: str
    kind: Kind
    value: Fraction | None
    lower: Fraction | None
    upper: Fraction | None
    status: str
    consistent: Fraction | None = None


def counted(measure: Measure, cells: Cells) -> Estimate | None:
    """The noised people, else events, that a group is shown or hidden by (DESIGN 7); None where it has neither.

    A histogram's and a funnel's: over bins and steps; of retention: the cohorts' sizes.
    """
    match measure:
        case Sum():
            return None
        case Retention():
            return total(cells[measure.headline][:: measure.ages])
        case _:
            return total(cells[measure.headline])


def figures(measure: Measure, cells: Cells, level: str) -> Iterator[Figure]:
    """The figures of one group.

    Args:
        measure: The definition's.
        cells: The group's cells by block, in the block's order, in the measure's unit (cells times quantum).
        level: One of `privacy.quantiles.LEVELS`.

    Raises:
        InvalidParameterError: another level.
    """
    match measure:
        case Mean():
            yield _mean(measure, cells, level)
        case Histogram():
            yield from _quantiles(measure, cells, level)
        case Funnel():
            yield from _steps(measure, cells, level)
        case Retention():
            yield from _cohorts(measure, cells, level)
        case Score():
            yield from _scores(measure, cells, level)
        case Journey():
            yield from _moves(measure, cells, level)


def _mean(measure: Mean, cells: Cells, level: str) -> Figure:
    half = (measure.of.high - measure.of.low) * measure.of.quantum / 2
    (deviation,), (count,) = cells["deviation"], cells["count"]
    return _of_ratio("mean", "mean", ratio(deviation, count, level, (-half, half)).plus(measure.middle))


def _quantiles(measure: Histogram, cells: Cells, level: str) -> Iterator[Figure]:
    bins = [cell for cell, label in zip(cells[measure.headline], measure.bins.labels, strict=True) if label != NONE]
    for name, share in SHARES.items():
        found = histogram_quantile(bins, measure.bins.edges, share, level, Fraction(1, FINE))
        yield Figure(name, "quantile", found.value, found.lower, found.upper, found.status)


def _steps(measure: Funnel, cells: Cells, level: str) -> Iterator[Figure]:
    one_hot = cells[measure.headline]
    reached = list(accumulate(reversed(one_hot), lambda one, other: total((one, other))))[::-1]
    agreed = falling([one.value for one in reached]).values
    for label, one, consistent in zip(measure.labels, reached, agreed, strict=True):
        yield _of_estimate(f"reached {label}", one, level, consistent)
    for number, label in enumerate(measure.labels[1:], start=1):
        found = share_of_sum(reached[number], one_hot[number - 1], level)
        yield _of_ratio(f"rate {label}", "rate", found)


def _cohorts(measure: Retention, cells: Cells, level: str) -> Iterator[Figure]:
    for cohort in range(measure.periods):
        row = cells[measure.headline][cohort * measure.ages : (cohort + 1) * measure.ages]
        for age in range(1, min(measure.ages, measure.periods - cohort)):
            yield _of_ratio(f"cohort {cohort + 1} age {age}", "rate", ratio(row[age], row[0], level, RATE))


def _scores(measure: Score, cells: Cells, level: str) -> Iterator[Figure]:
    points, (people,) = cells[measure.word], cells["people"]
    for one, cell in zip(measure.components, points, strict=True):
        most = Fraction(one.most)
        yield _of_ratio(one.name, "mean", ratio(cell, people, level, (-most, most)))
    most = Fraction(sum(one.most for one in measure.components))
    yield _of_ratio("score", "mean", ratio(total(points), people, level, (-most, most)))


def _moves(measure: Journey, cells: Cells, level: str) -> Iterator[Figure]:
    labels, size = measure.of.labels, measure.of.size
    for number, label in enumerate(labels):
        # From a label to itself nobody moves: that cell is only noise and is left out.
        row = {
            place: cell
            for place, cell in enumerate(cells[measure.headline][number * size : (number + 1) * size])
            if place != number
        }
        if not is_shown(total(row.values())):
            continue
        for place, cell in row.items():
            if is_shown(cell):
                rest = total(other for at, other in row.items() if at != place)
                yield _of_ratio(f"{label} > {labels[place]}", "rate", share_of_sum(cell, rest, level))


def _of_estimate(name: str, one: Estimate, level: str, consistent: Fraction) -> Figure:
    width = sqrt_half_even(half_width_squared(one, level), Fraction(1, FINE))
    return Figure(name, "count", one.value, one.value - width, one.value + width, "ok", consistent)


def _of_ratio(name: str, kind: Kind, found: Ratio) -> Figure:
    return Figure(name, kind, found.value, found.lower, found.upper, found.status)
