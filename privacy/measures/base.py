"""What a measure is: the extra axes it reads, the bounds of one person's vector, and one person's value in
a cell.

A measure counts *kept units*. One person's rows are sorted into units (for `count` and `people` the group;
for `histogram` group and bin), at most C units are kept, and each adds a value to its cell that depends on
how many of that person's rows lie in it. So everything a measure adds to a vector is a function of one
person's own rows.

A measure is one file: its bounds, its SQL and its reference stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from privacy.dimensions import Dimension
from privacy.errors import BoundMissing, InvalidDefinition
from privacy.exact import shown


@dataclass(frozen=True, slots=True)
class Bounds:
    """Contribution bounds of one person.

    Args:
        max_cells: C >= 1, units kept per person; here already min(stated, number of units).
        max_per_cell: K >= 1, events kept per unit; 1 where the measure does not use it.
    """

    max_cells: int
    max_per_cell: int


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How far one person moves one block: cells touched, change per cell, and the two sums (PRIVACY 2)."""

    block: str
    l0: int
    linf: int

    @property
    def l1(self) -> int:
        """Δ₁ = L0 · Linf."""
        return self.l0 * self.linf

    @property
    def l2_squared(self) -> int:
        """Δ₂² = L0 · Linf²."""
        return self.l0 * self.linf**2


class Measure(Protocol):
    """One way to count. Implementations are frozen values; equal definitions hold equal measures."""

    @property
    def word(self) -> str:
        """Its word in a definition: "count"."""
        ...

    @property
    def axes(self) -> tuple[Dimension, ...]:
        """Axes that the measure adds, innermost, after those of `by`."""
        ...

    @property
    def uses_max_per_cell(self) -> bool:
        """Whether a definition must state max_per_cell."""
        ...

    def sensitivities(self, bounds: Bounds) -> tuple[Sensitivity, ...]:
        """One row per block, in block order."""
        ...

    def value_sql(self, bounds: Bounds) -> str:
        """SQL of one person's value in one kept unit, an integer, from `events`, that person's rows there."""
        ...

    def value(self, events: int, bounds: Bounds) -> int:
        """The same in Python: what `events` >= 1 rows of one person add to one kept unit."""
        ...


def check_keys(tree: Mapping[str, object], word: str, needed: frozenset[str]) -> None:
    """Refuse a measure's mapping that has other keys than its word and these.

    Raises:
        InvalidDefinition: an unknown key. BoundMissing: a missing one.
    """
    for key in sorted(needed - tree.keys()):
        raise BoundMissing(
            what="Metric refused",
            why=f"the measure {word} states no {key}",
            fix=f"Add {key}; nothing is taken from data",
        )
    for key in sorted(map(str, tree.keys() - needed - {word})):
        raise InvalidDefinition(
            what="Metric refused",
            why=f"the measure {word} has an unknown key {shown(key)}",
            fix=f"Use only: {', '.join(sorted({word, *needed}))}",
        )
