"""Adding up: counted releases of many nodes and windows become one vector with exact variances (DESIGN 7).

- The headline is the plain sum of counted summaries. Nothing is weighted, trimmed or extrapolated.
- Sums are integers and variances Fractions, so the result depends on no order and no machine.
- Cells are added by their labels, never by position alone: windows of one hour have fewer labels on the axis
  `hour` than windows of a day.
- Summing out an axis adds the noise of every cell summed, empty ones too.
- Every member is accounted for in every window from its first: included, abstained, excluded, void or missing.

Which entries count is judgement's word, not decided here; this module takes releases that count. It reads no
clock, so a window that nobody has released yet is one where everybody is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add
from typing import Final, Literal

from privacy.dimensions import Dimension
from privacy.estimates import Estimate
from privacy.layout import Layout
from privacy.units import Window

NO_RELEASE: Final = "no_release"  # expected, nothing counted, no abstention: not made yet, or not arrived

Standing = Literal["included", "abstained", "excluded", "void", "missing"]
"""excluded: cut off or suspended, so not expected; void: judgement refused its entry; missing: nothing came."""


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
    """

    node: bytes
    window: Window
    cells: Sequence[int]
    blocks: tuple[BlockNoise, ...]
    unit: str
    release_id: bytes
    sampling: Fraction = Fraction(1)


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
    """

    window: Window
    definition_hash: bytes
    layout: Layout
    releases: tuple[CountedRelease, ...] = ()
    abstentions: tuple[Refusal, ...] = ()
    voided: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockSum:
    """One block of the combined vector.

    Args:
        name: The block's name in the layout.
        quantum: What one unit is worth.
        cells: Sum and exact variance of each cell, in units, row-major over the axes.
    """

    name: str
    quantum: Fraction
    cells: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What one member did in one window; `reason` is empty when included."""

    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Combined:
    """The sum over nodes and windows.

    Args:
        axes: The axes kept, with all their labels.
        blocks: As in the layout; empty when nothing was released.
        windows: The windows asked for, oldest first.
        totals: For each window its block sums over all cells; empty where nothing was released.
        places: For each contributor (in charter order) and window what it did; None where it is not expected.
        release_ids: Of everything summed, sorted.
        units: Person-key kinds by node id, sorted.
        mechanisms: Noise names, sorted.
        definitions: Hashes of the definitions that govern the windows, sorted.
        sampled: Node ids whose releases count only a sample, sorted.
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

    @property
    def is_empty(self) -> bool:
        return not self.blocks


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
    kept = tuple(axis for axis in axes if axis.name in kept_names)
    releases = [_checked(one, release) for one in ordered for release in one.releases]
    units: dict[bytes, set[str]] = {}
    for release in releases:
        units.setdefault(release.node, set()).add(release.unit)
    return Combined(
        axes=kept,
        blocks=_blocks(ordered, kept),
        windows=tuple(one.window for one in ordered),
        totals=tuple(_window_totals(one) for one in ordered),
        places=_places(contributors, ordered),
        release_ids=tuple(sorted(release.release_id for release in releases)),
        units={node: tuple(sorted(kinds)) for node, kinds in sorted(units.items())},
        mechanisms=tuple(sorted({block.mechanism for release in releases for block in release.blocks})),
        definitions=tuple(sorted({one.definition_hash for one in ordered})),
        sampled=tuple(sorted({release.node for release in releases if release.sampling != 1})),
    )


def summed_out(
    cells: Sequence[Estimate], axes: Sequence[Dimension], keep: Iterable[str]
) -> tuple[tuple[Dimension, ...], tuple[Estimate, ...]]:
    """The axes kept and their cells: estimates and variances of the cells summed add."""
    names = set(keep)
    kept = tuple(axis for axis in axes if axis.name in names)
    targets = _targets(axes, kept)
    values, variances = [Fraction(0)] * _size(kept), [Fraction(0)] * _size(kept)
    for cell, target in zip(cells, targets, strict=True):
        values[target] += cell.value
        variances[target] += cell.variance
    return kept, tuple(map(Estimate, values, variances))


def _blocks(ordered: Sequence[WindowInput], kept: tuple[Dimension, ...]) -> tuple[BlockSum, ...]:
    """Sum the releases of equal axes as whole vectors first, then place those few vectors by label."""
    by_axes: dict[tuple[Dimension, ...], list[WindowInput]] = {}
    for one in ordered:
        if one.releases:
            by_axes.setdefault(one.layout.dimensions, []).append(one)
    if not by_axes:
        return ()
    shape = next(iter(by_axes.values()))[0].layout.blocks
    values = [[0] * _size(kept) for _ in shape]
    variances = [[Fraction(0)] * _size(kept) for _ in shape]
    for axes, group in by_axes.items():
        targets = _targets(axes, kept)
        weights = [0] * _size(kept)
        for target in targets:
            weights[target] += 1
        vector, noise = _vector_sum(group)
        for number, block in enumerate(group[0].layout.blocks):
            start = group[0].layout.offset(block)
            block_values = values[number]
            for target, cell in zip(targets, vector[start : start + block.cells], strict=True):
                block_values[target] += cell
            variances[number] = [
                before + noise[number] * weight for before, weight in zip(variances[number], weights, strict=True)
            ]
    return tuple(
        BlockSum(
            block.name,
            block.quantum,
            tuple(
                Estimate(Fraction(value), variance)
                for value, variance in zip(values[number], variances[number], strict=True)
            ),
        )
        for number, block in enumerate(shape)
    )


def _vector_sum(group: Sequence[WindowInput]) -> tuple[list[int], list[Fraction]]:
    """The sum of all vectors of a group of equal axes, and for each block the variance of one of its cells."""
    vector = [0] * group[0].layout.cells
    noise = [Fraction(0)] * len(group[0].layout.blocks)
    for one in group:
        for release in one.releases:
            vector = list(map(add, vector, release.cells))
            for number, block in enumerate(release.blocks):
                noise[number] += block.sigma_squared
    return vector, noise


def _window_totals(one: WindowInput) -> tuple[Estimate, ...]:
    if not one.releases:
        return ()
    vector, noise = _vector_sum([one])
    totals = []
    for number, block in enumerate(one.layout.blocks):
        start = one.layout.offset(block)
        totals.append(Estimate(Fraction(sum(vector[start : start + block.cells])), noise[number] * block.cells))
    return tuple(totals)


def _places(
    contributors: Sequence[Contributor], ordered: Sequence[WindowInput]
) -> tuple[tuple[Contributor, tuple[Place | None, ...]], ...]:
    found: dict[bytes, list[Place | None]] = {member.node: [] for member in contributors}
    for one in ordered:
        included = {release.node for release in one.releases}
        abstained = {refusal.node: refusal.reason for refusal in one.abstentions}
        voided = {refusal.node: refusal.reason for refusal in one.voided}
        for member in contributors:
            found[member.node].append(_place(member, one.window, included, abstained, voided))
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
    if not member.is_expected_in(window):
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


def _checked(one: WindowInput, release: CountedRelease) -> CountedRelease:
    expected = [(block.cells, block.quantum) for block in one.layout.blocks]
    fits = [(block.cells, block.quantum) for block in release.blocks] == expected
    if release.window != one.window or not fits or len(release.cells) != one.layout.cells:
        raise ValueError(f"a release does not fit the layout of {one.window.text}")
    if sum(other.node == release.node for other in one.releases) > 1:
        raise ValueError(f"two releases of one node for {one.window.text}")
    return release
