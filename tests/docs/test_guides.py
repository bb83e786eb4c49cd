"""Every command in a guide exists, with every option it is shown with, also where it is not run."""

from __future__ import annotations

import re
import shlex

import click
import pytest

import node.cli
from node.cli.kit.base import Noun, Nouns
from tests.conftest import ROOT

LINE = re.compile(r"^(?:\$ )?(murmur .*)$", re.MULTILINE)
SHOWN = [
    (path.name, line)
    for path in sorted((ROOT / "docs" / "guides").glob("*.md"))
    for line in LINE.findall(path.read_text(encoding="utf-8"))
]


def test_there_are_commands_to_look_at() -> None:
    """Else the pattern broke."""
    assert len(SHOWN) > 10


@pytest.mark.parametrize(("guide", "line"), SHOWN, ids=range(len(SHOWN)))
def test_a_command_of_a_guide_exists(guide: str, line: str) -> None:
    """Noun, verb and each `--option`."""
    words = shlex.split(line)[1:]
    root = node.cli._murmur
    assert isinstance(root, Nouns)
    command = root.get_command(click.Context(root), words[0])
    assert command is not None, f"{guide}: {line}"
    if isinstance(command, Noun):
        command = command.get_command(click.Context(command), words[1])
        assert command is not None, f"{guide}: {line}"
    known = {spelling for parameter in command.params for spelling in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, f"{guide}: {line}"


def test_every_guide_is_run() -> None:
    """From its first block to its last, by a test of its own."""
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "docs").glob("test_*.py"))
    guides = [path.name for path in (ROOT / "docs" / "guides").glob("*.md")]
    assert [name for name in guides if f"guides/{name}" not in tests.replace('" / "', "/")] == []
