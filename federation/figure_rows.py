"""Rows of an answer beside its cells: figures of each group, a ranking, changes from window to window.

- Figures (`privacy.estimates.figures`) are made from unrounded sums of released cells and rounded once: rates to 0.001,
  means to the power of ten that is at most a twentieth of their interval, counts and quantiles like the cells and
  medians; with raw, rates and means to 0.000001. A group too small to be shown has none.
- With axes kept, a last set of figures with the empty key is of all groups together.
- Ranks are decided by noised numbers. `ahead` says whether a rank's lead over the next one is real.
- A change stands only between windows that the same members are in: else it would tell who was missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from federation.combine import BlockSum, Combined
from privacy.dimensions import NONE, OTHER, Dimension
from privacy.estimates import Estimate, is_shown, total
from privacy.estimates.differences import difference
from privacy.estimates.figures import Figure, counted, figures
from privacy.measures.base import Measure
from privacy.measures.top import Top
from privacy.quantiles import decimal_text, round_half_even

Json = str | int | bool | None | list["Json"] | dict[str, "Json"]

RATE_QUANTUM: Final = Fraction(1, 1000)
RAW_QUANTUM: Final = Fraction(1, 10**6)
_DIGITS: Final = 6


def figure_rows(
    combined: Combined,
    measure: Measure,
    by: int,
    level: str,
    raw: bool,
    count_quantum: Fraction,
    edge_quantum: Fraction,
) -> list[Json]:
    """The figures of each group that is shown, then of all together.

    Args:
        combined: Not empty.
        measure: What was counted.
        by: How many of the headline block's axes are those of `by`; they come first.
        level: Of the intervals.
        raw: Whether rates and means keep six digits.
        count_quantum, edge_quantum: What counts and quantiles are rounded to.
    """
    quanta = {"count": count_quantum, "quantile": edge_quantum}
    rows: list[Json] = []
    for key, cells in _groups(combined, measure, by):
        count = counted(measure, cells)
        if count is not None and not is_shown(count):
            continue
        for figure in figures(measure, cells, level):
            quantum = quanta.get(figure.kind) or (RAW_QUANTUM if raw else _quantum(figure))
            rows.append({"key": key, **_row(figure, quantum)})
    return rows


def ranking_rows(measure: Measure, block: BlockSum, level: str) -> list[tuple[int, bool | None]]:
    """(cell, whether its lead over the next rank is real) of the largest listed cells that are shown, largest first.

    Empty unless the measure is `top`; the last rank is compared with the first cell left out, if there is one.
    """
    if not isinstance(measure, Top):
        return []
    is_named = any(axis.is_discovered for axis in block.axes)  # a key may be called `other`
    listed = [
        place
        for place, labels in enumerate(_labels(block.axes))
        if (is_named or not {OTHER, NONE} & set(labels)) and is_shown(block.cells[place])
    ]
    values = [cell.value for cell in block.cells]
    ordered = sorted(listed, key=lambda place: (-values[place], place))
    rows: list[tuple[int, bool | None]] = []
    for rank, place in enumerate(measure.ranked(values, listed)):
        after = ordered[rank + 1] if rank + 1 < len(ordered) else None
        ahead = None
        if after is not None:
            ahead = difference(block.cells[place], block.cells[after], level).verdict == "real"
        rows.append((place, ahead))
    return rows


def changes(combined: Combined, block: int, level: str) -> list[str | None]:
    """For each window, whether its total differs from that of the window before: "real", "could_be_noise" or None.

    None for the first window, beside a window without releases, where the members included are not the same, and where
    keys are discovered: which keys are named changes, too.
    """
    included = [
        {member.node for member, places in combined.places if (place := places[at]) and place.standing == "included"}
        for at in range(len(combined.windows))
    ]
    found: list[str | None] = [None] * len(combined.windows)
    for at in range(1, len(combined.windows)):
        if combined.is_discovering:
            continue
        before, now = combined.totals[at - 1], combined.totals[at]
        if before and now and included[at - 1] == included[at]:
            found[at] = difference(now[block], before[block], level).verdict
    return found


def _groups(
    combined: Combined, measure: Measure, by: int
) -> Iterator[tuple[dict[str, Json], Mapping[str, Sequence[Estimate]]]]:
    headline = next(block for block in combined.blocks if block.name == measure.headline)
    axes = headline.axes[:by]
    keys: list[dict[str, Json]] = [
        dict(zip((axis.name for axis in axes), labels, strict=True)) for labels in _labels(axes)
    ]
    worth = {
        block.name: [cell.times(block.quantum) for cell in block.cells]
        for block in combined.blocks
        if block.axes[:by] == axes
    }
    for number, key in enumerate(keys):
        yield key, {name: _part(cells, number, len(keys)) for name, cells in worth.items()}
    if len(keys) > 1:
        yield (
            {},
            {
                name: [total(cells[at :: len(cells) // len(keys)]) for at in range(len(cells) // len(keys))]
                for name, cells in worth.items()
            },
        )


def _part(cells: Sequence[Estimate], number: int, groups: int) -> Sequence[Estimate]:
    size = len(cells) // groups
    return cells[number * size : (number + 1) * size]


def _labels(axes: Sequence[Dimension]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for axis in axes:
        found = [(*labels, label) for labels in found for label in axis.labels]
    return found


def _quantum(figure: Figure) -> Fraction:
    """Of a rate 0.001; of a mean the power of ten that is at most a twentieth of its interval, at least 0.000001."""
    if figure.kind == "rate" or figure.lower is None or figure.upper is None:
        return RATE_QUANTUM
    least = (figure.upper - figure.lower) / 20
    power = RAW_QUANTUM
    while power * 10 <= least:
        power *= 10
    return power


def _row(figure: Figure, quantum: Fraction) -> dict[str, Json]:
    digits = 0
    while (quantum * 10**digits).denominator != 1 and digits < _DIGITS:
        digits += 1

    def text(value: Fraction | None) -> str | None:
        return None if value is None else decimal_text(round_half_even(value, quantum), digits)

    return {
        "name": figure.name,
        "kind": figure.kind,
        "estimate": text(figure.value),
        "lower": text(figure.lower),
        "upper": text(figure.upper),
        "status": figure.status,
        "consistent": text(figure.consistent),
    }
