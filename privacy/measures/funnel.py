"""funnel: how far people come along a list of steps; each is counted once, at the furthest step reached.

Steps are actions. Step 1 is reached by its action; step k by its action at a later (hour, sequence) than that at which
step k − 1 was first reached. Cells are one-hot; cumulating them after the noise ("reached step k") is post-processing.

- **by epoch** (a person's whole window): in each of at most C groups, from that group's rows alone. L0 = C, Linf = 1,
  Δ₁ = C, Δ₂² = C.
- **by session**: each session on its own, over all its groups, in the group of the event at which its furthest step
  was first reached (of several at that time, the first group). At most K sessions of a person count; C is not used.
  All K may fall into one cell: L0 = min(K, cells), Linf = K, Δ₁ = K, Δ₂² = K². Rows without a session are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from privacy.dimensions import Dimension, fixed_axis
from privacy.fields import Field, Step
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
from privacy.sources import Source, parse_part, within

WORD = "funnel"
STEP = "step"
_MAX_STEPS = 16


@dataclass(frozen=True, slots=True)
class Funnel(Plain):
    """Furthest step reached, per person and group or per session."""

    steps: tuple[Source, ...]
    labels: tuple[str, ...]
    per: str  # "epoch" or "session"
    word: str = WORD
    headline: str = "funnel"

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return (fixed_axis(STEP, self.labels),)

    @property
    def amounts(self) -> tuple[str, ...]:
        return ("step",) if self.per == "epoch" else ("step", "grp")

    @property
    def uses_max_cells(self) -> bool:
        return self.per == "epoch"

    @property
    def uses_max_per_cell(self) -> bool:
        return self.per == "session"

    @property
    def fields(self) -> Mapping[str, Field]:
        return {"step": Step(self.steps)}

    def kept(self, bounds: Bounds) -> int:
        return bounds.max_cells if self.per == "epoch" else bounds.max_per_cell

    def check(self, source: Source, window: str) -> Self:
        steps = tuple(within(step, source) for step in self.steps)
        for number, one in enumerate(steps):
            if any(one.has(other.app or "", other.action or "") or one == other for other in steps[:number]):
                raise refused(f"two steps of the funnel have {one.text}", "A row must be one step: name other actions")
            if one.action is None:
                raise refused(f"step {number + 1} is {one.text}, no action", "Write APP/ACTION, or fix the app in from")
        return replace(self, steps=steps)

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        if self.per == "epoch":
            return (Sensitivity(WORD, l0=bounds.max_cells, linf=1, axes=self.axes),)
        k = bounds.max_per_cell
        return (Sensitivity(WORD, min(k, groups * len(self.steps)), k, l1=k, l2_squared=k**2, axes=self.axes),)

    def pieces_sql(self, frame: Frame) -> str:
        """A chain of CTEs: r1, r2, … hold when each step was first reached."""
        owner = "grp" if self.per == "epoch" else "session"
        at = "at_hour * 4294967296 + sequence"  # hour and sequence are u32: one BIGINT orders by both
        chain = [
            f"r0 AS (SELECT person, {owner} AS owner, grp, step, {at} AS moment FROM {ROWS}"
            f" WHERE step IS NOT NULL AND {owner} IS NOT NULL)",
            "r1 AS (SELECT person, owner, min(moment) AS moment FROM r0 WHERE step = 1 GROUP BY person, owner)",
        ]
        for number in range(2, len(self.steps) + 1):
            chain.append(
                f"r{number} AS (SELECT r0.person, r0.owner, min(r0.moment) AS moment FROM r0 JOIN r{number - 1} r"
                f" ON r.person = r0.person AND r.owner = r0.owner WHERE r0.step = {number} AND r0.moment > r.moment"
                " GROUP BY r0.person, r0.owner)"
            )
        reached = "\n    UNION ALL ".join(
            f"SELECT person, owner, {number} AS step, moment FROM r{number}" for number in range(1, len(self.steps) + 1)
        )
        furthest = f"far AS (SELECT person, owner, max(step) AS step, max(moment) AS moment FROM ({reached})"
        chain.append(f"{furthest} GROUP BY person, owner)")
        body = "SELECT person, owner AS unit, step FROM far"
        if self.per == "session":
            body = (
                "SELECT far.person, far.owner AS unit, far.step, min(r0.grp) AS grp FROM far JOIN r0 ON"
                " r0.person = far.person AND r0.owner = far.owner AND r0.step = far.step AND r0.moment = far.moment"
                " GROUP BY far.person, far.owner, far.step"
            )
        return "WITH " + ",\n  ".join(chain) + f"\n  {body}"

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        group = "unit" if self.per == "epoch" else "grp"
        return (Add(WORD, f"{group} * {len(self.steps)} + step - 1", "1"),)

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        mine: dict[int, list[Event]] = {}
        for event in events:
            owner = event.group if self.per == "epoch" else event.session
            if owner is not None:
                mine.setdefault(owner, []).append(event)
        pieces: dict[int, Piece] = {}
        for owner, found in mine.items():
            step, at = self._furthest(found)
            if step:
                group = min(event.group for event in found if event.fields["step"] == step and event.at == at)
                pieces[owner] = (step,) if self.per == "epoch" else (step, group)
        return pieces

    def _furthest(self, events: Sequence[Event]) -> tuple[int, tuple[int, int]]:
        """The furthest step reached, 0 for none, and when it was first reached."""
        reached, when = 0, (-1, -1)
        while True:
            later = [event.at for event in events if event.fields["step"] == reached + 1 and event.at > when]
            if not later:
                return reached, when
            reached, when = reached + 1, min(later)

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        step, group = (piece[0], unit) if self.per == "epoch" else piece
        yield WORD, group * len(self.steps) + step - 1, 1

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """How many reached each step, and of those who reached the step before, which share."""
        cells = blocks[WORD]
        reached = [sum(cells[number:], Fraction(0)) for number in range(len(cells))]
        numbers: dict[str, Fraction | None] = {
            f"reached {label}": count for label, count in zip(self.labels, reached, strict=True)
        }
        for number in range(1, len(reached)):
            numbers[f"rate {self.labels[number]}"] = share(reached[number], reached[number - 1])
        return numbers


def parse(tree: Mapping[str, object]) -> Funnel:
    """`measure: {funnel: [STEP, ...], per: epoch | session}`."""
    check_keys(tree, WORD, frozenset({"per"}))
    steps = tree[WORD]
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not 2 <= len(steps) <= _MAX_STEPS:
        raise refused(f"the funnel is no list of 2 to {_MAX_STEPS} steps", "Write funnel: [visit, order, pay]")
    per = tree["per"]
    if per not in ("epoch", "session"):
        raise refused("the funnel's `per` is neither epoch nor session", "Write per: epoch, or per: session")
    labels = tuple(str(step) for step in steps)
    return Funnel(tuple(parse_part(step, "a step") for step in steps), labels, str(per))
