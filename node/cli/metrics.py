"""List what can be asked: the federation's catalogue."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(cls=Noun, examples=(("murmur metrics list", "what can be asked, and up to when it is answered"),))
def command() -> None:
    """List what can be asked: the federation's catalogue."""


@command.command("list")
@node_option
@output_option("table", "json")
def list_(data: Path, output: str) -> None:
    """List the metrics of the catalogue, with the newest window anybody has released."""
    envelope = client_of(data).get("/v1/metrics")
    if output == "json":
        emit_json("murmur.metrics/1", {**envelope["data"], "served_by": envelope["metadata"].get("served_by")})
        return
    metrics = envelope["data"]["metrics"]
    if not metrics:
        say("The catalogue is empty: the charter names no metric.")
        return
    columns = (
        Column("metric"), Column("measure"), Column("by", is_optional=True), Column("newest"),
        Column("rho", is_optional=True), Column("question"),
    )  # fmt: skip
    rows = [
        (
            metric["metric"], metric["measure"], ", ".join(axis["name"] for axis in metric["dimensions"]),
            metric["newest"] or "-", metric["privacy"]["rho"], metric["question"],
        )
        for metric in metrics
    ]  # fmt: skip
    for line in render_table(columns, rows, terminal_width()):
        emit(line)
    say('\n"murmur query METRIC" asks; asking again is free.')
