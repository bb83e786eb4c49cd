"""YAML as texts: nothing is guessed, and what could mean two things is refused with its line."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ConfigError
from node.yaml import MAX_CHARACTERS, MAX_DEPTH, load_strings


def test_every_scalar_is_the_text_that_stands_there() -> None:
    """No Norway problem, no 1.1 for 1.10, no dates, no floats, no null."""
    text = 'country: no\nversion: 1.10\nday: 2026-11-01\nbig: 1e3\nnothing:\nquoted: "on"\nlist: [1, ~, true]\n'
    assert load_strings(text, "plan.yaml") == {
        "country": "no", "version": "1.10", "day": "2026-11-01", "big": "1e3", "nothing": "", "quoted": "on",
        "list": ["1", "~", "true"],
    }  # fmt: skip


def test_order_is_kept() -> None:
    """A plan's order fixes its codes."""
    tree = load_strings("z: 1\na: 2\nm: {y: 1, b: 2}\n", "x")
    assert isinstance(tree, dict)
    assert list(tree) == ["z", "a", "m"]
    assert list(tree["m"]) == ["y", "b"]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: 1\na: 2", "plan.yaml, line 2"), ("a:\n  b: 1\n  c: &x 1", "plan.yaml, line 3"),
     ("a: &x 1\nb: *x", "plan.yaml, line 1"),
     ("--- a\n--- b", "plan.yaml, line 2"), ("a: !!int 3", "plan.yaml, line 1"), ("!x a", "plan.yaml, line 1"),
     ("? [a]\n: b", "plan.yaml, line 1"), ("<<: {a: 1}", "plan.yaml, line 1"), ("{a: 1, a: 2}", "plan.yaml, line 1"),
     ("a: [", "plan.yaml, line 1"), ("a: b: c", "plan.yaml, line 1"), ("\ta: b", "plan.yaml, line 1"),
     ("", "plan.yaml"), ("# only a comment", "plan.yaml"), ("a: \x07", "plan.yaml"),
     ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "plan.yaml, line 1"), ("a" * (MAX_CHARACTERS + 1), "plan.yaml")],
)  # fmt: skip
def test_what_could_mean_two_things_is_refused_at_its_line(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_strings(text, "plan.yaml")
    assert refused.value.what == f"{place} is not read"
    assert refused.value.code == "invalid_yaml"


@given(text=st.text(max_size=60) | st.text(alphabet="ab:-[]{},&*!|>'\"#?%@` \n\t", max_size=60))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    with suppress(ConfigError):
        load_strings(text, "x")
