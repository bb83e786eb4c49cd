"""List what can be asked, and plan what a new metric would cost."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(
    cls=Noun,
    examples=(
        ("murmur metrics list", "what can be asked, and up to when it is answered"),
        ("murmur metrics plan tips.yaml --accuracy 5%", "what a definition would cost to be that accurate"),
    ),
)
def command() -> None:
    """List what can be asked, and plan what a new metric would cost."""


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


@command.command(
    "plan",
    examples=(
        ("murmur metrics plan tips.yaml --accuracy 5% --people 8000", "of a typical cell, at 95 %"),
        ("murmur metrics plan tips.yaml --accuracy 40 --nodes 4 --windows 7", "±40 on the sum of 28 releases"),
    ),
)
@click.argument("definition", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="DEFINITION")
@click.option("--accuracy", required=True, metavar="5%|N", help="Half of the 95 % interval: of a typical cell, or ±N.")
@click.option("--people", type=click.IntRange(1, 10**9), default=10_000, show_default=True,
              help="Active people of one node in one window.")  # fmt: skip
@click.option("--groups", default="1.5", show_default=True, metavar="MEAN", help="Groups that one of them touches.")
@click.option("--events", default="3", show_default=True, metavar="MEAN", help="Events of one of them in a group.")
@click.option("--nodes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Nodes summed up.")
@click.option("--windows", type=click.IntRange(1, 1000), default=1, show_default=True, help="Windows summed up.")
@click.option("--epoch", type=click.Choice(("day", "week", "month")), default="day", show_default=True,
              help="Epoch length of the nodes.")  # fmt: skip
@output_option("table", "json")
def plan(
    definition: Path, accuracy: str, people: int, groups: str, events: str, nodes: int, windows: int, epoch: str,
    output: str,
) -> None:  # fmt: skip
    """Say what a definition has to cost to be this accurate, and what its bounds clip. Nothing is spent.

    The figures come from the definition and from a synthetic twin: a made-up crowd of the public figures given here. No
    node is asked and no row is read.
    """
    from node.cli.kit.planning import plan_document, plan_lines

    document = plan_document(
        definition, accuracy, people=people, groups=groups, events=events, releases=nodes * windows, epoch=epoch
    )
    if output == "json":
        emit_json("murmur.plan/1", document)
        return
    for line in plan_lines(document):
        emit(line)
