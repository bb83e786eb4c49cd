"""List what can be asked, check definitions, plan what a new one would cost, and propose it."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit import asking_anew, cataloguing
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(
    cls=Noun,
    examples=(
        ("murmur metrics list", "what can be asked, and up to when it is answered"),
        ("murmur metrics check tips.yaml", "whether a definition is one, and what it compiles to"),
        ("murmur metrics plan tips.yaml --accuracy 5%", "what a definition would cost to be that accurate"),
        ("murmur metrics propose tips.yaml --accuracy 5%", "ask all members for it, at that price"),
        ("murmur metrics proposals", "who has approved, and what each node answered since"),
    ),
)
def command() -> None:
    """List what can be asked, check definitions, plan what a new one would cost, and propose it."""


for _verb in (*cataloguing.VERBS, *asking_anew.VERBS):
    command.add_command(_verb)


@command.command("list", examples=(("murmur metrics list", ""),))
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
    "check",
    examples=(
        ("murmur metrics check tips.yaml", "what it compiles to, and what it costs"),
        ("murmur metrics check metrics/*.yaml --epoch day", "and whether nodes with day epochs can answer it"),
    ),
)
@click.argument("definitions", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="DEFINITION...",
                nargs=-1, required=True)  # fmt: skip
@click.option("--epoch", type=click.Choice(("day", "week", "month")), help="Epoch length it must be answered in.")
@output_option("table", "json")
def check(definitions: tuple[Path, ...], epoch: str | None, output: str) -> None:
    """Say what definitions compile to: cells, sensitivities, noise and price; or why one is refused.

    No node is asked and nothing is spent.
    """
    from node.cli.kit.checking import check_document, check_lines

    documents = [check_document(path, epoch) for path in definitions]
    if output == "json":
        emit_json("murmur.metric_check/1", {"metrics": documents})
        return
    for number, document in enumerate(documents):
        if number:
            emit("")
        for line in check_lines(document):
            emit(line)


@command.command(
    "plan",
    examples=(
        ("murmur metrics plan tips.yaml --accuracy 5% --people 8000", "of a typical cell, at 95 %"),
        ("murmur metrics plan tips.yaml --accuracy 40 --nodes 4 --windows 7", "±40 on the sum of 28 releases"),
        ("murmur metrics plan wage.yaml --accuracy 5% --value 18", "of a mean of about 18"),
    ),
)
@click.argument("definition", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="DEFINITION")
@click.option(
    "--accuracy", required=True, metavar="5%|N", help="Half of the 95 % interval: of a typical figure, or ±N."
)
@click.option("--people", type=click.IntRange(1, 10**9), default=10_000, show_default=True,
              help="Active people of one node in one window.")  # fmt: skip
@click.option("--groups", default="1.5", show_default=True, metavar="MEAN", help="Groups that one of them touches.")
@click.option("--events", default="3", show_default=True, metavar="MEAN", help="Events of one of them in a group.")
@click.option(
    "--value", metavar="NUMBER", help="Usual value of one event, for sum and mean.  [default: middle of the range]"
)
@click.option("--keys", type=click.IntRange(1, 10**6), default=100, show_default=True,
              help="How many keys there are, where they are discovered.")  # fmt: skip
@click.option("--nodes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Nodes summed up.")
@click.option("--windows", type=click.IntRange(1, 1000), default=1, show_default=True, help="Windows summed up.")
@click.option("--epoch", type=click.Choice(("day", "week", "month")), default="day", show_default=True,
              help="Epoch length of the nodes.")  # fmt: skip
@output_option("table", "json")
def plan(
    definition: Path, accuracy: str, people: int, groups: str, events: str, value: str | None, keys: int, nodes: int,
    windows: int, epoch: str, output: str,
) -> None:  # fmt: skip
    """Say what a definition has to cost to be this accurate, and what its bounds clip. Nothing is spent.

    The figures come from the definition and from a synthetic twin: a made-up crowd of the public figures given here. No
    node is asked and no row is read.
    """
    from node.cli.kit.planning import plan_document, plan_lines

    document = plan_document(
        definition, accuracy,
        people=people, groups=groups, events=events, value=value, releases=nodes * windows, epoch=epoch,
        keys=keys,
    )  # fmt: skip
    if output == "json":
        emit_json("murmur.metric_plan/1", document)
        return
    for line in plan_lines(document):
        emit(line)


@command.command(
    "choose",
    examples=(
        ("murmur metrics choose usual_country.yaml --window 2026-11-18/P1D", "which country most people are in"),
    ),
)
@click.argument("choice", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CHOICE")
@click.option("--window", required=True, metavar="WINDOW", help="A closed window, such as 2026-11-18/P1D.")
@node_option
@changing
@output_option("text", "json")
def choose(choice: Path, window: str, data: Path, change: Change, output: str) -> None:
    """Say which listed value most people of this node have, by a private choice that is paid for once.

    The choice is drawn inside the node and charged rho = epsilon²/2 to the window's epoch, in the same ledger as its
    releases. It is told to you and never sent to anybody. Asking again gives the same answer and costs nothing.
    """
    from node.cli.budget import rho
    from node.cli.kit.files import read_text
    from node.yaml import load_strings
    from privacy.choosing import parse_choice
    from protocol.bundle import MAX_DEFINITION_BYTES

    tree = load_strings(read_text(choice, MAX_DEFINITION_BYTES, noun="choice"), str(choice))
    if change.is_dry_run:
        asked = parse_choice(tree)
        among = f"one of {len(asked.candidates)} values"
        would([f"choose {among} for {window}, once, and charge rho {rho(asked.cost.rho_nano)} to its epoch"], output)
        return
    made = client_of(data, timeout_s=180.0).post("/v1/admin/choose", {"choice": tree, "window": window})
    if output == "json":
        made.pop("schema", None)
        emit_json("murmur.choice/1", made)
        return
    emit(f"{made['choice']}  {made['window']}  {made['chosen']}")
    if made["is_new"]:
        say(f"Charged rho {rho(made['rho_nano'])} to its epoch. Asking again gives the same answer and costs nothing.")
    else:
        say("Chosen before: nothing was charged.")


@command.command(
    "names",
    examples=(
        (
            "murmur metrics names --app shop --action view --attribute page --window 2026-11-18/P1D "
            "--epsilon 1/10 --delta 1/1000000000 --max-cells 4",
            "which pages many people viewed, before a definition lists them",
        ),
    ),
)
@click.option("--app", required=True, metavar="APP", help="Of the tracking plan.")
@click.option("--action", metavar="ACTION", help="One action of the app; else all that have the attribute.")
@click.option("--attribute", required=True, metavar="NAME", help="A key or category, whose values are asked for.")
@click.option("--window", required=True, metavar="WINDOW", help="A closed window, such as 2026-11-18/P1D.")
@click.option("--epsilon", required=True, metavar="RATIO", help="Of the whole list; half its square is charged as rho.")
@click.option("--delta", required=True, metavar="RATIO", help="How likely one person's own names may show, at most.")
@click.option("--max-cells", required=True, metavar="C", help="The most names that one person can put in.")
@node_option
@changing
@output_option("text", "json")
def names(
    app: str, action: str | None, attribute: str, window: str, epsilon: str, delta: str, max_cells: str, data: Path,
    change: Change, output: str,
) -> None:  # fmt: skip
    """Say which values of an attribute many people of this node have: names alone, paid for once.

    Each name is kept or not by the rule that keeps most at this price; no number of people is told. The list is drawn
    inside the node, charged rho = epsilon²/2 and delta to the window's epoch, told to you and never sent to anybody.
    Asking again gives the same names and costs nothing.
    """
    from node.cli.budget import rho
    from privacy.naming import parse_names
    from privacy.units import Window

    tree = {
        "names": attribute, "from": {"app": app, **({} if action is None else {"action": action})},
        "privacy": {"max_cells": max_cells, "epsilon": epsilon, "delta": delta},
    }  # fmt: skip
    if change.is_dry_run:
        asked = parse_names(tree, Window.parse(window).kind)
        price = f"rho {rho(asked.cost.rho_nano)} and delta {asked.delta}"
        would([f"name values of {attribute} for {window}, once, and charge {price} to its epoch"], output)
        return
    made = client_of(data, timeout_s=180.0).post("/v1/admin/names", {"names": tree, "window": window})
    if output == "json":
        made.pop("schema", None)
        emit_json("murmur.names/1", made)
        return
    for name in made["names"]:
        emit(name)
    if not made["names"]:
        say("No name: nothing was kept. Names of few people never are, or almost never.")
    if made["is_new"]:
        price = f"rho {rho(made['rho_nano'])} and delta {delta}"
        say(f"Charged {price} to its epoch. Asking again gives the same names and costs nothing.")
    else:
        say("Asked before: nothing was charged.")
