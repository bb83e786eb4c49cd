"""Documents members fetch by hash or version: the charter chain, and the definitions of its catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.definitions import parse_definition_bytes
from privacy.definition import Definition
from privacy.errors import PrivacyError
from protocol.charter_document import CharterDocument
from protocol.errors import ProtocolError
from protocol.ids import DefinitionHash
from protocol.objects import definition_hash
from protocol.ops import CHARTER_DOCUMENT, DEFINITION_DOCUMENT, DocsReply, DocsRequest, Document
from protocol.requests import MAX_PAYLOAD_BYTES


def read_definition(body: bytes) -> Definition | None:
    """The definition of these bytes; None when this version cannot compute it. The bytes are kept either way."""
    try:
        return parse_definition_bytes(body)
    except (PrivacyError, ProtocolError):
        return None


class Documents:
    """What this node serves and knows: trusted charters by version, definition bodies by hash."""

    def __init__(self, charters: Iterable[tuple[int, CharterDocument]], definitions: Mapping[DefinitionHash, bytes]):
        self._charters = [(version, document.encode()) for version, document in charters]
        self._definitions = dict(definitions)

    def keep(self, body: bytes, wanted: Iterable[DefinitionHash]) -> DefinitionHash | None:
        """Keep a fetched definition when it is one that was asked for; its hash, else None."""
        found = definition_hash(body)
        if found not in set(wanted) or found in self._definitions:
            return None
        self._definitions[found] = body
        return found

    def serve(self, request: DocsRequest) -> DocsReply:
        """The documents asked for, as many as fit in one answer."""
        found = []
        if request.charters_from is not None:
            found += [
                Document(CHARTER_DOCUMENT, body) for version, body in self._charters if version >= request.charters_from
            ]
        wanted = (self._definitions.get(DefinitionHash(hash_)) for hash_ in request.hashes)
        found += [Document(DEFINITION_DOCUMENT, body) for body in wanted if body is not None]
        fitting, room = [], MAX_PAYLOAD_BYTES - 64
        for document in found:
            room -= len(document.body) + 32
            if room < 0:
                break
            fitting.append(document)
        return DocsReply(tuple(fitting), more=len(fitting) < len(found))
