"""A definition compiled: the blocks of its vector, their coordinates, sensitivities and noise (PRIVACY 2).

A layout depends on the definition and the window alone, so every node and every reader computes the same
one. The cells of a block run row-major over its axes: those of `by` in the order of their names, then the
measure's own (bins innermost).

The noise of a block: ρ is split equally over the blocks, unless the definition states `shares`, and σ² =
Δ₂²/(2ρ_block), exact; for discrete Laplace noise ρ or ε is split so (`privacy.mechanisms`). Whether a sum could leave
the exact range is decided here, from the bounds, never from data: Linf·2³⁰ + 64σ ≤ 2⁵³−1.

Where keys are discovered, a layout has no cells until a release brings its keys (`with_keys`); a block `people` comes
first, and the least noised people of a key that may go out, τ, follows from the definition alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import ceil, prod
from typing import TYPE_CHECKING, Final

from privacy.dimensions import Dimension
from privacy.errors import BoundViolated, InvalidDefinition, InvalidWindow, OverflowPossible, TooManyCells
from privacy.measures.base import Bounds, Frame, Sensitivity
from privacy.mechanisms import noise_for
from privacy.partitions import threshold
from privacy.units import Window

if TYPE_CHECKING:
    from privacy.definition import Definition

MAX_CELLS: Final = 65_536  # of a whole layout: 512 KiB at 8 bytes, what a summary may carry (PROTOCOL 2)
MAX_PEOPLE: Final = 2**30  # persons of one window at one node that the overflow rule allows for
MAX_CELL: Final = 2**53 - 1  # integers that JSON readers hold exactly (PROTOCOL 3)
DISCOVERING: Final = frozenset({"count", "people", "top", "sum", "mean"})  # their kept unit is the group
PEOPLE: Final = "people"  # the block that decides which keys go out
WHOLE: Final = "whole"  # the optional block of one cell: all cells of the first block together, with noise of its own
WHOLES: Final = frozenset({"count", "people", "top", "sum", "histogram", "journey"})  # their cells are parts of one
CLIPPED: Final = "clipped_people"  # the optional last block: persons of whom a bound took something
TAIL: Final = 64  # sigmas of noise that the overflow rule allows for; beyond has probability < 2⁻²⁹⁰⁰


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the vector with one noise scale.

    Args:
        name: Unique in its layout: "count".
        axes: Its axes, outermost first: those of `by`, then its own. Their sizes multiply to the number of cells.
        l0, linf: Most cells one person touches, and most change in one; whole quanta.
        l1, l2_squared: Δ₁ and Δ₂², the most one person moves it in sum of absolute and of squared changes.
        rho: Share of the release's ρ spent here.
        sigma_squared: σ² of the noise on each cell, in quanta squared; for Laplace an upper bound.
        mechanism: As on the wire: "gaussian", "laplace" or "geometric".
        quantum: What one unit of a cell is worth.
        scale: b of discrete Laplace noise, in quanta; None for Gaussian.
        is_signed: Whether a cell may be negative.
    """

    name: str
    axes: tuple[Dimension, ...]
    l0: int
    linf: int
    l1: int
    l2_squared: int
    rho: Fraction
    sigma_squared: Fraction
    mechanism: str
    quantum: Fraction = Fraction(1)
    scale: Fraction | None = None
    is_signed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Labels per axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def cells(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a layout with discovered keys asks of a release.

    Args:
        axis: The discovered dimension.
        delta: Price of one release in δ; > 0.
        threshold: τ: the least noised number of people of a key that goes out.
    """

    axis: Dimension
    delta: Fraction
    threshold: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The coordinates and noise of one release.

    Args:
        window: The window it covers; fixes the labels of axes made from time.
        by: The axes of `by` with the labels the window can contain: a combination of them is a group.
        blocks: In vector order.
        bounds: Contribution bounds, C already at most the number of units.
        rho: What the release costs, the sum over blocks.
        discovery: Where keys are discovered: what that asks.
    """

    window: Window
    by: tuple[Dimension, ...]
    blocks: tuple[Block, ...]
    bounds: Bounds
    rho: Fraction
    discovery: Discovery | None = None

    @property
    def delta_atto(self) -> int:
        """What the release costs in δ, in units of 10⁻¹⁸, rounded up; 0 where nothing is discovered."""
        return 0 if self.discovery is None else ceil(self.discovery.delta * 10**18)

    @property
    def own_blocks(self) -> tuple[Block, ...]:
        """The blocks of the measure itself: without the people who decide which keys go out, unless it counts them."""
        return self.blocks[1:] if self.discovery_axis is not None and len(self.blocks) > 1 else self.blocks

    @property
    def discovery_axis(self) -> Dimension | None:
        """The axis whose labels come with a release, if any."""
        return next((axis for axis in self.by if axis.is_discovered), None)

    def with_keys(self, keys: Sequence[str]) -> Layout:
        """The layout of a release of these keys: one cell a key in each block."""
        if self.discovery is None:
            raise ValueError("only a layout with discovered keys takes keys")
        axis = self.discovery.axis.keyed(keys)
        blocks = tuple(replace(block, axes=(axis,)) for block in self.blocks)
        return replace(self, by=(axis,), blocks=blocks)

    @property
    def partitions(self) -> tuple[tuple[str, str], ...]:
        """(whole, parts) blocks of which the first is exactly the sum of the second's cells, before the noise."""
        return tuple((block.name, self.blocks[0].name) for block in self.blocks if block.name == WHOLE)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The axes of the first block."""
        return self.blocks[0].axes

    @property
    def frame(self) -> Frame:
        """What the measure's SQL and reference are compiled in."""
        groups = MAX_CELLS if self.discovery_axis else prod(axis.size for axis in self.by)
        return Frame(self.bounds, groups, self.window)

    @property
    def cells(self) -> int:
        """Length of the vector."""
        return sum(block.cells for block in self.blocks)

    def offset(self, block: Block) -> int:
        """Where the block begins in the vector."""
        return sum(earlier.cells for earlier in self.blocks[: self.blocks.index(block)])

    def key(self, index: int) -> dict[str, str]:
        """The labels of a cell, by axis: {"country": "DE", "bin": "[3, 6)"}; {} where there is one cell.

        Args:
            index: Position in the whole vector; cells of different blocks may share a key.
        """
        if not 0 <= index < self.cells:
            raise IndexError(f"cell {index} of {self.cells}")
        for block in self.blocks:
            if index < block.cells:
                break
            index -= block.cells
        labels: list[str] = []
        for axis in reversed(block.axes):
            index, place = divmod(index, axis.size)
            labels.append(axis.labels[place])
        return {axis.name: label for axis, label in zip(block.axes, reversed(labels), strict=True)}

    def keys(self) -> Iterator[dict[str, str]]:
        """The key of every cell, in vector order."""
        for block in self.blocks:
            names = [axis.name for axis in block.axes]
            for labels in product(*(axis.labels for axis in block.axes)):
                yield dict(zip(names, labels, strict=True))

    def index(self, key: Mapping[str, str]) -> int:
        """The cell with this key in the first block; the inverse of `key`.

        Raises:
            KeyError: the key has other axes or labels than the layout.
        """
        if set(key) != {axis.name for axis in self.dimensions}:
            raise KeyError(tuple(key))
        index = 0
        for axis in self.dimensions:
            try:
                index = index * axis.size + axis.labels.index(key[axis.name])
            except ValueError:
                raise KeyError(key[axis.name]) from None
        return index

    def vector(self, rows: Sequence[tuple[int, int]]) -> list[int]:
        """The dense vector of sparse (cell, value) rows, as the bounding SQL returns them; zeros elsewhere.

        Raises:
            BoundViolated: a cell named twice or outside the layout, or a value outside its block's range.
        """
        vector = [0] * self.cells
        seen = set()
        for cell, value in rows:
            if type(cell) is not int or not 0 <= cell < len(vector) or cell in seen:
                raise _violated("a cell lies outside the layout or appears twice")
            seen.add(cell)
            vector[cell] = value
        self.check_vector(vector)
        return vector

    def check_vector(self, vector: Sequence[int]) -> None:
        """Nothing, when the bounded vector fits; the message of a refusal holds no value of it.

        Raises:
            BoundViolated: wrong length, a value that is no int, or outside [0, Linf·2³⁰] (signed blocks: ± that).
        """
        if len(vector) != self.cells:
            raise _violated(f"the vector has {len(vector)} cells, the layout {self.cells}")
        at = 0
        for block in self.blocks:
            most = block.linf * MAX_PEOPLE
            least = -most if block.is_signed else 0
            if not all(type(value) is int and least <= value <= most for value in vector[at : at + block.cells]):
                raise _violated(f"a value of block {block.name} lies outside its bounds")
            at += block.cells


def compile_layout(definition: Definition, window: Window) -> Layout:
    """The layout of a definition over a window.

    Raises:
        InvalidWindow: the window is of another kind than the definition's.
        InvalidDefinition: no listed hour lies in the window. TooManyCells, OverflowPossible: as they say.
    """
    if window.kind != definition.window:
        raise InvalidWindow(
            what=f"Window {window.text} refused",
            why=f"the metric {definition.metric} is computed over windows of one {definition.window}",
            fix=f"Name a {definition.window}",
        )
    by = tuple(axis.within(window) for axis in definition.by)
    groups = MAX_CELLS if definition.discovers else _checked_size(by)
    measure = definition.measure
    bounds = Bounds(min(definition.max_cells, measure.units(groups)), definition.max_per_cell)
    rows = measure.sensitivities(bounds, groups)
    if definition.discovers:
        rows = (Sensitivity(PEOPLE, l0=bounds.max_cells, linf=1), *(row for row in rows if row.block != PEOPLE))
    if definition.has_whole:  # all that a person adds may fall into the one cell: its Linf is the parts' Δ₁
        parts = rows[0]
        whole = Sensitivity(
            WHOLE, l0=1, linf=parts.l1, quantum=parts.quantum, is_signed=parts.is_signed, is_grouped=False
        )
        rows = (*rows, whole)
    if definition.counts_clipped:
        rows = (*rows, Sensitivity(CLIPPED, l0=1, linf=1, is_grouped=False))
    sizes = [(groups if row.is_grouped else 1) * prod(axis.size for axis in row.axes) for row in rows]
    if sum(sizes) > MAX_CELLS and not definition.discovers:
        raise _too_many(sum(sizes))
    blocks = tuple(
        _block(
            row,
            (*by, *row.axes) if row.is_grouped else row.axes,
            definition,
            definition.share_of(row.block, len(rows)),
        )
        for row in rows
    )
    rho = definition.rho if definition.epsilon is None else sum((block.rho for block in blocks), Fraction(0))
    return Layout(window, by, blocks, bounds, rho, _discovery(definition, blocks[0], bounds))


def _discovery(definition: Definition, people: Block, bounds: Bounds) -> Discovery | None:
    axis, delta = definition.discovers, definition.delta
    if axis is None or delta is None:
        return None
    tau = threshold(people.mechanism, bounds.max_cells, delta, sigma_squared=people.sigma_squared, scale=people.scale)
    return Discovery(axis, delta, tau)


def _block(row: Sensitivity, axes: tuple[Dimension, ...], definition: Definition, share: Fraction) -> Block:
    noise = noise_for(
        definition.mechanism,
        Fraction(row.l1),
        Fraction(row.l2_squared),
        MAX_CELLS if definition.discovers else prod(axis.size for axis in axes),  # how many keys there are is no matter
        rho=definition.rho * share if definition.epsilon is None else None,
        epsilon=None if definition.epsilon is None else definition.epsilon * share,
    )
    room = MAX_CELL - row.linf * MAX_PEOPLE
    if room < 0 or TAIL**2 * noise.sigma_squared > room**2:  # 64σ > room, without the root
        raise OverflowPossible(
            what="Metric refused",
            why=f"block {row.block} could pass 2^53 - 1: one person adds up to {row.linf} quanta to a cell",
            fix="Lower max_per_cell or the range, take a coarser quantum, or raise rho",
        )
    return Block(
        name=row.block,
        axes=axes,
        l0=row.l0,
        linf=row.linf,
        l1=row.l1,
        l2_squared=row.l2_squared,
        rho=noise.rho,
        sigma_squared=noise.sigma_squared,
        mechanism=noise.mechanism,
        quantum=row.quantum,
        scale=noise.scale,
        is_signed=row.is_signed,
    )


def _checked_size(axes: tuple[Dimension, ...]) -> int:
    size = prod(axis.size for axis in axes)
    if size > MAX_CELLS:
        raise _too_many(size)
    if size == 0:
        raise InvalidDefinition(
            what="Metric refused",
            why="none of the hours it lists lies in its window",
            fix="List all 24 hours of the day where the window is an hour",
        )
    return size


def _too_many(cells: int) -> TooManyCells:
    return TooManyCells(
        what="Metric refused",
        why=f"it has {cells} cells, at most {MAX_CELLS} fit in a summary",
        fix="List fewer values or edges, or split the metric",
    )


def _violated(why: str) -> BoundViolated:
    return BoundViolated(
        what="Bounded vector refused",
        why=why,
        fix="Nothing was released; report this, it is a fault of the node",
    )
