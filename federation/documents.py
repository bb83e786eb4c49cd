"""Documents members fetch by hash or version: charters, proposed ones among them, and definitions of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.charter_book import CharterBook
from federation.council import Council
from federation.definitions import parse_definition_bytes
from privacy.definition import Definition
from privacy.errors import PrivacyError
from protocol.charter_document import CharterDocument
from protocol.errors import ProtocolError
from protocol.ids import CharterHash, DefinitionHash
from protocol.objects import definition_hash
from protocol.ops import CHARTER_DOCUMENT, DEFINITION_DOCUMENT, MAX_DOCUMENTS, DocsReply, DocsRequest, Document
from protocol.requests import MAX_PAYLOAD_BYTES


def read_definition(body: bytes) -> Definition | None:
    """The definition of these bytes; None when this version cannot compute it. The bytes are kept either way."""
    try:
        return parse_definition_bytes(body)
    except (PrivacyError, ProtocolError):
        return None


class Documents:
    """What this node serves: charters it verified, charters proposed, definition bodies by hash."""

    def __init__(self, book: CharterBook, council: Council, definitions: Mapping[DefinitionHash, bytes]):
        self._book = book
        self._council = council
        self._definitions = dict(definitions)

    def keep(self, body: bytes, wanted: Iterable[bytes]) -> DefinitionHash | None:
        """Keep a fetched definition when it is one that was asked for; its hash, else None."""
        found = definition_hash(body)
        if found not in set(wanted) or found in self._definitions:
            return None
        self._definitions[found] = body
        return found

    def definition(self, hash_: DefinitionHash) -> bytes | None:
        """A definition's canonical bytes."""
        return self._definitions.get(hash_)

    def serve(self, request: DocsRequest) -> DocsReply:
        """The documents asked for, as many as fit in one answer."""
        charters: list[CharterDocument] = []
        if request.charters_from is not None:
            charters += self._book.documents(request.charters_from)
        for hash_ in request.hashes:
            known = self._book.known.get(CharterHash(hash_))
            proposed = self._council.find(hash_) if known is None else known.document
            charters += [] if proposed is None or proposed in charters else [proposed]
        found = [Document(CHARTER_DOCUMENT, document.encode()) for document in charters]
        wanted = (self._definitions.get(DefinitionHash(hash_)) for hash_ in request.hashes)
        found += [Document(DEFINITION_DOCUMENT, body) for body in wanted if body is not None]
        fitting, room = [], MAX_PAYLOAD_BYTES - 64
        for document in found[:MAX_DOCUMENTS]:
            room -= len(document.body) + 32
            if room < 0:
                break
            fitting.append(document)
        return DocsReply(tuple(fitting), more=len(fitting) < len(found))
