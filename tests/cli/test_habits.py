"""The habits of every command: what changes something can be tried, asked about and scripted; help leads by example."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import node.cli
from federation.effects import JoinAsked
from node.cli.kit import change as kit
from node.cli.kit.base import Noun, Nouns
from node.joining import Invitation
from node.state.database import StateDatabase
from protocol.ids import FederationId, NodeId
from tests.cli.commands import init_arguments
from tests.integration.typed import Typed, at_a_terminal
from tests.node_kit import HandClock, Shop, event, found_shop, until
from tests.unit.protocol.samples import HARMONIE

READS = frozenset(
    {
        "audit show", "audit verify", "audit export", "budget", "charter diff", "charter log",
        "charter show", "charter verify",
        "completion", "demo", "doctor",
        "export", "export-person", "federation requests", "federation show",
        "keys coverage", "keys fingerprint", "keys list", "keys log", "keys needs-rotation", "keys show",
        "mesh doctor", "mesh evidence", "mesh heads", "mesh sync",
        "metrics check", "metrics diff", "metrics list", "metrics plan", "metrics proposals", "metrics show",
        "peers", "plan check", "plan diff", "plan infer", "query", "release list", "release prove", "release show",
        "run", "send", "snippet", "sql", "status", "tail", "tokens list", "vault verify", "verify",
    }
)  # fmt: skip
"""What changes nothing but a file it was told to write. Every other verb takes `kit/change.py`'s options."""


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb by its words."""
    root = node.cli._murmur
    assert isinstance(root, Nouns)
    context = click.Context(root)
    for noun in root.list_commands(context):
        command = root.get_command(context, noun)
        assert command is not None
        if not isinstance(command, Noun):
            yield noun, command
            continue
        for name in command.list_commands(context):
            verb = command.get_command(context, name)
            assert verb is not None
            yield f"{noun} {name}", verb


VERBS = dict(verbs())
CHANGING = sorted(set(VERBS) - READS)


def options(verb: click.Command) -> set[str]:
    return {spelling for parameter in verb.params for spelling in parameter.opts}


@pytest.mark.parametrize("words", CHANGING)
def test_what_changes_something_can_be_tried_and_scripted(words: str) -> None:
    """--dry-run, --yes, --no-input and --json on each."""
    assert {*kit.OPTIONS, "--json"} <= options(VERBS[words])


AS_THEY_ARE = frozenset({"completion", "export", "run", "snippet"})
"""What prints a program's own form, or nothing at all: a script for a shell, a file, a page's snippet, the log."""


@pytest.mark.parametrize("words", sorted(set(VERBS) - AS_THEY_ARE))
def test_every_verb_answers_a_program(words: str) -> None:
    """--json, as an output among others; what it prints names its schema (below, and in each verb's own tests)."""
    assert "--json" in options(VERBS[words])


@pytest.mark.parametrize("words", sorted(VERBS))
def test_help_leads_with_an_example(words: str) -> None:
    """One that begins with the command itself, before the options."""
    examples = getattr(VERBS[words], "examples", ())
    assert examples, "no example"
    assert any(f"murmur {words}" in line for line, _ in examples)


def test_the_list_of_what_only_reads_names_what_exists() -> None:
    """So that nothing hides in it."""
    assert set(VERBS) >= READS
    assert not [words for words in READS if {"--yes"} <= options(VERBS[words])]


# ── each of them, tried on a node ────────────────────────────────────────────────────────────────────────

Words = Callable[[Shop], list[object]]
TRIED: dict[str, Words] = {
    "backfill finish": lambda _: ["--through", "2026-11-01"],
    "backup": lambda shop: [shop.folder / "new.backup"],
    "charter accept": lambda shop: [shop.folder / "charter.murmur"],
    "charter approve": lambda shop: ["--governance-key", shop.folder / "governance.key"],
    "charter assemble": lambda shop: [shop.folder / "a.ballot"],
    "charter confirm": lambda _: [],
    "charter propose": lambda _: ["--cap", "day=1/30"],
    "charter renew": lambda _: ["--expires-days", 500],
    "charter suspend": lambda shop: [
        shop.member, "--from", "2026-12-01", "--reason", "x", "--governance-key", shop.folder / "governance.key",  # type: ignore[attr-defined]
    ],
    "charter sign": lambda shop: [shop.folder / "charter.murmur", "--governance-key", shop.folder / "governance.key"],
    "clock accept": lambda _: [],
    "federation create": lambda shop: [
        "--with", shop.folder / "request", "--metrics", shop.folder / "metrics", "--name", "x", "--counts-from",
        "2026-11-01", "--allow-private", "--out", shop.folder / "other.murmur",
    ],
    "federation approve": lambda shop: [
        shop.folder / "harmonie.request", "--governance-key", shop.folder / "governance.key",
    ],
    "federation invite": lambda _: [],
    "federation join": lambda shop: [
        shop.folder / "a.invitation", "--request", shop.folder / "joiner.request", "--governance-key",
        shop.folder / "joiner.key", "--config", shop.folder / "joiner" / "node.toml",
    ],
    "federation leave": lambda _: [],
    "federation reject": lambda _: ["harmonie"],
    "forget": lambda shop: ["--file", shop.folder / "ids.txt"],
    "import": lambda shop: [shop.folder / "events.ndjson"],
    "init": lambda shop: init_arguments(str(shop.folder / "other"), shop.folder / "plan.yaml")[1:],
    "keys passwd": lambda _: [],
    "keys recover": lambda shop: ["--from", 0, "--root-key", shop.folder / "root.key"],
    "keys rotate": lambda _: [],
    "keys rotate-master": lambda _: [],
    "keys stage-next": lambda _: [],
    "metrics add": lambda shop: [shop.folder / "new.yaml", "--from", "2026-12-01"],
    "metrics choose": lambda shop: [shop.folder / "choice.yaml", "--window", "2026-11-09/P1D"],
    "metrics names": lambda _: [
        "--app", "shop", "--attribute", "kind", "--window", "2026-11-09/P1D", "--epsilon", "1/10", "--delta",
        "1/1000000000", "--max-cells", 4,
    ],
    "metrics propose": lambda shop: [shop.folder / "new.yaml", "--accuracy", "10", "--from", "2026-12-01"],
    "plan apply": lambda _: [],
    "restore": lambda shop: [shop.folder / "a.backup", "--passphrase-file", shop.folder / "secret"],
    "tokens create": lambda _: ["--read"],
    "tokens share": lambda _: ["--new-key"],
    "tokens revoke": lambda shop: [shop.token_id],  # type: ignore[attr-defined]
    "vault abandon": lambda _: ["2026-11-10/P1D"],
}  # fmt: skip
NEW_METRIC = """\
metric: buyers
question: How many people buy?
from: {app: shop, action: buy}
measure: people
window: day
privacy: {max_cells: "1", rho: "1/800"}
"""
CONFIRMED = {
    "backfill finish": "2026-11-01", "forget": "forget", "keys recover": None, "tokens revoke": None,
    "vault abandon": "2026-11-10/P1D",
}  # fmt: skip
CHOICE = """\
choice: usual_country
from: any
among: {country: [DE, FR]}
window: day
privacy: {max_cells: "1", epsilon: "1/10"}
"""
OWN_CONFIG = {"federation create", "federation join", "charter sign", "init"}  # name no node, or another one
LOOKS = {"forget"}  # also a dry run looks at what is stored of a person: that is recorded
OWN_FORM = {"forget": "murmur.forget/1", "import": "murmur.import/1"}  # say counts instead of a list of changes


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = found_shop(tmp_path / "shop")
    (made.folder / "ids.txt").write_text("ann\n")
    (made.folder / "events.ndjson").write_text(json.dumps(event(7)) + "\n")
    (made.folder / "secret").write_text("six words that nobody guesses")
    (made.folder / "secret").chmod(0o600)
    (made.folder / "other").mkdir()
    (made.folder / "choice.yaml").write_text(CHOICE)
    (made.folder / "new.yaml").write_text(NEW_METRIC)
    return made


@pytest.fixture
def typed(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(shop, capsys)


def state_of(shop: Shop) -> dict[str, Any]:
    """Everything durable that a command could change, as it stands."""
    database = StateDatabase(shop.data / "state.db")
    try:
        tables = [row[0] for row in database.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        rows = {name: database.query(f"SELECT * FROM {name}") for name in tables if name != "clock_mark"}
    finally:
        database.close()
    files = {
        str(path.relative_to(shop.folder)): path.read_bytes()
        for path in sorted(shop.folder.rglob("*"))
        if path.is_file() and not path.name.startswith("state.db") and "commons" not in path.parts
        and path.name not in ("after.key", "fresh.key")  # prepared by a recovery, destroyed at the next start
    }  # fmt: skip
    return {"rows": rows, "files": files}


async def prepared(shop: Shop, typed: Typed, node: Any) -> None:
    await until(lambda: node.holds_back() is None)
    await shop.send([event(1, user="ann")])
    told = await typed.json("tokens", "create", "--read")
    shop.token_id = told["id"]  # type: ignore[attr-defined]
    await with_candidates(shop, typed, node)
    await typed("backup", shop.folder / "a.backup", "--passphrase-file", shop.folder / "secret")
    await until(lambda: node.audit.store.last_of("POST /v1/admin/backup", "done") is not None)


async def with_candidates(shop: Shop, typed: Typed, node: Any) -> None:
    """A proposal, a ballot, somebody who asks to join, and a node made elsewhere."""
    shop.member = node.membership.member.name  # type: ignore[attr-defined]
    await typed("charter", "propose", "--name", "x", "--yes")
    await typed("charter", "propose", "--name", "y", "--out", shop.folder / "a.ballot")
    (shop.folder / "harmonie.request").write_bytes(HARMONIE.join_request)
    node.join_asked(JoinAsked(HARMONIE.node, HARMONIE.join_request))
    (shop.folder / "joiner").mkdir()
    places = {"request": shop.folder / "joiner.request", "governance_key": shop.folder / "joiner.key", "name": "joiner"}
    words = init_arguments(str(shop.folder / "joiner"), shop.folder / "plan.yaml", **places)
    await Typed(shop, typed.capsys, has_config=False)(*words)
    state = node.governing.invitation()
    ids = bytes.fromhex(state["node"]), bytes.fromhex(state["federation"])
    invitation = Invitation("http://127.0.0.1:1", NodeId(ids[0]), FederationId(ids[1]), "x")
    (shop.folder / "a.invitation").write_text(invitation.encode())


def arguments(shop: Shop, words: str) -> list[object]:
    return [*words.split(), *TRIED[words](shop)]


async def test_a_dry_run_of_each_changes_nothing(shop: Shop, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a running node, one after the other: one document, and every table, key and file as before."""
    assert set(TRIED) == set(CHANGING), "a verb that changes something is not tried here"
    monkeypatch.setattr("node.backup_file.OPS", 1)
    monkeypatch.setattr("node.backup_file.KIB", 8)
    async with shop.run(HandClock()) as (node, _):
        await prepared(shop, typed, node)
        before = state_of(shop)
        for words in CHANGING:
            here = Typed(shop, typed.capsys, has_config=words not in OWN_CONFIG)
            told = await here.json(*arguments(shop, words), "--dry-run")
            assert told["schema"] == OWN_FORM.get(words, "murmur.dry-run/1"), words
            assert words in OWN_FORM or told["changes"], words
            after = state_of(shop)
            if words in LOOKS:
                looked = after["rows"].pop("audit")[len(before["rows"].pop("audit")) :]
                assert [row[5] for row in looked] == ["begun", "done"]
            assert after == before, words
            before = state_of(shop)


async def test_what_cannot_be_undone_asks_and_never_without_a_terminal(
    shop: Shop, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2 and the flag that would have answered; at a terminal something else typed is exit 1. Nothing changed."""
    async with shop.run(HandClock()) as (node, _):
        await until(lambda: node.holds_back() is None)
        shop.token_id = (await typed.json("tokens", "create", "--read"))["id"]  # type: ignore[attr-defined]
        before = state_of(shop)
        for words in CONFIRMED:
            assert "--yes" in await typed(*arguments(shop, words), code=2), words
            assert state_of(shop) == before, words
        asked = at_a_terminal(monkeypatch, lambda _text: "no")
        for words in CONFIRMED:
            said = await typed(*arguments(shop, words), "--no-input", code=2)
            assert "confirmation_needed" in said
            said = await typed(*arguments(shop, words), code=1)
            assert "not_confirmed" in said
            assert state_of(shop) == before, words
        assert len(asked) == len(CONFIRMED)
        for words, name in CONFIRMED.items():
            assert name is None or any(f"Type {name} " in text for text in asked), words
