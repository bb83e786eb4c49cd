"""What the node and its door workers say to each other, over a socket pair that nobody else can open.

Frames: u32 size ‖ msgpack. A worker sends `Forwarded`, the node `Answered` with the same number, or `FINISH` once. Both
are one program of one version, so nothing is negotiated; a frame that cannot be read ends the channel, and with it the
worker.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

_SIZE: Final = struct.Struct(">I")


class Forwarded(msgspec.Struct, array_like=True, gc=False):
    """A plain request whose body is whole, as the door found it."""

    number: int
    path: str
    target: bytes  # the path with its query
    remote: str | None
    headers: list[tuple[bytes, bytes]]  # as they came
    body: bytes


class Answered(msgspec.Struct, array_like=True, gc=False):
    """Its answer. Without headers it is the JSON of a 202."""

    number: int
    status: int
    headers: list[tuple[str, str]] | None
    body: bytes


# To a worker: take no more connections, wait for the answers that are due, and end.
FINISH: Final = Answered(0, 0, None, b"")


class Channel(asyncio.Protocol):
    """One end. `send` never waits; `is_full` says that the other end does not keep up.

    Args:
        kind: What comes.
        take: Called with each.
        lost: Called once the other end is gone.
    """

    def __init__(self, kind: Any, take: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._take, self._lost = take, lost
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=8 << 20)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def send(self, message: msgspec.Struct) -> None:
        """Send; nothing happens where the other end is gone."""
        if self._transport is not None:
            body = self._encoder.encode(message)
            self._transport.write(_SIZE.pack(len(body)) + body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start, view = 0, memoryview(self._buffer)
        try:
            while len(view) - start >= _SIZE.size:
                (size,) = _SIZE.unpack_from(view, start)
                end = start + _SIZE.size + size
                if end > len(view):
                    break
                message = self._decoder.decode(bytes(view[start + _SIZE.size : end]))
                start = end
                self._take(message)
        except msgspec.MsgspecError:
            self.close()
        finally:
            view.release()
            del self._buffer[:start]
