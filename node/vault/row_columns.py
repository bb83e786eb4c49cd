"""Rows on their way into a frame, and the error of bytes that are none: what a starting node needs of `frames`.

Apart, because `frames` brings numpy, which takes a tenth of a second to import and which an idle node never uses.
"""

from __future__ import annotations


class RowsInColumns:
    """Rows that come as columns, in the order of ROW_COLUMNS, all of one length: the way in makes no row of its own."""

    __slots__ = ("columns",)

    columns: list[list[int | None]]

    def __len__(self) -> int:
        return len(self.columns[0])


class FrameError(ValueError):
    """The plaintext is not a frame of this version. The segment reader names segment and frame."""
