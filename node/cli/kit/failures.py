"""How a command fails: what happened, why, what to do, a stable code; on stderr, in words or as JSON.

`show_failure` is the only place that turns an exception into text. A traceback is never shown: an error
nobody foresaw becomes `internal_error` with its type, and `MURMUR_TRACEBACK=1` asks for the rest.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import traceback
from collections.abc import Sequence

import click

from node.cli.kit import exits
from node.errors import NodeError


class CommandRefused(NodeError):
    """A command that understood the request and will not do it.

    Attributes:
        exit_code: One of `exits`.
    """

    def __init__(self, exit_code: int, *, code: str, what: str, why: str, fix: str) -> None:
        super().__init__(code=code, what=what, why=why, fix=fix)
        self.exit_code = exit_code


def show_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Print a failure to stderr and return the exit code.

    Args:
        error: What ended the command.
        arguments: The command line, which says whether JSON was asked for.
    """
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        print("Stopped.", file=sys.stderr)  # noqa: T201 - the command line talks on stderr
        return 130
    if isinstance(error, BrokenPipeError):  # `murmur query … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)  # noqa: T201
        return exits.USAGE
    code, what, why, fix, exit_code = _parts(error)
    if wants_json(arguments):
        document = {
            "schema": "murmur.error/1",
            "code": code,
            "what": what,
            "why": why,
            "fix": fix,
            "exit": exit_code,
        }
        text = json.dumps(document, ensure_ascii=False)
    else:
        said = f"{what}: {why}" if why else what
        text = f"murmur: {said}{'' if said.endswith('?') else '.'}\n  do    {fix}.\n  code  {code}"
    print(text, file=sys.stderr)  # noqa: T201
    if os.environ.get("MURMUR_TRACEBACK") == "1":
        traceback.print_exception(error)
    return exit_code


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the command line asked for JSON, as far as can be told without parsing it."""
    return any(
        here in ("--json", "-ojson", "--output=json") or (here in ("-o", "--output") and after == "json")
        for here, after in itertools.pairwise([*arguments, ""])
    )


def _parts(error: BaseException) -> tuple[str, str, str, str, int]:
    """(code, what, why, fix, exit code) of any exception."""
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "murmur"
        what = error.format_message().rstrip(".")
        if isinstance(error, click.FileError):
            return "file_unreadable", what, "", "Check the path and its permissions", exits.FAILED
        return "usage", what, "", f'"{path} --help" shows how to use it', exits.USAGE
    parts = [str(getattr(error, part, None) or "").rstrip(".") for part in ("what", "why", "fix")]
    if all(parts):
        code = str(getattr(error, "code", "internal_error"))
        return code, parts[0], parts[1], parts[2], exits.exit_code_of(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return ("file_unusable", f"The file{where} cannot be used", error.strerror or type(error).__name__,
                "Check the path, its permissions and the free space", exits.FAILED)  # fmt: skip
    return ("internal_error", "This is a mistake in murmur itself", f"{type(error).__name__}",
            "Run it again with MURMUR_TRACEBACK=1 and report what it prints", exits.FAILED)  # fmt: skip
