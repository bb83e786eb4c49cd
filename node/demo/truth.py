"""The bounded truth of every released cell, counted from the sent events (PRIVACY 7).

What a release would say without noise: a person adds to at most C groups, at most K events to each. Which groups are
kept of a person who has more than C is decided by a secret of the node, so nobody outside can know: the cells such a
person touches have no truth here. What stays known of them, for `people` and wherever K = 1, is their sum: everybody
adds exactly min(groups, C) to it.

Independent of `privacy/`: the layout of cells, the bins and the bounds are written again, the slow and simple way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from typing import Any, Final

from node.demo.reading import PlanApp, Seen, number, word
from node.demo.truth_measures import Events, Kind, parse_kind

_SECONDS: Final = 3_600
_WORDS: Final = ("histogram", "top", "mean", "funnel", "journey", "retention", "score")
_ODD: Final = {"country": ("other", "none"), "app": ("other",), "action": ("other",), "hour": ()}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its name, its labels in order, and an event's place on it."""

    name: str
    labels: tuple[str, ...]
    place: Callable[[Seen], int | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as its YAML says."""

    name: str
    question: str
    measure: str  # people, count, top, histogram, or the word of `kind`
    app: str | None  # None for all apps
    action: str | None
    axes: tuple[Axis, ...]
    edges: tuple[str, ...]  # of a histogram, as written
    attributes: tuple[str, ...]
    window: str
    max_cells: int  # C, at most the number of cells
    max_per_cell: int  # K
    price: Fraction  # ρ, or the pure ε of discrete Laplace noise
    is_laplace: bool = False
    kind: Kind | None = None  # of a measure that looks at a person's events together

    @property
    def groups(self) -> int:
        return prod(len(axis.labels) for axis in self.axes)

    @property
    def cells(self) -> int:
        """Cells of the first block."""
        return self.kind.blocks[0].cells if self.kind else self.groups

    @property
    def headline(self) -> int:
        """The block whose cells an answer lists."""
        return self.kind.headline if self.kind else 0

    def sigma_squared_of(self, block: int) -> Fraction:
        """Stated variance of the noise on each cell of a block: blocks share the price equally."""
        if self.kind is None:
            return self.sigma_squared
        return self.kind.blocks[block].l2_squared * len(self.kind.blocks) / (2 * self.price)

    @property
    def rho(self) -> Fraction:
        """What a release costs: as written, or (Δ₂/b)²/2 of Laplace noise with b = Δ₁/ε = C·K/ε."""
        if not self.is_laplace:
            return self.price
        return self.max_cells * self.max_per_cell**2 * self.price**2 / (2 * (self.max_cells * self.max_per_cell) ** 2)

    @property
    def sigma_squared(self) -> Fraction:
        """Stated variance of the noise on each cell: Δ₂² / 2ρ, Δ₂² = C·K²; of Laplace noise 2b² − 1/6 + 1/(120b²)."""
        if self.kind is not None:
            return self.sigma_squared_of(0)
        if not self.is_laplace:
            return self.max_cells * self.max_per_cell**2 / (2 * self.price)
        b = self.max_cells * self.max_per_cell / self.price
        return 2 * b * b - Fraction(1, 6) + 1 / (120 * b * b)

    def keys(self) -> list[dict[str, str]]:
        """The key of every cell of the headline, in the order of the vector."""
        axes = [*((axis.name, axis.labels) for axis in self.axes), *(self.kind.own if self.kind else ())]
        names = [name for name, _ in axes]
        return [dict(zip(names, labels, strict=True)) for labels in product(*(labels for _, labels in axes))]

    def is_answered_by(self, apps: Mapping[str, PlanApp]) -> bool:
        """Whether a node with this plan has what the metric reads."""
        if self.kind is not None and not self._has_parts(apps, self.kind):
            return False
        if self.app is None:
            return True
        actions = apps[self.app].actions if self.app in apps else {}
        if self.action is None:
            return bool(actions)
        return self.action in actions and all(name in actions[self.action] for name in self.attributes)

    def _has_parts(self, apps: Mapping[str, PlanApp], kind: Kind) -> bool:
        """Whether the plan has every part of the measure; of a journey, one of its labels."""
        if self.measure == "journey":
            return any(app in dict(kind.own)["from"] for app in apps)
        for (app, action), attribute in (*((part, None) for part in kind.parts), *kind.values):
            found = apps[app].actions if app is not None and app in apps else {}
            chosen = [found[name] for name in found if action in (None, name)]
            if not any(attribute is None or attribute in attributes for attributes in chosen):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Counted:
    """The truth of one release.

    Attributes:
        bounded: Each cell's truth, None where a node's secret decides.
        unbounded: Each cell without any bound: people, or events.
        lost_total: Sum of the cells without a truth, where it is known; None where it is not, or there are none.
        is_count: Whether the cells count people or events.
        more: The blocks after the first.
    """

    bounded: tuple[int | None, ...]
    unbounded: tuple[int, ...]
    lost_total: int | None
    is_count: bool = True
    more: tuple[Counted, ...] = ()

    def block(self, number: int) -> Counted:
        """The truth of one block."""
        return self.more[number - 1] if number else self


Truth = dict[tuple[str, str], Counted]  # by (metric, window)
_People = dict[str, dict[int, int]]  # by person: how often each cell is touched
_Deeds = dict[str, list[tuple[int, Seen]]]  # by person: (group, event)
_Place = Callable[[Seen], int | None]  # the cell of an event


def parse_metric(tree: Mapping[str, Any]) -> Metric:
    """A metric from its strings-only YAML."""
    source, measure, privacy = tree["from"], tree["measure"], tree["privacy"]
    histogram = measure.get("histogram") if isinstance(measure, dict) else None
    edges = tuple(measure["edges"]) if histogram else ()
    by: dict[str, list[str]] = tree.get("by", {})
    axes = [_axis(name, by[name]) for name in sorted(by)]
    if histogram:
        axes.append(_bins(histogram, edges))
    cells = prod(len(axis.labels) for axis in axes)
    word_ = measure if isinstance(measure, str) else next(w for w in _WORDS if w in measure)
    max_cells, max_per_cell = int(privacy.get("max_cells", "1")), int(privacy.get("max_per_cell", "1"))
    fixed = (None, None) if source == "any" else (source["app"], source.get("action"))
    kind = None
    if isinstance(measure, dict):
        most = max_cells if word_ == "journey" else min(max_cells, cells)
        kind = parse_kind(measure, fixed, cells, most, max_per_cell, lambda hour: _start_of(tree["window"], hour))
    return Metric(
        name=tree["metric"],
        question=tree["question"],
        measure=word_,
        app=fixed[0],
        action=fixed[1],
        axes=tuple(axes),
        edges=edges,
        attributes=tuple(name for name in (*by, histogram) if name and name not in _ODD),
        window=tree["window"],
        max_cells=max_cells if word_ == "journey" else min(max_cells, cells),
        max_per_cell=max_per_cell,
        price=Fraction(privacy["epsilon" if "epsilon" in privacy else "rho"]),
        is_laplace="epsilon" in privacy,
        kind=kind,
    )


def _start_of(kind: str, hour: int) -> int:
    """First hour of the month, or day, that the hour lies in."""
    start = datetime.fromisoformat(window_of(kind, hour).partition("/")[0]).replace(tzinfo=UTC)
    return int(start.timestamp()) // _SECONDS


def window_of(kind: str, hour: int) -> str:
    """Name of the day or month that the hour lies in."""
    day = (datetime.fromtimestamp(0, UTC) + timedelta(hours=hour)).date()
    return f"{day:%Y-%m}-01/P1M" if kind == "month" else f"{day}/P1D"


def count_truth(
    events: Iterable[Seen], metrics: Iterable[Metric], apps: Mapping[str, PlanApp], windows: Iterable[str]
) -> Truth:
    """The truth of every release that one node owes: each metric its plan can answer, in each window.

    Args:
        events: What counts, each once.
        metrics: The federation's.
        apps: The node's plan; the node answers what `Metric.is_answered_by` it.
        windows: Names of the released windows; events of others do not count.
    """
    answered = [metric for metric in metrics if metric.is_answered_by(apps)]
    released = frozenset(windows)
    # By metric and window: how often each person touches each cell.
    touched: dict[tuple[str, str], _People] = {(metric.name, window): {} for metric in answered for window in released}
    rules = {
        (app, action): [
            (metric, _place_of(metric))
            for metric in answered
            if metric.app in (None, app) and metric.action in (None, action)
        ]
        for app, found in apps.items()
        for action in found.actions
    }
    # By metric and window: everything each person did, for the measures that look at it together.
    done: dict[tuple[str, str], _Deeds] = {
        (metric.name, window): {} for metric in answered if metric.kind for window in released
    }
    # What an event of an (app, action, hour) adds to: looked up once for all events of that hour.
    targets: dict[tuple[str, str, int], tuple[list[tuple[_People, _Place]], list[tuple[_Deeds, _Place]]]] = {}
    for event in events:
        hour, person, app, action = event[:4]
        target = targets.get((app, action, hour))
        if target is None:
            owed = [
                (metric, window, place)
                for metric, place in rules[app, action]
                if (window := window_of(metric.window, hour)) in released
            ]
            target = targets[app, action, hour] = (
                [(touched[metric.name, window], place) for metric, window, place in owed if metric.kind is None],
                [(done[metric.name, window], place) for metric, window, place in owed if metric.kind],
            )
        for deeds, place in target[1]:
            group = place(event)
            if group is not None:
                deeds.setdefault(person, []).append((group, event))
        for people, place in target[0]:
            cell = place(event)
            if cell is None:
                continue
            mine = people.get(person)
            if mine is None:
                people[person] = {cell: 1}
            else:
                mine[cell] = mine.get(cell, 0) + 1
    return {
        (metric.name, window): (
            _count_together(metric.kind, metric.max_cells, done[metric.name, window].values())
            if metric.kind
            else _count(metric, touched[metric.name, window].values())
        )
        for metric in answered
        for window in released
    }


def _count(metric: Metric, people: Iterable[Mapping[int, int]]) -> Counted:
    bounded = [0] * metric.cells
    unbounded = [0] * metric.cells
    lost: set[int] = set()
    total = 0  # of everything counted, however it falls; known only where K = 1
    cap = metric.max_per_cell
    for mine in people:
        is_cut = len(mine) > metric.max_cells
        total += min(len(mine), metric.max_cells)
        for cell, events in mine.items():
            unbounded[cell] += 1 if metric.measure == "people" else events
            if is_cut:
                lost.add(cell)
            else:
                bounded[cell] += min(events, cap)
    known = sum(value for cell, value in enumerate(bounded) if cell not in lost)
    return Counted(
        tuple(None if cell in lost else value for cell, value in enumerate(bounded)),
        tuple(unbounded),
        total - known if lost and cap == 1 else None,
    )


def _count_together(kind: Kind, max_cells: int, people: Iterable[Events]) -> Counted:
    """The truth of a measure that looks at each person's events together."""
    bounded = [[0] * block.cells for block in kind.blocks]
    unbounded = [0] * kind.blocks[kind.headline].cells
    lost: list[set[int]] = [set() for _ in kind.blocks]
    for events in people:
        outcomes = kind.outcomes(events)
        for cell, value in outcomes[0].raw.items():
            unbounded[cell] += value
        is_cut = any(outcome.units > max_cells for outcome in outcomes)
        if len(outcomes) == 1 and not is_cut:  # nearly everybody
            for cells, added in zip(bounded, outcomes[0].blocks, strict=True):
                for cell, value in added.items():
                    cells[cell] += value
            continue
        for at, cells in enumerate(bounded):
            for cell in {cell for outcome in outcomes for cell in outcome.blocks[at]}:
                values = {outcome.blocks[at].get(cell, 0) for outcome in outcomes}
                if is_cut or len(values) > 1:
                    lost[at].add(cell)
                else:
                    cells[cell] += values.pop()
    first, *more = (
        Counted(
            tuple(None if cell in lost[at] else value for cell, value in enumerate(cells)),
            tuple(unbounded) if at == kind.headline else (0,) * block.cells,
            None,
            block.is_count and at == kind.headline,
        )
        for at, (block, cells) in enumerate(zip(kind.blocks, bounded, strict=True))
    )
    return replace(first, more=tuple(more))


def _place_of(metric: Metric) -> _Place:
    """The cell of an event: row-major over the axes."""
    if not metric.axes:
        return lambda event: 0
    if len(metric.axes) == 1:
        return metric.axes[0].place
    axes = [(axis.place, len(axis.labels)) for axis in metric.axes]

    def place(event: Seen) -> int | None:
        cell = 0
        for at, size in axes:
            here = at(event)
            if here is None:
                return None
            cell = cell * size + here
        return cell

    return place


def _axis(name: str, values: list[str]) -> Axis:
    labels = (*values, *_ODD.get(name, ("other", "none")))
    places = {label: index for index, label in enumerate(labels)}
    if name == "country":
        places["ZZ"] = places["none"]
        return Axis(name, labels, lambda event: places.get(event.country, places["other"]))
    if name in ("app", "action"):
        return Axis(
            name, labels, lambda event: places.get(event.app if name == "app" else event.action, places["other"])
        )
    if name == "hour":
        return Axis(name, labels, lambda event: places.get(str(event.hour % 24)))
    listed = frozenset(values)
    return Axis(name, labels, lambda event: places[word(event.attributes.get(name), listed)])


def _bins(attribute: str, edges: tuple[str, ...]) -> Axis:
    inner = tuple(f"[{low}, {high})" for low, high in pairwise(edges))
    labels = (f"< {edges[0]}", *inner, f">= {edges[-1]}", "none")
    bounds = [float(edge) for edge in edges]

    def place(event: Seen) -> int:
        value = number(event.attributes.get(attribute))
        return len(labels) - 1 if value is None else bisect_right(bounds, value)

    return Axis("bin", labels, place)
