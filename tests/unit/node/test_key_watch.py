"""When the signing key turns by itself, and when it is only said."""

from __future__ import annotations

import pytest

from node.key_watch import ADVISED_S, KeyAge, span

DAY = 86_400


@pytest.mark.parametrize(
    ("age_s", "every_s", "urgency"),
    [
        (0, 90 * DAY, "fresh"), (75 * DAY - 1, 90 * DAY, "fresh"), (75 * DAY, 90 * DAY, "soon"),
        (90 * DAY - 1, 90 * DAY, "soon"), (90 * DAY, 90 * DAY, "due"), (25, 30, "soon"), (30, 30, "due"),
    ],
)  # fmt: skip
def test_the_warning_comes_in_the_last_sixth(age_s: int, every_s: int, urgency: str) -> None:
    """At 75 of 90 days; at 25 of 30 seconds."""
    assert KeyAge(age_s, every_s, is_scheduled=True).urgency == urgency


def test_it_is_said_in_words() -> None:
    """Whether the node turns by itself or somebody has to."""
    assert "turns by itself in 10 d" in KeyAge(80 * DAY, 90 * DAY, is_scheduled=True).words
    assert "a turn is advised every 90 d" in KeyAge(80 * DAY, ADVISED_S, is_scheduled=False).words
    assert "murmur keys rotate" in KeyAge(90 * DAY, ADVISED_S, is_scheduled=False).words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (30, "30 s"), (60, "1 min"), (7200, "2 h"), (DAY, "1 d"), (100 * DAY, "100 d")]
)
def test_spans(seconds: int, words: str) -> None:
    assert span(seconds) == words
