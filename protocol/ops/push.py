"""push: entries, and a verdict on each (specs/mesh.md 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.canonical import Value
from protocol.entries import MAX_ENTRY_BYTES
from protocol.fields import Fields, check_array, check_text, refuse
from protocol.ops.payload import MAX_ENTRIES, encode_payload, open_payload, parse_position, take_blobs

PUSH_VERDICTS: Final = ("ok", "have", "behind", "refused")
"""Stored now; held already; does not fit yet (`position` says how far I am); broken (`code` says how)."""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Entries as wire bytes, each author's in the order of its log."""

    entries: tuple[bytes, ...]

    def encode(self) -> bytes:
        return encode_payload({"entries": list(self.entries)})


@dataclass(frozen=True, slots=True)
class PushVerdict:
    """What became of one pushed entry.

    `position`: (generation, seq) of my head of that author, with `behind`, if any.
    """

    verdict: str
    code: str | None = None
    position: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PushReply:
    """One verdict an entry, in the order pushed."""

    verdicts: tuple[PushVerdict, ...]

    def encode(self) -> bytes:
        return encode_payload(
            {
                "verdicts": [
                    [item.verdict, item.code, None if item.position is None else list(item.position)]
                    for item in self.verdicts
                ]
            }
        )


def parse_push_request(payload: bytes) -> PushRequest:
    return entries_of(open_payload(payload, "push request"))


def entries_of(fields: Fields) -> PushRequest:
    """Entries from their fields, the version taken."""
    request = PushRequest(take_blobs(fields, "entries", MAX_ENTRIES, MAX_ENTRY_BYTES))
    fields.done()
    return request


def parse_push_reply(payload: bytes) -> PushReply:
    fields = open_payload(payload, "push reply")
    reply = PushReply(tuple(_parse_verdict(item) for item in fields.array("verdicts", MAX_ENTRIES)))
    fields.done()
    return reply


def _parse_verdict(value: Value) -> PushVerdict:
    what = "push reply: verdict"
    verdict, code, position = check_array(value, what, 3, 3)
    text = check_text(verdict, what, 16)
    if text not in PUSH_VERDICTS:
        refuse(what, f"'{text}' is none of {', '.join(PUSH_VERDICTS)}")
    return PushVerdict(
        text,
        None if code is None else check_text(code, what, 64),
        None if position is None else parse_position(position, what),
    )
