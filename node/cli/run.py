"""Run the node in the foreground until Ctrl-C or SIGTERM.

Prints one readiness line on stdout once ingest and mesh answer; everything else is the log, on stderr.
"""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import config_path


@click.command(
    cls=Verb,
    examples=(
        (
            "murmur run --config node.toml",
            "the same command everywhere: by hand, under systemd, in a container",
        ),
    ),
)
@click.option("--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE",
              help="The node's node.toml.  [default: ./node.toml]")  # fmt: skip
@click.option("--passphrase-fd", type=click.IntRange(min=0), metavar="N",
              help="An open descriptor with the passphrase of the node's keys.")  # fmt: skip
@click.option("--until-eof", is_flag=True, help="End also when standard input ends: with the program that started it.")
def command(config: Path | None, passphrase_fd: int | None, until_eof: bool) -> int | None:
    """Run the node in the foreground until Ctrl-C or SIGTERM."""
    path = config_path(config)
    import node.app  # the node itself, and with it everything heavy
    from node.passphrase import passphrase_from

    passphrase = None if passphrase_fd is None else passphrase_from(passphrase_fd)
    return node.app.run(path, passphrase, until_eof=until_eof)
