"""Planning by accuracy: the price a wanted accuracy asks for, and what the bounds will cut, before anything is spent.

Rules:

- Everything follows from the definition and from public figures that somebody states: how many people, how many groups
  each touches, how many events in each. No row of anybody is read, nothing is charged, nothing is kept.
- The *synthetic twin* is a made-up crowd of these figures: groups a person and events a group are geometric, and
  group k is 1/k as usual as the first (Zipf). Its draws come from the bytes passed in; the same bytes, the same twin.
- The price is the smallest 1/k (or whole k) at which the privacy interval of the first block is as narrow as asked, one
  cell, over as many releases as are summed.

What the bounds clip is a forecast for such a crowd. A real crowd is heavier in its tails; a cell `clipped_people`,
which is paid for, measures it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, Final

from privacy.definition import Definition
from privacy.errors import InvalidParameterError
from privacy.estimates.numbers import FINE, cell_noise, half_width_squared, total
from privacy.exact_sampling import Rng
from privacy.layout import Layout, compile_layout
from privacy.mechanisms import GAUSSIAN
from privacy.quantiles import sqrt_half_even
from privacy.units import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL: Final = "0.95"
SIZES: Final = tuple(lead * 10**power for power in range(1, 6) for lead in (1, 3))  # cells of 10, 30, 100 …
TWIN_PEOPLE: Final = 20_000  # made up at most; figures are scaled to the crowd stated
_SAMPLE_HOUR: Final = 20 * 365 * 24
_FINEST_PRICE: Final = 10**9  # 1/k: the unit of the ledger
_DEAREST_PRICE: Final = 100  # beyond, there is no privacy left to plan with
_ACCURACY: Final = re.compile(r"(?:±|\+-)?\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(%?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A wanted half-width of the 95 % privacy interval: of a cell's value, or in the measure's unit.

    Args:
        size: 1/20 for 5 %, or 40 for ±40.
        is_relative: Whether it is a share of the value.
    """

    size: Fraction
    is_relative: bool

    def width(self, value: Fraction) -> Fraction:
        """The half-width it allows at a cell of this value."""
        return self.size * value if self.is_relative else self.size


@dataclass(frozen=True, slots=True)
class Crowd:
    """Public figures of one node's people in one window.

    Args:
        people: Active people, >= 1.
        groups: Mean number of kept units (groups, bins, pairs) a person touches, >= 1.
        events: Mean number of events of a person in one of them, >= 1.
    """

    people: int
    groups: Fraction
    events: Fraction


@dataclass(frozen=True, slots=True)
class Twin:
    """What the definition's bounds make of a crowd.

    Args:
        kept: Share of the events (or appearances) that the bounds keep.
        cut_people: Share of the people of whom something is cut.
        sizes: Bounded values of the cells, largest first, scaled to the crowd.
    """

    kept: Fraction
    cut_people: Fraction
    sizes: tuple[int, ...]

    @property
    def typical(self) -> int:
        """The middle one of the cells that hold anything; at least 1."""
        held = [size for size in self.sizes if size]
        return held[len(held) // 2] if held else 1


@dataclass(frozen=True, slots=True)
class Price:
    """What an accuracy costs.

    Args:
        definition: The definition at this price.
        layout: Its layout.
        half_width: Of the 95 % interval of one cell of the first block over the releases summed, in the measure's unit.
        wanted: The half-width that was asked for.
    """

    definition: Definition
    layout: Layout
    half_width: Fraction
    wanted: Fraction


def parse_accuracy(text: str) -> Accuracy:
    """`5%` of a typical cell, or `±40` (also `40`) in the measure's unit.

    Raises:
        InvalidParameterError: anything else, or nothing above 0.
    """
    match = _ACCURACY.fullmatch(text.strip())
    size = Fraction(match[1]) if match else Fraction(0)
    if match is None or size <= 0 or (match[2] and size > 100):
        raise InvalidParameterError(
            what="Accuracy refused",
            why=f"expected a percentage or a number above 0, got {text[:20]!r}",
            fix="Write 5% (of a typical cell) or ±40 (in the measure's unit)",
        )
    return Accuracy(size / 100, True) if match[2] else Accuracy(size, False)


def price_for(definition: Definition, accuracy: Accuracy, typical: int, releases: int = 1) -> Price:
    """The cheapest price at which one cell of the first block is as accurate as asked.

    Args:
        definition: Its own price is not looked at; its mechanism is kept.
        accuracy: Of the sum over all releases.
        typical: Value of a cell of one release, in quanta, for a relative accuracy.
        releases: How many releases (nodes times windows) are summed; >= 1.

    Raises:
        InvalidParameterError: no price up to 100 gives it, or it is relative and the first block counts nothing.
    """
    layout = _at(definition, Fraction(1))
    block = layout.blocks[0]
    if accuracy.is_relative and (block.is_signed or block.quantum != 1):
        raise InvalidParameterError(
            what="Accuracy refused",
            why=f"block {block.name} of {definition.measure.word} holds values, and a made-up crowd has none",
            fix="Give ±N in the measure's unit: how far the total of one cell may stray",
        )
    wanted = accuracy.width(Fraction(typical * releases) * layout.blocks[0].quantum)
    cheap, dear = 0, _FINEST_PRICE + _DEAREST_PRICE
    if half_width(_at(definition, _price(dear)), releases) > wanted:
        raise InvalidParameterError(
            what="Accuracy refused",
            why=f"no price gives ±{float(wanted):g} on a cell",
            fix="Ask for less, or take lower bounds, fewer cells or a longer window",
        )
    while dear - cheap > 1:  # half-widths fall as prices rise
        middle = (cheap + dear) // 2
        if half_width(_at(definition, _price(middle)), releases) <= wanted:
            dear = middle
        else:
            cheap = middle
    priced = _priced(definition, _price(dear))
    layout = _at(definition, _price(dear))
    return Price(replace(priced, rho=layout.rho), layout, half_width(layout, releases), wanted)


def half_width(layout: Layout, releases: int = 1) -> Fraction:
    """Half-width of the 95 % privacy interval of one cell of the first block, summed over so many releases."""
    block = layout.blocks[0]
    noise = total([cell_noise(block.sigma_squared, block.scale)] * releases)
    square = half_width_squared(noise, LEVEL) * block.quantum**2
    return sqrt_half_even(square, block.quantum / FINE)


def make_twin(definition: Definition, crowd: Crowd, rng: Rng) -> Twin:
    """The twin of a crowd under the definition's bounds.

    Args:
        definition: Its bounds and number of units count; its price does not.
        crowd: Public figures.
        rng: Bytes that decide the draws.
    """
    import numpy as np

    layout = _at(definition, Fraction(1))
    units = max(definition.measure.units(prod(axis.size for axis in layout.by)), 1)
    people = min(crowd.people, TWIN_PEOPLE)
    touched = np.minimum(_geometric(crowd.groups, people, rng), units)
    owner = np.repeat(np.arange(people), touched)
    weights = np.cumsum(1 / np.arange(1, units + 1))
    unit = np.searchsorted(weights, _uniform(len(owner), rng) * weights[-1])
    pairs = np.unique(owner * units + np.minimum(unit, units - 1))  # a group drawn twice is one
    owner, unit = pairs // units, pairs % units
    counts = definition.measure.uses_max_per_cell
    events = _geometric(crowd.events, len(pairs), rng) if counts else np.ones(len(pairs), dtype=np.int64)
    # A random order inside each person stands for the salted hash; the first C are kept.
    order = np.lexsort((_uniform(len(pairs), rng), owner))
    place = np.empty(len(pairs), dtype=np.int64)
    place[order] = np.arange(len(pairs)) - np.searchsorted(owner, owner[order])
    is_kept = place < definition.max_cells if definition.measure.uses_max_cells else np.ones(len(pairs), dtype=bool)
    bounded = np.where(is_kept, np.minimum(events, definition.max_per_cell) if counts else events, 0)
    cells = np.bincount(unit, weights=bounded, minlength=units)
    cut = len(np.unique(owner[bounded < events]))
    scaled = sorted((int(size) for size in cells * crowd.people / people), reverse=True)
    return Twin(Fraction(int(bounded.sum()), max(int(events.sum()), 1)), Fraction(cut, people), tuple(scaled))


def accuracy_by_size(width: Fraction, quantum: Fraction, sizes: Sequence[int] = SIZES) -> list[tuple[int, Fraction]]:
    """(value of a cell, half-width as a share of it) for cells of these sizes, in the measure's unit."""
    return [(size, width / (size * quantum)) for size in sizes]


def _price(step: int) -> Fraction:
    """Prices in rising order: 1/10⁹ at step 0, 1/k …, 1, 2, 3 …"""
    below = _FINEST_PRICE - step
    return Fraction(1, below) if below > 0 else Fraction(2 - below)


def _priced(definition: Definition, price: Fraction) -> Definition:
    """The definition at another price: ρ for Gaussian noise, pure ε for Laplace."""
    if definition.mechanism == GAUSSIAN:
        return replace(definition, rho=price, epsilon=None)
    return replace(definition, rho=Fraction(0), epsilon=price)


def _at(definition: Definition, price: Fraction) -> Layout:
    return compile_layout(_priced(definition, price), Window.containing(definition.window, _SAMPLE_HOUR))


def _uniform(count: int, rng: Rng) -> NDArray[np.float64]:
    import numpy as np

    return (np.frombuffer(rng(8 * count), dtype="<u8") >> np.uint64(11)).astype(np.float64) / 2**53


def _geometric(mean: Fraction, count: int, rng: Rng) -> NDArray[np.int64]:
    """1, 2, … with this mean, >= 1."""
    import numpy as np

    if mean <= 1:
        return np.ones(count, dtype=np.int64)
    stay = 1 - 1 / float(mean)
    drawn = 1 + np.floor(np.log1p(-_uniform(count, rng)) / np.log(stay))
    sizes: NDArray[np.int64] = np.minimum(drawn, ceil(1000 * mean)).astype(np.int64)
    return sizes
