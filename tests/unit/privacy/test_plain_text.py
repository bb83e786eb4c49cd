"""Which text a definition may hold: one fixed list, the same as for keys on the wire."""

from __future__ import annotations

import sys

import pytest

from privacy.plain_text import is_plain
from protocol.errors import ProtocolError
from protocol.summaries import parse_keys

CODES = [*range(0x10000), *range(0x10000, sys.maxunicode + 1, 257)]


def on_the_wire(text: str) -> bool:
    try:
        parse_keys([text.encode("utf-8", "surrogatepass")])
    except ProtocolError:
        return False
    return True


def test_the_list_is_that_of_keys_on_the_wire() -> None:
    """Every character of the first plane, and some of each other."""
    differing = [hex(code) for code in CODES if is_plain(chr(code)) != on_the_wire(chr(code))]
    assert differing == []


@pytest.mark.parametrize("text", ["a\u2028b", "a\u200bb", "\ufeffa", "a\u202eb", "a\nb", "\ud800"])
def test_hidden_text_is_refused(text: str) -> None:
    """Line ends, what nobody sees, what turns the direction, and half a character."""
    assert not is_plain(text)


def test_what_a_later_unicode_assigns_is_text_today() -> None:
    """Code points that this Python knows no name for count as those it knows: all members read alike."""
    assert is_plain("\U0001fae9 \u0378 \ue000 \u00a0")
