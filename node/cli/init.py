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

from node.cli.kit import exits
from node.cli.kit.base import Verb
from node.cli.kit.change import Change, Signs, changing, would
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_text
from node.cli.kit.output import emit_json, next_steps, output_option, say
from node.cli.kit.staging import Staging
from node.fingerprint import fingerprint

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
    root_key: Path | None
    passphrase_file: Path | None
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
@click.option("--root-key", type=_PATH, metavar="FILE", help="Where the root key goes; outside the data folder.")
@click.option("--root-words", is_flag=True,
              help="Show the root key once as 24 words instead; three of them are asked for.")  # fmt: skip
@click.option("--passphrase-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Seal the node's own keys with this passphrase; the node needs it to start.")  # fmt: skip
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
@changing
@output_option("text", "json")
def command(
    name: str, organisation: str | None, organisation_name: str | None, data: Path, config: Path | None, plan: Path,
    root_key: Path | None, root_words: bool, passphrase_file: Path | None, governance_key: Path, request: Path,
    listen: str, advertise: str | None, behind_proxy: bool, anchor: Path | None, epoch: str,
    backfill_from: datetime | None, population: int | None, change: Change, output: str,
) -> None:  # fmt: skip
    """Make a node: keys, identity, data folder, node.toml and a request to join.

    Nothing is overwritten. If the command fails or is interrupted, nothing of it remains.
    """
    if (root_key is not None) == root_words:
        raise click.UsageError("give --root-key FILE or --root-words: where the root key goes")
    wish = _Wish(
        name=name,
        organisation=organisation or name,
        organisation_name=organisation_name or organisation or name,
        data=data.absolute(),
        config=(config or data.absolute().parent / "node.toml").absolute(),
        plan=plan.absolute(),
        anchor=anchor.absolute() if anchor else None,
        root_key=None if root_key is None else root_key.absolute(),
        passphrase_file=None if passphrase_file is None else passphrase_file.absolute(),
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
    if change.is_dry_run:
        would([f"make {path}" for path in _places(wish)], output, Signs("inception record and join request", None))
        return
    made = _make(wish, change)
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
    if root_key is not None:
        say("\nMove the root key away from this machine: it is needed only to recover, and who has it owns the node.")
    next_steps(
        (f"murmur federation create --with {request} --with … --out charter.murmur", "one founder, with all requests"),
        (f"murmur charter sign charter.murmur --governance-key {governance_key}", "every founder"),
        (f"murmur charter accept charter.murmur --config {wish.config}", "every founder, when all have signed"),
        (
            f"murmur federation join 'URL#CODE' --config {wish.config} --request {request} "
            f"--governance-key {governance_key}",
            "or join a federation that runs",
        ),
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
        ("--config", wish.config), ("--passphrase-file", wish.passphrase_file),
    ):  # fmt: skip
        if path is not None and path.resolve().is_relative_to(wish.data.resolve()):
            raise click.BadParameter(f"{path} lies inside the data folder {wish.data}; choose a path outside it",
                                     param_hint=option)  # fmt: skip


def _places(wish: _Wish) -> list[Path]:
    """The files that would be made, as far as their names are known before the node id is."""
    outside = [wish.root_key, wish.governance_key, wish.anchor, wish.request, wish.config]
    return [wish.data, *(path for path in outside if path is not None and not path.exists())]


def _check_words(seed: bytes, change: Change) -> None:
    """Show the root key once, and ask for three of its words, so that it was written down.

    Raises:
        CommandRefused: there is no terminal, or a word is not the one shown; nothing was made.
    """
    from random import SystemRandom

    from node.cli.kit.passphrases import words_of

    if not change.may_ask:
        raise CommandRefused(
            exits.USAGE, code="words_need_a_terminal", what="Nothing was made",
            why="the root key's words are shown to a person and asked for, and there is no terminal",
            fix="Run it at a terminal, or give --root-key FILE",
        )  # fmt: skip
    words = words_of(seed)
    click.echo("The root key. Write these 24 words down, twice; they are not shown again.\n", err=True)
    for row in range(6):
        line = "   ".join(f"{row * 4 + at + 1:>2} {words[row * 4 + at]:<8}" for at in range(4))
        click.echo(f"  {line}".rstrip(), err=True)
    click.echo("", err=True)
    for place in sorted(SystemRandom().sample(range(24), 3)):
        typed = click.prompt(f"Word {place + 1}", err=True)
        if typed.strip().lower() != words[place]:
            raise CommandRefused(
                exits.FAILED, code="words_not_written", what="Nothing was made",
                why=f"word {place + 1} is another one", fix="Run the command again; it makes new words",
            )  # fmt: skip


def _make(wish: _Wish, change: Change) -> dict[str, str]:
    """Write everything in one step and say what was made."""
    from node.anchor import EMPTY_LOG, anchor_text
    from node.config import parse_config
    from node.keyfiles import KeyFile
    from node.passphrase import read_passphrase
    from protocol.endpoints import Endpoint
    from protocol.errors import ProtocolError
    from protocol.identity import create_inception, parse_inception
    from protocol.join_request import JoinRequest, create_join_request

    root, root_file = _new_key("root")
    signing, signing_file = _new_key("signing")
    next_, next_file = _new_key("next")
    passphrase = None if wish.passphrase_file is None else read_passphrase(wish.passphrase_file)
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
    if wish.root_key is None:
        _check_words(root_file.secret, change)
    with Staging(wish.data) as staging:
        staging.write("keys/signing.key", signing_file.text_under(passphrase).encode())
        staging.write("keys/next.key", next_file.text_under(passphrase).encode())
        staging.write("keys/master.key", KeyFile("master", os.urandom(32)).text_under(passphrase).encode())
        staging.write("inception", inception.encode())
        if wish.root_key is not None:
            staging.write_outside(wish.root_key, root_file.text.encode())
        if governance_is_new:
            staging.write_outside(wish.governance_key, governance_file.text.encode())
        staging.write_outside(anchor, anchor_text(EMPTY_LOG).encode(), make_folder=True)
        staging.write_outside(wish.request, request.encode(), mode=0o644)
        staging.write_outside(wish.config, toml.encode(), mode=0o644, make_folder=True)
        staging.publish()
    return {
        "node": node.hex(), "fingerprint": fingerprint(node), "name": wish.name, "organisation": wish.organisation,
        "data": str(wish.data), "config": str(wish.config), "anchor": str(anchor),
        "root_key": str(wish.root_key or "24 words, on paper"), "governance_key": str(wish.governance_key),
        "request": str(wish.request),
    }  # fmt: skip


def _new_key(kind: KeyKind) -> tuple[SigningKey, KeyFile]:
    from node.keyfiles import KeyFile
    from protocol.keys import SigningKey

    seed = os.urandom(32)
    key = SigningKey(seed)
    return key, KeyFile(kind, seed, key.public_key)


def _old_key(path: Path) -> tuple[SigningKey, KeyFile]:
    from node.cli.kit.passphrases import open_key
    from protocol.keys import SigningKey

    file = open_key(path, "governance")
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
    if wish.passphrase_file is not None:
        lines += ["", "[keys]", f"passphrase_file = {_toml(_from(base, wish.passphrase_file))}"]
    return "\n".join([*lines, ""])


def _from(base: Path, path: Path) -> str:
    """The path as node.toml names it: relative where it lies beside or below the file, so that both can move."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
