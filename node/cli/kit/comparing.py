"""The part of an answer that stands beside the span before (`--compare`), as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.cli.kit.answer import _number
from node.cli.kit.table import Column, render_table
from node.harmless import harmless

_VERDICTS: Final = {"real": "more than noise", "could_be_noise": "could be noise", None: ""}


def compare_lines(data: Mapping[str, Any], width: int) -> list[str]:
    """The rows of `compare` that are shown in the answer, then all together."""
    compared = data["compare"]
    windows = compared["windows"]
    if not windows or not (compared["cells"] or compared["total"]):
        return ["", "Nothing was released in the span before."]
    axes = [axis["name"] for axis in data["dimensions"]]
    shown = {tuple(cell["key"].values()) for cell in data["cells"] if cell["shown"] or data["raw"]}
    rows = [
        [*(harmless(str(cell["key"][axis])) for axis in axes or []), *_figures(cell)]
        for cell in compared["cells"]
        if axes and tuple(cell["key"].values()) in shown
    ]
    if compared["total"] is not None:
        rows.append([*(["total", *[""] * (len(axes) - 1)] if axes else ["total"]), *_figures(compared["total"])])
    columns = [
        *(Column(axis) for axis in axes or ["all"]),
        Column("before", is_number=True), Column("difference", is_number=True),
        Column("privacy interval", is_number=True), Column("", is_optional=True),
    ]  # fmt: skip
    first, last = (str(windows[at]).partition("/")[0] for at in (0, -1))
    lines = ["", f"beside {first if first == last else f'{first} … {last}'}, the span before", ""]
    lines += render_table(columns, rows, width)
    if not compared["same_members"]:
        lines.append("Other members are in the two spans, so no difference is called real.")
    return lines


def _figures(row: Mapping[str, Any]) -> list[str]:
    gap = _number(row["difference"])
    signed = gap if gap.startswith("-") or gap == "0" else f"+{gap}"
    low, high = ("open" if row[end] is None else _number(row[end]) for end in ("lower", "upper"))
    interval = f"{low} – {high}"
    return [_number(row["before"]), signed, interval, _VERDICTS[row["verdict"]]]
