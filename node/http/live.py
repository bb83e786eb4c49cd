"""GET /v1/live: server-sent events, or the same over a WebSocket when the client asks to upgrade.

Both may be resumed: SSE by `Last-Event-ID` (or `?after=`), the WebSocket by `?after=`. A comment (a ping)
every 15 s keeps proxies from closing a quiet stream and finds readers that are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiohttp import WSCloseCode, web

from federation.answers import canonical_json
from federation.figure_rows import Json
from node.errors import NodeError
from node.http.access import ReadGate
from node.live import Listener, Live, LiveEvent

PING_S: Final = 15.0
MAX_LISTENERS: Final = 500
RETRY_MS: Final = 2000
WRITE_BUFFER_BYTES: Final = 16 << 10  # beyond it a write waits, and the listener's queue begins to fill


class TooManyListeners(NodeError):
    """The node has as many listeners as it takes."""

    code = "too_many_listeners"
    status = 503
    retry_after_s = 30


class LiveEndpoint:
    """The handler of `/v1/live`."""

    def __init__(self, live: Live, gate: ReadGate, *, ping_s: float = PING_S) -> None:
        self._live = live
        self._gate = gate
        self._ping_s = ping_s

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/live", self.listen)]

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Tell events until either side ends."""
        self._gate(request)
        if self._live.listeners >= MAX_LISTENERS:
            raise TooManyListeners(
                what="The stream is not opened",
                why=f"{MAX_LISTENERS} listen already",
                fix="Try again later, or ask /v1/releases now and then",
            )
        after = request.headers.get("Last-Event-ID") or request.query.get("after") or None
        listener = self._live.listen(after)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._over_websocket(request, listener)
            return await self._over_sse(request, listener)
        finally:
            self._live.leave(listener)

    async def _over_sse(self, request: web.Request, listener: Listener) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        if request.transport is not None:
            request.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        with contextlib.suppress(ConnectionError):
            await response.write(f"retry: {RETRY_MS}\n\n".encode())
            while True:
                try:
                    event = await asyncio.wait_for(listener.next(), self._ping_s)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if event is None:
                    break
                await self._written(response, listener, event)
        return response

    async def _written(self, response: web.StreamResponse, listener: Listener, event: LiveEvent) -> None:
        """Write one event; a reader that takes none is let go once it is dropped."""
        data = canonical_json(dict(event.data)).decode()
        writing = asyncio.ensure_future(
            response.write(f"id: {event.id}\nevent: {event.name}\ndata: {data}\n\n".encode())
        )
        while not writing.done():
            await asyncio.wait([writing], timeout=self._ping_s)
            if listener.is_dropped and not writing.done():
                writing.cancel()
                raise ConnectionResetError("the reader is too far behind")
        await writing

    async def _over_websocket(self, request: web.Request, listener: Listener) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=self._ping_s, max_msg_size=4096)
        await socket.prepare(request)
        reading = asyncio.ensure_future(self._until_closed(socket))
        try:
            while not socket.closed:
                waiting = asyncio.ensure_future(listener.next())
                await asyncio.wait([waiting, reading], return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    break
                event = waiting.result()
                if event is None:
                    break
                document: dict[str, Json] = {"id": event.id, "event": event.name, "data": dict(event.data)}
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(canonical_json(document).decode())
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER if listener.is_dropped else WSCloseCode.OK)
        finally:
            reading.cancel()
        return socket

    async def _until_closed(self, socket: web.WebSocketResponse) -> None:
        """Read and forget what a client says; ends when it closes."""
        async for _ in socket:
            pass
