"""POST /v1/events: the one door for events (specs/events.md 1, 5), and the same door for other trackers' paths.

In this order: key, origin, limits, content type, size, privacy signals, Idempotency-Key, then the queue. Nothing of a
body is looked at here. 202 means durable; 422 that no event was in order; both carry the whole receipt.

A browser key is a write key bound to origins. It may stand in a page, so anyone may hold it: it is taken from those
origins only, its answers never tell whether a person or an event is known, and it may come as `?key=`, since a beacon
sends no headers. For browser keys alone the sender's address and country are looked at (`node.http.origin`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec
from aiohttp import web

from node.clock import Clock
from node.errors import NodeError, RejectedInput
from node.group import BodyReader
from node.http.forms import plausible, segment
from node.http.forms.body import MAX_BODY_BYTES
from node.http.inflate import inflate
from node.http.limits import Allowance, Limits, SlowDown
from node.http.origin import Origins
from node.http.problems import internal_problem, problem
from node.idempotency import IdempotencyMemory
from node.ingest import IntakePlan, Submission
from node.receipt import Receipt
from node.recent import Recent
from node.senders import OriginConfig, Rates
from privacy.filtering import Signals
from privacy.person_key import Rng

BODY_TIMEOUT_S: Final = 30.0  # for the whole body: a slow sender holds a connection, no longer than this
MAX_IDEMPOTENCY_KEY: Final = 200  # characters
PREFLIGHT_S: Final = 600  # how long a browser may keep the answer to a preflight

_JSON_TYPES: Final = frozenset({"application/json", "text/plain"})  # text/plain is what sendBeacon sends
_NDJSON_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_EXPOSED: Final = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"


class KnownKey(Protocol):
    """An API key's record; never its secret."""

    @property
    def id(self) -> str: ...
    @property
    def scopes(self) -> Sequence[str]: ...
    @property
    def origins(self) -> Sequence[str]: ...


class Keys(Protocol):
    """The node's API keys. `find` raises a RejectedInput with `status` 401 or 403."""

    def find(self, secret: str | None, kind: str) -> KnownKey: ...
    def is_origin_known(self, origin: str) -> bool: ...


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
    """The handlers, with what they need.

    Args:
        intake: Takes bodies in.
        keys: Knows who may write.
        clock, rng: For the memory of Idempotency-Keys, and the buckets.
        origins: Reads addresses and countries of browsers.
        rates: How much a sender may send.
        recent: Is told what became of each request.
    """

    def __init__(
        self,
        intake: Intake,
        keys: Keys,
        clock: Clock,
        rng: Rng,
        origins: Origins | None = None,
        rates: Rates | None = None,
        recent: Recent | None = None,
    ) -> None:
        self._intake = intake
        self._keys = keys
        self._clock = clock
        self._recent = recent or Recent()
        self._memory = IdempotencyMemory(clock, rng)
        self._origins = origins or Origins(OriginConfig())
        self.limits = Limits(rates or Rates(), clock.monotonic_s, rng)

    def routes(self) -> list[web.RouteDef]:
        found = [
            web.post("/v1/events", self._handler(None)),
            web.post("/v1/track", self._handler(segment.read_track)),
            web.post("/v1/page", self._handler(segment.read_page)),
            web.post("/v1/batch", self._handler(segment.read_batch)),
            web.post("/v1/identify", self._handler(segment.read_identify)),
            web.post("/api/event", self._handler(plausible.read)),
        ]
        return [*found, *(web.options(route.path, self.preflight) for route in found)]

    async def preflight(self, request: web.Request) -> web.Response:
        """What a browser asks before it sends headers of its own: only origins of browser keys may."""
        origin = request.headers.get("Origin", "")
        if not self._keys.is_origin_known(origin):
            return web.Response(status=403)
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, idempotency-key",
                "Access-Control-Max-Age": str(PREFLIGHT_S),
                "Vary": "Origin",
            },
        )

    def _handler(self, reader: BodyReader | None) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def post(request: web.Request) -> web.Response:
            return await self._post(request, reader)

        return post

    async def _post(self, request: web.Request, reader: BodyReader | None) -> web.Response:
        """Answer 202 or 422 with a receipt; raises a NodeError for every other refusal (node/http/problems.py)."""
        key = self._keys.find(_secret(request), "write")
        if key.origins:
            return await self._from_browser(request, key, reader)
        if request.query_string and "key" in request.query:
            raise _key_in_address()
        self.limits.take(key.id, is_browser=False, address=None)
        return _answer(await self._take(request, key, reader, None))

    async def _from_browser(self, request: web.Request, key: KnownKey, reader: BodyReader | None) -> web.Response:
        """As `_post`, for a browser key: every answer, refusals too, can be read by the page that asked."""
        origin = request.headers.get("Origin", "")
        if origin not in key.origins:
            raise BadRequest(
                status=403,
                code="origin_not_allowed",
                why="the key is bound to other origins than the page's",
                fix='Make a key for this origin with "murmur tokens create --origin https://…"',
            )
        allowance: Allowance | None = None
        try:
            address = self._origins.address(request)
            allowance = self.limits.take(key.id, is_browser=True, address=address)
            response = _answer(await self._take(request, key, reader, address))
        except SlowDown as refused:
            allowance = refused.allowance
            response = problem(refused)
        except NodeError as refused:
            response = problem(refused)
        except (web.HTTPException, asyncio.CancelledError):
            raise
        except Exception:
            response = internal_problem()
        response.headers.update(
            {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": _EXPOSED,
                "Vary": "Origin",
                **(allowance.headers() if allowance is not None else {}),
            }
        )
        return response

    async def _take(
        self, request: web.Request, key: KnownKey, reader: BodyReader | None, address: str | None
    ) -> Receipt:
        try:
            receipt = await self._submit(request, key, reader, address)
        except NodeError as refused:
            self._recent.add(self._clock.now_ms(), key.id, refused.code)
            raise
        self._recent.add(self._clock.now_ms(), key.id, receipt)
        return receipt

    async def _submit(
        self, request: web.Request, key: KnownKey, reader: BodyReader | None, address: str | None
    ) -> Receipt:
        idempotency_key = _idempotency_key(request)
        is_ndjson, is_gzip = _is_ndjson(request), _is_gzip(request)
        body = await _read_body(request)
        submission = Submission(
            is_ndjson=is_ndjson,
            body=inflate(body, MAX_BODY_BYTES) if is_gzip else body,
            signals=_signals(request),
            idempotency_key=idempotency_key,
            is_backfill="backfill" in key.scopes,
            address=self._origins.person(request, address) if key.origins and self._intake.plan.needs_address else None,
            country=self._origins.country(request, address) if key.origins else None,
            reader=reader,
            received_s=self._clock.now_ms() / 1000,
        )
        if idempotency_key is None:
            return await self._intake.submit(submission)
        receipt, is_repeat = await self._memory.once(
            key.id, idempotency_key, submission.body, lambda: self._intake.submit(submission)
        )
        return receipt.as_repeat() if is_repeat and not key.origins else receipt


def _answer(receipt: Receipt) -> web.Response:
    members = receipt.as_json()
    if receipt.is_refusal:
        return problem(_nothing_in_order(), members)
    return web.Response(status=202, body=msgspec.json.encode(members), content_type="application/json")


def _secret(request: web.Request) -> str | None:
    """The key: a bearer token, the user of basic authentication (Segment's way), or `?key=`."""
    header = request.headers.get("Authorization")
    if header is None:
        return request.query.get("key")
    scheme, _, secret = header.partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip() or None
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(secret, validate=True).decode("ascii")
        except ValueError:
            return None
        return decoded.partition(":")[0] or None
    return None


def _key_in_address() -> BadRequest:
    return BadRequest(
        status=403,
        code="key_in_address",
        why="a server key came as ?key=, where logs and proxies keep it",
        fix="Send it as Authorization: Bearer, revoke it, and use a browser key (bound to origins) in pages",
    )


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


def _is_gzip(request: web.Request) -> bool:
    encoding = request.headers.get("Content-Encoding")
    if encoding is None or (named := encoding.strip().lower()) in ("", "identity"):
        return False
    if named == "gzip":
        return True
    raise BadRequest(
        status=415,
        code="content_encoding",
        why="the Content-Encoding is neither gzip nor identity",
        fix="Send the body as it is, or as gzip",
    )


async def _read_body(request: web.Request) -> bytes:
    """The body, never more of it in memory than allowed."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    if request.content.is_eof():  # it came whole with its head, as most do: no timer is needed
        body = request.content.read_nowait(-1)
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body
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
