"""Rows of many frames into few: what compaction merges, and what forgetting leaves out (specs/vault.md 3.9).

Rules:
- Compaction keeps every row, repeats too; forgetting drops the rows of the persons named and keeps every other.
- Rows are sorted by person within a frame. Order means nothing to a reader; sorted, a person's repeats weigh little
  (`tests/unit/node/test_rewriting.py` measures it), and the order in which people came is gone.
- Memory is bounded by one frame of FULL_FRAME_ROWS and one file, whatever the epoch holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from node.vault.frames import MAX_FRAME_ROWS, ArrayColumn, DecodedFrame, encode_arrays, gather
from privacy.rows import ROW_NAMES

FULL_FRAME_ROWS: Final = 1 << 16  # some 2 MB sealed; 15 MB as arrays
_CHUNK_FRAMES: Final = 512  # decoded frames waiting: each weighs some 5 kB beside its rows

_PERSON: Final = ROW_NAMES.index("person")
_SESSION: Final = ROW_NAMES.index("session")
_EVENT_KEY: Final = ROW_NAMES.index("event_key")
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, repr=False)
class Persons:
    """The pseudonyms of some persons in one epoch; `sessions` are looked for as sessions of other persons too."""

    persons: Collection[int]
    sessions: Collection[int] = ()

    def rows_in(self, columns: Sequence[ArrayColumn]) -> _Mask:
        """Which rows are theirs."""
        found = np.isin(columns[_PERSON][0], np.fromiter(self.persons, np.uint64, len(self.persons)))
        if self.sessions:
            values, valid = columns[_SESSION]
            of_session = np.isin(values, np.fromiter(self.sessions, np.uint64, len(self.sessions)))
            found |= of_session if valid is None else of_session & valid
        return found


def merged(
    frames: Iterable[DecodedFrame], slots: int, *, without: Persons | None = None, frame_rows: int = FULL_FRAME_ROWS
) -> Iterator[tuple[bytes, int]]:
    """(plaintext, rows) of full frames with all rows of `frames`, less those of the persons; none for no rows."""
    for columns in chunked(frames, frame_rows):
        order = np.lexsort((columns[_EVENT_KEY][0], columns[_PERSON][0]))
        if without is not None:
            order = order[~without.rows_in(columns)[order]]
        for start in range(0, len(order), MAX_FRAME_ROWS):
            part = order[start : start + MAX_FRAME_ROWS]
            yield encode_arrays(taken(columns, part), len(part), slots), len(part)


def chunked(frames: Iterable[DecodedFrame], rows_each: int = FULL_FRAME_ROWS) -> Iterator[list[ArrayColumn]]:
    """The rows of the frames, in order, as arrays of at least `rows_each` rows; the last may hold fewer."""
    chunks: list[list[ArrayColumn]] = []
    waiting: list[DecodedFrame] = []
    rows = 0
    for frame in frames:
        waiting.append(frame)
        rows += frame.rows
        if len(waiting) == _CHUNK_FRAMES or rows >= rows_each:
            chunks.append(gather(waiting))
            waiting.clear()
        if rows >= rows_each:
            yield _joined(chunks)
            chunks, rows = [], 0
    if waiting:
        chunks.append(gather(waiting))
    if chunks:
        yield _joined(chunks)


def taken(columns: Sequence[ArrayColumn], rows: npt.NDArray[Any]) -> list[ArrayColumn]:
    """Some rows of the columns, by position or by mask."""
    return [(values[rows], None if valid is None else valid[rows]) for values, valid in columns]


def _joined(chunks: Sequence[Sequence[ArrayColumn]]) -> list[ArrayColumn]:
    return [_column([chunk[position] for chunk in chunks]) for position in range(len(ROW_NAMES))]


def _column(parts: Sequence[ArrayColumn]) -> ArrayColumn:
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([values for values, _ in parts])
    if all(valid is None for _, valid in parts):
        return values, None
    return values, np.concatenate(
        [np.ones(len(values), np.bool_) if valid is None else valid for values, valid in parts]
    )
