"""Signing what this node says: requests and responses stamped with its charter and the digest of its heads."""

from __future__ import annotations

from dataclasses import dataclass

from federation.effects import Reply
from federation.logs import Logs
from protocol.ids import NodeId
from protocol.keys import SigningKey
from protocol.ops import Refusal
from protocol.requests import (
    NONCE_BYTES,
    OK,
    REFUSAL,
    ParsedRequest,
    Request,
    Response,
    sign_request,
    sign_response,
)

HTTP_OK = 200  # every signed answer: a proxy may replace the body of an error, and the answer says its own status
HTTP_REFUSED = 403

STRANGER = Reply(HTTP_REFUSED, REFUSAL)
"""What everybody gets who has not proved to be a member: always the same bytes."""


@dataclass(slots=True)
class Envelopes:
    """Makes this node's envelopes.

    Args:
        me: Own node id.
        key: The signing key in force; another one after a rotation.
        logs: Where charter and heads are read at the moment of signing.
    """

    me: NodeId
    key: SigningKey
    logs: Logs

    def request(
        self, to: NodeId, op: str, payload: bytes, nonce: bytes, now_ms: int, challenge: bytes | None = None
    ) -> tuple[Request, bytes]:
        """A signed request and its message bytes."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce is {NONCE_BYTES} bytes")
        rules = self.logs.rules
        stamp = rules.stamp
        request = Request(
            rules.federation, self.me, to, op, now_ms, nonce, challenge, stamp.version, stamp.attempt, stamp.hash,
            self.logs.digest, payload,
        )  # fmt: skip
        return request, sign_request(self.key, request)

    def answer(self, asked: ParsedRequest, payload: bytes, now_ms: int) -> Reply:
        """The answer to a request that was granted."""
        return self._response(asked, OK, payload, now_ms)

    def refusal(self, asked: ParsedRequest, status: str, refusal: Refusal, now_ms: int) -> Reply:
        """The answer to a member's request that was not."""
        return self._response(asked, status, refusal.encode(), now_ms)

    def _response(self, asked: ParsedRequest, status: str, payload: bytes, now_ms: int) -> Reply:
        rules = self.logs.rules
        stamp = rules.stamp
        response = Response(
            rules.federation, self.me, asked.request.sender, asked.hash, now_ms, status, stamp.version, stamp.attempt,
            stamp.hash, self.logs.digest, payload,
        )  # fmt: skip
        return Reply(HTTP_OK, sign_response(self.key, response))
