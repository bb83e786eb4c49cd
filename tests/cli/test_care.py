"""`forget`, `export-person`, `vault`, `keys`, `clock` as typed: no id on the command line, failures say what to do."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Murmur

VERBS = ("forget", "export-person")


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    path = tmp_path / "ids.txt"
    path.write_text("ann@example.org\r\n\nbob\n")
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_an_id_on_the_command_line_is_refused(murmur: Murmur, verb: str) -> None:
    """Before anything is read or sent."""
    said = murmur(verb, "ann@example.org", "--data", "x")
    assert said.code == 2


@pytest.mark.parametrize("verb", VERBS)
def test_no_running_node_is_said_and_no_id_with_it(murmur: Murmur, ids: Path, verb: str) -> None:
    """Exit 5; the ids stand in no message."""
    said = murmur(verb, "--file", ids, "--data", "x", *(["--yes"] if verb == "forget" else []))
    assert said.code == 5
    assert "node_not_running" in said.err
    assert "ann" not in said.err + said.out


@pytest.mark.parametrize("verb", VERBS)
def test_no_ids_are_a_mistake(murmur: Murmur, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """An empty stdin asks nobody."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    said = murmur(verb, "--data", "x", "--json")
    assert said.code == 2
    assert '"no_ids"' in said.err


@pytest.mark.parametrize("words", [("keys", "rotate-master"), ("clock", "accept")])
def test_what_needs_a_running_node_says_so(murmur: Murmur, words: tuple[str, ...]) -> None:
    """Exit 5."""
    assert murmur(*words, "--data", "x").code == 5


def test_verify_and_abandon_of_no_node(murmur: Murmur) -> None:
    """Neither node nor folder: configuration, exit 78, and nothing is made."""
    assert murmur("vault", "verify", "--data", "x").code == 78
    assert murmur("vault", "abandon", "2026-11-18/P1D", "--yes", "--data", "x").code == 78
    assert not Path("x").exists()
