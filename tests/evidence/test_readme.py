"""The table an auditor reads names tests that exist, and leaves out none of the twenty mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
README = (HERE / "README.md").read_text()
TESTS = {name for path in HERE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}


@pytest.mark.parametrize("number", range(1, 21))
def test_each_of_the_twenty_mistakes_has_a_named_test_and_a_row(number: int) -> None:
    assert any(name.startswith(f"test_mistake_{number:02}_") for name in TESTS)
    assert re.search(rf"^\| {number} \|.*`test_mistake_{number:02}`", README, re.M)


def test_every_test_and_file_that_is_named_exists() -> None:
    for name in re.findall(r"`(test_\w+)`", README):
        assert any(test.startswith(name) for test in TESTS), name
    for path in re.findall(r"tests/[\w/]+\.py", README):
        assert (ROOT / path).is_file(), path
    for link in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (HERE / link).exists(), link
