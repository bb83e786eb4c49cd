"""Check a tracking plan, say what a change would newly collect, draft one from events."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, changing, would
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
    say(f"{file}: in order; {_counted(len(plan.apps), 'app')}, {_counted(actions, 'action')}.")


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
        say("It alters how events are stored, so a node takes it up with the next epoch, over restarts, too.")
    else:
        say("A node takes it up at once.")


@command.command("apply", examples=(("murmur plan apply", "after an edit of the plan's file; no restart"),))
@node_option
@changing
@output_option("text", "json")
def apply_(data: Path, change: Change, output: str) -> None:
    """Have the running node read its plan again; a change that alters stored forms begins with the next epoch."""
    answer = client_of(data).post("/v1/admin/plan" + change.query, {})
    if change.is_dry_run:
        lines = [f"{one['kind']}: {one['where']}: {one['words']}" for one in answer["changes"]]
        told = [*lines, f"be in force {answer['begins']}"] if lines else []
        if answer["took_back"]:
            told.append(f"take back what was to begin with epoch {answer['took_back']}")
        would(told or ["nothing: the plan collects what it did"], output)
        return
    if output == "json":
        emit_json(answer.pop("schema", "murmur.plan/1"), answer)
        return
    for one in answer["changes"]:
        emit(f"{one['kind']}: {one['where']}: {one['words']}")
    if not answer["changes"]:
        say("The plan collects what it did.")
    elif answer["begins"] == "at once":
        say("It is in force.")
    else:
        say(f"It begins with epoch {answer['begins']}; until then, and over restarts, the plan in force stays.")
    if answer["took_back"]:
        say(f"What was to begin with epoch {answer['took_back']} is taken back.")


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
    _check_names(name, purpose)
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
    if not draft.seen:
        raise CommandRefused(
            exits.USAGE, code="no_events", what="No plan was drafted",
            why=f"{_counted(unread, 'line')} held no event of a form that /v1/events takes",
            fix="Give one event a line, as JSON",
        )  # fmt: skip
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
        say(f"warning: {_counted(unread, 'line')} held no event")
    say("Read it line by line before use: what it lists is kept of people. Then: murmur plan check")


def _check_names(name: str, purpose: str | None) -> None:
    from privacy.plan_shapes import is_plan_name

    for option, text in (("--name", name), ("--purpose", purpose)):
        if text is not None and (not is_plan_name(text) or text == "none"):
            raise CommandRefused(
                exits.USAGE, code="bad_plan_name", what="No plan was drafted",
                why=f"{option} {text!r} is no name of a plan",
                fix="A name is a-z first, then up to 63 of a-z, 0-9, _ . and -",
            )  # fmt: skip


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


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
    from node.plan_file import read_text
    from node.plan_lines import place_of
    from node.yaml import load_strings
    from privacy.errors import InvalidPlan
    from privacy.tracking_plan import parse_plan

    text = read_text(path)
    tree = load_strings(text, str(path))
    try:
        return parse_plan(tree)
    except InvalidPlan as error:
        line = place_of(text, error.what)
        raise InvalidPlan(
            what=f"{path}{'' if line is None else f', line {line}'}: {error.what}", why=error.why, fix=error.fix
        ) from None
