"""Look into the mesh and put it right: sync, heads, doctor, evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.exits import FAILED
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(
    cls=Noun,
    examples=(
        ("murmur mesh doctor", "every check at once, and what to do"),
        ("murmur mesh heads", "how far each member's log is known here"),
        ("murmur mesh sync", "compare with every peer now"),
        ("murmur mesh evidence", "who signed twice, with the proof"),
    ),
)
def command() -> None:
    """Look into the mesh and put it right: sync, heads, doctor, evidence."""


@command.command(examples=(("murmur mesh sync", ""),))
@node_option
@output_option("text", "json")
def sync(data: Path, output: str) -> None:
    """Compare logs with every peer that can be called, now."""
    told = client_of(data).post("/v1/admin/mesh/sync", {})
    if output == "json":
        emit_json(told.pop("schema", "murmur.mesh-sync/1"), told)
        return
    say(f"Asking {told['asked']} peers; murmur peers shows what comes of it.")


@command.command(examples=(("murmur mesh heads", "the digest is the same on two nodes that hold the same"),))
@node_option
@output_option("table", "json")
def heads(data: Path, output: str) -> None:
    """Show how far each member's log is known here. Equal digests on two nodes mean equal logs."""
    told = client_of(data).get("/v1/admin/mesh/heads")
    if output == "json":
        emit_json(told.pop("schema", "murmur.mesh-heads/1"), told)
        return
    columns = (
        Column("name"),
        Column("generation", is_number=True),
        Column("seq", is_number=True),
        Column("entry"),
        Column("frozen"),
    )
    rows = [
        (
            head["name"], str(head["generation"]), str(head["seq"]), (head["entry"] or "-")[:16],
            "-" if head["frozen_at"] is None else f"at {head['frozen_at']['generation']}, {head['frozen_at']['seq']}",
        )
        for head in told["heads"]
    ]  # fmt: skip
    for line in render_table(columns, rows, terminal_width()):
        emit(line)
    emit(f"digest {told['digest']}")


@command.command(examples=(("murmur mesh doctor", ""),))
@node_option
@output_option("text", "json")
def doctor(data: Path, output: str) -> None:
    """Run every check of the mesh: pass, warn or fail, with what to do. Fails when one check fails."""
    told = client_of(data).get("/v1/admin/mesh/doctor")
    if output == "json":
        emit_json(told.pop("schema", "murmur.mesh-doctor/1"), told)
    else:
        for check in told["checks"]:
            emit(f"{check['state']:<5} {check['name']}: {check['detail']}")
            if check["fix"]:
                emit(f"      {check['fix']}.")
    if any(check["state"] == "fail" for check in told["checks"]):
        raise click.exceptions.Exit(FAILED)


@command.command(examples=(("murmur mesh evidence --json", "with the proofs"),))
@node_option
@output_option("table", "json")
def evidence(data: Path, output: str) -> None:
    """Show who signed two entries at one position; the JSON holds the proof itself."""
    told = client_of(data).get("/v1/admin/mesh/evidence")
    if output == "json":
        emit_json(told.pop("schema", "murmur.mesh-evidence/1"), told)
        return
    if not told["evidence"]:
        say("Nobody signed twice, as far as this node knows.")
        return
    columns = (
        Column("name"), Column("generation", is_number=True), Column("seq", is_number=True), Column("entries"),
        Column("acknowledged"),
    )  # fmt: skip
    for line in render_table(columns, [_row(item) for item in told["evidence"]], terminal_width()):
        emit(line)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    entries = " / ".join(entry[:16] for entry in item["entries"])
    return item["name"], str(item["generation"]), str(item["seq"]), entries, _told(item)


def _told(item: dict[str, Any]) -> str:
    """How many of the others know it, and who does not yet."""
    told, rest = item["told"], item["not_told"]
    return f"all {len(told)}" if not rest else f"{len(told)} of {len(told) + len(rest)}; not {', '.join(rest)}"
