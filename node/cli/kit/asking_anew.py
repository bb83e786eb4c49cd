"""The verbs of `murmur metrics` that ask for something new: plan its price, propose it, follow what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.change import Change, changing
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say
from node.harmless import harmless

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DATE = click.DateTime(["%Y-%m-%d"])


@click.command(
    cls=Verb,
    examples=(
        ("murmur metrics propose tips.yaml --accuracy 5% --dry-run", "its price, and what it would change"),
        ("murmur metrics propose tips.yaml --accuracy 5% --people 8000", "put it to all members at that price"),
        ("murmur metrics propose tips.yaml --from 2026-11-01", "past days, too, as far as their budget has room"),
    ),
)
@click.argument("definition", type=_FILE, metavar="FILE")
@click.option("--accuracy", metavar="5%|N",
              help="Price it for this half of the 95 % interval.  [default: the price in FILE]")  # fmt: skip
@click.option("--people", type=click.IntRange(1, 10**9), default=10_000, show_default=True,
              help="Active people of one node in one window.")  # fmt: skip
@click.option("--nodes", type=click.IntRange(1, 1000), default=1, show_default=True, help="Nodes summed up.")
@click.option("--windows", type=click.IntRange(1, 1000), default=1, show_default=True, help="Windows summed up.")
@click.option("--from", "from_day", type=_DATE, metavar="DATE",
              help="First day, from 00:00 UTC; past ones count what is still kept.  [default: tomorrow]")  # fmt: skip
@click.option("--until", "until_day", type=_DATE, metavar="DATE", help="End before this day.  [default: open]")
@click.option("--governance-key", type=_FILE, metavar="FILE", help="Your organisation's key: sign at once.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a ballot file instead, to be signed elsewhere.")  # fmt: skip
@changing
@node_option
@output_option("text", "json")
def propose(
    definition: Path, accuracy: str | None, people: int, nodes: int, windows: int, from_day: datetime | None,
    until_day: datetime | None, governance_key: Path | None, out: Path | None, change: Change, data: Path, output: str,
) -> None:  # fmt: skip
    """Ask for a new metric: price it by accuracy, show what it collects and costs, and propose it to all members.

    Members approve with "murmur charter approve". It is answered from its first window on; "murmur metrics proposals"
    shows who has approved, and what each node has answered since.
    """
    from node.cli.kit.cataloguing import put_forward
    from node.cli.kit.deciding import _hour
    from node.cli.kit.files import read_text
    from node.cli.kit.founding import load_metric, metric_of
    from node.clock import SystemClock
    from node.yaml import load_strings
    from protocol.bundle import MAX_DEFINITION_BYTES

    notes: list[str] = []
    if accuracy is None:
        metric = load_metric(definition)
    else:
        tree = load_strings(read_text(definition, MAX_DEFINITION_BYTES, noun="metric definition"), str(definition))
        tree, plan = priced(tree, accuracy, people=people, releases=nodes * windows)
        metric = metric_of(tree, definition)
        price = plan["price"]
        notes.append(
            f"is priced at rho {price['rho']} a release for ±{plan['accuracy']['half_width']} at 95 % on "
            f"{plan['accuracy']['figure']}; the file states {_stated(plan['stated'])}"
        )
    start = SystemClock().now_ms() // 86_400_000 * 24 + 24 if from_day is None else _hour(from_day)
    until = None if until_day is None else _hour(until_day)
    asked = {"out": out, "governance_key": governance_key}
    put_forward(metric, start, until, data, change, output, asked, notes)


@click.command(
    "proposals",
    cls=Verb,
    examples=(
        ("murmur metrics proposals", "what was asked for since the founding"),
        ("murmur metrics proposals tips", "who approved it, and what each node answered"),
    ),
)
@click.argument("metric", required=False, metavar="[METRIC]")
@node_option
@output_option("text", "json")
def proposals(metric: str | None, data: Path, output: str) -> None:
    """Show metrics that were proposed: who has approved them, and what each node has answered since they hold."""
    found = client_of(data).get("/v1/proposals", {} if metric is None else {"metric": metric})["data"]["proposals"]
    if output == "json":
        emit_json("murmur.proposals/1", {"proposals": found})
        return
    if not found:
        say("No metric was proposed since the founding." if metric is None else f"Nobody proposed {metric}.")
        next_steps(("murmur metrics propose FILE --accuracy 5%", "asks for one"))
        return
    for number, row in enumerate(found):
        if number:
            emit("")
        for line in proposal_lines(row):
            emit(line)


def proposal_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """One proposal in words."""
    approvals, charter = row["approvals"], row["charter"]
    yield f"{row['metric']}  {harmless(str(row['question'] or 'its definition has not come here yet'))}"
    until = f" until {row['until']}" if row["until"] else ""
    yield f"  holds      from {row['from']}{until} UTC, definition {row['definition'][:16]}"
    if row["state"] == "proposed":
        signed = f"{len(approvals['signed'])} of {approvals['needed']} have approved"
        yield f"  proposed   charter {charter['version']}, {charter['hash'][:16]}: {signed}"
        yield f"  missing    {', '.join(approvals['missing']) or 'nobody'}"
        return
    by = f", approved by {', '.join(approvals['signed'])}" if approvals["signed"] else ""
    yield f"  adopted    charter {charter['version']}{by}"
    for answer in row["answers"]:
        yield f"  {answer['name']}: {_answer_words(answer)}"


def priced(
    tree: Any, accuracy: str, *, people: int = 10_000, releases: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A definition's strings-only tree with the price that this accuracy takes, and the plan that says so.

    Raises:
        PrivacyError: the definition or the accuracy is refused.
    """
    from node.cli.kit.planning import plan_of

    plan = plan_of(tree, accuracy, people=people, releases=releases)
    price = plan["price"]
    kept = {name: value for name, value in tree["privacy"].items() if name not in ("rho", "epsilon")}
    own = {"epsilon": price["epsilon"]} if price["epsilon"] is not None else {"rho": price["rho"]}
    return {**tree, "privacy": {**kept, **own}}, plan


def _stated(stated: Mapping[str, Any]) -> str:
    return f"epsilon {stated['epsilon']}" if stated["epsilon"] else f"rho {stated['rho']}"


def _answer_words(answer: Mapping[str, Any]) -> str:
    parts = []
    if answer["released"]:
        many = "1 window" if answer["released"] == 1 else f"{answer['released']} windows"
        parts.append(f"answered {many}, newest {answer['newest']}")
    for declined in answer["abstained"]:
        many = "1 window" if declined["windows"] == 1 else f"{declined['windows']} windows"
        parts.append(f"abstained from {many} ({declined['reason'].replace('_', ' ')})")
    return "; ".join(parts) or "has said nothing yet"


VERBS = (propose, proposals)
