"""POST /v1/events: the one door for events (specs/events.md 1, 5).

In this order: key, content type, size, privacy signals, Idempotency-Key, then the queue. Nothing of a body is
looked at here. 202 means durable; 422 that no event was in order; both carry the whole receipt.

Left out here: CORS and browser keys, rate limits, gzip (they come with the trackers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from aiohttp import web

from node.clock import Clock
from node.errors import RejectedInput
from node.http.forms.body import MAX_BODY_BYTES
from node.http.problems import problem
from node.idempotency import IdempotencyMemory
from node.ingest import IntakePlan, Submission
from node.receipt import Receipt
from privacy.filtering import Signals
from privacy.person_key import Rng

BODY_TIMEOUT_S: Final = 30.0  # for the whole body: a slow sender holds a connection, no longer than this
MAX_IDEMPOTENCY_KEY: Final = 200  # characters

_JSON_TYPES: Final = frozenset({"application/json", "text/plain"})  # text/plain is what sendBeacon sends
_NDJSON_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


class KnownKey(Protocol):
    """An API key's record; never its secret."""

    @property
    def id(self) -> str: ...


class Keys(Protocol):
    """The node's API keys. `check` raises a RejectedInput with `status` 401 or 403."""

    def check(self, secret: str | None, kind: str, scope: str) -> KnownKey: ...
    def allows(self, secret: str | None, kind: str, scope: str) -> bool: ...


class Intake(Protocol):
    """The queue behind the door."""

    plan: IntakePlan

    async def submit(self, submission: Submission) -> Receipt: ...


class BadRequest(RejectedInput):
    """The request's headers or its body's length are not what this endpoint takes."""

    def __init__(self, *, status: int, code: str, why: str, fix: str) -> None:
        super().__init__(what="The request is refused", why=why, fix=fix, code=code)
        self.status = status


class EventsEndpoint:
    """The handler, with what it needs.

    Args:
        intake: Takes bodies in.
        keys: Knows who may write.
        clock, rng: For the memory of Idempotency-Keys.
        address_of: IP and user agent of a request, for apps of person kind `address`; None where the node
            cannot know them, and such events are filtered `no_person`.
    """

    def __init__(
        self,
        intake: Intake,
        keys: Keys,
        clock: Clock,
        rng: Rng,
        address_of: Callable[[web.Request], str] | None = None,
    ) -> None:
        self._intake = intake
        self._keys = keys
        self._memory = IdempotencyMemory(clock, rng)
        self._address_of = address_of if intake.plan.needs_address else None

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/events", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """Answer 202 or 422 with a receipt; raises a NodeError for every other refusal (node/http/problems.py)."""
        receipt = await self._take(request)
        members = receipt.as_json()
        if receipt.is_refusal:
            return problem(_nothing_in_order(), members)
        return web.Response(status=202, body=msgspec.json.encode(members), content_type="application/json")

    async def _take(self, request: web.Request) -> Receipt:
        secret = _bearer(request)
        is_backfill = self._keys.allows(secret, "write", "backfill")
        key = self._keys.check(secret, "write", "backfill" if is_backfill else "events")
        idempotency_key = _idempotency_key(request)
        submission = Submission(
            is_ndjson=_is_ndjson(request),
            body=await _read_body(request),
            signals=_signals(request),
            idempotency_key=idempotency_key,
            is_backfill=is_backfill,
            address=self._address_of(request) if self._address_of is not None else None,
        )
        if idempotency_key is None:
            return await self._intake.submit(submission)
        receipt, is_repeat = await self._memory.once(
            key.id, idempotency_key, submission.body, lambda: self._intake.submit(submission)
        )
        return receipt.as_repeat() if is_repeat else receipt


def _bearer(request: web.Request) -> str | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
        return key
    raise BadRequest(
        status=400,
        code="bad_idempotency_key",
        why=f"an Idempotency-Key is 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters",
        fix="Send a random UUID, the same one when the request is sent again",
    )


def _is_ndjson(request: web.Request) -> bool:
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadRequest(
            status=415,
            code="content_encoding",
            why="compressed bodies are not taken by this version",
            fix="Send the body as it is",
        )
    kind = request.content_type
    if kind in _NDJSON_TYPES:
        return True
    if kind in _JSON_TYPES or "Content-Type" not in request.headers:
        return False
    raise BadRequest(
        status=415,
        code="content_type",
        why="the Content-Type is none of application/json, text/plain, application/x-ndjson",
        fix="Send JSON as application/json, one event a line as application/x-ndjson",
    )


async def _read_body(request: web.Request) -> bytes:
    """The body, never more of it in memory than allowed."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError:
        raise BadRequest(
            status=408,
            code="body_timeout",
            why=f"its body did not arrive within {BODY_TIMEOUT_S:.0f} s",
            fix="Send smaller batches, or check the connection",
        ) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _signals(request: web.Request) -> Signals:
    """`Sec-GPC: 1` and `DNT: 1`; any other value says nothing, and of several headers one is enough."""
    headers = request.headers
    return Signals(
        gpc="Sec-GPC" in headers and any(value.strip() == "1" for value in headers.getall("Sec-GPC")),
        dnt="DNT" in headers and any(value.strip() == "1" for value in headers.getall("DNT")),
    )


def _too_large() -> BadRequest:
    return BadRequest(
        status=413,
        code="body_too_large",
        why=f"a body is at most {MAX_BODY_BYTES} bytes",
        fix="Send smaller batches; 25 to 100 events a request is best",
    )


def _nothing_in_order() -> RejectedInput:
    return BadRequest(
        status=422,
        code="nothing_accepted",
        why="no event in it was in order",
        fix="See `rejected` for the reason of each",
    )
