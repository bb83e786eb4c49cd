"""Adding up: counted releases of many nodes and windows become one vector with exact variances (DESIGN 7).

- The headline is the plain sum of counted summaries. Nothing is weighted, trimmed or extrapolated.
- Sums are integers and variances Fractions, so the result depends on no order and no machine.
- Cells are added by their labels, never by position alone: windows of one hour have fewer labels on the axis
  `hour` than windows of a day.
- Summing out an axis adds the noise of every cell summed, empty ones too.
- A release of a sample of persons is divided by its rate, cells and noise: its interval is wider by as much. The error
  of the sample itself is no noise and is outside the privacy interval.
- Keys that nobody listed are added where they were named, and nowhere else (`federation.discovered`).
- Every member is accounted for in every window from its first: included, abstained, excluded, void or missing.

Which entries count is judgement's word, not decided here; this module takes releases that count. It reads no
clock, so a window that nobody has released yet is one where everybody is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from operator import add
from typing import Final, Literal

from federation.discovered import key_sums, keys_of, publishers_of
from privacy.dimensions import Dimension
from privacy.estimates import Estimate, total
from privacy.estimates.numbers import cell_noise
from privacy.layout import Layout
from privacy.units import Window

NO_NOISE: Final = Estimate(Fraction(0), Fraction(0))
NO_RELEASE: Final = "no_release"  # expected, nothing counted, no abstention: not made yet, or not arrived

Standing = Literal["included", "abstained", "excluded", "void", "missing", "withheld"]
"""excluded: cut off or suspended, so not expected; void: judgement refused its entry; missing: nothing came;
withheld: it counts, but too few organisations are in the window (`federation.organisations`)."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Hours in which a member is not expected although it counts: cut off or suspended.

    Args:
        from_hour: First hour.
        until_hour: First hour after, or None.
        reason: "cut" or "suspended".
    """

    from_hour: int
    until_hour: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Contributor:
    """A member as combination sees it.

    Args:
        node: Node id.
        name: Its name in the charter, printable ASCII.
        organisation: Id of its organisation.
        counts_from: Hour from which its windows are expected.
        absences: When it is not expected all the same.
    """

    node: bytes
    name: str
    organisation: str
    counts_from: int
    absences: tuple[Absence, ...] = ()

    def excluded_in(self, window: Window) -> str | None:
        """Why the member is left out of a window by an exact rule, or None."""
        for absence in self.absences:
            starts_before_end = absence.until_hour is None or window.start_hour < absence.until_hour
            if starts_before_end and absence.from_hour < window.end_hour:
                return absence.reason
        return None

    def is_expected_in(self, window: Window) -> bool:
        return self.counts_from <= window.start_hour and self.excluded_in(window) is None


@dataclass(frozen=True, slots=True)
class BlockNoise:
    """The noise on one block of a release, as its summary states it.

    Args:
        cells: Number of cells; > 0.
        mechanism: Name of the noise.
        quantum: What one unit of a cell is worth.
        sigma_squared: Variance of the noise on each cell, in units squared.
    """

    cells: int
    mechanism: str
    quantum: Fraction
    sigma_squared: Fraction


@dataclass(frozen=True, slots=True)
class CountedRelease:
    """One release that counts.

    Args:
        node: Who released it.
        window: What it covers.
        cells: All blocks, one after the other.
        blocks: Noise of each block.
        unit: Person-key kind: "user", "session" or "address".
        release_id: 32 bytes.
        sampling: Share of persons counted, in (0, 1].
        keys: Where keys are discovered, those it names; else None.
    """

    node: bytes
    window: Window
    cells: Sequence[int]
    blocks: tuple[BlockNoise, ...]
    unit: str
    release_id: bytes
    sampling: Fraction = Fraction(1)
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A slot without a release, and why: an abstention, or an entry that judgement voided."""

    node: bytes
    window: Window
    reason: str


@dataclass(frozen=True, slots=True)
class WindowInput:
    """Everything that is known of one metric in one window.

    Args:
        window: The window.
        definition_hash: The definition that governs it.
        layout: That definition compiled for the window.
        releases: At most one for each node.
        abstentions: What nodes declined, by their own word.
        voided: What judgement refused.
        withheld: What counts and may not be shown.
    """

    window: Window
    definition_hash: bytes
    layout: Layout
    releases: tuple[CountedRelease, ...] = ()
    abstentions: tuple[Refusal, ...] = ()
    voided: tuple[Refusal, ...] = ()
    withheld: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockSum:
    """One block of the combined vector.

    Args:
        name: The block's name in the layout.
        quantum: What one unit is worth.
        cells: Sum and exact variance of each cell, in units, row-major over the axes.
        axes: The block's axes that were kept: those of `by`, then its own.
    """

    name: str
    quantum: Fraction
    cells: tuple[Estimate, ...]
    axes: tuple[Dimension, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What one member did in one window; `reason` is empty when included."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Combined:
    """The sum over nodes and windows.

    Args:
        axes: The axes of the first block that were kept, with all their labels.
        blocks: As in the layout; empty when nothing was released.
        windows: The windows asked for, oldest first.
        totals: For each window its block sums over all cells; empty where nothing was released.
        places: For each contributor (in charter order) and window what it did; None where it is not expected.
        release_ids: Of everything summed, sorted.
        units: Person-key kinds by node id, sorted.
        mechanisms: Noise names, sorted.
        definitions: Hashes of the definitions that govern the windows, sorted.
        sampled: Node ids whose releases count only a sample, sorted.
        publishers: Where keys are discovered: for each key the node ids that named it in any window, sorted.
        released: Node ids with a release in any window, sorted.
        is_discovering: Whether keys are discovered.
    """

    axes: tuple[Dimension, ...]
    blocks: tuple[BlockSum, ...]
    windows: tuple[Window, ...]
    totals: tuple[tuple[Estimate, ...], ...]
    places: tuple[tuple[Contributor, tuple[Place | None, ...]], ...]
    release_ids: tuple[bytes, ...]
    units: Mapping[bytes, tuple[str, ...]]
    mechanisms: tuple[str, ...]
    definitions: tuple[bytes, ...]
    sampled: tuple[bytes, ...]
    publishers: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    released: tuple[bytes, ...] = ()
    is_discovering: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.blocks

    @property
    def has_numbers(self) -> bool:
        """Whether anything was added up: releases may name no key at all."""
        return not self.is_empty and (bool(self.publishers) or not self.is_discovering)

    def block(self, name: str) -> BlockSum:
        """The block of that name."""
        return next(block for block in self.blocks if block.name == name)


def combine(
    contributors: Sequence[Contributor],
    inputs: Sequence[WindowInput],
    axes: Sequence[Dimension],
    keep: Iterable[str],
) -> Combined:
    """The combined answer over some windows, with the named axes kept and the others summed out.

    Args:
        contributors: The charter's members, in its order.
        inputs: One for each window, any order; layouts have these axes, perhaps with fewer hours.
        axes: The definition's axes with all their labels, in layout order.
        keep: Names of axes to keep.

    Raises:
        ValueError: an unknown axis, two releases of one node for one window, or a release that does not
            fit its layout; judgement refuses all of these before.
    """
    ordered = sorted(inputs, key=lambda one: one.window)
    kept_names = set(keep)
    if not kept_names <= {axis.name for axis in axes}:
        raise ValueError(f"unknown axes: {sorted(kept_names - {axis.name for axis in axes})}")
    is_discovering = any(axis.is_discovered for axis in axes)
    axes = tuple(axis.keyed(keys_of(ordered)) if axis.is_discovered else axis for axis in axes)
    kept = tuple(axis for axis in axes if axis.name in kept_names)
    releases = [release for one in ordered for release in _checked(one)]
    noises = _Noises()
    units: dict[bytes, set[str]] = {}
    for release in releases:
        units.setdefault(release.node, set()).add(release.unit)
    return Combined(
        axes=kept,
        blocks=_blocks(ordered, axes, kept_names, noises),
        windows=tuple(one.window for one in ordered),
        totals=tuple(_window_totals(one, noises) for one in ordered),
        places=_places(contributors, ordered),
        release_ids=tuple(sorted(release.release_id for release in releases)),
        units={node: tuple(sorted(kinds)) for node, kinds in sorted(units.items())},
        mechanisms=tuple(sorted({block.mechanism for release in releases for block in release.blocks})),
        definitions=tuple(sorted({one.definition_hash for one in ordered})),
        sampled=tuple(sorted({release.node for release in releases if release.sampling != 1})),
        publishers=publishers_of(ordered) if is_discovering else {},
        released=tuple(sorted(units)),
        is_discovering=is_discovering,
    )


def summed_out(
    cells: Sequence[Estimate], axes: Sequence[Dimension], keep: Iterable[str]
) -> tuple[tuple[Dimension, ...], tuple[Estimate, ...]]:
    """The axes kept and their cells: estimates and variances of the cells summed add."""
    names = set(keep)
    kept = tuple(axis for axis in axes if axis.name in names)
    summands: list[list[Estimate]] = [[] for _ in range(_size(kept))]
    for cell, target in zip(cells, _targets(axes, kept), strict=True):
        summands[target].append(cell)
    return kept, tuple(map(total, summands))


class _Noises:
    """Noise of sums of cells: releases have few laws, and many sums are of equally many cells of each."""

    def __init__(self) -> None:
        self._made: dict[tuple[frozenset[tuple[object, int]], int], Estimate] = {}

    def of_block(self, inputs: Iterable[WindowInput], number: int, cells: int = 1) -> Estimate:
        """The noise of so many cells of one block of every release."""
        times: Counter[tuple[int, Fraction | None, int]] = Counter()
        laws: dict[tuple[int, Fraction | None, int], tuple[Fraction, Fraction | None, Fraction]] = {}
        for one in inputs:
            scale = one.layout.blocks[number].scale
            for release in one.releases:
                # b is the definition's; judgement has held the stated σ² and mechanism against it.
                block = release.blocks[number]
                law = id(block), scale, id(release.sampling)  # equal ones that are not the same are only added apart
                times[law] += 1
                laws[law] = block.sigma_squared, scale, release.sampling
        key = frozenset(times.items()), cells
        if key not in self._made:
            self._made[key] = total(
                cell_noise(sigma_squared, scale).times(1 / sampling).copies(times[law] * cells)
                for law, (sigma_squared, scale, sampling) in laws.items()
            )
        return self._made[key]


def _blocks(
    ordered: Sequence[WindowInput], axes: Sequence[Dimension], keep: set[str], noises: _Noises
) -> tuple[BlockSum, ...]:
    """Sum the releases of equal axes as whole vectors first, then place those few vectors by label."""
    if any(axis.is_discovered for axis in axes):
        return _keyed_blocks(ordered, axes[0] if keep else None)
    by_axes: dict[tuple[Dimension, ...], list[WindowInput]] = {}
    for one in ordered:
        if one.releases:
            by_axes.setdefault(one.layout.dimensions, []).append(one)
    if not by_axes:
        return ()
    shape = next(iter(by_axes.values()))[0].layout.blocks
    whole = {axis.name: axis for axis in axes}  # with all labels; a window's own may have fewer
    kept = [tuple(whole.get(axis.name, axis) for axis in block.axes if axis.name in keep) for block in shape]
    values: list[list[Fraction | int]] = [[0] * _size(block_axes) for block_axes in kept]
    added = [[NO_NOISE] * _size(block_axes) for block_axes in kept]
    for group in by_axes.values():
        vector = _vector_sum(group)
        layout = group[0].layout
        for number, block in enumerate(layout.blocks):
            targets = _targets(block.axes, kept[number])
            weights = Counter(targets)
            start = layout.offset(block)
            block_values = values[number]
            for target, cell in zip(targets, vector[start : start + block.cells], strict=True):
                block_values[target] += cell
            added[number] = _with_noise(added[number], noises.of_block(group, number), weights)
    return tuple(
        BlockSum(
            block.name,
            block.quantum,
            tuple(
                Estimate(Fraction(value), noise.variance, noise.laplace)
                for value, noise in zip(values[number], added[number], strict=True)
            ),
            kept[number],
        )
        for number, block in enumerate(shape)
    )


def _keyed_blocks(ordered: Sequence[WindowInput], axis: Dimension | None) -> tuple[BlockSum, ...]:
    """The blocks by key, or one sum over all keys named."""
    spoken = [one for one in ordered if one.releases]
    if not spoken:
        return ()
    sums = key_sums(spoken, keys_of(spoken))
    pairs = list(zip(spoken[0].layout.blocks, sums, strict=True))
    if axis is None:
        return tuple(BlockSum(block.name, block.quantum, (total(cells),), ()) for block, cells in pairs)
    return tuple(BlockSum(block.name, block.quantum, tuple(cells), (axis,)) for block, cells in pairs)


def _with_noise(before: Sequence[Estimate], cell: Estimate, weights: Mapping[int, int]) -> list[Estimate]:
    """The noise of each cell with that of as many more cells as fall on it."""
    made: dict[tuple[int, int], Estimate] = {}  # few weights and few noises: each sum is made once
    found = []
    for target, noise in enumerate(before):
        weight = weights.get(target, 0)
        key = (id(noise), weight)
        if key not in made:
            made[key] = total((noise, cell.copies(weight))) if weight else noise
        found.append(made[key])
    return found


def _vector_sum(group: Sequence[WindowInput]) -> list[Fraction | int]:
    """The sum of all vectors of a group of equal axes."""
    releases = [release for one in group for release in one.releases]
    whole = [release.cells for release in releases if release.sampling == 1]
    vector: list[Fraction | int] = list(map(sum, zip(*whole, strict=True))) or [0] * group[0].layout.cells
    for release in releases:
        if release.sampling != 1:
            vector = list(map(add, vector, (cell / release.sampling for cell in release.cells)))
    return vector


def _window_totals(one: WindowInput, noises: _Noises) -> tuple[Estimate, ...]:
    if not one.releases:
        return ()
    if one.layout.discovery is not None:
        return tuple(total(cells) for cells in key_sums([one], keys_of([one])))
    totals = []
    for number, block in enumerate(one.layout.blocks):
        start = one.layout.offset(block)
        value = sum(
            (sum(release.cells[start : start + block.cells]) / release.sampling for release in one.releases),
            start=Fraction(0),
        )
        noise = noises.of_block([one], number, block.cells)
        totals.append(Estimate(value, noise.variance, noise.laplace))
    return tuple(totals)


def _places(
    contributors: Sequence[Contributor], ordered: Sequence[WindowInput]
) -> tuple[tuple[Contributor, tuple[Place | None, ...]], ...]:
    found: dict[bytes, list[Place | None]] = {member.node: [] for member in contributors}
    for one in ordered:
        included = {release.node for release in one.releases}
        withheld = {refusal.node: refusal.reason for refusal in one.withheld}
        abstained = {refusal.node: refusal.reason for refusal in one.abstentions}
        voided = {refusal.node: refusal.reason for refusal in one.voided}
        for member in contributors:
            place = Place("withheld", withheld[member.node]) if member.node in withheld else None
            found[member.node].append(place or _place(member, one.window, included, abstained, voided))
    return tuple((member, tuple(found[member.node])) for member in contributors)


def _place(
    member: Contributor,
    window: Window,
    included: set[bytes],
    abstained: Mapping[bytes, str],
    voided: Mapping[bytes, str],
) -> Place | None:
    if member.node in included:
        return Place("included")
    reason = member.excluded_in(window)
    if reason is not None and member.counts_from <= window.start_hour:
        return Place("excluded", reason)
    if reason is not None or member.counts_from > window.start_hour:  # it is not expected in this window
        return None
    if member.node in voided:
        return Place("void", voided[member.node])
    if member.node in abstained:
        return Place("abstained", abstained[member.node])
    return Place("missing", NO_RELEASE)


def _targets(axes: Sequence[Dimension], kept: Sequence[Dimension]) -> list[int]:
    """For each cell over `axes`, row-major, its index over `kept`, found by labels."""
    strides: dict[str, int] = {}
    stride = 1
    for axis in reversed(kept):
        strides[axis.name] = stride
        stride *= axis.size
    labels = {axis.name: {label: place for place, label in enumerate(axis.labels)} for axis in kept}
    targets = [0]
    for axis in axes:
        if axis.name in strides:
            steps = [labels[axis.name][label] * strides[axis.name] for label in axis.labels]
        else:
            steps = [0] * axis.size
        targets = [target + step for target in targets for step in steps]
    return targets


def _size(axes: Iterable[Dimension]) -> int:
    size = 1
    for axis in axes:
        size *= axis.size
    return size


def _checked(one: WindowInput) -> tuple[CountedRelease, ...]:
    """The releases of a window; each fits its layout, and no two are of one node."""
    fitting: set[int] = set()  # blocks that fit; one object serves many releases
    for release in one.releases:
        if id(release.blocks) not in fitting or release.keys is not None:
            layout = one.layout if release.keys is None else one.layout.with_keys(release.keys)
            expected = [(block.cells, block.quantum) for block in layout.blocks]
            if [(block.cells, block.quantum) for block in release.blocks] != expected:
                raise _unfit(one)
            fitting.add(id(release.blocks))
        if release.window != one.window or len(release.cells) != sum(block.cells for block in release.blocks):
            raise _unfit(one)
    if len({release.node for release in one.releases}) < len(one.releases):
        raise ValueError(f"two releases of one node for {one.window.text}")
    return one.releases


def _unfit(one: WindowInput) -> ValueError:
    return ValueError(f"a release does not fit the layout of {one.window.text}")
