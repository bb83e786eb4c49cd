"""docs: charters from a version on, and documents by hash (specs/mesh.md 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.fields import check_array, check_bytes, check_text
from protocol.ops.payload import encode_payload, open_payload
from protocol.requests import MAX_PAYLOAD_BYTES

MAX_DOCUMENTS: Final = 256  # in one request or reply

CHARTER_DOCUMENT: Final = "charter"
DEFINITION_DOCUMENT: Final = "definition"


@dataclass(frozen=True, slots=True)
class DocsRequest:
    """Charters from a version on (None: none), and documents by hash."""

    charters_from: int | None = None
    hashes: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return encode_payload({"charters_from": self.charters_from, "hashes": list(self.hashes)})


@dataclass(frozen=True, slots=True)
class Document:
    """A document as its own bytes.

    `kind`: charter, definition; one of another kind is skipped by who does not know it.
    """

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DocsReply:
    """Charter documents in order of (version, attempt), then the documents asked for by hash.

    What is not held is left out.
    """

    documents: tuple[Document, ...]
    more: bool = False

    def encode(self) -> bytes:
        return encode_payload({"documents": [[item.kind, item.body] for item in self.documents], "more": self.more})


def parse_docs_request(payload: bytes) -> DocsRequest:
    fields = open_payload(payload, "docs request")
    request = DocsRequest(
        charters_from=fields.optional("charters_from", lambda name: fields.integer(name, 1)),
        hashes=tuple(check_bytes(item, "docs: hash", 32, 32) for item in fields.array("hashes", MAX_DOCUMENTS)),
    )
    fields.done()
    return request


def parse_docs_reply(payload: bytes) -> DocsReply:
    fields = open_payload(payload, "docs reply")
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
