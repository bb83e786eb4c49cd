"""Errors say what, why and what to do, and carry a code of their own."""

from __future__ import annotations

import re

import pytest

from protocol import errors
from protocol.errors import ProtocolError

FAMILY = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ProtocolError)]


@pytest.mark.parametrize("error", FAMILY, ids=lambda error: error.__name__)
def test_error_has_three_parts(error: type[ProtocolError]) -> None:
    """`what: why. fix`, and a fix even when none was given."""
    raised = error(what="Entry refused", why="it is cut short", fix="Fetch it again")
    assert str(raised) == "Entry refused: it is cut short. Fetch it again"
    assert str(error(what="Entry refused", why="it is cut short")).removeprefix("Entry refused: it is cut short. ")
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)


def test_codes_are_all_different() -> None:
    """A code names one family of faults."""
    codes = [error.code for error in FAMILY]
    assert len(set(codes)) == len(codes)
