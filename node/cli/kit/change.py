"""What every command that changes something has in common: `--dry-run`, `--yes`, `--no-input`, and a name to type.

- `--dry-run` says what would happen, with the fingerprint of what would be signed, and changes nothing.
- What cannot be undone asks for a name to be typed. `--yes` answers beforehand. Where there is no terminal, or with
  `--no-input`, nothing is asked: the command ends with code `confirmation_needed` (exit 2) and names `--yes`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import click

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, say
from node.fingerprint import fingerprint

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS: Final = ("--dry-run", "--yes", "--no-input")
"""What a command that changes something takes; a test walks the tree for them."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Something that would be signed: what it is, and the hash of its bytes; None where a part is only drawn then."""

    what: str
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """How a change was asked for.

    Args:
        is_dry_run: Say what would happen, and do nothing.
        is_confirmed: `--yes` was given.
        may_ask: A person can be asked: there is a terminal, and `--no-input` was not given.
    """

    is_dry_run: bool = False
    is_confirmed: bool = False
    may_ask: bool = False

    @property
    def query(self) -> str:
        """What stands behind a path of the operator plane: a dry run is asked there, and is not recorded."""
        return "?dry_run=1" if self.is_dry_run else ""

    def confirm(self, consequence: str, name: str) -> None:
        """Have `name` typed before something that cannot be undone; `--yes` has said it beforehand.

        Raises:
            CommandRefused: nobody can be asked (`confirmation_needed`, 2), or something else was typed
                (`not_confirmed`, 1). Nothing was changed.
        """
        if self.is_confirmed:
            return
        if not self.may_ask:
            words = consequence[0].lower() + consequence[1:]
            raise CommandRefused(
                exits.USAGE, code="confirmation_needed", what="Nothing was changed",
                why=f"{words}, and there is nobody to ask: no terminal, or --no-input",
                fix="Look with --dry-run first, then give --yes",
            )  # fmt: skip
        typed = click.prompt(f"{consequence}.\nType {name} to go on", default="", show_default=False, err=True)
        if typed.strip() != name:
            raise CommandRefused(
                exits.FAILED, code="not_confirmed", what="Nothing was changed", why=f'"{name}" was not typed',
                fix="Run the command again",
            )  # fmt: skip


def changing(function: Command) -> Command:
    """Give a command that changes something its options, as the argument `change`."""

    @functools.wraps(function)
    def with_change(*arguments: Any, dry_run: bool, yes: bool, no_input: bool, **options: Any) -> Any:
        change = Change(dry_run, yes, may_ask=not no_input and sys.stdin.isatty())
        return function(*arguments, change=change, **options)

    dry = click.option("--dry-run", is_flag=True, help="Say what would change and be signed; do nothing.")
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    silent = click.option("--no-input", is_flag=True, help="Never ask: fail where an answer is needed.")
    return cast(Command, dry(yes(silent(with_change))))  # click's decorators hand on what they get


def would(changes: Sequence[str], output: str, signs: Signs | None = None) -> None:
    """The end of a dry run: what would change, in words or as `murmur.dry-run/1`."""
    if output == "json":
        signed = None
        if signs is not None:
            signed = {"what": signs.what, "fingerprint": None if signs.digest is None else fingerprint(signs.digest)}
        emit_json("murmur.dry-run/1", {"changes": list(changes), "signs": signed})
        return
    for line in changes:
        emit(f"would  {line}")
    if signs is not None:
        mark = "drawn at that moment" if signs.digest is None else fingerprint(signs.digest)
        emit(f"would sign  {signs.what}  {mark}")
    say("Nothing was changed.")
