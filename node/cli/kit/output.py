"""Data on stdout, talk on stderr, and the one switch between them: `-o table|json`, `--json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(*forms: str) -> Callable[[Command], Command]:
    """Give a command the argument `output`: one of `forms`, the first by default; `--json` = `-o json`."""

    def decorate(function: Command) -> Command:
        choice = click.option("-o", "--output", type=click.Choice(forms), default=forms[0], show_default=True,
                              help="Form of the answer on stdout.")  # fmt: skip
        short = click.option("--json", "output", flag_value="json", help="The same as -o json.")
        return choice(short(function))

    return decorate


def say(text: str) -> None:
    """Tell the person something, on stderr; `--quiet` leaves it out."""
    context = click.get_current_context(silent=True)
    if context is None or not context.meta.get("murmur.quiet"):
        click.echo(text, err=True)


def emit(text: str) -> None:
    """Write data to stdout."""
    click.echo(text)


def emit_json(schema: str, fields: dict[str, Any]) -> None:
    """Write one JSON document to stdout; `schema` (such as `murmur.status/1`) stands first."""
    click.echo(json.dumps({"schema": schema, **fields}, indent=2, ensure_ascii=False))


def next_steps(*steps: Sequence[str]) -> None:
    """Say what to run next: (command, why) pairs, on stderr."""
    say("\nNext")
    width = max(len(step[0]) for step in steps)
    for command, why in steps:
        say(f"  {command:<{width}}   {why}" if width <= 60 else f"  {command}\n      {why}")
