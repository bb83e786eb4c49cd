"""The threat model's table by number names tests that exist, and every threat and case that must be there."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT

_ROW = re.compile(r"^\| (case \d+|T\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
REQUIRED = {
    *(f"case {number}" for number in (*range(1, 17), 19, 20)),
    *(f"T{number}" for number in (2, 7, 8, 9, 10, 11, 12, 13, 15, 18, 21)),
}


def table() -> dict[str, list[tuple[str, str]]]:
    """(file, test or "") by number, from specs/threat-model.md."""
    text = (ROOT / "specs/threat-model.md").read_text(encoding="utf-8")
    return {name: _TEST.findall(tests) for name, tests in _ROW.findall(text)}


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_threat_and_case_names_tests_that_exist() -> None:
    """A file named whole says the number itself."""
    found = table()
    assert found.keys() >= REQUIRED
    for number, tests in found.items():
        assert tests, number
        for file, name in tests:
            if name:
                assert name in functions_of(file), f"{number}: {file} has no {name}"
            else:
                assert re.search(rf"\b{number}\b", (ROOT / file).read_text(encoding="utf-8")), f"{number}: {file}"


def test_what_a_test_says_it_proves_stands_in_the_table() -> None:
    """A test named for a case or a threat is listed under it."""
    listed = {(number, name) for number, tests in table().items() for _, name in tests}
    for path in (ROOT / "tests").rglob("test_*.py"):
        if "node_modules" in path.parts:
            continue
        for name in functions_of(str(path.relative_to(ROOT))):
            for kind, number in re.findall(r"(case|threat)_(\d+)(?=_)", name):
                title = f"case {number}" if kind == "case" else f"T{number}"
                assert (title, name) in listed, f"{path.name}: {name}"
