"""Commands whose help leads with examples, and the group that finds its nouns by listing a folder."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

Examples = Sequence[tuple[str, str]]  # (command line, what it does)

_CLI_FOLDER = Path(__file__).parent.parent


class _ExamplesFirst(click.Command):
    """Help in the order people read it: usage, promise, examples, then options."""

    def __init__(self, *args: Any, examples: Examples = (), **kwargs: Any) -> None:  # click's own signature
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(context, formatter)
        self.format_help_text(context, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line, meaning in self.examples:
                    formatter.write_text(f"{line}")
                    if meaning:
                        with formatter.indentation():
                            formatter.write_text(f"{meaning}")
        self.format_options(context, formatter)
        self.format_epilog(context, formatter)


class Verb(_ExamplesFirst):
    """One command."""


class Noun(_ExamplesFirst, click.Group):
    """A group of commands on one noun: `murmur tokens create`."""

    command_class = Verb


class Nouns(_ExamplesFirst, click.Group):
    """`murmur` itself. Lists `node/cli/*.py` and imports a noun's file only when the noun is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(_noun(path) for path in _CLI_FOLDER.glob("*.py") if not path.stem.startswith("_"))

    def get_command(self, context: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(context):
            return None
        module = importlib.import_module(f"node.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.list_commands(context) and not context.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.list_commands(context), ctx=context)
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(noun, _first_line(noun)) for noun in self.list_commands(context)])


def _noun(path: Path) -> str:
    return path.stem.replace("_", "-")


def _first_line(noun: str) -> str:
    """The first line of the docstring of a noun's file, read without importing it."""
    source = (_CLI_FOLDER / f"{noun.replace('-', '_')}.py").read_text(encoding="utf-8")
    start, quotes, rest = source.partition('"""')
    if start.strip() or not quotes:
        return ast.get_docstring(ast.parse(source)) or ""
    return rest.split("\n", 1)[0].removesuffix('"""').strip()
