"""Places of per-person cells among those of their person, on arrays: lot, nth and units of `Binding.pieces`.

The SQL says the same with a window over each person. Sorting is most of what a release from rows costs, and arrays of
one part of the persons are sorted several times faster here; property tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from privacy.bounding import LOT_MASK

_UNIT_BITS: Final = 16  # of a unit that is packed beside its person; layouts have at most 2^16 cells
_MANY_PERSONS: Final = 1 << 31  # numbers of persons are 32 bits wide


@dataclass(frozen=True, slots=True, repr=False)  # repr: it would show persons
class Places:
    """The cells by person and rising unit; all arrays have one length.

    Args:
        order: Position of each cell in the arrays that were given.
        number: The person's number among those given, from 0, as persons have no name here.
        lot: The last 31 bits of the pseudonym.
        nth: The cell's place among its person's, from 0.
        units: How many the person has.
    """

    order: npt.NDArray[np.intp]
    number: npt.NDArray[np.int32]
    lot: npt.NDArray[np.int32]
    nth: npt.NDArray[np.int32]
    units: npt.NDArray[np.int32]


def placed(persons: npt.NDArray[np.uint64], units: npt.NDArray[np.integer[Any]]) -> Places:
    """Places of the cells (person, unit), each pair at most once, in any order.

    Raises:
        ValueError: 2^31 cells or more.
    """
    size = len(persons)
    if size >= _MANY_PERSONS:
        raise ValueError("too many cells for one part; part the persons first")
    order = _by_person(persons, units)
    theirs = persons[order]
    begins = np.ones(size, np.bool_)
    np.not_equal(theirs[1:], theirs[:-1], out=begins[1:])
    starts = np.flatnonzero(begins).astype(np.int32)
    counts = np.diff(starts, append=np.int32(size)).astype(np.int32)
    return Places(
        order,
        np.repeat(np.arange(len(starts), dtype=np.int32), counts),
        (theirs & np.uint64(LOT_MASK)).astype(np.int32),
        np.arange(size, dtype=np.int32) - np.repeat(starts, counts),
        np.repeat(counts, counts),
    )


def _by_person(persons: npt.NDArray[np.uint64], units: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.intp]:
    """The order by person, then unit. Which person comes first means nothing, so one packed word is sorted where it
    holds both: the last 48 bits of the pseudonym and the unit. Where two persons share those bits, both are sorted."""
    if len(units) and int(units.min()) >= 0 and int(units.max()) < 1 << _UNIT_BITS:
        packed = (persons << np.uint64(_UNIT_BITS)) | units.astype(np.uint64)
        order = np.argsort(packed)
        theirs = persons[order]
        short = theirs << np.uint64(_UNIT_BITS)
        if not np.any((short[1:] == short[:-1]) & (theirs[1:] != theirs[:-1])):
            return order
    return np.lexsort((units, persons))
