"""Each requirement of the normative specification has one id and a test that names it, and no test names another.

A requirement is a line with MUST; its id stands in that line in brackets, `[M-ENC-3]`. A test names it by
`@pytest.mark.requirement("M-ENC-3", …)` (specs/README.md).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "specs/mesh.md", *sorted((ROOT / "specs/mesh").glob("*.md")), ROOT / "specs/threat-model.md"]
_ID = re.compile(r"\[([MT]-[A-Z]+-[1-9]\d*)\]")
_CITED = re.compile(r"\b([MT]-[A-Z]+-[1-9]\d*)\b")
_WORDS = re.compile(
    r"RFC 2119|\"MUST hold\"|\| MUST hold \|"
)  # what the words mean; the heading of the threat model's tables

_SECTION = re.compile(r"\b([a-z-]+)\.md\)? (\d+(?:\.\d+)?)\b(?! (?:bytes|[KM]iB))")
_HEADING = r"^(##+ {0}[. ]|\*\*{0}[ *.]|{0}\.? )"


def stated(pages: list[Path]) -> list[str]:
    """The ids that stand in the specification, each as often as it stands there."""
    return [found for page in pages for found in _ID.findall(page.read_text(encoding="utf-8"))]


def without_id(text: str) -> list[str]:
    """Lines that demand something and have no id."""
    return [line for line in text.splitlines() if "MUST" in line and not _ID.search(line) and not _WORDS.search(line)]


def named(source: str) -> Iterator[tuple[str, str]]:
    """(test, id) of every `requirement` mark in a test file; marks stand on test functions and nowhere else."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.requirement":
                yield from ((node.name, str(ast.literal_eval(item))) for item in mark.args)


def marks_by_id() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = "" if "node_modules" in path.parts else path.read_text(encoding="utf-8")
        if "pytest.mark.requirement" not in source:
            continue
        for name, requirement in named(source):
            assert name.startswith("test_"), f"{path.name}: {name} is no test, and its mark says nothing"
            found.setdefault(requirement, []).append(name)
    return found


def test_every_requirement_has_an_id() -> None:
    """In the line where it stands."""
    assert {page.name: lines for page in PAGES if (lines := without_id(page.read_text(encoding="utf-8")))} == {}


def test_no_id_stands_twice() -> None:
    """One id, one requirement."""
    assert [found for found, times in Counter(stated(PAGES)).items() if times > 1] == []


def test_every_id_is_named_by_a_test_and_no_test_names_another() -> None:
    """What no test bears out is not claimed; what a test bears out is still demanded."""
    ids, tests = set(stated(PAGES)), marks_by_id()
    assert len(ids) > 100
    assert sorted(ids - tests.keys()) == []
    assert {found: names for found, names in tests.items() if found not in ids} == {}


def test_ids_cited_elsewhere_exist() -> None:
    """In other documents of specs/, in code, in docstrings of tests."""
    ids = set(stated(PAGES))
    files = [*(ROOT / "specs").rglob("*.md"), *(ROOT / "tests/unit").rglob("*.py")]
    files += [path for folder in ("protocol", "federation", "node") for path in (ROOT / folder).rglob("*.py")]
    cited = {found for path in files for found in _CITED.findall(path.read_text(encoding="utf-8"))}
    assert sorted(cited - ids) == []


def test_sections_cited_anywhere_exist() -> None:
    """`metrics.md 6.3` in code, tests and documents leads to a section; those of mesh.md stand in its parts."""
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "specs").glob("*.md")}
    pages["mesh"] = "\n".join(page.read_text(encoding="utf-8") for page in PAGES[:-1])
    cited: dict[tuple[str, str], str] = {}
    for folder in ("protocol", "federation", "privacy", "node", "specs", "tests", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix not in (".py", ".md", ".mjs") or "node_modules" in path.parts:
                continue
            for page, number in _SECTION.findall(path.read_text(encoding="utf-8")):
                cited[page, number] = str(path.relative_to(ROOT))
    lost = {
        f"{page}.md {number}": where
        for (page, number), where in cited.items()
        if page in pages and not re.search(_HEADING.format(re.escape(number)), pages[page], re.MULTILINE)
    }
    assert len(cited) > 50
    assert lost == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- [M-ENC-1] A decoder MUST refuse.", 0),
        ("A decoder MUST refuse.", 1),
        ("- [M-ENC-1] A decoder\nMUST refuse.", 1),
        ("MUST and SHOULD as in RFC 2119.", 0),
        ("see M-ENC-1, which MUST hold", 1),
    ],
)
def test_the_check_itself(text: str, lines: int) -> None:
    """It sees a MUST without an id, and an id only in brackets."""
    assert len(without_id(text)) == lines
