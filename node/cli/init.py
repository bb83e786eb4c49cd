"""Make a node: keys, identity, data folder, node.toml and a request to join.

Everything appears together or not at all (`kit/staging.py`). The root key goes to a path outside the data
folder and is never needed in daily work; the governance key is the organisation's voice and may leave this
machine too.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.kit.base import Verb
from node.cli.kit.files import read_text
from node.cli.kit.fingerprint import fingerprint
from node.cli.kit.output import emit_json, next_steps, output_option, say
from node.cli.kit.staging import Staging

if TYPE_CHECKING:
    from node.keyfiles import KeyFile, KeyKind
    from protocol.keys import SigningKey

_PATH = click.Path(path_type=Path)
MAX_PLAN_BYTES = 4 << 20  # load_strings stops at 1 Mi characters, of up to four bytes


@dataclass(frozen=True, slots=True)
class _Wish:
    """The command line, with every default filled in; all paths absolute."""

    name: str
    organisation: str
    organisation_name: str
    data: Path
    config: Path
    plan: Path
    anchor: Path | None
    root_key: Path
    governance_key: Path
    request: Path
    listen: str
    advertise: str
    behind_proxy: bool
    epoch: str
    backfill_from: str | None
    population: int | None


@click.command(
    cls=Verb,
    examples=(
        (
            "murmur init --name shop-eu --plan plan.yaml --root-key /media/stick/root.key "
            "--governance-key governance.key --request shop-eu.request",
            "data in ./data, configuration in ./node.toml, listening on 127.0.0.1:7700",
        ),
    ),
)
@click.option("--name", required=True, help="The node's name in the federation: a-z, 0-9, dot, dash.")
@click.option("--organisation", metavar="ID", help="The organisation that runs it.  [default: the name]")
@click.option("--organisation-name", metavar="TEXT", help="The organisation's name for people.  [default: its id]")
@click.option(
    "--data", type=_PATH, default=Path("data"), show_default=True, metavar="DIR", help="The data folder to make."
)
@click.option("--config", type=_PATH, metavar="FILE", help="The node.toml to write.  [default: beside the data folder]")
@click.option("--plan", type=_PATH, required=True, metavar="FILE", help="The tracking plan, which must be valid.")
@click.option(
    "--root-key", type=_PATH, required=True, metavar="FILE", help="Where the root key goes; outside the data folder."
)
@click.option("--governance-key", type=_PATH, required=True, metavar="FILE",
              help="Where the organisation's governance key goes; one that is there is used.")  # fmt: skip
@click.option(
    "--request", type=_PATH, required=True, metavar="FILE", help="Where the request to join goes; it holds no secret."
)
@click.option(
    "--listen", default="127.0.0.1:7700", show_default=True, metavar="HOST:PORT", help="The address to listen on."
)
@click.option("--advertise", metavar="URL", help="How peers reach the node.  [default: http://LISTEN]")
@click.option(
    "--behind-proxy", is_flag=True, help="Listen on other than loopback, because a TLS proxy stands in front."
)
@click.option("--anchor", type=_PATH, metavar="FILE",
              help="The anchor, outside data and backups.  [default: in XDG_STATE_HOME/murmur]")  # fmt: skip
@click.option("--epoch", type=click.Choice(["day", "week", "month"]), default="day", show_default=True,
              help="How long a pseudonym lives.")  # fmt: skip
@click.option(
    "--backfill-from", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Past days to take in, from this one."
)
@click.option(
    "--population", type=click.IntRange(min=1), metavar="N", help="How many people the platform has; made public."
)
@output_option("text", "json")
def command(
    name: str, organisation: str | None, organisation_name: str | None, data: Path, config: Path | None, plan: Path,
    root_key: Path, governance_key: Path, request: Path, listen: str, advertise: str | None, behind_proxy: bool,
    anchor: Path | None, epoch: str, backfill_from: datetime | None, population: int | None, output: str,
) -> None:  # fmt: skip
    """Make a node: keys, identity, data folder, node.toml and a request to join.

    Nothing is overwritten. If the command fails or is interrupted, nothing of it remains.
    """
    wish = _Wish(
        name=name,
        organisation=organisation or name,
        organisation_name=organisation_name or organisation or name,
        data=data.absolute(),
        config=(config or data.absolute().parent / "node.toml").absolute(),
        plan=plan.absolute(),
        anchor=anchor.absolute() if anchor else None,
        root_key=root_key.absolute(),
        governance_key=governance_key.absolute(),
        request=request.absolute(),
        listen=listen,
        advertise=advertise or f"http://{listen}",
        behind_proxy=behind_proxy,
        epoch=epoch,
        backfill_from=backfill_from.date().isoformat() if backfill_from else None,
        population=population,
    )
    _check_plan(wish.plan)
    _check_outside(wish)
    made = _make(wish)
    if output == "json":
        emit_json("murmur.init/1", made)
        return
    say(f"Made node {name} of {wish.organisation}.\n")
    for label, key in (
        ("node id", "node"), ("fingerprint", "fingerprint"), ("data", "data"), ("configuration", "config"),
        ("anchor", "anchor"), ("root key", "root_key"), ("governance key", "governance_key"),
        ("request to join", "request"),
    ):  # fmt: skip
        say(f"  {label:<16} {made[key]}")
    say("\nMove the root key away from this machine: it is needed only to recover, and whoever has it owns the node.")
    next_steps(
        (f"murmur federation create --with {request} --with … --out charter.murmur", "one founder, with all requests"),
        (f"murmur charter sign charter.murmur --governance-key {governance_key}", "every founder"),
        (f"murmur charter accept charter.murmur --config {wish.config}", "every founder, when all have signed"),
        (f"murmur run --config {wish.config}", "then the node counts"),
    )


def _check_plan(path: Path) -> None:
    from node.yaml import load_strings
    from privacy.tracking_plan import parse_plan

    parse_plan(load_strings(read_text(path, MAX_PLAN_BYTES, noun="tracking plan"), str(path)))


def _check_outside(wish: _Wish) -> None:
    """A copy of the data folder must hold neither the keys that rule it nor its own witness."""
    for option, path in (
        ("--root-key", wish.root_key), ("--governance-key", wish.governance_key), ("--request", wish.request),
        ("--config", wish.config),
    ):  # fmt: skip
        if path.resolve().is_relative_to(wish.data.resolve()):
            raise click.BadParameter(f"{path} lies inside the data folder {wish.data}; choose a path outside it",
                                     param_hint=option)  # fmt: skip


def _make(wish: _Wish) -> dict[str, str]:
    """Write everything in one step and say what was made."""
    from node.anchor import EMPTY_LOG, anchor_text
    from node.config import parse_config
    from node.keyfiles import KeyFile
    from protocol.endpoints import Endpoint
    from protocol.errors import ProtocolError
    from protocol.identity import create_inception, parse_inception
    from protocol.join_request import JoinRequest, create_join_request

    root, root_file = _new_key("root")
    signing, signing_file = _new_key("signing")
    next_, next_file = _new_key("next")
    governance_is_new = not wish.governance_key.exists()
    governance, governance_file = _new_key("governance") if governance_is_new else _old_key(wish.governance_key)
    try:
        inception = create_inception(root, signing, next_.public_key, wish.organisation, os.urandom(16))
        node = parse_inception(inception).node_id
        request = create_join_request(
            signing,
            JoinRequest(
                inception=inception.encode(),
                name=wish.name,
                organisation_name=wish.organisation_name,
                governance_key=governance.public_key,
                endpoint=Endpoint(_url(wish.advertise)),
                population=wish.population,
            ),
        )
    except ProtocolError as error:
        raise click.UsageError(f"{error.what}: {error.why}") from error
    anchor = wish.anchor or _default_anchor(node.hex())
    toml = _node_toml(wish, anchor)
    parse_config(toml, wish.config)  # a configuration this version refuses is never written
    with Staging(wish.data) as staging:
        staging.write("keys/signing.key", signing_file.text.encode())
        staging.write("keys/next.key", next_file.text.encode())
        staging.write("keys/master.key", KeyFile("master", os.urandom(32)).text.encode())
        staging.write("inception", inception.encode())
        staging.write_outside(wish.root_key, root_file.text.encode())
        if governance_is_new:
            staging.write_outside(wish.governance_key, governance_file.text.encode())
        staging.write_outside(anchor, anchor_text(EMPTY_LOG).encode(), make_folder=True)
        staging.write_outside(wish.request, request.encode(), mode=0o644)
        staging.write_outside(wish.config, toml.encode(), mode=0o644, make_folder=True)
        staging.publish()
    return {
        "node": node.hex(), "fingerprint": fingerprint(node), "name": wish.name, "organisation": wish.organisation,
        "data": str(wish.data), "config": str(wish.config), "anchor": str(anchor), "root_key": str(wish.root_key),
        "governance_key": str(wish.governance_key), "request": str(wish.request),
    }  # fmt: skip


def _new_key(kind: KeyKind) -> tuple[SigningKey, KeyFile]:
    from node.keyfiles import KeyFile
    from protocol.keys import SigningKey

    seed = os.urandom(32)
    key = SigningKey(seed)
    return key, KeyFile(kind, seed, key.public_key)


def _old_key(path: Path) -> tuple[SigningKey, KeyFile]:
    from node.keyfiles import read_key
    from protocol.keys import SigningKey

    file = read_key(path, "governance")
    return SigningKey(file.secret), file


def _url(text: str) -> str:
    from protocol.endpoints import check_url

    return check_url(text)


def _default_anchor(node: str) -> Path:
    state_home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state_home).absolute() / "murmur" / f"{node}.anchor"


def _node_toml(wish: _Wish, anchor: Path) -> str:
    """The text of node.toml; docs/reference/configuration.md explains every key."""
    base = wish.config.parent
    lines = [
        f"name = {_toml(wish.name)}",
        f"data = {_toml(_from(base, wish.data))}",
        f"plan = {_toml(_from(base, wish.plan))}",
        f"epoch = {_toml(wish.epoch)}",
        f"anchor = {_toml(_from(base, anchor))}  # outside the data folder and its backups",
        "",
        "[listen]",
        f"public = {_toml(wish.listen)}",
        *(["behind_proxy = true"] if wish.behind_proxy else []),
        "",
        "[mesh]",
        f"advertise = {_toml(wish.advertise)}",
    ]
    if wish.backfill_from:
        lines += ["", "[backfill]", f"from = {_toml(wish.backfill_from)}"]
    return "\n".join([*lines, ""])


def _from(base: Path, path: Path) -> str:
    """The path as node.toml names it: relative where it lies beside or below the file, so that both can move."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
