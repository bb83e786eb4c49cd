"""The errors of `federation/`: another member is at fault, or our view of it is behind.

Each says what happened, why, and what to do, and carries a stable `code` that the mesh, REST, the CLI and
logs repeat. None of them ends a node: the shell reports them and goes on. Bytes that are broken in
themselves belong to `protocol.errors`; a programmer's mistake stays a `TypeError` or `ValueError`.
"""

from __future__ import annotations

from typing import ClassVar


class PeerError(Exception):
    """Base of the family; raise one of the classes below.

    Args:
        what: What happened, without a full stop: "Request refused".
        why: The reason, with expected and got, without a full stop.
        fix: What to do, one or more sentences, without the last full stop.
    """

    code: ClassVar[str] = "peer-error"

    def __init__(self, *, what: str, why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. {self.fix}."


class NotAMember(PeerError):
    """The node is named in no charter this node trusts."""

    code = "not-a-member"


class Replay(PeerError):
    """A request whose nonce was seen before."""

    code = "replayed"


class Busy(PeerError):
    """The member sent more than this node remembers or takes; it waits and asks again."""

    code = "busy"

    def __init__(self, *, what: str, why: str, fix: str, retry_after_ms: int = 0) -> None:
        super().__init__(what=what, why=why, fix=fix)
        self.retry_after_ms = retry_after_ms


class BadPayload(PeerError):
    """A signed message whose payload has not the shape its operation demands."""

    code = "bad-payload"


class Equivocation(PeerError):
    """One member signed two entries at one position."""

    code = "equivocation"


class OwnLogConflict(PeerError):
    """An entry offered as this node's own does not extend the log the federation knows."""

    code = "own-log-conflict"
