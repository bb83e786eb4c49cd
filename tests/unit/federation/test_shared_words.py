"""Words that privacy and protocol each spell out, since neither may import the other: held together here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.abstaining import ABSTAIN_REASONS
from privacy.errors import InvalidWindow
from privacy.units import WINDOW_KINDS, Window, WindowKind
from protocol import kind_data
from protocol.errors import ProtocolError
from protocol.windows import parse_window


def test_one_list_of_reasons_to_abstain() -> None:
    """A reason the protocol does not carry could not be said; one the engine does not know would be data."""
    assert sorted(ABSTAIN_REASONS) == sorted(kind_data.ABSTAIN_REASONS)


@given(st.sampled_from(WINDOW_KINDS), st.integers(24 * 40, 24 * 365 * 1000))
def test_one_reading_of_a_window(kind: WindowKind, hour: int) -> None:
    """Both read the same hours from the same text."""
    window = Window.containing(kind, hour)
    span = parse_window(window.text)
    assert (span.text, span.kind) == (window.text, window.kind)
    assert (span.start_hour, span.end_hour) == (window.start_hour, window.end_hour)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01/P1W",
        "2026-11-02/P1M",
        "2026-02-30/P1D",
        "2026-11-01T24/PT1H",
        "2026-11-01/PT1H",
        "2026-11-01T05/P1D",
    ],
)
def test_one_refusal_of_what_is_no_window(text: str) -> None:
    """Each in its own family."""
    with pytest.raises(InvalidWindow):
        Window.parse(text)
    with pytest.raises(ProtocolError):
        parse_window(text)
