"""Exit codes: what a script can tell from a failed command without reading its words.

0 ok, 1 failed, 2 usage, 3 not found, 4 refused by policy (budget, threshold, consent), 5 unreachable,
6 verification failed (signature, audit), 7 conflict or already done, 75 try again, 78 configuration.
systemd is told not to restart on 78 (`RestartPreventExitStatus`).
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 4
UNREACHABLE: Final = 5
VERIFICATION: Final = 6
CONFLICT: Final = 7
TRY_AGAIN: Final = 75
CONFIG: Final = 78

# An error's own code decides first, then its class, nearest base first. Classes stand here by name: their
# modules need not be imported to end a command that never used them.
_BY_CODE: Final[dict[str, int]] = {
    "data_folder_in_use": CONFLICT,
    "key_exists": CONFLICT,
    "port_in_use": CONFLICT,
    "node_timeout": TRY_AGAIN,
    "join_not_taken": TRY_AGAIN,
    "node_forbidden": REFUSED,
    "budget_exhausted": REFUSED,
}
_BY_CLASS: Final[dict[str, int]] = {
    "BudgetExhausted": REFUSED,
    "PrivacyError": CONFIG,  # on the command line: a plan or a definition someone wrote
    "ProtocolError": VERIFICATION,
    "PeerError": VERIFICATION,
    "ConfigError": CONFIG,
    "RejectedInput": USAGE,
    "TransportError": UNREACHABLE,
    "StorageError": FAILED,
}
_BY_STATUS: Final[dict[int, int]] = {
    400: USAGE, 401: REFUSED, 403: REFUSED, 404: NOT_FOUND, 405: FAILED, 409: CONFLICT, 410: NOT_FOUND,
    413: USAGE, 415: USAGE, 422: USAGE, 429: TRY_AGAIN, 502: UNREACHABLE, 503: TRY_AGAIN, 504: TRY_AGAIN,
}  # fmt: skip


def exit_code_of(error: BaseException) -> int:
    """The exit code of a failure; 1 where nothing more is known."""
    stated = getattr(error, "exit_code", None)
    if isinstance(stated, int):
        return stated
    by_code = _BY_CODE.get(str(getattr(error, "code", "")))
    if by_code is not None:
        return by_code
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return _BY_STATUS.get(status, FAILED)
    for base in type(error).__mro__:
        if base.__name__ in _BY_CLASS:
            return _BY_CLASS[base.__name__]
    return FAILED
