"""The one door out of a node: a release is an exact vector plus noise, and its constructor adds the noise.

- There is no way to make a `Release` from numbers that are not noised here. A summary, and everything a
  peer, researcher or page sees, is made from a `Release`.
- Noise is drawn from the layout alone, before the exact vector is read, and each `Noise` is used once: the
  same noise on two vectors would show their difference.
- The charge must cover the layout's rho and δ, or nothing goes out (I7).
- Keys that nobody listed go out with noised people of at least τ only (`privacy.discovery` selects them).
- Exact vectors and noise hide their numbers in `repr`, and are emptied once they are added.

Left out on purpose: the ledger's transaction and the signature (the node's publisher), a seed, rounding or
clamping of cells: signed integers go out as they are, since clamping would bias every sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol, final

from privacy.errors import BoundViolated, NoiseUnavailable, ReleaseRefused
from privacy.exact_sampling import Rng
from privacy.ledger import nano_rho_of_charge
from privacy.mechanisms import (
    GAUSSIAN,
    GEOMETRIC,
    check_mechanism,
    eta_of_draws,
    rho_of_discrete_gaussian,
    rho_of_discrete_laplace,
)
from privacy.units import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_CELL: Final = 2**53 - 1  # what canonical integers hold; definitions that could pass it do not compile
ID_BYTES: Final = 32
KEY_BYTES: Final = 32

GeometricSource = Callable[[Fraction, int, bytes], Sequence[int]]
"""(b, count, key) -> draws of diffprivlib's Geometric at value 0, a pure function of the three. diffprivlib is too
heavy for a node's own process: the node passes one that asks a child, and `privacy.diffprivlib_adapter` answers."""


class NoiseBlock(Protocol):
    """What noise and price need to know of a block of a layout (`privacy.layout.Block`)."""

    @property
    def cells(self) -> int: ...
    @property
    def l2_squared(self) -> int | Fraction: ...
    @property
    def sigma_squared(self) -> Fraction: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def quantum(self) -> Fraction: ...
    @property
    def scale(self) -> Fraction | None: ...


class NoiseLayout(Protocol):
    """What noise and price need to know of a layout (`privacy.layout.Layout`)."""

    @property
    def blocks(self) -> Sequence[NoiseBlock]: ...
    @property
    def delta_atto(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Slot:
    """The place for exactly one release: (definition, window, node).

    Args:
        definition_hash: 32 bytes.
        window: The interval counted.
        node: Node id, 32 bytes.
    """

    definition_hash: bytes
    window: Window
    node: bytes

    def __post_init__(self) -> None:
        if len(self.definition_hash) != ID_BYTES or len(self.node) != ID_BYTES:
            raise ValueError("definition_hash and node are 32 bytes each")

    @property
    def name(self) -> str:
        """One text for this slot within its node, as the ledger keys it."""
        return f"{self.definition_hash.hex()} {self.window.text}"


@dataclass(frozen=True, slots=True)
class ReleasedBlock:
    """One block of a release as it goes on the wire: its law of noise and where its cells stop.

    Args:
        mechanism: Name of the noise.
        sigma_squared: Variance parameter of the noise, in cells squared.
        quantum: What one unit of a cell is worth, in the measure's unit.
        cells: How many cells; blocks stand one after the other.
        scale: b of discrete Laplace noise; None for Gaussian.
    """

    mechanism: str
    sigma_squared: Fraction
    quantum: Fraction
    cells: int
    scale: Fraction | None = None


@dataclass(frozen=True, slots=True)
class PassedKeys:
    """The keys of a release, in the order of their cells; the first block, `people`, says that each passed.

    Args:
        keys: In the order of their UTF-8 bytes.
        threshold: τ.
    """

    keys: tuple[str, ...]
    threshold: int


class ExactVector(list[int]):
    """A bounded vector before noise: a list that does not show its numbers and is emptied by `Release`."""

    def __repr__(self) -> str:
        return f"<ExactVector of {len(self)} cells, hidden>"

    __str__ = __repr__


@final
class Noise:
    """Noise for one layout, to be added once.

    Made by `draw_noise`. Holds the draws until a `Release` takes them; its repr shows none of them.
    """

    __slots__ = ("_blocks", "_draws")

    def __init__(self, blocks: Iterable[ReleasedBlock], draws: NDArray[np.int64]) -> None:
        self._blocks = tuple(blocks)
        self._draws: NDArray[np.int64] | None = draws

    @classmethod
    def of(cls, layout: NoiseLayout, draws: Sequence[int]) -> Noise:
        """Draws that were made for this layout's cells, kept until a release takes them."""
        import numpy as np

        return cls(_released_blocks(layout), np.array(draws, dtype=np.int64))

    def __repr__(self) -> str:
        return f"<Noise for {sum(block.cells for block in self._blocks)} cells, hidden>"

    def __reduce__(self) -> str:
        raise TypeError("noise is not copied or stored")

    @property
    def is_used(self) -> bool:
        return self._draws is None

    def _take(self, blocks: tuple[ReleasedBlock, ...]) -> list[int]:
        """The draws, once, for the layout they were drawn for."""
        if self._draws is None:
            raise used_twice()
        if blocks != self._blocks:
            raise _refused("the noise was drawn for another layout", "Draw noise from the release's layout")
        draws: list[int] = self._draws.tolist()
        self._draws = None
        return draws


def draw_noise(layout: NoiseLayout, rng: Rng, geometric: GeometricSource | None = None) -> Noise:
    """Noise for every cell of a layout, from 32 fresh bytes of rng; called before the vector is read.

    Args:
        layout: Its blocks are drawn in order, from one stream.
        rng: n -> n random bytes.
        geometric: Who draws `geometric` blocks: at value 0, from 32 bytes of the stream.

    Raises:
        UnknownMechanism: a block asks for noise this version cannot draw.
        NoiseUnavailable: rng failed, or nobody draws a `geometric` block.
    """
    import numpy as np

    from privacy.sampling import keystream

    blocks = _released_blocks(layout)
    stream = keystream(rng)
    parts = [_draw_block(block, stream, geometric) for block in blocks]
    return Noise(blocks, np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64))


def draw_blocks(layout: NoiseLayout, stream: Rng) -> list[list[int]]:
    """The draws of each block, in order, from a stream; for blocks whose cells are known only after the rows."""
    return [_draw_block(block, stream, None).tolist() for block in _released_blocks(layout)]


def _draw_block(block: ReleasedBlock, stream: Rng, geometric: GeometricSource | None) -> NDArray[np.int64]:
    import numpy as np

    from privacy.sampling import draw_gaussian, draw_laplace, read_exactly

    if block.mechanism == GAUSSIAN:
        return draw_gaussian(block.sigma_squared, block.cells, stream)
    assert block.scale is not None, "the compiler gives Laplace blocks their scale"
    if block.mechanism != GEOMETRIC:
        return draw_laplace(block.scale, block.cells, stream)
    draws = None if geometric is None else geometric(block.scale, block.cells, read_exactly(stream, KEY_BYTES))
    if draws is None or len(draws) != block.cells or any(type(draw) is not int for draw in draws):
        raise NoiseUnavailable(
            what="Release stopped",
            why="nobody here draws geometric noise"
            if draws is None
            else "the geometric noise is not what was asked for",
            fix="Run the release in a node, which starts diffprivlib beside it; nothing was released or charged",
        )
    return np.array(draws, dtype=np.int64)


@final
class Release:
    """One noised release together with the charge that paid for it.

    Args:
        slot: What it is the release of.
        layout: Compiled layout of the definition for the window.
        noise: Drawn for this layout; used up by this call, even when it fails.
        vector: Exact bounded cells, in layout order; an `ExactVector` is emptied.
        charges: (epoch text, nano-rho, atto-delta) for each epoch charged.
        unit: Weakest person-key kind of the rows counted: "user", "session" or "address".
        sampling: Share of persons sampled, in (0, 1]; 1 is all.
        keys: Where keys are discovered: those that passed, and the τ they passed.

    Raises:
        BoundViolated: the vector has the wrong length, a value that is no int, or one out of range.
        ReleaseRefused: noise used or drawn for another layout, charges below the layout's rho or δ, or a key below τ.
    """

    __slots__ = ("blocks", "cells", "charges", "eta", "keys", "rho", "sampling", "slot", "unit")

    slot: Slot
    blocks: tuple[ReleasedBlock, ...]
    cells: tuple[int, ...]
    charges: tuple[tuple[str, int, int], ...]
    unit: str
    sampling: Fraction
    rho: Fraction
    eta: Fraction
    keys: tuple[str, ...] | None

    def __init__(
        self,
        slot: Slot,
        layout: NoiseLayout,
        noise: Noise,
        vector: Sequence[int],
        charges: Iterable[tuple[str, int, int]],
        unit: str,
        sampling: Fraction = Fraction(1),
        keys: PassedKeys | None = None,
    ) -> None:
        blocks = _released_blocks(layout)
        draws = noise._take(blocks)
        paid = tuple(charges)
        rho = rho_of_layout(layout)
        _check_charges(paid, rho, layout.delta_atto)
        if (layout.delta_atto > 0) != (keys is not None):
            raise _refused(
                "it names keys where none are discovered, or none where they are", "Release it with its keys"
            )
        if not 0 < sampling <= 1:
            raise _refused(f"the sampling rate is {sampling}", "A rate lies above 0 and at most at 1")
        cells = _noised(vector, draws)
        if isinstance(vector, ExactVector):
            vector.clear()
        if keys is not None and any(people < keys.threshold for people in cells[: len(keys.keys)]):
            raise _refused("a key has fewer noised people than it needs", "This is a fault of the software; report it")
        passed = None if keys is None else keys.keys
        values = (slot, blocks, cells, paid, unit, Fraction(sampling), rho, _eta(blocks), passed)
        names = ("slot", "blocks", "cells", "charges", "unit", "sampling", "rho", "eta", "keys")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a release never changes; {name} was not set")

    def __repr__(self) -> str:
        return f"<Release {self.slot.name[:16]} {self.slot.window.text}, {len(self.cells)} cells>"


def make_release(
    slot: Slot,
    layout: NoiseLayout,
    noise: Noise,
    vector: Sequence[int],
    charges: Iterable[tuple[str, int, int]],
    unit: str,
    sampling: Fraction = Fraction(1),
    keys: PassedKeys | None = None,
) -> Release:
    """The release of a vector: `Release`'s constructor under the name the publisher reads."""
    return Release(slot, layout, noise, vector, charges, unit, sampling, keys)


def rho_of_layout(layout: NoiseLayout) -> Fraction:
    """What noise on every block costs one person key: the sum of Δ₂²/(2σ²), or Δ₂²/(2b²), exact (PRIVACY 2)."""
    return sum((_rho_of_block(block) for block in layout.blocks), Fraction(0))


def _rho_of_block(block: NoiseBlock) -> Fraction:
    if block.mechanism == GAUSSIAN:
        return rho_of_discrete_gaussian(Fraction(block.l2_squared), block.sigma_squared)
    assert block.scale is not None, "the compiler gives Laplace blocks their scale"
    return rho_of_discrete_laplace(Fraction(block.l2_squared), block.scale)


def _released_blocks(layout: NoiseLayout) -> tuple[ReleasedBlock, ...]:
    for block in layout.blocks:
        check_mechanism(block.mechanism)
    return tuple(
        ReleasedBlock(block.mechanism, block.sigma_squared, block.quantum, block.cells, block.scale)
        for block in layout.blocks
    )


def _eta(blocks: tuple[ReleasedBlock, ...]) -> Fraction:
    """Distance of all draws to their law, for the reported δ."""
    return sum(
        (eta_of_draws(block.mechanism, block.sigma_squared, block.cells, block.scale) for block in blocks), Fraction(0)
    )


def _check_charges(charges: tuple[tuple[str, int, int], ...], rho: Fraction, delta_atto: int) -> None:
    owed, paid = nano_rho_of_charge(rho), sum(rho_nano for _, rho_nano, _ in charges)
    if sum(delta_paid for _, _, delta_paid in charges) < delta_atto:
        raise _refused(
            f"it costs {delta_atto} atto-delta, and less was charged", "Charge the layout's delta to the window's epoch"
        )
    if paid < owed or any(rho_nano < 0 or delta_atto < 0 for _, rho_nano, delta_atto in charges):
        raise _refused(
            f"it costs {owed} nano-rho and {paid} were charged",
            "Charge the layout's rho, rounded up, to the window's epoch",
        )


def _noised(vector: Sequence[int], draws: list[int]) -> tuple[int, ...]:
    """vector + draws in Python integers, each within the exact range; messages show no value."""
    if len(vector) != len(draws):
        raise _violated(f"the vector has {len(vector)} cells, its layout has {len(draws)}")
    if any(type(value) is not int for value in vector):
        raise _violated("a cell is not a Python int")
    cells = tuple(value + draw for value, draw in zip(vector, draws, strict=True))
    if cells and not (min(cells) >= -MAX_CELL and max(cells) <= MAX_CELL):
        raise _violated("a cell leaves the range of ±(2^53 − 1)")
    return cells


def used_twice() -> ReleaseRefused:
    """The refusal of noise that was used before: on two vectors it would show their difference."""
    return _refused("this noise was used before", "Draw fresh noise for each release")


def _violated(why: str) -> BoundViolated:
    return BoundViolated(
        what="Release stopped",
        why=why,
        fix="This is a fault of the software or the engine; nothing was released. Report it",
    )


def _refused(why: str, fix: str) -> ReleaseRefused:
    return ReleaseRefused(what="Release refused", why=why, fix=fix)
