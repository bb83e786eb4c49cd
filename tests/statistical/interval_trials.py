"""Every interval of an answer held against the truth that its noise hides.

The truth is added up anew: integer arrays of each node's bounded vector, summed over nodes, windows and axes, and plain
ratios of those sums. A *trial* is one interval; trials of one kind share no noise (of rates that divide by one cohort
one is taken), so hits add up as independent draws, each with the probability that the law of the noise gives it.

What an answer decides by noise whether to tell (figures of a group, screens) is tried only where the group's truth is
six σ beyond that decision; `hidden` sums small cells *because* their noise was low, and is told of, not tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil, erf, exp, floor, isqrt, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.answers import CharterView, answer
from federation.comparison import compared, previous_query
from federation.query import parse_query
from privacy.layout import CLIPPED, WHOLE, Layout
from privacy.measures.funnel import Funnel
from privacy.measures.histogram import Histogram
from privacy.measures.journey import Journey
from privacy.measures.mean import Mean
from privacy.measures.retention import Retention
from privacy.measures.score import Score
from privacy.measures.sum import Sum
from privacy.units import Window
from tests.statistical.bounded_truths import Draw, Federation, Truths, stream_of

Z = {"0.80": 1.281551565545, "0.95": 1.959963984541, "0.99": 2.575829303549}
CHARTER = CharterView(1, bytes(32))
SURE = 3.3 + 6.0  # sigmas from 0 at which a group is shown whatever its noise: missed less than once in 10⁹
STEP = 0.006  # a ratio of whole numbers strays so far from the level, at σ of 4 and more
LAPLACE_STEP = 0.004  # ends of Laplace sums are whole: the level and up to one step more, b above 40
SHORT = (
    0.02  # a screen rounds to half a σ: both ends move together, by a quarter of σ at most; see specs/answers.md 4.4
)
WIDE = 0.06


@dataclass(frozen=True, slots=True)
class Trial:
    """One interval: whether it holds the truth, and with what probability it should (at least, at most)."""

    kind: str
    held: bool
    least: float
    most: float


class Exact:
    """The sum of some vectors of one layout, by block."""

    def __init__(self, layout: Layout, vectors: Sequence[Sequence[int]]) -> None:
        self.layout = layout
        self.releases = len(vectors)
        whole = np.array(vectors, dtype=np.int64).sum(axis=0)
        self._cells: dict[str, NDArray[np.int64]] = {}
        self.laplace = {block.name: block.scale is not None for block in layout.blocks}
        self.variance: dict[str, Fraction] = {}  # of one cell
        start = 0
        for block in layout.blocks:
            self._cells[block.name] = whole[start : start + block.cells].reshape(block.shape)
            self.variance[block.name] = block.sigma_squared * len(vectors)
            start += block.cells

    def cells(self, name: str, by: int) -> NDArray[np.int64]:
        """Cells of a block with or without the axes of `by`: (groups, own cells)."""
        block = self._cells[name]
        groups = int(np.prod(block.shape[: len(self.layout.by)])) if block.ndim else 1
        flat = block.reshape(groups, -1)
        return flat if by else flat.sum(axis=0, keepdims=True)

    def summed(self, name: str, by: int) -> int:
        """How many cells are in each of `cells`."""
        return self._cells[name].size // self.cells(name, by).size


def run(federation: Federation, truths: Truths, seed: int, draw: Draw, level: str) -> Iterator[Trial]:
    """Every trial of one metric in one run: one answer for each window, one for all, one without axes, one compared."""
    inputs = federation.inputs(truths, draw, stream_of(seed, truths.definition.metric))
    windows = [one.window for one in inputs]
    row, who = truths.row, federation.contributors

    def asked(chosen: Sequence[Window], **more: str) -> tuple[Any, Any, Exact]:
        span = {"from": _instant(chosen[0].start_hour), "to": _instant(chosen[-1].end_hour)}
        query = parse_query(row.name, [row], {**span, "level": level, "raw": "1", **more}, windows[-1])
        known = [one for one in inputs if chosen[0] <= one.window <= chosen[-1]]
        vectors = [vector for window in chosen for vector in truths.vectors[window].values()]
        return query, answer(query, who, known, CHARTER), Exact(federation.layout(truths, chosen[0]), vectors)

    for window in windows:
        _, told, exact = asked([window])
        yield from _cells(told.data, exact, truths, level)
        yield from _figures(told.data, exact, truths, level)
    _, told, exact = asked(windows, by="total")
    if len(windows) > 1:
        yield from _series(told.data, truths, federation, level)
    yield _of_number("total", told.data["total"], *_total(exact, truths), level)
    _, told, exact = asked(windows, raw="0")
    yield from _screen(told.data, exact, truths, level)
    half = len(windows) // 2
    if half:
        query, told, exact = asked(windows[half : 2 * half])
        earlier = previous_query(query, [row])
        before = [one for one in inputs if one.window in windows[:half]]
        rows = compared(query, earlier, who, told.combined, before, CHARTER)
        old = Exact(exact.layout, [vector for window in windows[:half] for vector in truths.vectors[window].values()])
        yield from _differences(rows, exact, old, truths, level)


# -- numbers


def _of_number(kind: str, told: Mapping[str, Any], true: Fraction, variance: Fraction, unit: Fraction, law: str,
               level: str, estimate: str = "estimate") -> Trial:  # fmt: skip
    """A number written to one unit: its interval is whole units wide."""
    held = Fraction(told["lower"]) <= true <= Fraction(told["upper"])
    least, most = _level(variance / unit**2, law, level)
    return Trial(kind, held, least, most)


def _level(variance: Fraction, law: str, level: str) -> tuple[float, float]:
    """P(|noise| <= the width that z gives it, in whole units), of discrete Gaussian noise exactly."""
    if law == "laplace":
        return float(level), float(level) + LAPLACE_STEP
    reach = floor(Z[level] * sqrt(variance) + 0.5)
    chance = _inside(float(variance), reach)
    return chance, chance


@lru_cache(maxsize=4096)
def _inside(variance: float, reach: int) -> float:
    if variance > 10_000:
        return erf((reach + 0.5) / sqrt(2 * variance))
    weights = [exp(-x * x / (2 * variance)) for x in range(12 * (isqrt(int(variance)) + 1))]
    return (2 * sum(weights[: reach + 1]) - 1) / (2 * sum(weights) - 1)


def _law(exact: Exact, name: str) -> str:
    return "laplace" if exact.laplace[name] else "gaussian"


def _headline(exact: Exact, truths: Truths) -> tuple[str, Fraction]:
    name = truths.definition.measure.headline
    return name, next(block.quantum for block in exact.layout.blocks if block.name == name)


def _total(exact: Exact, truths: Truths) -> tuple[Fraction, Fraction, Fraction, str]:
    name, unit = _headline(exact, truths)
    cells = exact.cells(name, 1).reshape(-1)
    measure = truths.definition.measure
    if isinstance(measure, Retention):
        cells = cells[:: measure.ages]
    return int(cells.sum()) * unit, exact.variance[name] * len(cells) * unit**2, unit, _law(exact, name)


def _cells(data: Mapping[str, Any], exact: Exact, truths: Truths, level: str) -> Iterator[Trial]:
    name, unit = _headline(exact, truths)
    word = truths.definition.measure.word
    law = _law(exact, name)
    variance = exact.variance[name] * unit**2
    for told, true in zip(data["cells"], exact.cells(name, 1).reshape(-1).tolist(), strict=True):
        yield _of_number(f"{word} cell, {law}", told, true * unit, variance, unit, law, level)
    for more, field in ((WHOLE, "whole"), (CLIPPED, "clipped")):
        if more in exact.variance:
            true = int(exact.cells(more, 1).sum())
            yield _of_number(field, data[field], Fraction(true), exact.variance[more], Fraction(1), "gaussian", level)


def _series(data: Mapping[str, Any], truths: Truths, federation: Federation, level: str) -> Iterator[Trial]:
    for told in data["series"]:
        window = Window.parse(told["window"])
        exact = Exact(federation.layout(truths, window), list(truths.vectors[window].values()))
        yield _of_number("window of a series", told, *_total(exact, truths), level)


def _screen(data: Mapping[str, Any], exact: Exact, truths: Truths, level: str) -> Iterator[Trial]:
    """Numbers as a page shows them, rounded to half a sigma or less."""
    name, unit = _headline(exact, truths)
    told = {tuple(cell["key"].values()): cell for cell in data["cells"]}
    keys = [tuple(label.values()) for label in _keys(data)]
    sigma = sqrt(exact.variance[name])
    for key, true in zip(keys, exact.cells(name, 1).reshape(-1).tolist(), strict=True):
        if true > SURE * sigma + 10 or isinstance(truths.definition.measure, Sum):
            cell = told[key]
            held = Fraction(cell["lower"]) <= true * unit <= Fraction(cell["upper"])
            yield Trial("cell on a screen", held, float(level) - SHORT, min(1.0, float(level) + WIDE))


def _keys(data: Mapping[str, Any]) -> list[dict[str, str]]:
    keys: list[dict[str, str]] = [{}]
    for axis in data["dimensions"]:
        keys = [{**key, axis["name"]: label} for key in keys for label in axis["labels"]]
    return keys


def _differences(data: Mapping[str, Any], now: Exact, old: Exact, truths: Truths, level: str) -> Iterator[Trial]:
    name, unit = _headline(now, truths)
    law = _law(now, name)
    variance = (now.variance[name] + old.variance[name]) * unit**2
    pairs = zip(now.cells(name, 1).reshape(-1).tolist(), old.cells(name, 1).reshape(-1).tolist(), strict=True)
    for told, (after, before) in zip(data["cells"], pairs, strict=True):
        held = Fraction(told["lower"]) <= (after - before) * unit <= Fraction(told["upper"])
        yield Trial(f"difference of two spans, {law}", held, *_level(variance / unit**2, law, level))
        if after == before and law == "gaussian":
            reach = floor(Z[level] * sqrt(variance) / unit)
            chance = _inside(float(variance / unit**2), reach)
            yield Trial("verdict on equal numbers", told["verdict"] == "could_be_noise", chance, chance)


# -- figures


def _figures(data: Mapping[str, Any], exact: Exact, truths: Truths, level: str) -> Iterator[Trial]:
    """Means, rates, quantiles and counts of each group that is surely shown."""
    told = {(tuple(row["key"].values()), row["name"]): row for row in data["figures"]}
    measure = truths.definition.measure
    name, _ = _headline(exact, truths)
    by = len(exact.layout.by)
    groups = [tuple(key.values()) for key in _keys({"dimensions": data["dimensions"][:by]})]
    for number, group in enumerate(groups):
        cells = {
            block: exact.cells(block, 1)[number].tolist() for block in exact.variance if block not in (WHOLE, CLIPPED)
        }
        seen = cells[name][:: measure.ages] if isinstance(measure, Retention) else cells[name]
        if not _is_sure(sum(seen), exact.variance[name] * len(seen)):
            continue
        for kind, figure, true in _true_figures(measure, cells, exact):
            found = told[group, figure]
            trial = _of_figure(kind, found, true, level, exact.laplace[name])
            if isinstance(measure, Funnel) and found["kind"] == "count":  # whole, like its cells
                trial = Trial(
                    kind, trial.held, *_level(exact.variance[name] * len(cells[name]), _law(exact, name), level)
                )
            yield trial


def _is_sure(true: int, variance: Fraction) -> bool:
    return true > SURE * sqrt(variance) and true > 10 + 6 * sqrt(variance)


def _of_figure(
    kind: str, found: Mapping[str, Any], true: tuple[Fraction | None, Fraction | None], level: str, is_laplace: bool
) -> Trial:
    """`true` is a span: of a number both ends, of a quantile its bin."""
    lower, upper = (None if found[end] is None else Fraction(found[end]) for end in ("lower", "upper"))
    held = found["status"] not in ("empty", "too_noisy") and (
        (lower is None or (true[0] is not None and lower <= true[0]))
        and (upper is None or (true[1] is not None and true[1] <= upper))
    )
    if kind.startswith("quantile") or is_laplace:  # at least the level: bins are wide, and Laplace ratios careful
        return Trial(kind, held, float(level) - STEP, 1.0)
    return Trial(kind, held, float(level) - STEP, float(level) + STEP)


def _true_figures(
    measure: Any, cells: Mapping[str, list[int]], exact: Exact
) -> Iterator[tuple[str, str, tuple[Fraction | None, Fraction | None]]]:
    """(kind, name, true span): figures that share no noise have one kind."""

    def point(value: Fraction) -> tuple[Fraction, Fraction]:
        return value, value

    match measure:
        case Mean():
            low, high = (Fraction(bound) * measure.of.quantum for bound in (measure.of.low, measure.of.high))
            deviation = Fraction(cells["deviation"][0], cells["count"][0]) * measure.of.quantum / 2
            kind = "mean, laplace" if exact.laplace["count"] else "mean"
            yield kind, "mean", point((low + high) / 2 + deviation)
        case Funnel():
            reached = [sum(cells["funnel"][step:]) for step in range(len(cells["funnel"]))]
            last = len(reached) - 1
            yield "funnel, reached a step", f"reached {measure.labels[0]}", point(Fraction(reached[0]))
            yield "funnel, rate of a step", f"rate {measure.labels[last]}", point(Fraction(reached[last], reached[-2]))
        case Histogram():
            for name, share in (("p25", Fraction(1, 4)), ("p50", Fraction(1, 2)), ("p90", Fraction(9, 10))):
                yield f"quantile {name}", name, _true_bin(measure, cells["histogram"], share)
        case Retention():
            for cohort in range(measure.periods - 1):
                size, active = cells["retention"][cohort * measure.ages :][:2]
                if _is_sure(size, exact.variance["retention"]):
                    yield "retention, rate of a cohort", f"cohort {cohort + 1} age 1", point(Fraction(active, size))
        case Score():
            for at, component in enumerate(measure.components):
                true = Fraction(cells["score"][at], cells["people"][0])
                yield f"score, component {component.name}", component.name, point(true)
            yield "score", "score", point(Fraction(sum(cells["score"]), cells["people"][0]))
        case Journey():
            yield from _true_moves(measure, cells["journey"], exact)


def _true_bin(measure: Histogram, counts: list[int], share: Fraction) -> tuple[Fraction | None, Fraction | None]:
    """The bin in which the quantile lies; at an edge either bin is right, so the edge alone."""
    valued = counts[:-1]  # the last is `none`
    edges = [None, *measure.bins.edges, None]
    wanted, below = share * sum(valued), 0
    for count, (low, high) in zip(valued, pairwise(edges), strict=True):
        below += count
        if below > wanted:
            return low, high
        if below == wanted:
            return high, high
    raise AssertionError("a share below 1")


def _true_moves(
    measure: Journey, counts: list[int], exact: Exact
) -> Iterator[tuple[str, str, tuple[Fraction, Fraction]]]:
    """Of each origin its greatest move."""
    size = measure.of.size
    sigma = sqrt(exact.variance["journey"])
    for origin, label in enumerate(measure.of.labels):
        row = {to: counts[origin * size + to] for to in range(size) if to != origin}
        to = max(row, key=lambda place: row[place])
        if row[to] > ceil(SURE * sigma + 10):
            true = Fraction(row[to], sum(row.values()))
            yield "journey, share of moves", f"{label} > {measure.of.labels[to]}", (true, true)


def _instant(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%dT%H}"
