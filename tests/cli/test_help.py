"""Help, failures and exit codes: the manners of the command line."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

import node.cli
from node.cli.kit.base import Noun, Nouns
from node.cli.kit.exits import exit_code_of
from node.cli.kit.failures import show_failure, wants_json
from node.errors import ConfigError, NodeError, RejectedInput, StorageError, TransportError
from privacy.errors import BudgetExhausted, InvalidPlan
from protocol.errors import BadSignature, ThresholdNotMet
from tests.cli.commands import Murmur
from tests.conftest import ROOT, Measure

HEAVY = ("aiohttp", "duckdb", "pyarrow", "numpy", "nacl", "rich", "yaml", "msgspec", "cryptography", "asyncio")
HELP_CPU_MS = 150.0  # DESIGN 8


def _commands() -> list[tuple[str, ...]]:
    """Every command there is, as the words that call it."""
    root = node.cli._murmur
    assert isinstance(root, Nouns)
    context = click.Context(root)
    found: list[tuple[str, ...]] = []
    for noun in root.list_commands(context):
        command = root.get_command(context, noun)
        found.append((noun,))
        if isinstance(command, Noun):
            found += [(noun, verb) for verb in command.list_commands(context)]
    return found


def test_help_is_quick(measured: Measure) -> None:
    """`murmur --help` costs less than 150 ms of CPU, the least of five starts."""
    least = 1e9
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "node", "--help"], cwd=ROOT, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        least = min(least, spent * 1000)
    measured("murmur --help, CPU", f"{least:.0f} ms", f"< {HELP_CPU_MS:.0f} ms", least < HELP_CPU_MS)
    assert least < HELP_CPU_MS


def test_help_imports_nothing_heavy() -> None:
    """The help of the whole tree loads no server, no engine, no cryptography and no noun."""
    script = (
        "import sys\nfrom node.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "print([name for name in sys.modules if name.startswith('node.cli.') and not name.startswith('node.cli.kit')],"
        " file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines() == ["[]", "[]"]


def test_every_noun_stands_in_the_help_with_its_line(murmur: Murmur) -> None:
    """A noun's file is enough to be listed, with the first line of its docstring."""
    said = murmur("--help")
    assert said.code == 0
    for path in (ROOT / "node/cli").glob("*.py"):
        if not path.name.startswith("_"):
            assert f"\n  {path.stem.replace('_', '-')} " in said.out
    assert "Examples:" in said.out.split("Options:")[0]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_has_help_and_json(murmur: Murmur, words: tuple[str, ...]) -> None:
    """--help works for each; every verb but `run` takes --json."""
    said = murmur(*words, "--help")
    assert said.code == 0
    assert said.err == ""
    if "COMMAND [ARGS]" not in said.out and words != ("run",):
        assert "--json" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["statu"], "Did you mean 'status'?"),
        (["tokens", "crate"], "Did you mean 'create'?"),
        (["run", "--confg", "x"], "Did you mean '--config'?"),
        (["backfill", "finish"], "--through"),
        (["backfill", "finish", "--data", "x", "--through", "yesterday"], "yesterday"),
    ],
)
def test_wrong_usage_is_2_and_says_what_was_meant(murmur: Murmur, arguments: list[str], words: str) -> None:
    """A typing mistake ends with 2, a suggestion and where to look."""
    said = murmur(*arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert "code  usage" in said.err


def test_no_node_named_is_a_configuration_error(murmur: Murmur) -> None:
    """Without node.toml here, 78 and what to do."""
    said = murmur("status")
    assert said.code == 78
    assert said.err == (
        "murmur: No node is named: there is no node.toml here, and neither --config nor --data was given.\n"
        '  do    Give --config FILE, or make a node with "murmur init".\n'
        "  code  no_node_chosen\n"
    )


def test_a_node_that_does_not_run_is_5(murmur: Murmur, tmp_path: Path) -> None:
    """Unreachable has its own exit code."""
    said = murmur("status", "--data", tmp_path)
    assert said.code == 5
    assert "node_not_running" in said.err


def test_a_failure_is_json_where_json_was_asked_for(murmur: Murmur, tmp_path: Path) -> None:
    """With --json the failure is a document on stderr, and stdout stays empty."""
    said = murmur("status", "--data", tmp_path, "--json")
    failure = json.loads(said.err)
    assert said.out == ""
    assert (failure["schema"], failure["code"], failure["exit"]) == ("murmur.error/1", "node_not_running", 5)
    assert all(failure[part] for part in ("what", "why", "fix"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["status", "--json"], True), (["query", "m", "-o", "json"], True), (["query", "-ojson"], True),
        (["query", "--output=json"], True), (["query", "-o", "csv"], False), (["status"], False),
    ],
)  # fmt: skip
def test_json_is_seen_in_every_spelling(arguments: list[str], expected: bool) -> None:
    """The failure's form follows the flag even where parsing failed."""
    assert wants_json(arguments) is expected


PARTS = {"what": "It happened", "why": "a reason", "fix": "Do this"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(**PARTS), 78), (ConfigError(**PARTS, code="key_exists"), 7),
        (StorageError(**PARTS), 1), (StorageError(**PARTS, code="data_folder_in_use"), 7),
        (TransportError(**PARTS), 5), (TransportError(**PARTS, code="node_timeout"), 75),
        (RejectedInput(**PARTS), 2), (NodeError(**PARTS), 1), (InvalidPlan(**PARTS), 78),
        (BudgetExhausted(rule="rho", deficit=1, returns="tomorrow", nearest="none"), 4),
        (BadSignature(**PARTS), 6), (ThresholdNotMet(**PARTS), 6), (ValueError("x"), 1),
    ],
)  # fmt: skip
def test_each_family_has_its_exit_code(error: Exception, code: int) -> None:
    """Scripts tell failures apart by number."""
    assert exit_code_of(error) == code


def test_an_unforeseen_error_shows_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours says so, with its type and not its values."""
    monkeypatch.delenv("MURMUR_TRACEBACK", raising=False)
    assert show_failure(KeyError("secret value"), []) == 1
    said = capsys.readouterr().err
    assert "internal_error" in said
    assert "KeyError" in said
    assert "secret value" not in said


def test_quiet_says_nothing_but_data(murmur: Murmur, plan: Path, tmp_path: Path) -> None:
    """-q leaves stderr to errors."""
    from tests.cli.commands import init_arguments

    (tmp_path / "a").mkdir()
    said = murmur("-q", *init_arguments("a", plan))
    assert (said.code, said.out, said.err) == (0, "", "")


def test_a_reader_that_closes_early_is_no_failure() -> None:
    """`murmur … | head -c1` ends without a traceback."""
    pipe_read, pipe_write = os.pipe()
    os.close(pipe_read)
    ended = subprocess.run(
        [sys.executable, "-m", "node", "--help"], cwd=ROOT, stdout=pipe_write, stderr=subprocess.PIPE, check=False
    )
    os.close(pipe_write)
    assert b"Traceback" not in ended.stderr
