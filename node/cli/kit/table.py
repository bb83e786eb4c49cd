"""Tables that fit the terminal. Plain text, no colour, so that a table reads the same in a mail.

A table wider than the terminal first loses its optional columns, last first; then its widest text column is
cut with an ellipsis. Numbers are never cut.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.harmless import harmless

GAP: Final = "  "
MIN_TEXT: Final = 8  # a text column is not cut below this many places


@dataclass(frozen=True, slots=True)
class Column:
    """One column: numbers stand right and are never cut; an optional one may be left out."""

    title: str
    is_number: bool = False
    is_optional: bool = False


def terminal_width() -> int:
    """Places in a line: of the terminal (COLUMNS first), 80 where there is none."""
    return max(20, shutil.get_terminal_size((80, 24)).columns)


def render_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table no wider than `width` where its numbers allow; titles first.

    Control characters in cells are shown as U+FFFD: names may come from other members.
    """
    kept = list(range(len(columns)))
    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [
        max([_places(column.title), *(_places(row[index]) for row in cells)]) for index, column in enumerate(columns)
    ]
    for index in reversed(range(len(columns))):
        if _total(widths, kept) > width and columns[index].is_optional:
            kept.remove(index)
    while (excess := _total(widths, kept) - width) > 0:
        texts = [index for index in kept if not columns[index].is_number and widths[index] > MIN_TEXT]
        if not texts:
            break
        widest = max(texts, key=lambda index: widths[index])
        widths[widest] = max(MIN_TEXT, widths[widest] - excess)
    lines = [[column.title for column in columns], *cells]
    return [
        GAP.join(_fit(line[index], widths[index], columns[index].is_number) for index in kept).rstrip()
        for line in lines
    ]


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[index] for index in kept) + len(GAP) * (len(kept) - 1)


def _fit(text: str, width: int, is_number: bool) -> str:
    if _places(text) > width:
        while text and _places(text) > width - 1:
            text = text[:-1]
        text += "…"
    padding = " " * (width - _places(text))
    return padding + text if is_number else text + padding


def _places(text: str) -> int:
    """Terminal cells a text takes: two for wide East Asian characters, none for combining marks."""
    return sum(
        0 if unicodedata.combining(mark) else 2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text
    )
