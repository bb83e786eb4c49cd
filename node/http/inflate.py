"""Bodies sent with `Content-Encoding: gzip`, never larger in memory than a body may be."""

from __future__ import annotations

import zlib

from node.errors import RejectedInput

_WINDOW = 31  # gzip with the largest window


class BadEncoding(RejectedInput):
    """The body is no whole gzip stream, or grows beyond what a body may be."""

    def __init__(self, *, status: int, code: str, why: str, fix: str) -> None:
        super().__init__(what="The request is refused", why=why, fix=fix, code=code)
        self.status = status


def inflate(body: bytes, max_bytes: int) -> bytes:
    """The bytes of one gzip stream.

    Raises:
        BadEncoding: not whole, something behind it, or more than `max_bytes` inside.
    """
    inflater = zlib.decompressobj(_WINDOW)
    try:
        found = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        raise _bad() from None
    if len(found) > max_bytes:
        raise BadEncoding(
            status=413,
            code="body_too_large",
            why=f"it unpacks to more than {max_bytes} bytes",
            fix="Send smaller batches; 25 to 100 events a request is best",
        )
    if not inflater.eof or inflater.unused_data:
        raise _bad()
    return found


def _bad() -> BadEncoding:
    return BadEncoding(
        status=400,
        code="bad_encoding",
        why="its body is not one whole gzip stream",
        fix="Compress the body with gzip once, or send it as it is",
    )
