"""A join request: what a node asks to be admitted with (specs/charter.md 4).

It carries the node's inception record whole, so whoever reads the file learns the node id and every key. It is
signed by the node's signing key with federation all zeros, before there is a federation to name. The governance
key it names proves itself when it signs the charter that adds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import canonical
from protocol.charter import MAX_HUMAN_NAME_BYTES
from protocol.endpoints import Endpoint, parse_endpoint
from protocol.fields import Fields, human_value, refuse, without_none
from protocol.identity import MAX_INCEPTION_BYTES, Inception, parse_inception
from protocol.ids import ZERO_FEDERATION, NodeId
from protocol.keys import SigningKey, check_public_key
from protocol.objects import JOIN_REQUEST, SignedObject, parse_object, sign_object, verify_object

REQUEST_VERSION: Final = 1
MAX_JOIN_REQUEST_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Everything the charter will say of a new member, except the date it counts from.

    `inception`: the signed record's wire bytes. `name` and `organisation_name`: of the node (compared), of the
    organisation (for people). `endpoint`: None for a node that is never called. `population`: declared number
    of people.
    """

    inception: bytes
    name: str
    organisation_name: str
    governance_key: bytes
    endpoint: Endpoint | None = None
    population: int | None = None
    population_group: str | None = None

    @property
    def record(self) -> Inception:
        """The inception record, verified anew (two signatures)."""
        return parse_inception(self.inception)

    @property
    def body(self) -> bytes:
        return canonical.encode(
            without_none(
                {
                    "v": REQUEST_VERSION,
                    "inception": self.inception,
                    "name": self.name,
                    "organisation_name": human_value(self.organisation_name),
                    "governance_key": self.governance_key,
                    "endpoint": None if self.endpoint is None else self.endpoint.value(),
                    "population": self.population,
                    "population_group": self.population_group,
                }
            )
        )


def create_join_request(signing: SigningKey, request: JoinRequest) -> SignedObject:
    """The request signed by the node's signing key; `.encode()` is the file's content.

    Raises:
        ProtocolError: whatever `parse_join_request` would refuse in the result.
    """
    node: NodeId = request.record.node_id
    signed = sign_object(JOIN_REQUEST, ZERO_FEDERATION, node, request.body, (signing,))
    parse_join_request(signed)
    return signed


def parse_join_request(signed: SignedObject | bytes) -> JoinRequest:
    """The request, its inception record and its signature verified.

    Raises:
        MalformedMessage: wrong form. UnknownVersion: another version. BadKey, BadSignature: as named.
    """
    if isinstance(signed, bytes):
        signed = parse_object(signed, JOIN_REQUEST, max_bytes=MAX_JOIN_REQUEST_BYTES)
    fields = Fields(canonical.decode(signed.body, max_bytes=MAX_JOIN_REQUEST_BYTES), "join request")
    fields.version(REQUEST_VERSION)
    request = JoinRequest(
        inception=fields.blob("inception", 1, MAX_INCEPTION_BYTES),
        name=fields.name("name"),
        organisation_name=fields.human("organisation_name", MAX_HUMAN_NAME_BYTES),
        governance_key=check_public_key(fields.bytes_of("governance_key")),
        endpoint=fields.optional("endpoint", lambda name: parse_endpoint(fields.take(name))),
        population=fields.optional("population", lambda name: fields.integer(name, 1)),
        population_group=fields.optional("population_group", fields.name),
    )
    fields.done()
    record = request.record
    verify_object(signed, ZERO_FEDERATION, record.node_id, (record.signing_key,))
    if request.governance_key in (record.root_key, record.signing_key):
        refuse("join request", "the governance key is one of the node's own keys")
    return request
