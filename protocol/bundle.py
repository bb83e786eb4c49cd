"""The founding bundle: one file that people pass round to found a federation (specs/charter.md 5).

It holds the charter with the approvals so far, every member's join request (so its inception record and root
key) and every definition the catalogue names. `murmur federation create` writes it, `charter sign` adds an
approval, `charter accept` checks it whole and installs it; a node that read it needs nothing else to judge the
members' logs.

Wire form `[1, "bundle", charter document, [join request, …], [definition, …]]`, each part as its own bytes;
join requests in ascending order of node id, definitions of hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from protocol import canonical
from protocol.charter import Charter, parse_charter
from protocol.charter_document import (
    MAX_DOCUMENT_BYTES,
    CharterDocument,
    parse_charter_document,
    sign_charter,
    verify_founding,
)
from protocol.errors import BadSignature, MalformedMessage
from protocol.fields import check_array, check_ascending, check_bytes, refuse
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.join_request import MAX_JOIN_REQUEST_BYTES, JoinRequest, parse_join_request
from protocol.keys import SigningKey
from protocol.objects import BUNDLE, WIRE_MAJOR, check_wire_major, definition_hash

MAX_DEFINITION_BYTES: Final = 64 << 10
MAX_BUNDLE_BYTES: Final = 16 << 20  # a file from a known person, not a message; still bounded
MAX_BUNDLE_MEMBERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Bundle:
    """A founding charter with all that it names, each part as bytes. `parse_bundle` has checked that they agree."""

    document: CharterDocument
    join_requests: tuple[bytes, ...]
    definitions: tuple[bytes, ...]

    @property
    def charter(self) -> Charter:
        return parse_charter(self.document.body)

    def requests_by_node(self) -> dict[NodeId, JoinRequest]:
        """Each member's request, verified."""
        return {request.record.node_id: request for request in map(parse_join_request, self.join_requests)}

    def definitions_by_hash(self) -> dict[DefinitionHash, bytes]:
        """Each definition's canonical bytes by its hash."""
        return {definition_hash(body): body for body in self.definitions}

    def sign(self, key: SigningKey) -> Bundle:
        """The bundle with this governance key's approval.

        Raises:
            BadSignature: the key belongs to no organisation of the charter.
        """
        if all(organisation.governance_key != key.public_key for organisation in self.charter.organisations):
            raise BadSignature(
                what="charter not signed",
                why="this governance key belongs to no organisation in it",
                fix="Use the key whose request is in the file, as 'murmur charter show' lists it",
            )
        signature = sign_charter(key, self.document.body)
        return replace(self, document=self.document.with_approval(key.public_key, signature))

    def encode(self) -> bytes:
        return canonical.encode(
            [WIRE_MAJOR, BUNDLE, self.document.encode(), list(self.join_requests), list(self.definitions)]
        )


def create_bundle(charter: Charter, join_requests: Iterable[bytes], definitions: Iterable[bytes]) -> Bundle:
    """An unsigned bundle; parts are put in order here.

    Raises:
        ProtocolError: whatever `parse_bundle` would refuse in the result.
    """
    requests = {parse_join_request(data).record.node_id: data for data in join_requests}
    bodies = {definition_hash(body): body for body in definitions}
    bundle = Bundle(
        CharterDocument(charter.encode()),
        tuple(requests[node] for node in sorted(requests)),
        tuple(bodies[digest] for digest in sorted(bodies)),
    )
    return parse_bundle(bundle.encode())


def parse_bundle(data: bytes) -> Bundle:
    """A bundle whose parts agree: one request a member that says what the charter says, one definition a hash,
    none more.

    Approvals may be missing still; `verify_bundle` asks for them.

    Raises:
        ProtocolError: a part is refused by its own parser, or two parts disagree; the message names them.
    """
    what = "founding bundle"
    items = check_array(canonical.decode(data, max_bytes=MAX_BUNDLE_BYTES), what, 5, 5)
    check_wire_major(items[0], what)
    if items[1] != BUNDLE:
        refuse(what, "the bytes are another type of object")
    document = parse_charter_document(check_bytes(items[2], f"{what}: charter", 1, MAX_DOCUMENT_BYTES))
    requests = tuple(
        check_bytes(item, f"{what}: join request", 1, MAX_JOIN_REQUEST_BYTES)
        for item in check_array(items[3], f"{what}: join requests", 1, MAX_BUNDLE_MEMBERS)
    )
    definitions = tuple(
        check_bytes(item, f"{what}: definition", 1, MAX_DEFINITION_BYTES)
        for item in check_array(items[4], f"{what}: definitions", 0, MAX_BUNDLE_MEMBERS)
    )
    bundle = Bundle(document, requests, definitions)
    charter = parse_charter(document.body)
    _check_definitions(charter, definitions)
    _check_requests(charter, requests)
    return bundle


def verify_bundle(bundle: Bundle) -> tuple[Charter, FederationId]:
    """The founding charter and federation id, when every organisation has signed.

    Raises:
        as `charter_document.verify_founding`.
    """
    return verify_founding(bundle.document)


def _check_definitions(charter: Charter, definitions: tuple[bytes, ...]) -> None:
    hashes = [definition_hash(body) for body in definitions]
    check_ascending(hashes, "founding bundle: definitions", lambda item: item)
    named = {row.definition: row.name for row in charter.catalogue}
    missing = sorted(name for digest, name in named.items() if digest not in set(hashes))
    if missing:
        refuse("founding bundle", f"the definition of {', '.join(missing)} is missing or was changed")
    if len(hashes) != len(named):
        refuse("founding bundle", "a definition is in no catalogue row")
    for body in definitions:
        canonical.decode(body)


def _check_requests(charter: Charter, data: tuple[bytes, ...]) -> None:
    requests = [parse_join_request(item) for item in data]
    records = [request.record for request in requests]
    if [record.node_id for record in records] != [member.node for member in charter.members]:
        refuse("founding bundle", "the join requests are not one for each member in the charter's order")
    governance_keys = {item.id: item.governance_key for item in charter.organisations}
    for member, request, record in zip(charter.members, requests, records, strict=True):
        said = (record.organisation, request.name, request.governance_key)
        if said != (member.organisation, member.name, governance_keys[member.organisation]):
            raise MalformedMessage(
                what="founding bundle refused",
                why=f"the charter and the request of {member.name} name another organisation, name or governance key",
                fix="Run 'murmur federation create' again with the request files",
            )
