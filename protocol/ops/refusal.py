"""The payload of every answer whose status is not `ok` (specs/mesh.md 6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ops.payload import encode_payload, open_payload
from protocol.requests import CHALLENGE_BYTES


@dataclass(frozen=True, slots=True)
class Refusal:
    """The payload of every answer whose status is not `ok`.

    `challenge`: with clock-skew, echo it in the next request. `retry_after_ms`: with busy. `code`: a protocol
    error's code.
    """

    code: str | None = None
    challenge: bytes | None = None
    retry_after_ms: int | None = None

    def encode(self) -> bytes:
        return encode_payload({"code": self.code, "challenge": self.challenge, "retry_after_ms": self.retry_after_ms})


def parse_refusal(payload: bytes) -> Refusal:
    fields = open_payload(payload, "refusal")
    refusal = Refusal(
        code=fields.optional("code", lambda name: fields.text(name, 64)),
        challenge=fields.optional("challenge", lambda name: fields.bytes_of(name, CHALLENGE_BYTES)),
        retry_after_ms=fields.optional("retry_after_ms", fields.integer),
    )
    fields.done()
    return refusal
