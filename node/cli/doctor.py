"""Check everything about a node at once: what is well, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.exits import FAILED
from node.cli.kit.output import emit, emit_json, output_option, say
from node.errors import NodeError, TransportError

_TIMEOUT_S = 8.0  # the node itself gives up after five


@click.command(
    cls=Verb,
    examples=(
        ("murmur doctor", "every check, within five seconds; exit 1 when one fails"),
        ("murmur doctor --quiet-passes", "only what is not well"),
        ("murmur doctor --json", "for a monitor"),
    ),
)
@node_option
@click.option("--quiet-passes", is_flag=True, help="Leave out what is well.")
@output_option("text", "json")
def command(data: Path, quiet_passes: bool, output: str) -> None:
    """Run every check at once: pass, warn or fail, each with what was found and what to do.

    Also says what the loss of one key would cost. Of a node that does not run, what can be seen of its files.
    """
    try:
        rows = client_of(data, timeout_s=_TIMEOUT_S).get("/v1/admin/doctor")["checks"]
    except TransportError as error:
        rows = [_row(error, "node"), *_offline(data)]
    if output == "json":
        emit_json("murmur.doctor/1", {"checks": rows})
    else:
        for row in rows:
            if quiet_passes and row["state"] == "pass":
                continue
            emit(f"{row['state']:<5} {row['name']}: {row['detail']}")
            if row["fix"]:
                emit(f"      {row['fix'].rstrip('.')}.")
        counts = {state: sum(row["state"] == state for row in rows) for state in ("pass", "warn", "fail")}
        say(f"{counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail.")
    if any(row["state"] == "fail" for row in rows):
        raise click.exceptions.Exit(FAILED)


def _offline(data: Path) -> list[dict[str, Any]]:
    from node.checkup import disk_space, key_files, root_key_places

    checks: list[tuple[str, Callable[[], Any]]] = [
        ("key files", lambda: key_files(data / "keys")),
        ("root key", lambda: root_key_places(data, data.parent)),
        ("disk", lambda: disk_space(data)),
    ]
    rows: list[dict[str, Any]] = []
    for name, check in checks:
        try:
            rows += [finding.as_json() for finding in check()]
        except OSError as error:
            rows.append({"name": name, "state": "fail", "detail": f"{error.filename}: {error.strerror}",
                         "fix": "Name the node with --config or --data"})  # fmt: skip
    return rows


def _row(error: NodeError, name: str) -> dict[str, Any]:
    return {"name": name, "state": "fail", "detail": f"{error.what}: {error.why}", "fix": error.fix}
