"""How `forget` and `export-person` are told whom: ids from a file or stdin, never from the command line.

An argument stands in the shell's history and in the process list, where others read it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TextIO, TypeVar, cast

import click

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused

Command = TypeVar("Command", bound=Callable[..., Any])


def persons_options(function: Command) -> Command:
    """Give a command the arguments `kind` and `ids`: the lines of FILE or stdin, empty ones left out."""

    @functools.wraps(function)
    def with_ids(*arguments: Any, file: TextIO, **options: Any) -> Any:
        if file.isatty():
            click.echo("One id a line, then Ctrl-D:", err=True)
        ids = [line for line in file.read().split("\n") if line.strip("\r")]
        if not ids:
            raise CommandRefused(
                exits.USAGE,
                code="no_ids",
                what="Nobody was looked for",
                why="no id was read",
                fix="Give one id a line, on stdin or with --file",
            )
        return function(*arguments, ids=[line.removesuffix("\r") for line in ids], **options)

    by_kind = click.option(
        "--kind", type=click.Choice(["user", "session", "address"]), default="user", show_default=True,
        help="What the ids are, as the tracking plan names the person key of an app.",
    )  # fmt: skip
    by_file = click.option(
        "--file", type=click.File("r", encoding="utf-8"), default="-", metavar="FILE",
        help="A file with one id a line.  [default: stdin]",
    )  # fmt: skip
    return cast(Command, by_kind(by_file(with_ids)))  # click's decorators hand on what they get
