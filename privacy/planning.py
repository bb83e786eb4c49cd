"""Planning by accuracy: the price a wanted accuracy asks for, before anything is spent.

Rules:

- Everything follows from the definition and from a synthetic twin (`privacy.twin`), made of public figures that
  somebody states. No row of anybody is read, nothing is charged, nothing is kept.
- An accuracy is the half-width of the 95 % privacy interval of the *figure* that a reader of the measure reads, over as
  many releases as are summed:

| measure | figure | ±N is in | a size counts |
|---|---|---|---|
| count, top, histogram, journey | one cell | events, moves | events |
| people, funnel, retention | one cell | people (sessions) | people |
| sum | one cell | the measure's unit | values |
| mean | the mean of one group | the measure's unit | values |
| score | the score of one group, per person | points | people |

- 5 % is a share of the figure at the twin's typical cell. Only where that figure is 0 (a range around 0, and no usual
  value stated) is a share of it no width, and refused.
- The price is the smallest 1/k (or whole k) that gives the accuracy: ρ for Gaussian noise, pure ε for Laplace.
- A ratio's interval is Fieller's, its longer side; where the denominator could be 0 it has none, and no price that low
  is enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from privacy.definition import Definition
from privacy.errors import InvalidParameterError, OverflowPossible
from privacy.estimates.numbers import FINE, Estimate, cell_noise, half_width_squared
from privacy.estimates.ratios import ratio
from privacy.layout import Block, Layout, compile_layout
from privacy.measures.mean import Mean
from privacy.measures.score import Score
from privacy.mechanisms import GAUSSIAN
from privacy.quantiles import sqrt_half_even
from privacy.twin import Twin
from privacy.units import Window

LEVEL: Final = "0.95"
SIZES: Final = tuple(lead * 10**power for power in range(1, 6) for lead in (1, 3))  # of 10, 30, 100 …
_SAMPLE_HOUR: Final = 20 * 365 * 24
_FINEST_PRICE: Final = 10**9  # 1/k: the unit of the ledger
_DEAREST_PRICE: Final = 100  # beyond, there is no privacy left to plan with
_ACCURACY: Final = re.compile(r"(?:±|\+-)?\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(%?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A wanted half-width of the 95 % privacy interval: of a figure's value, or in the measure's unit.

    Args:
        size: 1/20 for 5 %, or 40 for ±40.
        is_relative: Whether it is a share of the value.
    """

    size: Fraction
    is_relative: bool

    def width(self, value: Fraction) -> Fraction:
        """The half-width it allows at a figure of this value."""
        return self.size * abs(value) if self.is_relative else self.size


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The figure of a definition whose accuracy is planned.

    Args:
        definition: Whose; its price is not looked at.
        value: What one counted thing is worth: of a sum and a mean the usual value, of a score the usual score, else 1.
    """

    definition: Definition
    value: Fraction = Fraction(1)

    @property
    def is_ratio(self) -> bool:
        """Whether the figure is one block over another, and so does not grow with what is counted."""
        return isinstance(self.definition.measure, Mean | Score)

    @property
    def name(self) -> str:
        """The figure, in words."""
        match self.definition.measure:
            case Mean():
                return "the mean of one group"
            case Score():
                return "the score per person of one group"
        return "one cell"

    def worth(self, size: int) -> Fraction:
        """The figure where so much is counted, in the measure's unit."""
        return self.value if self.is_ratio else self.value * size

    def half_width(self, layout: Layout, size: int, releases: int) -> Fraction | None:
        """Half of its 95 % privacy interval, in the measure's unit; None where a ratio has no interval.

        Args:
            layout: The definition at some price.
            size: What is counted in all releases together.
            releases: How many releases (nodes times windows) are summed; >= 1.
        """
        first = layout.own_blocks[0]
        if not self.is_ratio:
            square = half_width_squared(_noise(first, releases), LEVEL)
            return sqrt_half_even(square, first.quantum / FINE)
        measure = self.definition.measure
        cells = len(measure.components) if isinstance(measure, Score) else 1
        middle = measure.middle if isinstance(measure, Mean) else Fraction(0)
        above = _noise(first, releases * cells)
        below = _noise(layout.own_blocks[1], releases)
        point = self.value - middle
        found = ratio(replace(above, value=point * size), replace(below, value=Fraction(size)), LEVEL)
        if found.status != "ok" or found.lower is None or found.upper is None:
            return None
        return max(found.upper - point, point - found.lower)


@dataclass(frozen=True, slots=True)
class Price:
    """What an accuracy costs.

    Args:
        definition: The definition at this price.
        layout: Its layout.
        half_width: Of the 95 % interval of the figure over the releases summed, in the measure's unit.
        wanted: The half-width that was asked for.
    """

    definition: Definition
    layout: Layout
    half_width: Fraction
    wanted: Fraction


def parse_accuracy(text: str) -> Accuracy:
    """`5%` of a typical figure, or `±40` (also `40`) in the measure's unit.

    Raises:
        InvalidParameterError: anything else, or nothing above 0.
    """
    match = _ACCURACY.fullmatch(text.strip())
    size = Fraction(match[1]) if match else Fraction(0)
    if match is None or size <= 0 or (match[2] and size > 100):
        raise _refused(
            f"expected a percentage or a number above 0, got {text[:20]!r}",
            "Write 5% (of a typical figure) or ±40 (in the measure's unit)",
        )
    return Accuracy(size / 100, True) if match[2] else Accuracy(size, False)


def yardstick(definition: Definition, twin: Twin) -> Yardstick:
    """The figure to plan for, at the twin's usual value."""
    return Yardstick(definition, twin.value)


def price_for(yard: Yardstick, accuracy: Accuracy, typical: int, releases: int = 1) -> Price:
    """The cheapest price at which the figure is as accurate as asked.

    Args:
        yard: The figure; the price of its definition is not looked at, its mechanism is kept.
        accuracy: Of the sum over all releases.
        typical: What the cell of one release counts, >= 1.
        releases: How many releases (nodes times windows) are summed; >= 1.

    Raises:
        InvalidParameterError: no price up to 100 gives it, or it is a share of a figure that is 0.
    """
    size = typical * releases
    wanted = accuracy.width(yard.worth(size))
    if not wanted:
        raise _refused(
            "the usual figure is 0 (the middle of the range), and a share of 0 is no width",
            "State the usual value of one event with --value, or ask for ±N in the measure's unit",
        )
    cheap, dear = 0, _FINEST_PRICE + _DEAREST_PRICE
    if not _is_enough(yard, dear, size, releases, wanted):
        raise _refused(
            f"no price gives ±{float(wanted):g} on {yard.name}, with {size:,} counted",
            "Ask for less, sum more nodes or windows, or take lower bounds, fewer cells or a longer window",
        )
    while dear - cheap > 1:  # half-widths fall as prices rise
        middle = (cheap + dear) // 2
        if _is_enough(yard, middle, size, releases, wanted):
            dear = middle
        else:
            cheap = middle
    layout = _at(yard.definition, _price(dear))
    found = yard.half_width(layout, size, releases)
    assert found is not None, "it was enough"
    return Price(replace(_priced(yard.definition, _price(dear)), rho=layout.rho), layout, found, wanted)


def accuracy_by_size(
    yard: Yardstick, layout: Layout, releases: int = 1, sizes: Sequence[int] = SIZES
) -> list[tuple[int, Fraction | None, Fraction | None]]:
    """(what is counted, half-width in the measure's unit, its share of the figure); None where there is none."""
    rows: list[tuple[int, Fraction | None, Fraction | None]] = []
    for size in sizes:
        width, worth = yard.half_width(layout, size, releases), abs(yard.worth(size))
        rows.append((size, width, None if width is None or not worth else width / worth))
    return rows


def _is_enough(yard: Yardstick, step: int, size: int, releases: int, wanted: Fraction) -> bool:
    try:
        layout = _at(yard.definition, _price(step))
    except OverflowPossible:  # so little is paid that the noise could leave the exact range
        return False
    found = yard.half_width(layout, size, releases)
    return found is not None and found <= wanted


def _noise(block: Block, cells: int) -> Estimate:
    """The noise of so many cells of a block together, at value 0, in the measure's unit."""
    return cell_noise(block.sigma_squared, block.scale).copies(cells).times(block.quantum)


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
    """The layout at a price, without the threshold of discovered keys: intervals do not hang on it."""
    return compile_layout(
        replace(_priced(definition, price), delta=None), Window.containing(definition.window, _SAMPLE_HOUR)
    )


def _refused(why: str, fix: str) -> InvalidParameterError:
    return InvalidParameterError(what="Accuracy refused", why=why, fix=fix)
