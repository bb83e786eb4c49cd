"""The audit log of the running node: what was done to it and with its keys, by whom; and whether the log is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, later_node_option, node_option
from node.cli.kit.exits import NOT_FOUND, VERIFICATION
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_bounded, write_new
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.spans import seconds_of
from node.cli.kit.table import Column, render_table, terminal_width

if TYPE_CHECKING:
    from node.audit_chain import AuditProblem
    from node.audit_export import Export

MAX_EXPORT_BYTES = 1 << 30


@click.group(
    cls=Noun,
    examples=(
        ("murmur audit show --since 7d", "the last week: who did what, and what was refused"),
        ("murmur audit verify", "the chain, against every head that was signed and sent to peers"),
        ("murmur audit export june.ndjson", "the whole log with its proofs, for an auditor"),
        ("murmur audit verify june.ndjson --config other/node.toml",
         "another member's log, against what this node holds of its attestations"),
    ),
)  # fmt: skip
def command() -> None:
    """Show, check and hand on the audit log."""


@command.command(examples=(("murmur audit show --last 20", ""), ("murmur audit show --since 24h --json", "")))
@node_option
@click.option("--since", metavar="SPAN", help="Only what is younger, such as 7d, 24h or 90m.")
@click.option("--last", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many records.")
@output_option("table", "json")
def show(data: Path, since: str | None, last: int, output: str) -> None:
    """Show the last records, oldest first. Nobody's events, ids or questions stand in them."""
    query = {"last": str(last)}
    if since is not None:
        query["since"] = str(int(datetime.now(UTC).timestamp()) - seconds_of(since, "--since"))
    told = client_of(data).get("/v1/admin/audit", query)
    if output == "json":
        emit_json(told.pop("schema", "murmur.audit/1"), told)
        return
    if not told["records"]:
        say("Nothing is recorded yet.")
        return
    columns = (
        Column("number", is_number=True), Column("time (UTC)"), Column("who"), Column("what"),
        Column("about", is_optional=True), Column("outcome"),
    )  # fmt: skip
    rows = [
        (
            str(row["number"]), f"{datetime.fromtimestamp(row['at'], UTC):%Y-%m-%d %H:%M:%S}", row["actor"],
            row["action"], row["subject"], row["outcome"],
        )
        for row in told["records"]
    ]  # fmt: skip
    for line in render_table(columns, rows, terminal_width()):
        emit(line)


@command.command(
    examples=(
        ("murmur audit verify", "this node's own log"),
        ("murmur audit verify june.ndjson --alone", "a file, by what stands in it"),
    )
)
@later_node_option
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--alone", is_flag=True, help="Ask no node: check a file by what stands in it.")
@output_option("text", "json")
def verify(find_data: Callable[[], Path], file: Path | None, alone: bool, output: str) -> None:
    """Check that no record was changed, taken out or cut off; exit 6 and where, if one was.

    The chain says that no record was changed alone. That the log was not cut or rewritten as a whole, the signed heads
    say that were sent to peers once a day: at most a day can be lost unseen. A FILE is checked against what the
    running node holds of its author's attestations.
    """
    if file is None:
        told = client_of(find_data(), timeout_s=300.0).get("/v1/admin/audit/verify")
        told.pop("schema", None)
    else:
        told = _verify_file(file, None if alone else find_data())
    if output == "json":
        emit_json("murmur.audit-verify/1", told)
    else:
        for one in told["problems"]:
            emit(f"{one['kind']:<8} {one['words']}")
        whole = "whole" if told["is_whole"] else "NOT whole"
        say(f"The log of {told['records']} records is {whole}; {told['attested']} signed heads were compared.")
        if not told["attested"]:
            say("No head was attested yet: until the first day is over, only the chain itself speaks.")
    if not told["is_whole"]:
        raise click.exceptions.Exit(VERIFICATION)


@command.command(examples=(("murmur audit export audit.ndjson", ""),))
@node_option
@click.argument("file", type=click.Path(path_type=Path))
@output_option("text", "json")
def export(data: Path, file: Path, output: str) -> None:
    """Write the whole log to a new file, one record a line, with the signed heads that prove it."""
    content = client_of(data, timeout_s=300.0).get_bytes("/v1/admin/audit/export")
    write_new(file, content, mode=0o600)
    records = sum(b'"number":' in line for line in content.splitlines())
    if output == "json":
        emit_json("murmur.audit-exported/1", {"file": str(file), "records": records})
        return
    say(f"Wrote {records} records to {file}. Anybody can check it: murmur audit verify {file} --alone")


def _verify_file(file: Path, data: Path | None) -> dict[str, Any]:
    from node.audit_export import parse_export

    export = parse_export(read_bounded(file, MAX_EXPORT_BYTES, noun="audit log"))
    problems = [*export.problems(), *([] if data is None else _against(export, data))]
    return {
        "is_whole": not problems, "records": len(export.records), "attested": len(export.attested), "witnesses": 0,
        "problems": [{"kind": one.kind, "words": one.words} for one in problems],
    }  # fmt: skip


def _against(export: Export, data: Path) -> Sequence[AuditProblem]:
    """What the file lacks of what this member holds."""
    from node.admin_client import RefusedByNode
    from node.audit_chain import AttestedAudit

    try:
        told = client_of(data).get(f"/v1/admin/audit/attested/{export.node.hex()}")
    except RefusedByNode as error:
        if error.code != "unknown_member":
            raise
        raise CommandRefused(
            NOT_FOUND, code="unknown_member", what="The file was not compared", why="its node is no member here",
            fix="Check it by itself with --alone, or ask a node of its federation",
        ) from error  # fmt: skip
    return export.against([AttestedAudit(bytes.fromhex(o["head"]), o["at"], o["seq"]) for o in told["heads"]])
