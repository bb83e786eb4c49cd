"""join: a stranger asks to be admitted; the one op open to the public (specs/mesh.md 6.5, specs/charter.md 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.canonical import Value
from protocol.fields import check_array, check_bytes, refuse
from protocol.join_request import MAX_JOIN_REQUEST_BYTES
from protocol.keys import SIGNATURE_BYTES
from protocol.ops.payload import encode_payload, open_payload, take_blobs
from protocol.requests import MAX_PAYLOAD_BYTES

JOIN_STATES: Final = ("pending", "refused", "admitted")
MAX_DEFINITIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class JoinAsk:
    """A signed join request, from a stranger.

    `approval`: (hash, signature) of the request's governance key over the charter that would admit it.
    """

    join_request: bytes
    approval: tuple[bytes, bytes] | None = None

    def encode(self) -> bytes:
        approval = None if self.approval is None else list(self.approval)
        return encode_payload({"join_request": self.join_request, "approval": approval})


@dataclass(frozen=True, slots=True)
class JoinReply:
    """Where the request stands.

    `charter`: the charter document that admits the node, or, while `pending`, the proposal that would.
    `definitions`: those its catalogue names, as far as they fit.
    """

    state: str
    charter: bytes | None = None
    definitions: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return encode_payload(
            {"state": self.state, "charter": self.charter, "definitions": list(self.definitions) or None}
        )


def parse_join_ask(payload: bytes) -> JoinAsk:
    fields = open_payload(payload, "join")
    ask = JoinAsk(
        fields.blob("join_request", 1, MAX_JOIN_REQUEST_BYTES),
        fields.optional("approval", lambda name: _approval(fields.take(name))),
    )
    fields.done()
    return ask


def parse_join_reply(payload: bytes) -> JoinReply:
    fields = open_payload(payload, "join reply")
    reply = JoinReply(
        fields.text("state", 32),
        fields.optional("charter", lambda name: fields.blob(name, 1, MAX_PAYLOAD_BYTES)),
        fields.optional("definitions", lambda name: take_blobs(fields, name, MAX_DEFINITIONS, 64 << 10)) or (),
    )
    fields.done()
    if reply.state not in JOIN_STATES:
        refuse("join reply", "the state is none of the known ones")
    if (reply.charter is None) == (reply.state == "admitted") and reply.state != "pending":
        refuse("join reply", "the state does not go with the charter")
    return reply


def _approval(value: Value) -> tuple[bytes, bytes]:
    what = "join: approval"
    document, signature = check_array(value, what, 2, 2)
    return check_bytes(document, what, 32, 32), check_bytes(signature, what, SIGNATURE_BYTES, SIGNATURE_BYTES)
