"""Payloads of the mesh operations, asked and answered (specs/mesh.md 6.5). Pure: bytes to values and back.

Every payload is a canonical map with its version in `v`. Entries, charters and definitions ride as `bin` of their own bytes,
so that one bad item costs its neighbours nothing and each has its own verdict. Sizes and counts are limited here; what an item
means is decided by who receives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.canonical import Encodable, Value
from protocol.entries import MAX_ENTRY_BYTES
from protocol.fields import Fields, check_array, check_bytes, check_integer, check_text, refuse, without_none
from protocol.heads import TAG_BYTES
from protocol.ids import EntryId, NodeId
from protocol.join_request import MAX_JOIN_REQUEST_BYTES
from protocol.key_chain import MAX_CHAIN_LINKS
from protocol.requests import CHALLENGE_BYTES, MAX_PAYLOAD_BYTES

PAYLOAD_VERSION: Final = 1
MAX_ENTRIES: Final = 512  # in one push or one range reply
MAX_AUTHORS: Final = 4096  # in one heads vector
MAX_DOCUMENTS: Final = 256  # in one docs request or reply

CHARTER_DOCUMENT: Final = "charter"
DEFINITION_DOCUMENT: Final = "definition"

PUSH_VERDICTS: Final = ("ok", "have", "behind", "refused")
"""Stored now; held already; does not fit yet (`position` says how far I am); broken (`code` says how)."""


# --- hello -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Who I am, asked and answered alike: protocols spoken, my head, and my key chain.

    `inception`: the signed record. `links`: rotate and recover entries from number `first_link` of `chain_length` on; a chain
    above 64 links comes in several hellos. `head`: (generation, seq, id) of the own log, None before the first entry.
    """

    inception: bytes
    links: tuple[bytes, ...] = ()
    first_link: int = 0
    chain_length: int = 0
    min_protocol: int = 1
    max_protocol: int = 1
    head: tuple[int, int, EntryId] | None = None

    def encode(self) -> bytes:
        return _encode(
            {
                "inception": self.inception,
                "links": list(self.links),
                "first_link": self.first_link,
                "chain_length": self.chain_length,
                "min_protocol": self.min_protocol,
                "max_protocol": self.max_protocol,
                "head": None if self.head is None else list(self.head),
            }
        )


def parse_hello(payload: bytes) -> Hello:
    fields = _open(payload, "hello")
    hello = Hello(
        inception=fields.blob("inception", 1, 1024),
        links=_blobs(fields, "links", MAX_CHAIN_LINKS, MAX_ENTRY_BYTES),
        first_link=fields.integer("first_link"),
        chain_length=fields.integer("chain_length"),
        min_protocol=fields.integer("min_protocol", 1),
        max_protocol=fields.integer("max_protocol", 1),
        head=fields.optional("head", lambda name: _head(fields.take(name), "hello: head")),
    )
    fields.done()
    if hello.max_protocol < hello.min_protocol:
        refuse("hello", "max_protocol is below min_protocol")
    if hello.first_link + len(hello.links) > hello.chain_length:
        refuse("hello", "more links than the chain is long")
    return hello


# --- heads -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadMark:
    """What I hold of one author. `state`: head, frozen, cut; `tag` only for a head: 8 bytes, or the whole id when `full`."""

    state: str
    generation: int
    seq: int
    tag: bytes | None = None


@dataclass(frozen=True, slots=True)
class Heads:
    """A vector, asked and answered alike: authors in order of first appearance in the charter chain, None: nothing held.

    Both sides compute tags with the request's nonce. `full`: tags are whole ids (32 bytes), used when digests differ though
    vectors are equal.
    """

    marks: tuple[HeadMark | None, ...]
    full: bool = False

    def encode(self) -> bytes:
        return _encode({"full": self.full, "marks": [_mark_value(mark) for mark in self.marks]})


def parse_heads(payload: bytes) -> Heads:
    fields = _open(payload, "heads")
    full = fields.boolean("full")
    size = 32 if full else TAG_BYTES
    marks = tuple(_parse_mark(item, size) for item in fields.array("marks", MAX_AUTHORS))
    fields.done()
    return Heads(marks, full)


# --- range -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """Entries of one author from position (generation, seq) on, in order of (generation, seq, id), all branches held.

    `after`: leave out the entries at the first position up to and including this id; so pages never lose a branch.
    """

    author: NodeId
    generation: int
    seq: int
    after: EntryId | None = None
    limit: int = MAX_ENTRIES

    def encode(self) -> bytes:
        return _encode(
            {
                "author": self.author,
                "generation": self.generation,
                "seq": self.seq,
                "after": self.after,
                "limit": self.limit,
            }
        )


@dataclass(frozen=True, slots=True)
class RangeReply:
    """Entries as wire bytes; `more`: ask again from the last one."""

    entries: tuple[bytes, ...]
    more: bool = False

    def encode(self) -> bytes:
        return _encode({"entries": list(self.entries), "more": self.more})


def parse_range_request(payload: bytes) -> RangeRequest:
    fields = _open(payload, "range request")
    request = RangeRequest(
        author=NodeId(fields.bytes_of("author")),
        generation=fields.integer("generation"),
        seq=fields.integer("seq"),
        after=fields.optional("after", lambda name: EntryId(fields.bytes_of(name))),
        limit=fields.integer("limit", 1, MAX_ENTRIES),
    )
    fields.done()
    return request


def parse_range_reply(payload: bytes) -> RangeReply:
    fields = _open(payload, "range reply")
    reply = RangeReply(_blobs(fields, "entries", MAX_ENTRIES, MAX_ENTRY_BYTES), fields.boolean("more"))
    fields.done()
    return reply


# --- push ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Entries as wire bytes, each author's in the order of its log."""

    entries: tuple[bytes, ...]

    def encode(self) -> bytes:
        return _encode({"entries": list(self.entries)})


@dataclass(frozen=True, slots=True)
class PushVerdict:
    """What became of one pushed entry. `position`: (generation, seq) of my head of that author, with `behind`, if any."""

    verdict: str
    code: str | None = None
    position: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PushReply:
    """One verdict an entry, in the order pushed."""

    verdicts: tuple[PushVerdict, ...]

    def encode(self) -> bytes:
        return _encode(
            {
                "verdicts": [
                    [item.verdict, item.code, None if item.position is None else list(item.position)]
                    for item in self.verdicts
                ]
            }
        )


def parse_push_request(payload: bytes) -> PushRequest:
    fields = _open(payload, "push request")
    request = PushRequest(_blobs(fields, "entries", MAX_ENTRIES, MAX_ENTRY_BYTES))
    fields.done()
    return request


def parse_push_reply(payload: bytes) -> PushReply:
    fields = _open(payload, "push reply")
    reply = PushReply(tuple(_parse_verdict(item) for item in fields.array("verdicts", MAX_ENTRIES)))
    fields.done()
    return reply


# --- announce --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Announce:
    """New heads, named instead of sent: (author, generation, seq, id) each. The answer is empty."""

    heads: tuple[tuple[NodeId, int, int, EntryId], ...]

    def encode(self) -> bytes:
        return _encode({"heads": [list(head) for head in self.heads]})


def parse_announce(payload: bytes) -> Announce:
    fields = _open(payload, "announce")
    heads = []
    for item in fields.array("heads", MAX_ENTRIES):
        author, *rest = check_array(item, "announce: head", 4, 4)
        heads.append((NodeId(check_bytes(author, "announce: author", 32, 32)), *_head(list(rest), "announce: head")))
    fields.done()
    return Announce(tuple(heads))


# --- docs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocsRequest:
    """Charters from a version on (None: none), and documents by hash."""

    charters_from: int | None = None
    hashes: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return _encode({"charters_from": self.charters_from, "hashes": list(self.hashes)})


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its own bytes. `kind`: charter, definition; one of another kind is skipped by who does not know it."""

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DocsReply:
    """Charter documents in order of (version, attempt), then the documents asked for by hash; what is not held is left out."""

    documents: tuple[Document, ...]
    more: bool = False

    def encode(self) -> bytes:
        return _encode({"documents": [[item.kind, item.body] for item in self.documents], "more": self.more})


def parse_docs_request(payload: bytes) -> DocsRequest:
    fields = _open(payload, "docs request")
    request = DocsRequest(
        charters_from=fields.optional("charters_from", lambda name: fields.integer(name, 1)),
        hashes=tuple(check_bytes(item, "docs: hash", 32, 32) for item in fields.array("hashes", MAX_DOCUMENTS)),
    )
    fields.done()
    return request


def parse_docs_reply(payload: bytes) -> DocsReply:
    fields = _open(payload, "docs reply")
    documents = []
    for item in fields.array("documents", MAX_DOCUMENTS):
        kind, body = check_array(item, "docs: document", 2, 2)
        documents.append(
            Document(
                check_text(kind, "docs: document kind", 32),
                check_bytes(body, "docs: document", 1, MAX_PAYLOAD_BYTES),
            )
        )
    reply = DocsReply(tuple(documents), fields.boolean("more"))
    fields.done()
    return reply


# --- join ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JoinAsk:
    """A signed join request, from a stranger: the one op open to the public."""

    join_request: bytes

    def encode(self) -> bytes:
        return _encode({"join_request": self.join_request})


@dataclass(frozen=True, slots=True)
class JoinReply:
    """`pending`, `refused`, or `admitted` with the charter document that admits the node."""

    state: str
    charter: bytes | None = None

    def encode(self) -> bytes:
        return _encode({"state": self.state, "charter": self.charter})


JOIN_STATES: Final = ("pending", "refused", "admitted")


def parse_join_ask(payload: bytes) -> JoinAsk:
    fields = _open(payload, "join")
    ask = JoinAsk(fields.blob("join_request", 1, MAX_JOIN_REQUEST_BYTES))
    fields.done()
    return ask


def parse_join_reply(payload: bytes) -> JoinReply:
    fields = _open(payload, "join reply")
    reply = JoinReply(
        fields.text("state", 32), fields.optional("charter", lambda name: fields.blob(name, 1, MAX_PAYLOAD_BYTES))
    )
    fields.done()
    if reply.state not in JOIN_STATES or (reply.charter is None) == (reply.state == "admitted"):
        refuse("join reply", "the state is none of the known ones, or does not go with the charter")
    return reply


# --- refusals --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """The payload of every answer whose status is not `ok`.

    `challenge`: with clock-skew, echo it in the next request. `retry_after_ms`: with busy. `code`: a protocol error's code.
    """

    code: str | None = None
    challenge: bytes | None = None
    retry_after_ms: int | None = None

    def encode(self) -> bytes:
        return _encode({"code": self.code, "challenge": self.challenge, "retry_after_ms": self.retry_after_ms})


def parse_refusal(payload: bytes) -> Refusal:
    fields = _open(payload, "refusal")
    refusal = Refusal(
        code=fields.optional("code", lambda name: fields.text(name, 64)),
        challenge=fields.optional("challenge", lambda name: fields.bytes_of(name, CHALLENGE_BYTES)),
        retry_after_ms=fields.optional("retry_after_ms", fields.integer),
    )
    fields.done()
    return refusal


def entries_that_fit(entries: Sequence[bytes], limit: int = MAX_ENTRIES) -> int:
    """How many of the first entries go into one push or range reply: at most `limit`, and within the payload's size."""
    room = MAX_PAYLOAD_BYTES - 64
    for number, entry in enumerate(entries[:limit]):
        room -= len(entry) + 5
        if room < 0:
            return number
    return min(len(entries), limit)


def _parse_mark(value: Value, tag_bytes: int) -> HeadMark | None:
    what = "heads: mark"
    if value is None:
        return None
    items = check_array(value, what, 3, 4)
    state = check_text(items[0], what, 8)
    if state not in ("head", "frozen", "cut") or len(items) != (4 if state == "head" else 3):
        refuse(what, "neither a head with a tag, nor frozen or cut without one")
    tag = check_bytes(items[3], what, tag_bytes, tag_bytes) if state == "head" else None
    return HeadMark(state, check_integer(items[1], what), check_integer(items[2], what), tag)


def _mark_value(mark: HeadMark | None) -> Encodable:
    if mark is None:
        return None
    tag = [] if mark.tag is None else [mark.tag]
    return [mark.state, mark.generation, mark.seq, *tag]


def _parse_verdict(value: Value) -> PushVerdict:
    what = "push reply: verdict"
    verdict, code, position = check_array(value, what, 3, 3)
    text = check_text(verdict, what, 16)
    if text not in PUSH_VERDICTS:
        refuse(what, f"'{text}' is none of {', '.join(PUSH_VERDICTS)}")
    pair = None if position is None else check_array(position, what, 2, 2)
    return PushVerdict(
        text,
        None if code is None else check_text(code, what, 64),
        None if pair is None else (check_integer(pair[0], what), check_integer(pair[1], what)),
    )


def _head(value: Value, what: str) -> tuple[int, int, EntryId]:
    generation, seq, entry = check_array(value, what, 3, 3)
    return check_integer(generation, what), check_integer(seq, what), EntryId(check_bytes(entry, what, 32, 32))


def _blobs(fields: Fields, name: str, count: int, size: int) -> tuple[bytes, ...]:
    return tuple(check_bytes(item, f"{fields.what}: {name}", 1, size) for item in fields.array(name, count))


def _open(payload: bytes, what: str) -> Fields:
    fields = Fields(canonical.decode(payload, max_bytes=MAX_PAYLOAD_BYTES), what)
    fields.version(PAYLOAD_VERSION)
    return fields


def _encode(fields: dict[str, Encodable]) -> bytes:
    return canonical.encode(without_none({"v": PAYLOAD_VERSION, **fields}))
