"""The QR code of an invitation holds the link, module by module."""

from __future__ import annotations

import click
import segno

from node.cli.kit.qr import qr_lines

LINK = "https://amber.example:7700#8-intact-poverty-icon"


def test_the_drawing_is_the_code() -> None:
    """Half blocks read back are the modules of the code, with a light border; each line sets both colours itself."""
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    lines = qr_lines(LINK)
    assert all(line.startswith("\x1b[30m\x1b[47m") for line in lines)
    drawn: list[list[int]] = []
    for line in map(click.unstyle, lines):
        drawn.extend([halves[char][part] for char in line] for part in (0, 1))
    code = [list(row) for row in segno.make(LINK, micro=False).matrix]
    size = len(code)
    assert [row[2 : 2 + size] for row in drawn[2 : 2 + size]] == code
    border = [row for i, row in enumerate(drawn) if not 2 <= i < 2 + size]
    assert not any(map(any, border))
    assert not any(any(row[:2] + row[2 + size :]) for row in drawn)
