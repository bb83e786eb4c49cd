"""The command line, `murmur`: one file per noun in this folder, found by listing it.

A noun's file has a docstring whose first line is its line in `murmur --help`, and a click command named
`command`. It is imported only when it is asked for, so the help of all of them costs the import of none. What
nouns share lives in `kit/`.

Rules: data on stdout, talk on stderr; `--json` everywhere, each document with its schema's name; an error
says what, why and what to do, with a stable code; exit codes are those of `kit/exits.py`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from node.cli.kit.base import Nouns
from node.cli.kit.failures import show_failure

EPILOG = (
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused by policy, 5 unreachable, "
    "6 verification failed, 7 conflict, 75 try again, 78 configuration."
)

_COLLECT_AFTER: Final = 100_000, 20, 20
"""New objects before a collection: a start makes some hundred thousand that stay, and looking through them again and
again took a fifth of its time. What runs on sets its own (node/jobs/memory.py)."""


@click.group(
    name="murmur",
    cls=Nouns,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MURMUR"},
    examples=(
        ("murmur demo", "four nodes on this machine, a federation, real answers"),
        ("murmur init --help", "make a node of your own"),
        ("murmur query people_by_app", "ask the federation"),
    ),
    epilog=EPILOG,
    no_args_is_help=True,
)
@click.version_option(package_name="murmur", prog_name="murmur")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors.")
@click.option("--passphrase-file", metavar="FILE", type=click.Path(path_type=Path),
              help="Holds the passphrase of a sealed key that the command opens.")  # fmt: skip
@click.pass_context
def _murmur(context: click.Context, quiet: bool, passphrase_file: Path | None) -> None:
    """See the flock, never the bird: analytics across platforms from signed, noised summaries."""
    context.meta["murmur.quiet"] = quiet
    context.meta["murmur.passphrase-file"] = passphrase_file


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code; `argv` defaults to the process's arguments."""
    gc.set_threshold(*_COLLECT_AFTER)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        result = _murmur.main(arguments, prog_name="murmur", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # every failure ends as one message and one exit code
        sys.exit(show_failure(error, arguments))
    sys.exit(result if isinstance(result, int) else 0)
