"""Who this node is in its federation: its identity, the accepted charter, the founders' records, the definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from federation.documents import read_definition
from node.charter_chain_file import CHAIN_FILE, MAX_CHAIN_BYTES, parse_chain
from node.errors import ConfigError
from privacy.definition import Definition
from protocol.bundle import parse_bundle, verify_bundle
from protocol.charter import Charter, Member
from protocol.charter_chain import CharterChain
from protocol.charter_document import CharterDocument
from protocol.identity import parse_inception
from protocol.ids import DefinitionHash, FederationId, NodeId
from protocol.keys import SigningKey
from protocol.objects import definition_hash

BUNDLE_FILE = "charter.bundle"


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in a federation, verified.

    Args:
        document: The founding charter.
        charter: The charter that names this node: the founding one, or the one that admitted it.
        inceptions: Birth records known: of the founders, or only the own one.
        later: Charters after the founding one that came with the admission.
    """

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
    later: tuple[CharterDocument, ...] = ()

    def under(self, chain: CharterChain, bodies: Mapping[DefinitionHash, bytes]) -> Membership:
        """This node's place under a later charter of its federation, with the definitions known by now."""
        member = chain.member(self.node)
        if member is None:
            raise ValueError("no charter of a chain leaves a member out")
        known = {digest: read_definition(body) for digest, body in bodies.items()}
        return replace(
            self,
            document=chain.tip.document,
            charter=chain.charter,
            member=member,
            definition_bodies=bodies,
            definitions={digest: found for digest, found in known.items() if found is not None},
        )


def load_membership(data: Path, signing_key: SigningKey) -> Membership:
    """Read identity and charter from the data folder and verify both whole.

    Whether `signing_key` is the one in force is seen once the log is known (node/signing_keys.py).

    Raises:
        ConfigError: a file is missing, or the charter is not this node's.
        ProtocolError: a file was changed; the message names the part.
    """
    inception = _read(data / "inception", "inception record", 'Make a node with "murmur init"')
    record = parse_inception(inception)
    chain_path = data / "charter" / CHAIN_FILE
    if chain_path.exists():
        return _admitted(chain_path, inception, record.node_id, signing_key)
    bundle_path = data / "charter" / BUNDLE_FILE
    bundle = parse_bundle(_read(bundle_path, "charter", 'Accept one with "murmur charter accept FILE"'))
    charter, federation = verify_bundle(bundle)
    member = charter.member(record.node_id)
    if member is None:
        raise _not_a_member()
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


def _admitted(path: Path, inception: bytes, node: NodeId, signing_key: SigningKey) -> Membership:
    """The place of a node that a later charter admitted, from the chain it was given (node/joining.py)."""
    chain, definitions = parse_chain(_read(path, "charter", 'Join again with "murmur federation join"'))
    member = chain.member(node)
    if member is None:
        raise _not_a_member()
    bodies = {definition_hash(body): body for body in definitions}
    known = {digest: read_definition(body) for digest, body in bodies.items()}
    return Membership(
        node=node,
        signing_key=signing_key,
        inception=inception,
        federation=chain.federation,
        document=chain.items[0].document,
        charter=chain.charter,
        member=member,
        inceptions={node: inception},
        definition_bodies=bodies,
        definitions={digest: found for digest, found in known.items() if found is not None},
        later=tuple(item.document for item in chain.items[1:]),
    )


def _not_a_member() -> ConfigError:
    return ConfigError(
        code="not_a_member",
        what="The node cannot start",
        why="the charter in its data folder does not name it",
        fix="Ask the federation for a charter that admits this node, and accept that",
    )


def _read(path: Path, what: str, fix: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CHAIN_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            code=f"{what.split(' ', 1)[0]}_missing",
            what=f"The node has no {what} it can read",
            why=f"{path}: {error.strerror or type(error).__name__}",
            fix=fix,
        ) from error
    return content
