"""Foreign text made fit for a screen."""

from __future__ import annotations

import unicodedata


def harmless(text: str) -> str:
    """The text without anything that moves a cursor or hides: control and format characters become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(mark)[0] == "C" else mark for mark in text)
