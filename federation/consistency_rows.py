"""What the numbers of an answer have to agree with, and how they stand to it (DESIGN 7, specs/metrics.md 9.7).

Only truths inside one release count (or inside sums of releases of one layout):

| measure | rule | a cell's `consistent` |
|---|---|---|
| funnel | `falling`: nobody reaches a step without the one before, and no step is below 0 | from the cumulated steps |
| any with a block `whole` | `partition`: the cells add up to it | least squares: the gap is shared out by variance |
| sum over a range that goes below 0 | `free`: nothing is known of it | the estimate |
| all others | `non_negative`: a count is not below 0 | max(0, ·) |

Which blocks are a partition is the compiler's word (`Layout.partitions`). A total and a hidden row are plain sums of
cells and agree with them. `status` is `adjusted` where a cell was moved, `inconsistent` where a gap is more than noise
explains at 0.99 (then nothing is moved), else `as_released`. The raw numbers stay: sums are made from them, for
max(0, ·) is biased upward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, Literal

from federation.figure_rows import Json
from privacy.estimates import Estimate
from privacy.estimates.consistency import Status, falling, non_negative, partition
from privacy.measures.base import Measure
from privacy.measures.funnel import Funnel
from privacy.measures.sum import Sum

Rule = Literal["falling", "free", "non_negative", "partition"]
NOTHING: Final[Json] = {"rule": "free", "status": "as_released", "adjusted": 0}  # where nothing was released


@dataclass(frozen=True, slots=True)
class Agreed:
    """The cells of an answer as its rule allows them together.

    Args:
        rule: See the module.
        values: One a cell, in order, unrounded.
        adjusted: How many differ from what was released.
        status: See the module.
        whole: Of a partition: what the cells add up to.
    """

    rule: Rule
    values: tuple[Fraction, ...]
    adjusted: int
    status: Status
    whole: Fraction | None = None

    def row(self) -> Json:
        """What an answer says of it."""
        return {"rule": self.rule, "status": self.status, "adjusted": self.adjusted}


def agreed(measure: Measure, cells: Sequence[Estimate], whole: Estimate | None = None) -> Agreed:
    """The headline cells of an answer, in the measure's unit and row-major, made to agree; the whole is no sum."""
    raw = [cell.value for cell in cells]
    if whole is not None:
        found = partition(cells, whole)
        moved = sum(one != other for one, other in zip(raw, found.values, strict=False))
        return Agreed("partition", found.values[:-1], moved, found.status, found.values[-1])
    if isinstance(measure, Funnel):
        steps = len(measure.labels)
        made = [value for at in range(0, len(raw), steps) for value in _one_hot(raw[at : at + steps])]
        return _told("falling", raw, made)
    if isinstance(measure, Sum) and measure.of.low < 0:
        return _told("free", raw, raw)
    return _told("non_negative", raw, non_negative(raw).values)


def _one_hot(furthest: Sequence[Fraction]) -> list[Fraction]:
    """Furthest steps of one group whose cumulated counts fall; their differences are no step below 0."""
    reached = list(accumulate(reversed(furthest)))[::-1]
    return [one - other for one, other in pairwise((*falling(reached).values, Fraction(0)))]


def _told(rule: Rule, raw: Sequence[Fraction], made: Sequence[Fraction]) -> Agreed:
    adjusted = sum(one != other for one, other in zip(raw, made, strict=True))
    return Agreed(rule, tuple(made), adjusted, "adjusted" if adjusted else "as_released")
