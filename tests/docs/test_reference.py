"""What exists is documented, and what is documented exists: configuration, endpoints, commands, error codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from node.cli import _murmur
from node.config import _SECTIONS
from tests.conftest import ROOT

_ROUTE = re.compile(r"""(?:\.add_|web\.)(get|post|put|delete|patch)\(\s*f?["']([^"']+)["']""")
_HEADING = re.compile(r"^### `([^`]+)`$", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def headings(name: str) -> set[str]:
    """The code headings of one page of the reference."""
    return set(_HEADING.findall((ROOT / "docs/reference" / name).read_text(encoding="utf-8")))


def routes() -> set[str]:
    """Every route that the source names, as `GET /path`."""
    found = set()
    for path in (ROOT / "node").rglob("*.py"):
        if "demo" not in path.parts:
            for method, route in _ROUTE.findall(path.read_text(encoding="utf-8")):
                if route.startswith("/"):
                    found.add(f"{method.upper()} {route}")
    return found


def test_every_configuration_key_is_documented() -> None:
    """node.toml's keys and the headings of configuration.md are the same."""
    keys = {f"{section}.{key}".removeprefix(".") for section, names in _SECTIONS.items() for key in names}
    assert headings("configuration.md") == keys


def test_every_endpoint_is_documented() -> None:
    """Every route in the source has a heading in http.md, and the other way round."""
    assert headings("http.md") == routes()


def test_commands_and_error_codes_are_written_from_the_code() -> None:
    """`make docs` has been run: commands.md and errors.md are what the code says."""
    ended = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_relative_links_lead_somewhere() -> None:
    """Every link from one document to another finds its file."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "specs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_specification_is_in_the_index() -> None:
    """specs/README.md names every document of specs/."""
    index = (ROOT / "specs/README.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "specs").iterdir() if path.name != "README.md"}
    assert {name for name in names if name not in index} == set()


def commands_in(page: str) -> list[str]:
    """The command lines of a page's sh blocks, continued lines joined, comments left out."""
    lines: list[str] = []
    for block in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        joined = block.replace("\\\n", " ")
        lines += [line.split(" #")[0].strip() for line in joined.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("#")]


PAGES = ["README.md", "CONTRIBUTING.md", "docs/operator.md", "docs/researcher.md", "docs/admin.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_guides_exists(page: str) -> None:
    """Each `make` target and each `murmur` command with its options is one that the program knows."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    found = 0
    for line in commands_in(page):
        words = line.removeprefix("key=$(").rstrip(")").split()
        if words[0] == "make":
            assert words[1] in targets, line
            found += 1
        elif words[0].rpartition("/")[2] == "murmur":
            _check_command(words[1:], line)
            found += 1
    assert found > 0


def _check_command(words: list[str], line: str) -> None:
    command: click.Command = _murmur
    context = click.Context(command)
    while isinstance(command, click.Group):
        word = words.pop(0)
        child = command.get_command(context, word)
        assert child is not None, f"{line}: no command {word}"
        command, context = child, click.Context(child, parent=context)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in known, f"{line}: no option {word}"


def test_the_readme_begins_with_two_commands() -> None:
    """The first sh block of the README is `make demo` and `make test`."""
    assert [line.split("  ")[0] for line in commands_in("README.md")][:2] == ["make demo", "make test"]


def test_generated_pages_say_so() -> None:
    """Nobody edits by hand what is written from the code."""
    for name in ("commands.md", "errors.md"):
        assert "do not edit" in Path(ROOT / "docs/reference" / name).read_text(encoding="utf-8")
