"""Check a tracking plan, say what a change would newly collect, draft one from events."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, output_option, say

if TYPE_CHECKING:
    from privacy.tracking_plan import Plan

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(
    cls=Noun,
    examples=(
        ("murmur plan check plan.yaml", ""),
        ("murmur plan diff plan.yaml new.yaml", "what the change would newly collect, in words"),
        ("murmur plan infer events.ndjson --person session > plan.yaml", "a first draft"),
    ),
)
def command() -> None:
    """Check a tracking plan, say what a change would newly collect, draft one from events."""


@command.command(examples=(("murmur plan check plan.yaml", ""),))
@click.argument("file", type=_FILE)
@output_option("text", "json")
def check(file: Path, output: str) -> None:
    """Check a tracking plan; a mistake is named with its line."""
    plan = _load(file)
    actions = sum(len(app.actions) for app in plan.apps)
    if output == "json":
        emit_json("murmur.plan_check/1", {"plan": plan.name, "apps": len(plan.apps), "actions": actions})
        return
    say(f"{file}: in order; {len(plan.apps)} apps, {actions} actions.")


@command.command(examples=(("murmur plan diff plan.yaml new.yaml", ""),))
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@output_option("text", "json")
def diff(old: Path, new: Path, output: str) -> None:
    """Say in words what a change of the plan would newly collect, and when it can begin."""
    from privacy.plan_changes import alters_stored_form, changes_between

    changes = changes_between(_load(old), _load(new))
    waits = alters_stored_form(changes)
    if output == "json":
        listed = [{"kind": change.kind, "where": change.where, "words": change.words} for change in changes]
        emit_json("murmur.plan_diff/1", {"changes": listed, "begins": "next epoch" if waits else "at once"})
        return
    if not changes:
        say("The plans collect the same.")
        return
    for change in changes:
        emit(f"{change.kind}: {change.where}: {change.words}")
    if waits:
        say("It alters how events are stored, so rows of both kinds meet in one epoch; begin with a new one.")


@command.command("apply", examples=(("murmur plan apply", "after an edit of the plan's file; no restart"),))
@node_option
@output_option("text", "json")
def apply_(data: Path, output: str) -> None:
    """Have the running node read its plan again; a change that alters stored forms begins with the next epoch."""
    answer = client_of(data).post("/v1/admin/plan", {})
    if output == "json":
        emit_json(answer.pop("schema", "murmur.plan/1"), answer)
        return
    for change in answer["changes"]:
        emit(f"{change['kind']}: {change['where']}: {change['words']}")
    if not answer["changes"]:
        say("The plan collects what it did.")
    elif answer["begins"] == "at once":
        say("It is in force.")
    else:
        say(f"It begins with epoch {answer['begins']}, if the node runs until then; a start takes it at once.")


@command.command(examples=(("murmur plan infer events.ndjson --person session --purpose analytics", ""),))
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option(
    "--person", type=click.Choice(["user", "session", "address"]),
    help="Which id stands for a person. It is your promise to people; it is never guessed.",
)  # fmt: skip
@click.option("--purpose", metavar="NAME", help="The consent that is asked for; without it, none.")
@click.option("--name", default="plan", show_default=True, help="The plan's name.")
@output_option("yaml", "json")
def infer(file: IO[bytes], person: str | None, purpose: str | None, name: str, output: str) -> None:
    """Draft a tracking plan from events, one a line; what looks personal is left out and named."""
    import json

    from node.plan_guess import Draft

    if person is None:
        raise CommandRefused(
            exits.USAGE, code="person_key_missing", what="No plan was drafted",
            why="which id stands for a person is not said, and it is never guessed",
            fix="Give --person user, session or address",
        )  # fmt: skip
    draft, unread = Draft(), 0
    for line in file:
        try:
            event = json.loads(line)
        except ValueError:
            unread += 1
            continue
        found = _parts(event)
        if found is None:
            unread += 1
        else:
            draft.add(*found)
    lines = list(draft.lines(name, person, purpose))
    if output == "json":
        drafted = {"plan": "\n".join(lines) + "\n", "warnings": draft.warnings, "unread": unread}
        emit_json("murmur.plan_draft/1", drafted)
        return
    for text in lines:
        emit(text)
    for warning in draft.warnings:
        say(f"warning: {warning}")
    if unread:
        say(f"warning: {unread} lines were no event")


def _parts(event: object) -> tuple[str, str, dict[str, object]] | None:
    """App, action and attributes of an event in any form of /v1/events."""
    if not isinstance(event, dict):
        return None
    for app, action, attributes in (
        ("app", "action", "attributes"), ("event_category", "event_name", "properties"), ("a", "n", "p"),
    ):  # fmt: skip
        if isinstance(event.get(app), str) and isinstance(event.get(action), str):
            found = event.get(attributes)
            return event[app], event[action], found if isinstance(found, dict) else {}
    if isinstance(event.get("type"), str) and isinstance(event.get("data"), dict):
        before, _, after = event["type"].partition(".")
        return before, after, event["data"]
    return None


def _load(path: Path) -> Plan:
    """The plan; a mistake names its line."""
    from node.plan_lines import place_of
    from node.yaml import load_strings
    from privacy.errors import InvalidPlan
    from privacy.tracking_plan import parse_plan

    text = path.read_text(encoding="utf-8")
    tree = load_strings(text, str(path))
    try:
        return parse_plan(tree)
    except InvalidPlan as error:
        line = place_of(text, error.what)
        raise InvalidPlan(
            what=f"{path}{'' if line is None else f', line {line}'}: {error.what}", why=error.why, fix=error.fix
        ) from None
