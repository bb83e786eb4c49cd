"""Who this node is in its federation: its identity, the accepted charter, the founders' records, the definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.documents import read_definition
from node.errors import ConfigError
from privacy.definition import Definition
from protocol.bundle import MAX_BUNDLE_BYTES, parse_bundle, verify_bundle
from protocol.charter import Charter, Member
from protocol.charter_document import CharterDocument
from protocol.identity import parse_inception
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey

BUNDLE_FILE = "charter.bundle"


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in a federation, verified."""

    node: NodeId
    signing_key: SigningKey
    inception: bytes
    federation: FederationId
    document: CharterDocument
    charter: Charter
    member: Member
    inceptions: Mapping[NodeId, bytes]
    definition_bodies: Mapping[DefinitionHash, bytes]
    definitions: Mapping[DefinitionHash, Definition]

    @property
    def authors(self) -> tuple[NodeId, ...]:
        """Every member, in charter order."""
        return tuple(member.node for member in self.charter.members)


def load_membership(data: Path, signing_key: SigningKey) -> Membership:
    """Read identity and charter from the data folder and verify both whole.

    Whether `signing_key` is the one in force is seen once the log is known (node/signing_keys.py).

    Raises:
        ConfigError: a file is missing, or the charter is not this node's.
        ProtocolError: a file was changed; the message names the part.
    """
    inception = _read(data / "inception", "inception record", 'Make a node with "murmur init"')
    record = parse_inception(inception)
    bundle_path = data / "charter" / BUNDLE_FILE
    bundle = parse_bundle(_read(bundle_path, "charter", 'Accept one with "murmur charter accept FILE"'))
    charter, federation = verify_bundle(bundle)
    member = charter.member(record.node_id)
    if member is None:
        raise ConfigError(
            code="not_a_member",
            what="The node cannot start",
            why="the charter in its data folder does not name it",
            fix="Ask the federation for a charter that admits this node, and accept that",
        )
    bodies = bundle.definitions_by_hash()
    definitions = {digest: read_definition(body) for digest, body in bodies.items()}
    return Membership(
        node=record.node_id,
        signing_key=signing_key,
        inception=inception,
        federation=federation,
        document=bundle.document,
        charter=charter,
        member=member,
        inceptions={node: request.inception for node, request in bundle.requests_by_node().items()},
        definition_bodies=bodies,
        definitions={digest: known for digest, known in definitions.items() if known is not None},
    )


def _read(path: Path, what: str, fix: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            code=f"{what.split(' ', 1)[0]}_missing",
            what=f"The node has no {what} it can read",
            why=f"{path}: {error.strerror or type(error).__name__}",
            fix=fix,
        ) from error
    return content
