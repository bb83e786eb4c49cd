"""Show the other members as the running node sees them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option
from node.cli.kit.table import Column, render_table, terminal_width

COLUMNS = (
    Column("name"), Column("in step"), Column("last word"), Column("missing", is_number=True),
    Column("skew s", is_number=True), Column("wire", is_optional=True), Column("charter", is_optional=True),
    Column("in kB", is_number=True, is_optional=True),
    Column("out kB", is_number=True, is_optional=True), Column("trouble"), Column("url", is_optional=True),
)  # fmt: skip


@click.command(
    cls=Verb,
    examples=(
        ("murmur peers", "who spoke last when, who lags, what went wrong"),
        ("murmur peers -o json", "with bytes, pauses and refusals"),
    ),
)
@node_option
@output_option("table", "json")
def command(data: Path, output: str) -> None:
    """Show the other members as the running node sees them: last word, lag, clock, bytes, what was refused."""
    told = client_of(data).get("/v1/admin/mesh/peers")
    if output == "json":
        emit_json(told.pop("schema", "murmur.mesh-peers/1"), told)
        return
    now_ms = time.time() * 1000
    for line in render_table(COLUMNS, [_row(peer, now_ms) for peer in told["peers"]], terminal_width()):
        emit(line)


def _row(peer: dict[str, Any], now_ms: float) -> tuple[str, ...]:
    heard, skew = peer["last_success_ms"], peer["skew_ms"]
    failed_since = (peer["last_failure_ms"] or 0) > (heard or 0)
    trouble = peer["quarantine"] or (peer["last_failure"] if failed_since else None)
    if trouble is None and peer["refused"] is not None:
        trouble = f"refused {peer['refused']['what']}: {peer['refused']['code']}"
    return (
        peer["name"],
        "yes" if peer["in_step"] else "no",
        "never" if heard is None else f"{max(0, round((now_ms - heard) / 1000))} s ago",
        str(peer["missing_here"]),
        "-" if skew is None else f"{round(skew / 1000, 1) or 0.0:.1f}",
        _majors(peer["protocols"]),
        "-" if peer["charter_version"] is None else str(peer["charter_version"]),
        str(round(peer["bytes_in"] / 1000)),
        str(round(peer["bytes_out"] / 1000)),
        trouble or "-",
        peer["url"] or "none: it calls us",
    )


def _majors(protocols: list[int] | None) -> str:
    """Wire majors a peer speaks."""
    if protocols is None:
        return "-"
    low, high = protocols
    return str(low) if low == high else f"{low}-{high}"
