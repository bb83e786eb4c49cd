"""The opened rows of a window: cut to its hours, parted by person, given out part by part.

Rules:
- Rows rest here as narrow as they rest in frames (some 25 bytes an event); only the part in hand is wide. So a window
  of ten million events is bounded in the memory of one part.
- A part holds every row of its persons, so that whatever looks at one person at a time may look at one part at a time.
  Persons are parted by the first bits of their pseudonyms, which are random; order means nothing to a reader.
- Few rows are one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from node.vault.frames import (
    ArrayColumn,
    DecodedColumn,
    DecodedFrame,
    column_of,
    joined,
)
from privacy.rows import ROW_COLUMNS, ROW_NAMES
from privacy.units import Window

PART_ROWS: Final = 1 << 17  # of one part, about: its hash tables and sorts stay in a processor's cache
_SLICE_BITS: Final = 6  # persons fall into 64 slices; a part is one or some of them
_SLICES: Final = 1 << _SLICE_BITS
_FULL_ROWS: Final = 1 << 15  # a frame of so many rows is worth its own arrays; smaller ones are joined
_JOINED_ROWS: Final = 1 << 16
_JOINED_FRAMES: Final = 512  # decoded frames waiting: each weighs some 5 kB beside its rows

_VARIES: Final = -1  # a base is never below 0
_HOUR: Final = ROW_NAMES.index("hour")
_PERSON: Final = ROW_NAMES.index("person")


def coalesced(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
    """The same rows in the same order, small frames joined, so that what is done a frame is not done thousandfold."""
    waiting: list[DecodedFrame] = []
    rows = 0
    for frame in frames:
        if frame.rows >= _FULL_ROWS:
            yield frame
            continue
        waiting.append(frame)
        rows += frame.rows
        if rows >= _JOINED_ROWS or len(waiting) >= _JOINED_FRAMES:
            yield joined(waiting)
            waiting, rows = [], 0
    if waiting:
        yield joined(waiting)


class OpenedRows:
    """The rows of one window, every stored repeat of them; iterate over `parts` as often as needed."""

    def __init__(self, frames: list[DecodedFrame], window: Window | None = None, *, part_rows: int = PART_ROWS) -> None:
        """Args:
        frames: Rows that hold the window's; the list is emptied, so that they are not held twice.
        window: Cut to its hours first; None: all rows are its.
        """
        self.constants = _constants(frames)
        whole = sum(frame.rows for frame in frames) <= part_rows
        self._frames: list[tuple[DecodedFrame, npt.NDArray[np.intp]]] = []
        while frames:
            parted = _parted(frames.pop(0), window, whole=whole)
            if parted is not None:
                self._frames.append(parted)
        self.rows = sum(frame.rows for frame, _ in self._frames)
        wanted = 1 if whole else -(-self.rows // part_rows)
        self.parts = min(_SLICES, 1 << max(0, wanted - 1).bit_length())
        if whole:
            self.parts = 1

    def part(self, number: int) -> list[tuple[DecodedFrame, int, int]]:
        """The rows of one part, 0 … parts − 1: in which frame, from which row, and to before which."""
        each = _SLICES // self.parts
        cuts = [(frame, int(bounds[number * each]), int(bounds[(number + 1) * each])) for frame, bounds in self._frames]
        return [(frame, start, stop) for frame, start, stop in cuts if start < stop]

    def columns(self, part: Sequence[tuple[DecodedFrame, int, int]]) -> dict[str, ArrayColumn]:
        """The rows of a part as columns, without those that are `constants`."""
        return {
            name: column_of(
                [(f.columns[at] if at < len(f.columns) else None, start, stop) for f, start, stop in part], at
            )
            for at, name in enumerate(ROW_NAMES)
            if name not in self.constants
        }

    @property
    def frames(self) -> list[DecodedFrame]:
        """All rows, in no stated order."""
        return [frame for frame, _ in self._frames]


def _parted(
    frame: DecodedFrame, window: Window | None, *, whole: bool
) -> tuple[DecodedFrame, npt.NDArray[np.intp]] | None:
    """The frame's rows of the window, slice after slice, and where each slice begins; None without any."""
    order: npt.NDArray[np.intp] | None = None
    if window is not None:
        hours = column_of([(frame.columns[_HOUR], 0, frame.rows)], _HOUR)[0]
        inside = (hours >= window.start_hour) & (hours < window.end_hour)
        if not inside.all():
            order = np.flatnonzero(inside)
            if not len(order):
                return None
    size = frame.rows if order is None else len(order)
    if whole:
        bounds = np.full(_SLICES + 1, size)
        bounds[0] = 0
    else:
        persons = column_of([(frame.columns[_PERSON], 0, frame.rows)], _PERSON)[0]
        slices = (persons if order is None else persons[order]) >> np.uint64(64 - _SLICE_BITS)
        within = np.argsort(slices.astype(np.uint8), kind="stable")  # one byte: a radix sort
        order = within if order is None else order[within]
        bounds = np.concatenate(([0], np.cumsum(np.bincount(slices.astype(np.int64), minlength=_SLICES))))
    return (frame if order is None else _taken(frame, order)), bounds


def _taken(frame: DecodedFrame, rows: npt.NDArray[np.intp]) -> DecodedFrame:
    """Some rows of a frame."""
    return DecodedFrame(len(rows), tuple(column and _some(column, rows) for column in frame.columns))


def _some(column: DecodedColumn, rows: npt.NDArray[np.intp]) -> DecodedColumn:
    if column.offsets is None and column.valid is None:
        return column
    return DecodedColumn(
        column.base,
        None if column.offsets is None else column.offsets[rows],
        None if column.valid is None else column.valid[rows],
    )


def _constants(frames: Sequence[DecodedFrame]) -> dict[str, int | None]:
    """Columns with one value for all rows; the person is never one of them."""
    found: dict[str, int | None] = {}
    for position, column in enumerate(ROW_COLUMNS):
        if position == _PERSON or not frames:
            continue
        values = {_constant(frame.columns[position] if position < len(frame.columns) else None) for frame in frames}
        if len(values) == 1 and _VARIES not in values:
            (value,) = values
            is_below_0 = value is not None and column.type == "i64" and value >= 1 << 63
            found[column.name] = value - (1 << 64) if value is not None and is_below_0 else value
    return found


def _constant(column: DecodedColumn | None) -> int | None:
    """The one value of a column, None for a column of nulls, `_VARIES` where there are several."""
    if column is None:
        return None
    return column.base if column.offsets is None and column.valid is None else _VARIES
