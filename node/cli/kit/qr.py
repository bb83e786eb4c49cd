"""A text as a QR code (ISO/IEC 18004) for a terminal: two modules a character, black on white whatever the theme."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

import click

_QUIET: Final = 2  # light modules around it; the standard asks for four, phones are content with two
_HALVES: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def qr_lines(text: str) -> list[str]:
    """The code, a line of the terminal each; every line in black on white."""
    import segno

    rows = [list(row) for row in segno.make(text, micro=False).matrix_iter(border=_QUIET)]
    empty = [0] * len(rows[0])
    return [
        click.style("".join(_HALVES[upper, lower] for upper, lower in zip(above, below, strict=True)), "black", "white")
        for above, below in zip_longest(rows[::2], rows[1::2], fillvalue=empty)
    ]
