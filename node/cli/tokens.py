"""Make, list and revoke the API keys of the running node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(
    cls=Noun,
    examples=(
        ("murmur tokens create --label shop", "a key for your servers; shown once"),
        ("murmur tokens create --origin https://example.org", "a browser key, for the pages of one origin"),
        ("murmur tokens create --scope events --scope backfill --label import", "also for past days"),
        ("murmur tokens list", ""),
        ("murmur tokens revoke ID", ""),
    ),
)
def command() -> None:
    """Make, list and revoke the API keys of the running node."""


@command.command(examples=(("murmur tokens create --write --label web > web.key", "the key alone on stdout"),))
@node_option
@click.option(
    "--kind", type=click.Choice(["write", "read", "admin"]), default="write", show_default=True,
    help="To send events (mw_…), to ask questions (mr_…), or to change things (ma_…).",
)  # fmt: skip
@click.option("--write", "kind", flag_value="write", help="The same as --kind write.")
@click.option("--read", "kind", flag_value="read", help="The same as --kind read.")
@click.option("--admin", "kind", flag_value="admin", help="The same as --kind admin.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="What it may do: events, backfill. Repeatable.")
@click.option("--label", default="", help="A name to know it by.")
@click.option(
    "--origin", "origins", multiple=True, metavar="ORIGIN",
    help="Make a browser key, taken from pages of this origin only (https://example.org). Repeatable.",
)  # fmt: skip
@output_option("text", "json")
def create(data: Path, kind: str, scopes: tuple[str, ...], label: str, origins: tuple[str, ...], output: str) -> None:
    """Make a key. It is shown once: the node keeps only a hash."""
    wanted = {"kind": kind, "scopes": list(scopes), "label": label, "origins": list(origins)}
    token = client_of(data).post("/v1/admin/tokens", wanted)
    if output == "json":
        emit_json(token.pop("schema", "murmur.token/1"), token)
        return
    emit(token["token"])
    scopes_text = ", ".join(token.get("scopes", []))
    say(f"Made {kind} key {token.get('id', '')} ({scopes_text}). It is not shown again.")


@command.command("list")
@node_option
@output_option("table", "json")
def list_(data: Path, output: str) -> None:
    """List the keys, revoked ones too."""
    answer = client_of(data).get("/v1/admin/tokens")
    if output == "json":
        emit_json(answer.pop("schema", "murmur.tokens/1"), answer)
        return
    columns = (
        Column("id"), Column("kind"), Column("scopes"), Column("label", is_optional=True),
        Column("made", is_optional=True), Column("state"),
    )  # fmt: skip
    rows = [
        (
            token["id"], token["kind"], ", ".join(token["scopes"]), token["label"], _day(token["created_at"]),
            f"revoked {_day(token['revoked_at'])}" if token["revoked_at"] is not None else "valid",
        )
        for token in answer["tokens"]
    ]  # fmt: skip
    if not rows:
        say('There are no keys yet. "murmur tokens create" makes one.')
        return
    for line in render_table(columns, rows, terminal_width()):
        emit(line)


@command.command()
@node_option
@click.argument("token_id", metavar="ID")
@output_option("text", "json")
def revoke(data: Path, token_id: str, output: str) -> None:
    """Revoke a key by its id, at once and for ever."""
    from urllib.parse import quote

    token = client_of(data).delete(f"/v1/admin/tokens/{quote(token_id, safe='')}")
    if output == "json":
        emit_json(token.pop("schema", "murmur.token/1"), token)
        return
    say(f"Revoked {token.get('kind', '')} key {token.get('id', token_id)}.")


def _day(seconds: Any) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
