"""What `/v1/insights/{metric}` computes: a question from parameters, its answer, and the answer as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from federation.answers import answer
from federation.badges import badges
from federation.comparison import compared, previous_query
from federation.figure_rows import Json
from federation.query import PARAMETERS, BadParameter, Query, parse_query
from federation.selection import parse_nodes, parse_where, select
from node.commons import Commons

NARROWING: Final = ("where", "nodes", "compare", "badges")
_NUMBERS: Final = ("estimate", "lower", "upper", "sigma")


@dataclass(frozen=True, slots=True)
class Insight:
    """An answer and what belongs beside it.

    Args:
        data: What all nodes agree on.
        newest_at_s: Claimed time of the newest input, or None.
        data_points, releases: Cells and releases summed.
        level: Of the privacy interval.
        query: What was asked, with the windows that the answer is about.
    """

    data: dict[str, Json]
    newest_at_s: int | None
    data_points: int
    releases: int
    level: str
    query: Query


def ask(commons: Commons, metric: str, parameters: Mapping[str, str]) -> Insight:
    """The answer to what these parameters ask.

    Raises:
        QueryRefused: they ask nothing that can be answered.
    """
    narrowing = {name: text for name in NARROWING if (text := parameters.get(name, ""))}
    plain = {name: text for name, text in parameters.items() if name not in NARROWING}
    if unknown := sorted(plain.keys() - PARAMETERS):
        known = ", ".join(sorted({*PARAMETERS, *NARROWING}))
        raise BadParameter(why=f"there is no parameter {unknown[0][:40]!a}", fix=f"Use only: {known}")
    rows = [row for row in commons.rows() if row.name == metric]
    query = parse_query(metric, rows, plain, commons.newest_window(metric))
    view = commons.federation()
    members = [member.contributor for member in view.members]
    if "where" in narrowing:
        query = replace(query, where=parse_where(narrowing["where"], query.row.definition.by))
    if "nodes" in narrowing:
        query = replace(query, nodes=parse_nodes(narrowing["nodes"], members))
    if narrowing.get("compare", "previous") != "previous":
        raise BadParameter(why=f"compare is {narrowing['compare'][:40]!a}", fix="Use compare=previous")
    if narrowing.get("badges", "0") not in ("0", "1"):
        raise BadParameter(
            why=f"badges is {narrowing['badges'][:40]!a}", fix="Use badges=1 for badges, badges=0 for none"
        )
    inputs = commons.inputs(query.windows)
    asked, chosen, selected = select(query, members, inputs.windows)
    result = answer(asked, chosen, selected, view.charter)
    data = dict(result.data)
    if query.where:
        data["where"] = {name: list(labels) for name, labels in query.where}
    if query.nodes:
        data["nodes"] = list(query.nodes)
    if narrowing.get("badges") == "1":
        data["badges"] = badges(asked, chosen, selected, view.charter, data)
    if "compare" in narrowing:
        spoken = set(result.combined.windows)  # the span that the answer is about
        asked = replace(asked, windows=tuple(pair for pair in asked.windows if pair[0] in spoken))
        previous = previous_query(replace(query, windows=asked.windows), rows)
        earlier, _, before = select(previous, members, commons.inputs(previous.windows).windows)
        data["compare"] = compared(asked, earlier, chosen, result.combined, before, view.charter)
    spoken = set(result.combined.windows)
    query = replace(query, windows=tuple(pair for pair in query.windows if pair[0] in spoken), is_relative=False)
    return Insight(data, inputs.newest_at_s, result.data_points, result.releases, query.level, query)


def insight_rows(data: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Names and rows: one for each cell, then the hidden cells together and the total; the first column says which."""
    axes = [axis["name"] for axis in data["dimensions"]]
    rows = [["cell", *(cell["key"].get(axis) for axis in axes), *(cell[name] for name in _NUMBERS), cell["shown"]]
            for cell in data["cells"]]  # fmt: skip
    for kind in ("hidden", "total"):
        if data[kind] is not None:
            rows.append([kind, *([None] * len(axes)), *(data[kind][name] for name in _NUMBERS), None])
    return ["row", *axes, *_NUMBERS, "shown"], rows


def about(data: Mapping[str, Any]) -> dict[str, Json]:
    """The answer without its rows: what the `.meta.json` twin holds."""
    left_out = ("cells", "hidden", "total")
    return {name: value for name, value in data.items() if name not in left_out}
