"""What can go wrong between a researcher and a node, by who can mend it."""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """Base of the family. `code` is the node's own; `str(error)` is `what: why. fix`."""

    def __init__(self, what: str, why: str, fix: str, *, code: str, status: int | None = None) -> None:
        super().__init__(f"{what}: {why}. {fix}")
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code
        self.status = status


class BadQuestion(ClientError):
    """The question cannot be answered as asked; mend it."""


class NotFound(ClientError):
    """No such metric, release or path."""


class NotAllowed(ClientError):
    """The token is missing, unknown, or not for reading."""


class RateLimited(ClientError):
    """The token's allowance is used up; `retry_after_s` says when there is more."""

    retry_after_s: float = 0.0


class Unavailable(ClientError):
    """The node does not answer, or not now; trying again may help."""


def error_of(status: int, problem: dict[str, Any], retry_after_s: float) -> ClientError:
    """The error a problem document (RFC 9457) stands for."""
    kind: type[ClientError] = BadQuestion
    if status in (401, 403):
        kind = NotAllowed
    elif status in (404, 410):
        kind = NotFound
    elif status == 429:
        kind = RateLimited
    elif status >= 500:
        kind = Unavailable
    error = kind(
        str(problem.get("title", f"The node answered {status}")).rstrip("."),
        str(problem.get("detail", "it gave no reason")).rstrip("."),
        str(problem.get("hint", "See the node's log")),
        code=str(problem.get("code", f"http_{status}")),
        status=status,
    )
    if isinstance(error, RateLimited):
        error.retry_after_s = retry_after_s
    return error
