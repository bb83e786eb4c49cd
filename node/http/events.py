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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
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
from node.http.origin import Asked, Origins
from node.http.problems import internal_problem, problem, refusal
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

_JSON_TYPES: Final = frozenset({"", "application/json", "text/plain"})  # text/plain is what sendBeacon sends
_NDJSON_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_NO_SIGNALS: Final = Signals()
_EXPOSED: Final = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"


# What the door hands over and is told: a request whose body is whole; a response, or the JSON of a 202.
Tell = Callable[[web.Response | bytes], None]
Take = Callable[[Asked, bytes, Tell], None]
ReadBody = Callable[[], Awaitable[bytes]]

# Who reads the bodies of each path; None: they are of the forms of /v1/events.
AT_THE_DOOR: Final[Mapping[str, BodyReader | None]] = {
    "/v1/events": None,
    "/v1/track": segment.read_track,
    "/v1/page": segment.read_page,
    "/v1/batch": segment.read_batch,
    "/v1/identify": segment.read_identify,
    "/api/event": plausible.read,
}


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

    @property
    def plan(self) -> IntakePlan: ...
    def offer(self, submission: Submission, tell: Callable[[Receipt | NodeError], None]) -> None: ...
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
        self.limits = Limits(rates or Rates(), clock.monotonic_s, rng, self._note_unusual)
        self._inflating = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()  # kept from the garbage collector until they are done

    def _note_unusual(self, key_id: str, what: str, requests: int) -> None:
        self._recent.add_unusual(self._clock.now_ms(), key_id, what, requests)

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

    def at_the_door(self) -> dict[str, Take]:
        """For each path, what answers a POST whose body is whole already (`node.http.door`); equal to the routes."""
        return {path: self._taker(path, reader) for path, reader in AT_THE_DOOR.items()}

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
            return await self._post(request, reader, lambda: read_body(request))

        return post

    def _taker(self, path: str, reader: BodyReader | None) -> Take:
        def take(request: Asked, body: bytes, tell: Tell) -> None:
            self._take_whole(path, request, body, reader, tell)

        return take

    def _take_whole(self, path: str, request: Asked, body: bytes, reader: BodyReader | None, tell: Tell) -> None:
        """As `_post`, for a body that is here; without a task where nothing has to be waited for but the receipt."""

        async def whole() -> bytes:
            return body

        async def slowly() -> None:
            try:
                response = await self._post(request, reader, whole)
            except Exception as error:
                response = refusal(error, path)
            tell(response)

        try:
            key = self._keys.find(_secret(request), "write")
            if key.origins or "Idempotency-Key" in request.headers or _is_gzip(request):
                self._tasks.add(task := asyncio.get_running_loop().create_task(slowly()))
                task.add_done_callback(self._tasks.discard)
                return
            self._admit(request, key)
            try:
                submission = self._submission(request, key, body, reader, None)
                self._intake.offer(submission, lambda outcome: tell(self._told(key, outcome, path)))
            except NodeError as refused:
                self._recent.add(self._clock.now_ms(), key.id, refused.code)
                raise
        except Exception as error:
            tell(refusal(error, path))

    def _told(self, key: KnownKey, outcome: Receipt | NodeError, path: str) -> web.Response | bytes:
        """The answer to a server key without an Idempotency-Key; bytes: the JSON of a 202."""
        if isinstance(outcome, NodeError):
            self._recent.add(self._clock.now_ms(), key.id, outcome.code)
            return refusal(outcome, path)
        self._recent.add(self._clock.now_ms(), key.id, outcome)
        return _answer(outcome) if outcome.is_refusal else _json_of(outcome)

    async def _post(self, request: Asked, reader: BodyReader | None, read: ReadBody) -> web.Response:
        """Answer 202 or 422 with a receipt; raises a NodeError for every other refusal (node/http/problems.py)."""
        key = self._keys.find(_secret(request), "write")
        if key.origins:
            return await self._from_browser(
                request, key, lambda address: self._public(request, key, reader, read, address)
            )
        self._admit(request, key)
        return _answer(await self._take(request, key, reader, read, None))

    def _admit(self, request: Asked, key: KnownKey) -> None:
        """Let a request with a server key pass, or raise."""
        if request.query_string and "key" in request.query:
            raise _key_in_address()
        self.limits.take(key.id, is_browser=False, address=None)

    async def guarded(
        self, request: web.Request, act: Callable[[KnownKey, str | None], Awaitable[web.Response]]
    ) -> web.Response:
        """Answer what `act` makes of the request's key and the browser's address, behind the same door as events."""
        key = self._keys.find(_secret(request), "write")
        if key.origins:
            return await self._from_browser(request, key, lambda address: act(key, address))
        self._admit(request, key)
        return await act(key, None)

    async def _public(
        self, request: Asked, key: KnownKey, reader: BodyReader | None, read: ReadBody, address: str | None
    ) -> web.Response:
        return _answer((await self._take(request, key, reader, read, address)).as_public())

    async def _from_browser(
        self, request: Asked, key: KnownKey, act: Callable[[str | None], Awaitable[web.Response]]
    ) -> web.Response:
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
            response = await act(address)
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
        self, request: Asked, key: KnownKey, reader: BodyReader | None, read: ReadBody, address: str | None
    ) -> Receipt:
        try:
            receipt = await self._submit(request, key, reader, read, address)
        except NodeError as refused:
            self._recent.add(self._clock.now_ms(), key.id, refused.code)
            raise
        self._recent.add(self._clock.now_ms(), key.id, receipt)
        return receipt

    async def _submit(
        self, request: Asked, key: KnownKey, reader: BodyReader | None, read: ReadBody, address: str | None
    ) -> Receipt:
        idempotency_key = _idempotency_key(request)
        _is_ndjson(request)  # refused before the body is waited for
        is_gzip = _is_gzip(request)
        body = await read()
        if is_gzip:  # up to some milliseconds, so not in the loop; one at a time, so that threads do not crowd it out
            async with self._inflating:
                body = await asyncio.to_thread(inflate, body, MAX_BODY_BYTES)
        submission = self._submission(request, key, body, reader, address)
        if idempotency_key is None:
            return await self._intake.submit(submission)
        receipt, is_repeat = await self._memory.once(
            key.id, idempotency_key, submission.body, lambda: self._intake.submit(submission)
        )
        return receipt.as_repeat() if is_repeat and not key.origins else receipt

    def _submission(
        self, request: Asked, key: KnownKey, body: bytes, reader: BodyReader | None, address: str | None
    ) -> Submission:
        return Submission(
            body=body,
            is_ndjson=_is_ndjson(request),
            signals=_signals(request),
            idempotency_key=_idempotency_key(request),
            is_backfill="backfill" in key.scopes,
            address=self._origins.person(request, address) if key.origins and self._intake.plan.needs_address else None,
            country=self._origins.country(request, address) if key.origins else None,
            reader=reader,
            received_s=self._clock.now_ms() / 1000,
        )


def _answer(receipt: Receipt) -> web.Response:
    if receipt.is_refusal:
        return problem(_nothing_in_order(), receipt.as_json())
    return web.Response(status=202, body=_json_of(receipt), content_type="application/json")


def _json_of(receipt: Receipt) -> bytes:
    if receipt.filtered or receipt.rejected or receipt.not_idempotent:
        return msgspec.json.encode(receipt.as_json())
    return b'{"accepted":%d,"filtered":{},"rejected":[]}' % receipt.accepted


def _secret(request: Asked) -> str | None:
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


def _idempotency_key(request: Asked) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
        return key
    raise BadRequest(
        status=400,
        code="bad_idempotency_key",
        why=f"an Idempotency-Key is 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters",
        fix="Send a random UUID, the same one when the request is sent again",
    )


def _is_ndjson(request: Asked) -> bool:
    kind = _media_type(request.headers.get("Content-Type", ""))
    if kind in _NDJSON_TYPES:
        return True
    if kind in _JSON_TYPES:
        return False
    raise BadRequest(
        status=415,
        code="content_type",
        why="the Content-Type is none of application/json, text/plain, application/x-ndjson",
        fix="Send JSON as application/json, one event a line as application/x-ndjson",
    )


@lru_cache(maxsize=64)
def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _is_gzip(request: Asked) -> bool:
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


async def read_body(request: web.Request) -> bytes:
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


def _signals(request: Asked) -> Signals:
    """`Sec-GPC: 1` and `DNT: 1`; any other value says nothing, and of several headers one is enough."""
    headers = request.headers
    if "Sec-GPC" not in headers and "DNT" not in headers:
        return _NO_SIGNALS
    return Signals(
        gpc=any(value.strip() == "1" for value in headers.getall("Sec-GPC", ())),
        dnt=any(value.strip() == "1" for value in headers.getall("DNT", ())),
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
