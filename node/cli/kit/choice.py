"""Which node a command means: `--data`, `--config`, `./node.toml`, or the one in XDG_CONFIG_HOME/murmur."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from node.admin_client import AdminClient
from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused

Command = TypeVar("Command", bound=Callable[..., Any])


def node_option(function: Command) -> Command:
    """Give a command the argument `data`: the data folder of the node it talks to."""
    by_config = click.option(
        "--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE",
        expose_value=False, is_eager=True, callback=_remember_config,
        help="The node's node.toml.  [default: ./node.toml]",
    )  # fmt: skip
    by_data = click.option(
        "--data", type=click.Path(path_type=Path), envvar="MURMUR_DATA", metavar="DIR", callback=_data_folder,
        help="The node's data folder, instead of --config.",
    )  # fmt: skip
    return by_config(by_data(function))


def client_of(data: Path) -> AdminClient:
    """The admin client of the running node that owns `data`."""
    return AdminClient(data)


def config_path(given: Path | None) -> Path:
    """The node.toml to use: the one given, else the first of the usual places that exists.

    Raises:
        CommandRefused: none given and none found (exit 78).
    """
    if given is not None:
        return given
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for candidate in (Path("node.toml"), config_home / "murmur" / "node.toml"):
        if candidate.exists():
            return candidate
    raise CommandRefused(
        exits.CONFIG,
        code="no_node_chosen",
        what="No node is named",
        why="there is no node.toml here, and neither --config nor --data was given",
        fix='Give --config FILE, or make a node with "murmur init"',
    )


def _remember_config(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    context.meta["murmur.config"] = value
    return value


def _data_folder(context: click.Context, option: click.Parameter, value: Path | None) -> Path:
    if value is not None or context.resilient_parsing:
        return value or Path()
    from node.config import load_config

    return load_config(config_path(context.meta.get("murmur.config"))).data
