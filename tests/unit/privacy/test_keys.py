"""Keys: texts that nobody listed, stored in the slots of a row, and never when they look like a person's data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.coding import key_encoder_of, key_text
from privacy.errors import InvalidPlan
from privacy.plan_changes import changes_between
from privacy.rows import ATTRIBUTE_SLOTS
from privacy.tracking_plan import Key, parse_plan
from tests.unit.privacy.filter_kit import event, filtered, plan, plan_tree, row

OPENED = {"topic": "care", "slug": "seed-swap", "draft": False, "tag": "a"}


def opened(**changes: object) -> dict[str, int | None]:
    return row(event(app="blog", action="open", user="u", attributes={**OPENED, **changes}))


def test_a_key_takes_a_slot_for_every_eight_bytes() -> None:
    """Those after it move; the rest of the row is as ever."""
    action = next(app for app in plan().apps if app.name == "blog").actions[0]
    assert [action.slot(name) for name in ("topic", "slug", "draft", "tag", "none")] == [0, 1, 4, 5, None]
    found = opened()
    assert (found["a0"], found["a4"]) == (1, 0)
    assert key_text([found[f"a{slot}"] for slot in (1, 2, 3)]) == "seed-swap"
    assert key_text([found["a5"]]) == "a"
    assert [found[f"a{slot}"] for slot in range(6, ATTRIBUTE_SLOTS)] == [None] * 10


@pytest.mark.parametrize(
    "value",
    ["", " seed", "seed ", "x" * 21, "é" * 11, "a@b.example", "192.0.2.7", "+41 44 123 45 67", "a\u200bb", "a\nb",
     "\u202ex", "\ud800", None, True, 1.5, ["seed"], 10**12],
)  # fmt: skip
def test_what_is_no_key_is_absent_whole(value: object) -> None:
    """Nothing is cut to fit: two texts must not become one key, and half a mail address is one still."""
    found = opened(slug=value)
    assert [found[f"a{slot}"] for slot in (1, 2, 3)] == [None] * 3
    assert (found["a4"], found["a5"]) == (0, opened()["a5"])


def test_a_required_key_that_is_absent_rejects_the_event() -> None:
    outcome = filtered(event(app="blog", action="open", user="u", attributes={**OPENED, "tag": "x" * 9}))
    assert getattr(outcome, "code", None) == "attribute_required"


@given(st.text(min_size=1, max_size=64), st.integers(1, 64))
def test_a_stored_key_reads_back_as_sent(text: str, most: int) -> None:
    slots = key_encoder_of(Key(most))(text)
    if slots is None:
        return
    assert len(slots) == Key(most).slots
    assert all(-(2**63) <= slot < 2**63 for slot in slots)
    assert key_text(slots) == text
    assert len(text.encode()) <= most


def test_the_longest_key_fits_and_one_more_does_not() -> None:
    encode = key_encoder_of(Key(64))
    words = "four-words-and " * 5
    assert key_text(encode(words[:63] + "x") or ()) == words[:63] + "x"
    assert encode(words[:64] + "x") is None


@pytest.mark.parametrize("most", ["0", "65", "x", "-1", "1.5", "٣"])
def test_a_length_out_of_range_is_refused(most: str) -> None:
    tree = plan_tree()
    tree["apps"]["blog"]["actions"]["open"]["slug"]["max_bytes"] = most
    with pytest.raises(InvalidPlan, match="max_bytes"):
        parse_plan(tree)


def test_keys_that_take_too_many_slots_are_refused() -> None:
    tree = plan_tree()
    tree["apps"]["blog"]["actions"]["open"]["slug"]["max_bytes"] = "64"
    tree["apps"]["blog"]["actions"]["open"]["tag"]["max_bytes"] = "64"
    with pytest.raises(InvalidPlan, match="18 slots of 16"):
        parse_plan(tree)


def test_a_plan_with_keys_reads_back_and_says_what_it_would_collect() -> None:
    tree, before = plan_tree(), plan_tree()
    assert parse_plan(parse_plan(tree).tree()) == parse_plan(tree)
    del before["apps"]["blog"]["actions"]["open"]["tag"]
    [change] = changes_between(parse_plan(before), parse_plan(tree))
    assert "its own text, as sent, of up to 8 bytes" in change.words
    longer = plan_tree()
    longer["apps"]["blog"]["actions"]["open"]["slug"]["max_bytes"] = "24"
    assert {change.kind for change in changes_between(parse_plan(tree), parse_plan(longer))} == {"stores otherwise"}
