"""Every error of the REST surface as one shape: an RFC 9457 problem document.

    {"type": "urn:murmur:problem:bad_window", "title": what happened, "status": 400,
     "code": "bad_window", "detail": why, "hint": what to do, "docs": "/docs/errors#bad_window"}

Rules:

- All families (privacy, protocol, federation, node) carry what, why, fix and a stable code; the status follows
  from the error's own `status`, else from its class.
- An error nobody foresaw is a 500 that says nothing of its cause: its message may quote an event. The log
  gets its type and where it happened, never its text.
- aiohttp's own refusals (404, 405, 413) come in the same shape.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol, runtime_checkable

import msgspec
import structlog
from aiohttp import web

from federation.errors import Busy, PeerError
from federation.query import QueryRefused, UnknownMetric
from node.errors import ConfigError, NodeError, RejectedInput, StorageError, TransportError
from privacy.errors import BudgetExhausted, PrivacyError
from protocol.errors import ProtocolError, TooLarge

CONTENT_TYPE: Final = "application/problem+json"

log = structlog.get_logger()

STATUS_OF: Final[tuple[tuple[type[Exception], int], ...]] = (
    # The first that fits: subclasses before their family.
    (UnknownMetric, 404),
    (QueryRefused, 400),
    (BudgetExhausted, 409),
    (PrivacyError, 422),
    (TooLarge, 413),
    (ProtocolError, 400),
    (Busy, 429),
    (PeerError, 403),
    (RejectedInput, 400),
    (StorageError, 503),
    (TransportError, 502),
    (ConfigError, 500),
    (NodeError, 500),
)
FAMILIES: Final = (NodeError, PrivacyError, ProtocolError, PeerError, QueryRefused)

_HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "See specs/api/openapi.yaml for the paths of this node"),
    405: ("method_not_allowed", "Use one of the methods in the Allow header"),
    413: ("body_too_large", "Send a smaller body"),
}
_STORAGE_RETRY_S: Final = 5


@runtime_checkable
class Explained(Protocol):
    """What all families have in common."""

    code: str
    what: str
    why: str
    fix: str


def status_of(error: Exception) -> int:
    """The HTTP status for an error of one of `FAMILIES`."""
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    return next((status for kind, status in STATUS_OF if isinstance(error, kind)), 500)


def problem(error: Exception, members: Mapping[str, Any] | None = None) -> web.Response:
    """The problem document of an error of one of `FAMILIES`, with further members if given.

    `retry_after_s` of the error, where it has one, becomes the Retry-After header.
    """
    if not isinstance(error, Explained):
        return internal_problem()
    status = status_of(error)
    wait_s = getattr(error, "retry_after_s", _STORAGE_RETRY_S if status == 503 else None)
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="murmur"'
    return _document(status, error.code, error.what, error.why, error.fix, headers, members)


def internal_problem() -> web.Response:
    """The 500 of an error nobody foresaw."""
    return _document(
        500,
        "internal",
        "The node failed to answer",
        "an error it did not foresee; the request changed nothing that it did not confirm",
        'Try again; the operator finds the place in the node\'s log under "http.failed"',
    )


@web.middleware
async def problem_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn every error of a handler into its problem document."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        if refused.status < 400:
            raise
        return _from_aiohttp(refused)
    except Exception as error:
        return refusal(error, _path_of(request))


def refusal(error: Exception, path: str) -> web.Response:
    """The problem document of what a handler raised, logged where the fault is the node's. `path`: the route's."""
    if isinstance(error, FAMILIES):
        if status_of(error) >= 500:
            log.error("http.failed", path=path, code=error.code)
        return problem(error)
    log.error("http.failed", path=path, code="internal", exc_info=error)
    return internal_problem()


def _from_aiohttp(refusal: web.HTTPException) -> web.Response:
    status = refusal.status
    code, fix = _HTTP_CODES.get(status, (f"http_{status}", "See specs/api/openapi.yaml"))
    headers = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
    phrase = HTTPStatus(status).phrase
    return _document(status, code, "The request is refused", phrase.lower(), fix, headers)


def _document(
    status: int,
    code: str,
    what: str,
    why: str,
    fix: str,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> web.Response:
    document = {
        "type": f"urn:murmur:problem:{code}",
        "title": what,
        "status": status,
        "code": code,
        "detail": _sentence(why),
        "hint": _sentence(fix),
        "docs": f"/docs/errors#{code}",
        **(members or {}),
    }
    return web.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "?", "!")) else f"{text}."


def _path_of(request: web.Request) -> str:
    """The route's pattern, never the path itself: a path may hold what a client put there."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
