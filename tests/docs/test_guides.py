"""Every command in a guide exists, with every option it is shown with."""

from __future__ import annotations

import re
import shlex

import click
import pytest

import node.cli
from node.cli.kit.base import Noun, Nouns
from tests.conftest import ROOT

LINE = re.compile(r"^\$ (murmur .*)$", re.MULTILINE)
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


def test_the_flow_of_the_joining_guide_is_run() -> None:
    """The verbs it shows are those that tests with real nodes run."""
    guide = (ROOT / "docs" / "guides" / "operator-join.md").read_text(encoding="utf-8")
    tests = [ROOT / "tests" / "integration" / name for name in ("test_deciding.py", "test_lost_quorum.py")]
    run = "".join(path.read_text(encoding="utf-8") for path in tests)
    shown = {tuple(shlex.split(line)[1:3]) for line in LINE.findall(guide)} - {("run",), ("init", "--name")}
    missing = [words for words in shown if f'"{words[0]}", "{words[1]}"' not in run]
    assert missing == []
