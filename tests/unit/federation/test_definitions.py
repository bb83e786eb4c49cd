"""A definition has one form in bytes and one hash, whatever the order of its keys and whatever its script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.definitions import definition_bytes, definition_hash, definition_tree, parse_definition_bytes
from privacy.definition import parse_definition
from privacy.errors import PrivacyError
from protocol import canonical
from protocol.errors import ProtocolError
from protocol.objects import DEFINITION, object_id

TREE = {
    "metric": "runway_months",
    "question": "Wie lange? — 多久？",
    "from": {"app": "runway-calculator", "action": "calculate"},
    "measure": {"histogram": "runway_months", "edges": ["0", "6", "12"]},
    "by": {"industry": ["software", "santé"], "country": ["DE"]},
    "window": "day",
    "privacy": {"max_cells": "3", "max_per_cell": "1", "rho": "1/400"},
}

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
_KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=4)
_TREES = st.dictionaries(
    _KEYS,
    st.recursive(
        _TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def test_bytes_lead_back_to_the_definition() -> None:
    """What a peer fetches by hash is the definition the author parsed."""
    body = definition_bytes(TREE)
    assert definition_tree(body) == TREE
    assert parse_definition_bytes(body) == parse_definition(TREE)
    assert definition_hash(TREE) == object_id(DEFINITION, body)


def test_the_hash_is_frozen() -> None:
    """Changing it would orphan every catalogue row."""
    assert definition_hash(TREE).hex() == "c8c77872c5c05a227f6d7f3cbc6626c85b6506dc1a391deb762a4866521afbcb"


@given(_TREES)
def test_tree_to_bytes_to_tree(tree: dict[str, object]) -> None:
    """Every strings-only tree, every script."""
    try:
        body = definition_bytes(tree)
    except ProtocolError:
        return  # nested deeper than the encoding allows
    assert definition_tree(body) == tree
    assert definition_bytes(definition_tree(body)) == body


def test_the_order_of_keys_changes_neither_hash_nor_coordinates() -> None:
    """The hash cannot see the order (canonical maps are sorted), so the axes must not follow it."""
    turned = {key: TREE[key] for key in reversed(TREE)}
    turned["by"] = {"country": ["DE"], "industry": ["software", "santé"]}
    assert definition_hash(turned) == definition_hash(TREE)
    assert parse_definition(turned) == parse_definition(TREE)
    assert [axis.name for axis in parse_definition(TREE).by] == ["country", "industry"]


@pytest.mark.parametrize("key", TREE)
def test_every_part_is_in_the_hash(key: str) -> None:
    """The question's text too."""
    assert definition_hash({**TREE, key: "other"}) != definition_hash(TREE)


@pytest.mark.parametrize(
    "value",
    [1, 0.5, True, None, b"bytes", {"a": 1}, ["x", 2], {1: "x"}, {"é": "x"}, "\ud800", {"deep": [[[[[[[[[]]]]]]]]]}],
)
def test_what_is_not_a_tree_of_texts_is_refused(value: object) -> None:
    """Floats above all."""
    with pytest.raises(ProtocolError):
        definition_bytes({**TREE, "question": value})


@pytest.mark.parametrize(
    "value",
    [1, None, True, ["x"], "text", {"a": 1}, {"a": None}, {"a": b"ascii"}, {"a": b"\xff"}, {"a": b"\xed\xa0\x80"}],
)
def test_bytes_with_a_second_form_or_a_number_are_refused(value: canonical.Value) -> None:
    """Printable ASCII as bin, invalid UTF-8, and scalars that are no text."""
    with pytest.raises(ProtocolError):
        definition_tree(canonical.encode(value))


@given(st.binary(max_size=60))
def test_any_bytes_raise_only_the_two_families(body: bytes) -> None:
    """Hostile bytes."""
    with pytest.raises((ProtocolError, PrivacyError)):
        parse_definition_bytes(body)
