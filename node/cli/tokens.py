"""Make, list and revoke the API keys of the running node."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from node.admin_client import AdminClient
from node.cli.kit import exits
from node.cli.kit.base import Noun
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.failures import CommandRefused
from node.cli.kit.output import emit, emit_json, next_steps, output_option, say
from node.cli.kit.spans import seconds_of
from node.cli.kit.table import Column, render_table, terminal_width

_SCOPES_TOLD: Final = (
    "Write: events, backfill. Admin: admin (everything), read, or what it changes: keys, tokens, federation, backup, "
    "data, persons."
)
_SHARED: Final = re.compile(r"[0-9a-f]{32}")
_KIND_OF_ROLE: Final = {"operator": "write", "researcher": "read", "admin": "admin"}


@click.group(
    cls=Noun,
    examples=(
        ("murmur tokens create --label shop", "a key for your servers; shown once"),
        ("murmur tokens create --origin https://example.org", "a browser key, for the pages of one origin"),
        ("murmur tokens create --scope events --scope backfill --label import", "also for past days"),
        ("murmur tokens create --role researcher --expires 90d --label notebook", "asks questions until then"),
        ("murmur tokens create --role admin --scope read --label dashboard", "looks at everything, changes nothing"),
        ("murmur tokens share --expires 12h", "a token that is good at every member"),
        ("murmur tokens list", ""),
        ("murmur tokens revoke ID", "a key of this node, or a shared token"),
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
@click.option(
    "--role", type=click.Choice(["operator", "researcher", "admin"]),
    help="Whose key it is, instead of a kind: an operator's sends, a researcher's asks, an admin's changes things.",
)  # fmt: skip
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help=f"What it may do. {_SCOPES_TOLD} Repeatable.")
@click.option("--label", default="", help="A name to know it by.")
@click.option(
    "--origin", "origins", multiple=True, metavar="ORIGIN",
    help="Make a browser key, taken from pages of this origin only (https://example.org). Repeatable.",
)  # fmt: skip
@click.option("--expires", metavar="SPAN", help="When it ends, such as 30d or 12h.  [default: when it is revoked]")
@changing
@output_option("text", "json")
def create(
    data: Path, kind: str, role: str | None, scopes: tuple[str, ...], label: str, origins: tuple[str, ...],
    expires: str | None, change: Change, output: str,
) -> None:  # fmt: skip
    """Make a key. It is shown once: the node keeps only a hash."""
    kind = kind if role is None else _KIND_OF_ROLE[role]
    wanted: dict[str, Any] = {"kind": kind, "scopes": list(scopes), "label": label, "origins": list(origins)}
    if expires is not None:
        wanted["life_s"] = seconds_of(expires, "--expires")
    token = client_of(data).post("/v1/admin/tokens" + change.query, wanted)
    scopes_text = ", ".join(token.get("scopes", []))
    until = "" if token.get("expires_at") is None else f", until {_day(token['expires_at'])}"
    if change.is_dry_run:
        article = "an" if kind == "admin" else "a"
        would([f"make {article} {kind} key ({scopes_text}){until} and show it once"], output)
        return
    if output == "json":
        emit_json(token.pop("schema", "murmur.token/1"), token)
        return
    emit(token["token"])
    say(f"Made {kind} key {token.get('id', '')} ({scopes_text}){until}. It is not shown again.")
    next_steps((f"murmur tokens revoke {token.get('id', '')}", "when it is lost or no longer needed"))


@command.command("list", examples=(("murmur tokens list", ""),))
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
            _state(token),
        )
        for token in answer["tokens"]
    ]  # fmt: skip
    if not rows:
        say('There are no keys yet. "murmur tokens create" makes one.')
        return
    for line in render_table(columns, rows, terminal_width()):
        emit(line)


@command.command(examples=(("murmur tokens revoke 3f2a99c0d1e2 --yes", "in a script, where nobody can be asked"),))
@node_option
@click.argument("token_id", metavar="ID")
@changing
@output_option("text", "json")
def revoke(data: Path, token_id: str, change: Change, output: str) -> None:
    """Revoke a key by its id, at once and for ever. Asks for the id once more."""
    from urllib.parse import quote

    client = client_of(data)
    if _SHARED.fullmatch(token_id) is not None:
        _revoke_shared(client, token_id, change, output)
        return
    known = {token["id"]: token for token in client.get("/v1/admin/tokens")["tokens"]}
    token = known.get(token_id)
    if token is None:
        near = difflib.get_close_matches(token_id, known, n=1)
        raise CommandRefused(
            exits.NOT_FOUND, code="no_such_key", what="Nothing was revoked", why=f'no key has the id "{token_id[:40]}"',
            fix=f"Did you mean {near[0]}?" if near else '"murmur tokens list" shows them',
        )  # fmt: skip
    if change.is_dry_run:
        would([f"revoke {token['kind']} key {token_id} {token['label']}".rstrip()], output)
        return
    change.confirm(f"Whoever uses {token['kind']} key {token_id} {token['label']}".rstrip() + " is refused", token_id)
    token = client.delete(f"/v1/admin/tokens/{quote(token_id, safe='')}")
    if output == "json":
        emit_json(token.pop("schema", "murmur.token/1"), token)
        return
    say(f"Revoked {token.get('kind', '')} key {token.get('id', token_id)}.")


def _revoke_shared(client: AdminClient, token_id: str, change: Change, output: str) -> None:
    if change.is_dry_run:
        from protocol.entries import data_hash
        from protocol.token_data import RevokeTokenData

        digest = data_hash(RevokeTokenData((bytes.fromhex(token_id),)).encode())
        would(
            [f"revoke shared token {token_id} at every member"], output, Signs("data of the revoke_token entry", digest)
        )
        return
    change.confirm(f"Whoever uses token {token_id} is refused at every member", token_id[:8])
    told = client.delete(f"/v1/admin/tokens/shared/{token_id}")
    if output == "json":
        emit_json(told.pop("schema", "murmur.shared-token/1"), told)
        return
    say(f"Revoked shared token {token_id}; each member refuses it once it has heard.")


@command.command(
    examples=(
        ("murmur tokens share --expires 12h > token", "for a researcher, good at every member of the federation"),
        ("murmur tokens share --new-key", "sign with another key from now on"),
    )
)
@node_option
@click.option("--expires", metavar="SPAN", default="24h", show_default=True, help="When it ends: 24h at most.")
@click.option("--new-key", is_flag=True, help="Only publish another key to sign with; tokens of the old one run out.")
@changing
@output_option("text", "json")
def share(data: Path, expires: str, new_key: bool, change: Change, output: str) -> None:
    """Issue a token that lets a researcher read at every member, verified there offline. It is shown once.

    The charter must name this node among those who issue. The first one publishes a key in this node's log.
    """
    client, schema = client_of(data), "murmur.shared-token/1"
    if new_key:
        if change.is_dry_run:
            would(["make a new keys/token.key and publish it"], output, Signs("data of the token_key entry", None))
            return
        told = client.post("/v1/admin/tokens/shared/key", {})
        if output == "json":
            emit_json(told.pop("schema", schema), told)
            return
        emit(told["public"])
        say("Tokens are signed with this key from now on.")
        return
    told = client.post("/v1/admin/tokens/shared" + change.query, {"life_s": seconds_of(expires, "--expires")})
    if change.is_dry_run:
        key = ["make keys/token.key and publish it"] if told["makes_key"] else []
        would([*key, f"issue a token that is good until {_minute(told['expires_at'])}"], output, Signs("token", None))
        return
    if output == "json":
        emit_json(told.pop("schema", schema), told)
        return
    emit(told["token"])
    say(f"Token {told['id']} is good until {_minute(told['expires_at'])} at every member. It is not shown again.")
    next_steps((f"murmur tokens revoke {told['id']}", "takes effect with the next sync"))


def _minute(seconds: Any) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M} UTC"


def _state(token: Mapping[str, Any]) -> str:
    if token["revoked_at"] is not None:
        return f"revoked {_day(token['revoked_at'])}"
    if token.get("expires_at") is None:
        return "valid"
    return f"{'expired' if token.get('is_expired') else 'until'} {_day(token['expires_at'])}"


def _day(seconds: Any) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
