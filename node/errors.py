"""The NodeError family: what the shell around the pure core can run into, sorted by who can act.

Every error carries a stable `code` and says what happened, why, and what to do; `str(error)` is
`what: why. fix`. None of the three parts ever holds a secret, a key or the content of an event (STYLE 6).
"""

from __future__ import annotations


class NodeError(Exception):
    """Base of the family. `code` is the stable name used in REST, CLI and logs."""

    code: str = "node_error"

    def __init__(self, *, what: str, why: str, fix: str, code: str | None = None) -> None:
        self.what = what
        self.why = why
        self.fix = fix
        if code is not None:
            self.code = code
        super().__init__(f"{what}: {why}. {fix}")


class ConfigError(NodeError):
    """The operator can fix it: a setting, a file, a port, a permission."""

    code = "config"


class RejectedInput(NodeError):
    """A client sent something this node does not take."""

    code = "rejected"


class StorageError(NodeError):
    """The disk, or what was read from it, is at fault. Nothing was acknowledged.

    `fatal` means that the process no longer knows what is on disk (an error from COMMIT or fsync): the caller
    ends the process, and what is true is read again at the next start (DESIGN 5).
    """

    code = "storage"

    def __init__(self, *, what: str, why: str, fix: str, code: str | None = None, fatal: bool = False) -> None:
        self.fatal = fatal
        super().__init__(what=what, why=why, fix=fix, code=code)


class TransportError(NodeError):
    """The network is at fault; trying again may help."""

    code = "transport"
