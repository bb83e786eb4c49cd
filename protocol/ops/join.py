"""join: a stranger asks to be admitted; the one op open to the public (specs/charter.md 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.fields import refuse
from protocol.join_request import MAX_JOIN_REQUEST_BYTES
from protocol.ops.payload import encode_payload, open_payload
from protocol.requests import MAX_PAYLOAD_BYTES

JOIN_STATES: Final = ("pending", "refused", "admitted")


@dataclass(frozen=True, slots=True)
class JoinAsk:
    """A signed join request, from a stranger: the one op open to the public."""

    join_request: bytes

    def encode(self) -> bytes:
        return encode_payload({"join_request": self.join_request})


@dataclass(frozen=True, slots=True)
class JoinReply:
    """`pending`, `refused`, or `admitted` with the charter document that admits the node."""

    state: str
    charter: bytes | None = None

    def encode(self) -> bytes:
        return encode_payload({"state": self.state, "charter": self.charter})


def parse_join_ask(payload: bytes) -> JoinAsk:
    fields = open_payload(payload, "join")
    ask = JoinAsk(fields.blob("join_request", 1, MAX_JOIN_REQUEST_BYTES))
    fields.done()
    return ask


def parse_join_reply(payload: bytes) -> JoinReply:
    fields = open_payload(payload, "join reply")
    reply = JoinReply(
        fields.text("state", 32), fields.optional("charter", lambda name: fields.blob(name, 1, MAX_PAYLOAD_BYTES))
    )
    fields.done()
    if reply.state not in JOIN_STATES or (reply.charter is None) == (reply.state == "admitted"):
        refuse("join reply", "the state is none of the known ones, or does not go with the charter")
    return reply
