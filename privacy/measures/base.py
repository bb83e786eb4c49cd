"""What a measure is: its blocks with their bounds, and how one person's rows become numbers in cells.

    rows ─► pieces ─► at most C of them kept ─► cells
    group,   one a kept unit,   by a keyed       of one or
    fields   whole numbers      hash             several blocks

One person's rows are sorted into *kept units* (for `count` the group; for `histogram` group and bin; for a funnel by
session the session). All that a measure needs of the rows of one unit is a *piece*, a few integers (`amounts`); pieces
of at most `kept` units count, and each adds values to cells. So everything a measure adds to a vector is a function of
one person's own rows. The table of pieces is what a node may keep as a cache (specs/metrics.md 8).

A measure is one file: blocks, SQL, reference and the reader's post-processing stand side by side. SQL and reference
speak of the same pieces, amount by amount. Amounts are whole and depend on no bound but a clamp, so that definitions
which differ in C, K or ρ share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Protocol, Self

from privacy.dimensions import Dimension
from privacy.errors import BoundMissing, InvalidDefinition
from privacy.exact import parse_decimal, shown
from privacy.fields import Field
from privacy.sources import Source
from privacy.units import Window

ROWS: Final = "seen"  # the relation that `pieces_sql` reads: person, grp, fields, at_hour, sequence, session, event_key

Piece = tuple[int, ...]
"""Amounts of one kept unit of one person, in the order of `Measure.amounts`."""


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
class Frame:
    """What a measure is compiled in: the bounds, the number of groups, and the window."""

    bounds: Bounds
    groups: int
    window: Window


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """One block: its own axes, and how far one person moves it (PRIVACY 2).

    Args:
        block: Its name.
        l0, linf: Most cells one person touches, and most change in one; whole quanta.
        l1: Δ₁; L0 · Linf unless the measure knows better.
        l2_squared: Δ₂²; L0 · Linf² unless the measure knows better.
        axes: The block's axes after those of `by`, innermost last.
        quantum: What one unit of a cell is worth.
        is_signed: Whether a cell may be negative.
        is_grouped: Whether the axes of `by` come first; False for the one cell of `clipped_people`.
    """

    block: str
    l0: int
    linf: int
    l1: int = 0
    l2_squared: int = 0
    axes: tuple[Dimension, ...] = ()
    quantum: Fraction = Fraction(1)
    is_signed: bool = False
    is_grouped: bool = True

    def __post_init__(self) -> None:
        if not self.l1:
            object.__setattr__(self, "l1", self.l0 * self.linf)
        if not self.l2_squared:
            object.__setattr__(self, "l2_squared", self.l0 * self.linf**2)


@dataclass(frozen=True, slots=True)
class Add:
    """What the kept pieces add to one block, in SQL over their columns `unit` and the amounts.

    Args:
        block: Name of the block.
        cell: The cell, counted from the block's first.
        value: An integer expression.
        where: Condition on the piece; None for all.
    """

    block: str
    cell: str
    value: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One row as the reference sees it: its group, its place in time, and the measure's fields by name."""

    group: int
    hour: int
    sequence: int
    event_key: int
    session: int | None
    fields: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def at(self) -> tuple[int, int]:
        """When it happened; two events of one person may share it."""
        return self.hour, self.sequence


Numbers = Mapping[str, Fraction | None]
"""Named numbers of one group; None where the noise leaves nothing to divide by."""


class Measure(Protocol):
    """One way to count. Implementations are frozen values; equal definitions hold equal measures."""

    @property
    def word(self) -> str:
        """Its word in a definition: "count"."""
        ...

    @property
    def axes(self) -> tuple[Dimension, ...]:
        """Axes of its first block after those of `by`."""
        ...

    @property
    def headline(self) -> str:
        """The block whose cells a reader sees first, a count of people or events."""
        ...

    @property
    def uses_max_cells(self) -> bool:
        """Whether a definition must state max_cells."""
        ...

    @property
    def uses_max_per_cell(self) -> bool:
        """Whether a definition must state max_per_cell."""
        ...

    @property
    def fields(self) -> Mapping[str, Field]:
        """What it reads of each row beside the group, by column name."""
        ...

    @property
    def amounts(self) -> tuple[str, ...]:
        """Names of a piece's integers."""
        ...

    def units(self, groups: int) -> int:
        """How many kept units there can be, for min(C, units)."""
        ...

    def kept(self, bounds: Bounds) -> int:
        """How many units of one person count."""
        ...

    def sensitivities(self, bounds: Bounds, groups: int) -> tuple[Sensitivity, ...]:
        """One row per block, in block order."""
        ...

    def check(self, source: Source, window: str) -> Measure:
        """The measure in the light of `from` and the kind of window; refuses what cannot be.

        Raises:
            InvalidDefinition: it cannot be computed so.
        """
        ...

    def pieces_sql(self, frame: Frame) -> str:
        """A SELECT over `ROWS` of (person, unit, amounts...), one row per person and unit."""
        ...

    def adds_sql(self, frame: Frame) -> tuple[Add, ...]:
        """What a kept piece adds, block by block."""
        ...

    def cut_sql(self, frame: Frame) -> str:
        """Whether a bound takes something of a piece, beside the choice of units: a condition over the amounts."""
        ...

    def pieces(self, events: Sequence[Event], frame: Frame) -> Mapping[int, Piece]:
        """The pieces of one person in Python, by unit."""
        ...

    def adds(self, unit: int, piece: Piece, frame: Frame) -> Iterator[tuple[str, int, int]]:
        """(block, cell of the block, value) of one kept piece in Python."""
        ...

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        """`cut_sql` in Python."""
        ...

    def numbers(self, blocks: Mapping[str, Sequence[Fraction]]) -> Numbers:
        """What a reader computes from one group's cells: post-processing, free.

        Args:
            blocks: The cells of one group, by block, times their quantum.
        """
        ...


class Plain:
    """What most measures share: no axes, no fields, C groups kept, nothing to check, nothing cut."""

    __slots__ = ()

    @property
    def axes(self) -> tuple[Dimension, ...]:
        return ()

    @property
    def uses_max_cells(self) -> bool:
        return True

    @property
    def uses_max_per_cell(self) -> bool:
        return True

    @property
    def fields(self) -> Mapping[str, Field]:
        return {}

    def units(self, groups: int) -> int:
        return groups

    def kept(self, bounds: Bounds) -> int:
        return bounds.max_cells

    def check(self, source: Source, window: str) -> Self:
        return self

    def cut_sql(self, frame: Frame) -> str:
        return "false"

    def is_cut(self, piece: Piece, frame: Frame) -> bool:
        return False


def check_keys(
    tree: Mapping[str, object], word: str, needed: frozenset[str], optional: frozenset[str] = frozenset()
) -> None:
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
    for key in sorted(map(str, tree.keys() - needed - optional - {word})):
        raise InvalidDefinition(
            what="Metric refused",
            why=f"the measure {word} has an unknown key {shown(key)}",
            fix=f"Use only: {', '.join(sorted({word, *needed, *optional}))}",
        )


def parse_range(tree: Mapping[str, object], word: str) -> tuple[Fraction, int, int]:
    """(quantum, lowest, highest) of a measure with `quantum` and `range`, the bounds in whole quanta.

    Raises:
        InvalidDefinition: a range that does not rise or is no whole number of quanta; InvalidParameterError: no number.
    """
    quantum = parse_decimal(tree["quantum"], "quantum")
    if quantum <= 0:
        raise refused(f"the quantum of {word} is {quantum}", 'State it above 0, such as quantum: "0.01"')
    bounds = tree["range"]
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        raise BoundMissing(
            what="Metric refused",
            why=f"the measure {word} states no range of two numbers",
            fix='Add range: ["0", "100"]; values outside are moved to its ends, so that nobody counts without limit',
        )
    low, high = (parse_decimal(bound, f"a bound of {word}") / quantum for bound in bounds)
    if low.denominator != 1 or high.denominator != 1:
        raise refused(f"the range of {word} is no whole number of quanta", "Move its ends, or take a finer quantum")
    if low >= high:
        raise refused(f"the range of {word} does not rise", "Write range: [LOW, HIGH]")
    return quantum, int(low), int(high)


def refused(why: str, fix: str) -> InvalidDefinition:
    """The error of a measure that cannot be."""
    return InvalidDefinition(what="Metric refused", why=why, fix=fix)


def truncated(numerator: int, denominator: int) -> int:
    """Division toward zero, as in SQL; Python's `//` goes down."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def share(part: Fraction, whole: Fraction) -> Fraction | None:
    """part / whole, or None where the noise left no whole."""
    return part / whole if whole > 0 else None
