"""An answer (`federation/answers`, schema `murmur.answer/1`) as a table for people and as CSV for programs.

The table rounds nothing anew: the node has rounded to the noise. It clamps the lower end of an interval at
zero and says so; CSV and JSON keep what was computed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from node.badge_words import badge_lines, withheld_lines
from node.cli.kit.table import Column, render_table
from node.harmless import harmless
from privacy.mechanisms import GAUSSIAN, SPOKEN

_NOTHING: Final = "Nothing has been released for these windows yet."
_NUMBERS: Final = ("estimate", "lower", "upper", "sigma")
_LAST: Final = {"other": 1, "none": 2}  # implicit values stand after the named ones
_NOTES: Final[Mapping[str, str]] = {
    "people_per_cell": "A person counts once in every row they were kept in, so the rows may add up to more than all.",
    "people_per_window": "A person active in several windows counts once in each.",
    "people_per_platform": "Sum over platforms: a person active on two platforms counts twice.",
    "discovered": "A node lists a key that is above its threshold; one that does not had fewer people there, not none. "
    "Sums are of the nodes that list a key, and lean upward near the threshold.",
    "sampled": "Some nodes count a sample of their people; the intervals are wider for it.",
}
_RULES: Final[Mapping[str, str]] = {
    "falling": "moved by noise out of the order that the steps have",
    "non_negative": "below 0 by noise",
}
_REASONS: Final[Mapping[str, str]] = {"recovered": "taken back when its keys were recovered"}
_STANDINGS: Final[Mapping[str, str]] = {
    "missing": "missing", "abstained": "abstained", "excluded": "excluded", "void": "not counted",
}  # fmt: skip


def answer_lines(data: Mapping[str, Any], width: int) -> list[str]:
    """The whole answer in lines no wider than `width` where its numbers allow."""
    lines = [_headline(data), harmless(str(data["question"])), *withheld_lines(data), ""]
    if not data["cells"] and data["total"] is None:
        found = data.get("discovered") and not str(data["reporting"]).startswith("0 ")
        empty = "No key has passed the threshold of any node." if found else _NOTHING
        return [*lines, *([] if withheld_lines(data) else [empty]), *_members(data)]
    lines += _cell_table(data, width)
    if data["ranking"]:
        lines += ["", *_ranking_table(data, width)]
    if data["medians"]:
        lines += ["", *_median_table(data, width)]
    if any(figure["kind"] != "quantile" for figure in data["figures"]):
        lines += ["", *_figure_table(data, width)]
    lines.append("")
    if data["hidden"] is not None:
        together = "1 row" if data["hidden"]["cells"] == 1 else f"{data['hidden']['cells']} rows"
        lines.append(f"hidden: {together} too small to tell from noise, added up.")
    lines += _members(data)
    lines += badge_lines(data)
    lines += [_NOTES.get(note, str(note)) for note in data["notes"]]
    if any(_is_negative(cell["lower"]) for cell in _rows(data)):
        lines.append("Noise can go below zero; the table stops at 0, -o json and -o csv keep the number.")
    whole = data.get("whole")
    if whole is not None:
        told = {name: _number(whole[name]) for name in ("estimate", "lower", "upper", "consistent")}
        lines.append(
            f"The whole was released with noise of its own: {told['estimate']} ({told['lower']} – {told['upper']}); "
            f"with the cells it is {told['consistent']}."
        )
    if data["consistency"]["status"] == "inconsistent":
        lines.append("The cells and their whole differ by more than noise explains: nothing was moved.")
    elif data["consistency"]["adjusted"] and data["consistency"]["rule"] in _RULES:
        moved, rule = data["consistency"]["adjusted"], data["consistency"]["rule"]
        lines.append(f"{'1 cell is' if moved == 1 else f'{moved} cells are'} {_RULES[rule]}; -o json has what agrees.")
    noise = [SPOKEN[mechanism] for mechanism in data["mechanisms"] if mechanism != GAUSSIAN]
    if noise:
        lines.append(f"Noise: {', '.join(noise)}.")
    lines.append("The privacy interval explains the noise and nothing else.")
    return lines


def answer_csv(data: Mapping[str, Any]) -> str:
    """One row per cell, then the hidden cells together and the total; the first column says which."""
    axes = [axis["name"] for axis in data["dimensions"]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *axes, *_NUMBERS])
    for cell in data["cells"]:
        writer.writerow(["cell", *(cell["key"].get(axis, "") for axis in axes), *(cell[name] for name in _NUMBERS)])
    for row in ("hidden", "total"):
        if data[row] is not None:
            writer.writerow([row, *([""] * len(axes)), *(data[row][name] for name in _NUMBERS)])
    return text.getvalue()


def _headline(data: Mapping[str, Any]) -> str:
    if not data["windows"]["count"]:
        return str(data["metric"])
    return f"{data['metric']}  {_period(data['windows'])}  {data['reporting']} nodes"


def _period(windows: Mapping[str, Any]) -> str:
    first, last = (str(windows[end]).partition("/")[0] if windows[end] else "" for end in ("first", "last"))
    if first == last:
        return first if windows["kind"] in ("day", "hour") else f"{windows['kind']} of {first}"
    return f"{first} … {last} ({windows['count']} {windows['kind']}s)"


def _cell_table(data: Mapping[str, Any], width: int) -> list[str]:
    axes = [axis["name"] for axis in data["dimensions"]]
    listed = _listed_by(data)
    columns = [
        *(Column(axis) for axis in axes or ["all"]),
        Column(str(data["counts"]), is_number=True),
        Column(f"{_percent(data['level'])} privacy interval", is_number=True),
        Column("±", is_number=True),
        Column("", is_optional=True),
        *([Column("nodes above threshold")] if listed else []),
    ]
    cells = [cell for cell in data["cells"] if cell["shown"] or data["raw"]]
    if len(axes) == 1 and axes[0] not in ("bin", "hour"):
        last = {} if listed else _LAST
        cells = sorted(cells, key=lambda cell: (last.get(cell["key"][axes[0]], 0), -_exact(cell["estimate"])))
    rows = [
        [*(harmless(str(cell["key"][axis])) for axis in axes or []), *_figures(cell), *_named(listed, cell, axes)]
        for cell in cells
        if axes
    ]
    if not axes and cells:
        return render_table(columns, [["all", *_figures(cells[0])]], width)
    blanks = [""] * (len(axes or ["all"]) - 1)
    hidden = data["hidden"]
    if hidden is not None:
        rows.append(["hidden", *blanks, *_figures(hidden)[:3], "", *([""] if listed else [])])
    if data["total"] is not None and axes and not data["raw"]:
        rows.append(["total", *blanks, *_figures(data["total"]), *([""] if listed else [])])
    return render_table(columns, rows, width)


def _listed_by(data: Mapping[str, Any]) -> dict[str, str]:
    """Where keys are discovered: "2 of 4" for each."""
    found = data.get("discovered")
    return {one["key"]: f"{len(one['members'])} of {one['of']}" for one in found["keys"]} if found else {}


def _named(listed: Mapping[str, str], cell: Mapping[str, Any], axes: Sequence[str]) -> list[str]:
    return [listed.get(str(cell["key"][axes[0]]), "")] if listed else []


def _median_table(data: Mapping[str, Any], width: int) -> list[str]:
    axes = [axis["name"] for axis in data["dimensions"] if axis["name"] != "bin"]
    columns = [
        *(Column(axis) for axis in axes or ["all"]),
        Column("median", is_number=True), Column("privacy interval", is_number=True), Column("", is_optional=True),
    ]  # fmt: skip
    rows = []
    for median in data["medians"]:
        low, high = (median[end] if median[end] is not None else "open" for end in ("lower", "upper"))
        status = "" if median["status"] == "ok" else str(median["status"]).replace("_", " ")
        group = [str(median["key"][axis]) for axis in axes] or ["all"]
        value = "-" if median["estimate"] is None else str(median["estimate"])
        rows.append([*group, value, f"{low} – {high}", status])
    return render_table(columns, rows, width)


def _ranking_table(data: Mapping[str, Any], width: int) -> list[str]:
    """The largest groups; whether a lead over the next one is more than noise."""
    axes = [axis["name"] for axis in data["dimensions"]]
    columns = [Column("rank"), *(Column(axis) for axis in axes), Column("ahead of the next")]
    leads = {True: "surely", False: "could be noise", None: ""}
    rows = [
        [str(one["rank"]), *(harmless(str(one["key"][axis])) for axis in axes), leads[one["ahead"]]]
        for one in data["ranking"]
    ]
    return render_table(columns, rows, width)


def _figure_table(data: Mapping[str, Any], width: int) -> list[str]:
    """Means, rates, scores and cumulated steps; quantiles stand in their own table. The last group is all together."""
    axes = [axis for axis in data["by"] if axis]
    columns = [
        *(Column(axis) for axis in axes or ["all"]),
        Column("figure"), Column("", is_number=True), Column("privacy interval", is_number=True),
        Column("", is_optional=True),
    ]  # fmt: skip
    rows = []
    for figure in data["figures"]:
        if figure["kind"] == "quantile":
            continue
        low, high = (figure[end] if figure[end] is not None else "open" for end in ("lower", "upper"))
        group = [str(figure["key"].get(axis, "all")) for axis in axes] or ["all"]
        value = "-" if figure["estimate"] is None else str(figure["estimate"])
        status = "" if figure["status"] == "ok" else str(figure["status"])
        rows.append([*group, harmless(str(figure["name"])), value, f"{low} – {high}", status])
    return render_table(columns, rows, width)


def _figures(cell: Mapping[str, Any]) -> list[str]:
    """Estimate, interval, relative half-width and a tag."""
    low = "0" if _is_negative(cell["lower"]) else _number(cell["lower"])
    estimate = _exact(cell["estimate"])
    half = (_exact(cell["upper"]) - _exact(cell["lower"])) / 2
    share = f"{float(100 * half / estimate):.1f} %" if estimate > 0 and half < 10 * estimate else "-"
    return [_number(cell["estimate"]), f"{low} – {_number(cell['upper'])}", share, "wide" if cell["wide"] else ""]


def _members(data: Mapping[str, Any]) -> list[str]:
    """One line for each member that is not wholly in, with its reasons."""
    lines = []
    for member in data["members"]:
        for part in member["without"]:
            if part["standing"] == "withheld":
                continue  # told once for all, at the top
            windows: Sequence[str] = part["windows"]
            span = windows[0] if len(windows) == 1 else f"{len(windows)} windows, {windows[0]} … {windows[-1]}"
            word = _STANDINGS.get(part["standing"], str(part["standing"]))
            said = _REASONS.get(str(part["reason"]), str(part["reason"]).replace("_", " "))
            reason = f" ({said})" if part["reason"] else ""
            lines.append(f"{harmless(str(member['name']))}: {word}{reason}, {span}")
    return lines


def _rows(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*data["cells"], *(data[row] for row in ("hidden", "total") if data[row] is not None)]


def _exact(value: int | str) -> Fraction:
    return Fraction(value)


def _is_negative(value: int | str) -> bool:
    return _exact(value) < 0


def _number(value: int | str) -> str:
    """With thousands separators; decimals stay as the node gave them."""
    sign = "-" if str(value).startswith("-") else ""
    whole, point, rest = str(value).removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def _percent(level: str) -> str:
    """`0.95` as `95 %`."""
    return f"{float(100 * Fraction(level)):g} %"
