"""How the demo fails: in one sentence, with everything it started stopped."""

from __future__ import annotations


class DemoFailed(Exception):
    """The demo cannot go on; the text is one clear sentence for the person who started it."""

    code = "demo_failed"
