"""What a measure reads of a row beside its group: places on an axis, values in quanta, steps, marks.

A measure names its fields; `privacy.projection` turns each into a column by the codes of a plan version, and
`privacy.bounding_reference` into the same number by the meaning of the row. A field is an integer or null.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from privacy.dimensions import Dimension
from privacy.sources import ANY, Source


@dataclass(frozen=True, slots=True)
class Place:
    """The position of the row's label on an axis; null where the axis does not count the row."""

    axis: Dimension


@dataclass(frozen=True, slots=True)
class Quanta:
    """A number (or flag) in whole quanta; null where it is absent or the row is outside `part`.

    A plan's quantum must be a whole multiple of this one, else the plan is incompatible: nothing is rounded here.
    """

    attribute: str
    quantum: Fraction
    part: Source = ANY


@dataclass(frozen=True, slots=True)
class Step:
    """The number, from 1, of the step that the row is; null where it is none. Sources do not overlap."""

    steps: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """1 where the row belongs to the source; null elsewhere."""

    part: Source


Field = Place | Quanta | Step | Mark
