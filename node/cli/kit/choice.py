"""Which node a command means: `--data`, `--config`, `./node.toml`, or the one in XDG_CONFIG_HOME/murmur."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from node.admin_client import AdminClient
from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused

Command = TypeVar("Command", bound=Callable[..., Any])


def node_option(function: Command) -> Command:
    """Give a command the argument `data`: the data folder of the node it talks to.

    It is looked for after the command line has been understood, so that a typing mistake is named first.
    """

    @functools.wraps(function)
    def with_data(*arguments: Any, config: Path | None, data: Path | None, **options: Any) -> Any:
        return function(*arguments, data=data or _configured_data(config), **options)

    return cast(Command, _node_paths(with_data))


def later_node_option(function: Command) -> Command:
    """As `node_option`, for a command that may need no node: its argument `find_data` is called where it does."""

    @functools.wraps(function)
    def with_paths(*arguments: Any, config: Path | None, data: Path | None, **options: Any) -> Any:
        return function(*arguments, find_data=lambda: data or _configured_data(config), **options)

    return cast(Command, _node_paths(with_paths))


def client_of(data: Path, *, timeout_s: float = 30.0) -> AdminClient:
    """The admin client of the running node that owns `data`, waiting at most so long for one answer."""
    return AdminClient(data, timeout_s=timeout_s)


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


def _node_paths(function: Callable[..., Any]) -> Callable[..., Any]:
    by_config = click.option(
        "--config", type=click.Path(path_type=Path), envvar="MURMUR_CONFIG", metavar="FILE",
        help="The node's node.toml.  [default: ./node.toml]",
    )  # fmt: skip
    by_data = click.option(
        "--data", type=click.Path(path_type=Path), envvar="MURMUR_DATA", metavar="DIR",
        help="The node's data folder, instead of --config.",
    )  # fmt: skip
    return by_config(by_data(function))


def _configured_data(config: Path | None) -> Path:
    from node.config import load_config

    return load_config(config_path(config)).data
