"""How the demo fails: in three parts like every error of the node, with everything it started stopped."""

from __future__ import annotations

from typing import Any, Final

from node.errors import NodeError

_AGAIN: Final = "Start it again; nothing was left running"


class DemoFailed(NodeError):
    """The demo cannot go on, or should not begin."""

    code = "demo_failed"

    def __init__(self, why: str, fix: str = _AGAIN, *, what: str = "The demo stopped", code: str | None = None) -> None:
        super().__init__(what=what, why=why, fix=fix, code=code)

    def __reduce__(self) -> tuple[Any, ...]:
        """Players send their failure to the driver through a pipe."""
        return _rebuild, (self.why, self.fix, self.what, self.code)


def _rebuild(why: str, fix: str, what: str, code: str) -> DemoFailed:
    return DemoFailed(why, fix, what=what, code=code)
