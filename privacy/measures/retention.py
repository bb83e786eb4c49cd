"""retention: of those first active in a period, how many are active again after 0, 1, 2 … periods.

A person belongs, in each kept group, to one cohort: the period of the first activity there in this epoch; and adds 1 to
each age 0 … A − 1 (periods since) at which there was activity. L0 = CA, Linf = 1, Δ₁ = CA, Δ₂² = CA.

So the window is the whole epoch: a week (periods of a day) or a month (of a day, or of seven days from the first).
Whole periods that every such window has: 7 days; 28 days; 4 weeks. Activity after them is not counted. Cells of an age
that a cohort cannot reach inside the window are zero before the noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

from privacy.dimensions import Dimension, fixed_axis
from privacy.exact import parse_whole
from privacy.measures.base import (
    ROWS,
    Add,
    Bounds,
    Event,
    Frame,
    Numbers,
    Piece,
    Plain,
    Sensitivity,
    check_keys,
    refused,
    share,
)
from privacy.sources import Source
from privacy.units import HOURS_PER_DAY

WORD = "retention"
_HOURS: Final = {"day": HOURS_PER_DAY, "week": 7 * HOURS_PER_DAY}
_PERIODS: Final = {("week", "day"): 7, ("month", "day"): 28, ("month", "week"): 4}  # whole ones in every window


@dataclass(frozen=True, slots=True)
class Retention(Plain):
    """Activity by cohort and age, in whole periods from the start of the window.

    Args:
        period: "day" or "week".
        ages: A, ages counted.
        periods: Whole periods in the window; 0 until `check` has seen the window.
    """

    period: str
    ages: int
    periods: int = 0
    word: str = WORD
    headline: str = "retention"

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return (
            fixed_axis("cohort", tuple(str(number) for number in range(1, self.periods + 1))),
            fixed_axis("age", tuple(str(number) for number in range(self.ages))),
        )

    @property
    def amounts(self) -> tuple[str, ...]:
        return ("cohort", "active")  # active: bit a is set where there was activity at age a

    @property
    def uses_max_per_cell(self) -> bool:
        return False

    def check(self, source: Source, window: str) -> Self:
        periods = _PERIODS.get((window, self.period), 0)
        if not periods:
            raise refused(
                f"an epoch of one {window} is too short for retention by {self.period}",
                "Use window: month, or window: week with periods of a day, at nodes whose epoch is as long",
            )
        if self.ages > periods:
            raise refused(
                f"{self.ages} ages do not fit into the {periods} {self.period}s of a {window}",
                f"Ask for at most {periods}",
            )
        return type(self)(self.period, self.ages, periods)

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        return (Sensitivity(WORD, l0=bounds.max_cells * self.ages, linf=1, axes=self.axes),)

    def pieces_sql(self, frame: Frame) -> str:
        number = f"(at_hour - {frame.window.start_hour}) // {_HOURS[self.period]}"
        return f"""\
WITH active AS (
    SELECT DISTINCT person, grp, number FROM (SELECT person, grp, {number} AS number FROM {ROWS})
    WHERE number < {self.periods}
  ), firsts AS (SELECT person, grp, min(number) AS cohort FROM active GROUP BY person, grp)
  SELECT a.person, a.grp AS unit, f.cohort,
    sum(CASE WHEN a.number - f.cohort < {self.ages} THEN 1 << CAST(a.number - f.cohort AS INTEGER) ELSE 0 END) AS active
  FROM active a JOIN firsts f ON f.person = a.person AND f.grp = a.grp GROUP BY a.person, a.grp, f.cohort"""

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        cell = f"(unit * {self.periods} + cohort) * {self.ages}"
        return tuple(
            Add(WORD, f"{cell} + {age}", "1", f"(CAST(active AS BIGINT) >> {age}) & 1 = 1") for age in range(self.ages)
        )

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        active: dict[int, set[int]] = {}
        for event in events:
            number = (event.hour - frame.window.start_hour) // _HOURS[self.period]
            if number < self.periods:
                active.setdefault(event.group, set()).add(number)
        pieces = {}
        for group, numbers in active.items():
            cohort = min(numbers)
            pieces[group] = cohort, sum(1 << (at - cohort) for at in numbers if at - cohort < self.ages)
        return pieces

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        cohort, active = piece
        for age in range(self.ages):
            if active >> age & 1:
                yield WORD, (unit * self.periods + cohort) * self.ages + age, 1

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """For each cohort its size, and the share active at each age that it can reach."""
        cells = blocks[WORD]
        numbers: dict[str, Fraction | None] = {}
        for cohort in range(self.periods):
            row = cells[cohort * self.ages : (cohort + 1) * self.ages]
            numbers[f"cohort {cohort + 1}"] = row[0]
            for age in range(1, min(self.ages, self.periods - cohort)):
                numbers[f"cohort {cohort + 1} age {age}"] = share(row[age], row[0])
        return numbers


def parse(tree: Mapping[str, object]) -> Retention:
    """`measure: {retention: day | week, ages: "4"}`."""
    check_keys(tree, WORD, frozenset({"ages"}))
    period = tree[WORD]
    if period not in _HOURS:
        raise refused("the period of retention is neither day nor week", "Write retention: week")
    return Retention(str(period), parse_whole(tree["ages"], "ages"))
