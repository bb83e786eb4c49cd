"""Answers as HTML for notebooks: a table with a whisker in each row, and a chart; plain SVG, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from node.badge_words import badge_lines, withheld_lines

WIDTH: Final = 160
ROW: Final = 18
_CELL: Final = "padding:2px 8px;text-align:"
_NOTE: Final = "The privacy interval explains the noise and nothing else."


def table_html(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Any rows as an HTML table."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{'' if value is None else escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def answer_html(data: Mapping[str, Any]) -> str:
    """The answer as a table: estimate, interval, and a whisker on one scale."""
    axes = [axis["name"] for axis in data["dimensions"]]
    cells = [cell for cell in data["cells"] if cell["shown"] or data["raw"]]
    most = max((float(cell["upper"]) for cell in cells), default=1.0) or 1.0
    rows = []
    for cell in cells:
        labels = "".join(f'<td style="{_CELL}left">{escape(str(cell["key"].get(axis, "")))}</td>' for axis in axes)
        interval = f"{max(0.0, float(cell['lower'])):g} – {float(cell['upper']):g}"
        tag = " wide" if cell["wide"] else ""
        rows.append(
            f'<tr>{labels}<td style="{_CELL}right">{escape(str(cell["estimate"]))}</td>'
            f'<td style="{_CELL}right">{interval}{tag}</td><td>{whisker(cell, most)}</td></tr>'
        )
    hidden = data["hidden"]
    if hidden is not None:
        rows.append(
            f'<tr><td colspan="{max(1, len(axes))}">hidden: {hidden["cells"]} rows too small to tell from noise</td>'
            f'<td style="{_CELL}right">{escape(str(hidden["estimate"]))}</td><td></td><td></td></tr>'
        )
    head = "".join(f"<th>{escape(name)}</th>" for name in (*axes, str(data["counts"]), "privacy interval", ""))
    windows = data["windows"]
    title = f"{escape(data['metric'])}: {escape(data['question'])}"
    span = f"{escape(str(windows['first']))} … {escape(str(windows['last']))}, {escape(data['reporting'])} nodes"
    said = "".join(f"{escape(line)}<br>" for line in (*withheld_lines(data), *badge_lines(data)))
    return (
        f"<div><b>{title}</b><br>{span}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<small>{said}{_NOTE}</small></div>"
    )


def whisker(cell: Mapping[str, Any], most: float, width: int = WIDTH) -> str:
    """One estimate as a dot on its interval, 0 at the left."""
    at, low, high = (
        max(0.0, min(1.0, float(cell[name]) / most)) * (width - 8) + 4 for name in ("estimate", "lower", "upper")
    )
    return (
        f'<svg width="{width}" height="14" role="img" aria-label="{escape(str(cell["lower"]))} to '
        f'{escape(str(cell["upper"]))}"><line x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7" stroke="currentColor"/>'
        f'<circle cx="{at:.1f}" cy="7" r="3" fill="currentColor"/></svg>'
    )


class Chart:
    """Estimates with intervals, one line per cell; `str()` is SVG."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __str__(self) -> str:
        cells = [cell for cell in self._data["cells"] if cell["shown"] or self._data["raw"]]
        most = max((float(cell["upper"]) for cell in cells), default=1.0) or 1.0
        parts = []
        for place, cell in enumerate(cells):
            y = 24 + place * ROW
            at, low, high = (
                180 + max(0.0, min(1.0, float(cell[name]) / most)) * 400 for name in ("estimate", "lower", "upper")
            )
            label = escape(" ".join(map(str, cell["key"].values())) or "all")
            parts.append(
                f'<text x="172" y="{y + 4}" text-anchor="end">{label}</text>'
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="currentColor"/>'
                f'<circle cx="{at:.1f}" cy="{y}" r="4" fill="currentColor"/>'
                f'<text x="{high + 8:.1f}" y="{y + 4}">{escape(str(cell["estimate"]))}</text>'
            )
        height = 40 + len(cells) * ROW
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{height}" font-size="12" '
            f'font-family="sans-serif" role="img"><title>{escape(self._data["question"])}</title>{"".join(parts)}'
            f'<text x="0" y="{height - 4}" font-size="10">{_NOTE}</text></svg>'
        )

    def _repr_html_(self) -> str:
        return str(self)
