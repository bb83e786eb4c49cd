"""`murmur completion`: what each shell is given, and what it then gets for a half-typed line."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.cli.commands import Murmur
from tests.conftest import ROOT


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_it_can_read(murmur: Murmur, shell: str) -> None:
    """It names the command, and the shell itself finds no mistake in it where it is installed."""
    said = murmur("completion", shell)
    assert said.code == 0
    assert "_MURMUR_COMPLETE=" in said.out
    found = shutil.which(shell)
    if found:
        subprocess.run([found, "-n"], input=said.out, text=True, check=True)


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [("murmur tok", 1, "tokens"), ("murmur tokens cr", 2, "create"), ("murmur tokens create --ki", 3, "--kind")],
)
def test_a_half_typed_line_is_completed(line: str, word: int, expected: str) -> None:
    """Nouns, verbs and options, in a real process."""
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(word), "_MURMUR_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", "from node.cli import main; main()"], cwd=ROOT, env=variables, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert f"plain,{expected}" in done.stdout.split()


def test_a_shell_that_is_not_served_is_a_usage_error(murmur: Murmur) -> None:
    assert murmur("completion", "csh").code == 2
