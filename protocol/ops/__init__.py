"""Payloads of the mesh operations, asked and answered (specs/mesh.md 6.5). Pure: bytes to values and back.

Every payload is a canonical map with its version in `v`. Entries, charters and definitions ride as `bin` of
their own bytes, so that one bad item costs its neighbours nothing and each has its own verdict. Sizes and
counts are limited here; what an item means is decided by who receives it.
"""

from protocol.ops.announce import Announce, parse_announce
from protocol.ops.docs import (
    CHARTER_DOCUMENT,
    DEFINITION_DOCUMENT,
    MAX_DOCUMENTS,
    DocsReply,
    DocsRequest,
    Document,
    parse_docs_reply,
    parse_docs_request,
)
from protocol.ops.evidence import MAX_EVIDENCE, MAX_EVIDENCE_BYTES, EvidencePush, parse_push
from protocol.ops.heads import MAX_AUTHORS, HeadMark, Heads, parse_heads
from protocol.ops.hello import Hello, parse_hello
from protocol.ops.join import JOIN_STATES, JoinAsk, JoinReply, parse_join_ask, parse_join_reply
from protocol.ops.payload import MAX_ENTRIES, PAYLOAD_VERSION, entries_that_fit
from protocol.ops.push import PUSH_VERDICTS, PushReply, PushRequest, PushVerdict, parse_push_reply, parse_push_request
from protocol.ops.range import RangeReply, RangeRequest, parse_range_reply, parse_range_request
from protocol.ops.refusal import Refusal, parse_refusal
from protocol.ops.spans import (
    MAX_SPANS,
    SHORT,
    SPLIT,
    Span,
    SpansReply,
    SpansRequest,
    Stretch,
    parse_heads_request,
    parse_spans_reply,
)

__all__ = [
    "Announce",
    "CHARTER_DOCUMENT",
    "DEFINITION_DOCUMENT",
    "DocsReply",
    "DocsRequest",
    "Document",
    "HeadMark",
    "EvidencePush",
    "Heads",
    "Hello",
    "JOIN_STATES",
    "JoinAsk",
    "JoinReply",
    "MAX_AUTHORS",
    "MAX_DOCUMENTS",
    "MAX_ENTRIES",
    "MAX_EVIDENCE",
    "MAX_EVIDENCE_BYTES",
    "MAX_SPANS",
    "PAYLOAD_VERSION",
    "PUSH_VERDICTS",
    "PushReply",
    "PushRequest",
    "PushVerdict",
    "RangeReply",
    "RangeRequest",
    "Refusal",
    "SHORT",
    "SPLIT",
    "Span",
    "SpansReply",
    "SpansRequest",
    "Stretch",
    "entries_that_fit",
    "parse_announce",
    "parse_docs_reply",
    "parse_docs_request",
    "parse_heads",
    "parse_heads_request",
    "parse_hello",
    "parse_join_ask",
    "parse_join_reply",
    "parse_push",
    "parse_push_reply",
    "parse_push_request",
    "parse_range_reply",
    "parse_range_request",
    "parse_refusal",
    "parse_spans_reply",
]
