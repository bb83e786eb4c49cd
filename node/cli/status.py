"""Show what the running node is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option


@click.command(
    cls=Verb,
    examples=(
        ("murmur status", "in words"),
        ("murmur status --config b/node.toml --json", "another node, as one JSON document"),
    ),
)
@node_option
@output_option("table", "json")
def command(data: Path, output: str) -> None:
    """Show what the running node is doing: identity, peers, releases, budget."""
    status = client_of(data).get("/v1/admin/status")
    if output == "json":
        emit_json(status.pop("schema", "murmur.status/1"), status)
        return
    for line in _in_words(status):
        emit(line)


def _in_words(fields: dict[str, Any], indent: str = "") -> list[str]:
    """Each field on a line of its own, nested ones indented; whatever the node tells is shown."""
    shown = {name.replace("_", " "): value for name, value in fields.items() if name != "schema"}
    width = max((len(name) for name, value in shown.items() if not _is_nested(value)), default=0)
    lines = []
    for name, value in shown.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}", *_in_words(value, indent + "  ")]
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            lines.append(f"{indent}{name}")
            for item in value:
                lines.append(f"{indent}  - " + "  ".join(f"{key} {_plain(inner)}" for key, inner in item.items()))
        else:
            lines.append(f"{indent}{name:<{width}}  {_plain(value)}")
    return lines


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value) and not isinstance(value, str)


def _plain(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_plain(inner)}" for key, inner in value.items())
    return str(value)
