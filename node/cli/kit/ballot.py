"""A ballot file: a proposed charter with everything that is needed to read and sign it on a machine without a network.

`[1, "ballot", [charter document, …], charter document, [definition, …]]`: the charters so far, the proposal with its
approvals, and the definitions either names. Each part proves itself; the file as a whole is not signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from node.cli.kit import exits
from node.cli.kit.failures import CommandRefused
from node.cli.kit.files import read_bounded
from protocol import canonical
from protocol.charter import Charter, parse_charter
from protocol.charter_chain import TrustedCharter, check_signatures, check_succession, verify_charters
from protocol.charter_document import CharterDocument, parse_charter_document, sign_charter
from protocol.errors import ProtocolError
from protocol.fields import check_array, check_bytes, refuse
from protocol.ids import FederationId
from protocol.keys import SigningKey
from protocol.objects import definition_hash

KIND: Final = "ballot"
MAX_BALLOT_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Ballot:
    """A proposal and what it stands on; `parse_ballot` has verified all of it."""

    federation: FederationId
    charters: tuple[TrustedCharter, ...]
    document: CharterDocument
    definitions: tuple[bytes, ...]

    @property
    def charter(self) -> Charter:
        return parse_charter(self.document.body)

    @property
    def bodies(self) -> Mapping[bytes, bytes]:
        """Definition bodies by hash."""
        return {definition_hash(body): body for body in self.definitions}

    def parents(self) -> list[Charter]:
        """The charters of the chain that the proposal follows."""
        return [item.charter for item in self.charters if item.hash in self.charter.previous]

    def sign(self, key: SigningKey) -> Ballot:
        """With this governance key's approval.

        Raises:
            CommandRefused: the key has no voice before the proposal or in it.
        """
        voters = [*self.parents(), self.charter]
        if all(key.public_key != item.governance_key for one in voters for item in one.organisations):
            raise CommandRefused(
                exits.REFUSED, code="no_voice", what="Nothing was signed",
                why="this governance key belongs to no organisation, before this charter or in it",
                fix="Use the key whose request or charter names it",
            )  # fmt: skip
        signature = sign_charter(key, self.document.body, self.federation)
        return replace(self, document=self.document.with_approval(key.public_key, signature))

    def encode(self) -> bytes:
        chain = [item.document.encode() for item in self.charters]
        return canonical.encode([1, KIND, list(chain), self.document.encode(), list(self.definitions)])


def make_ballot(chain: Sequence[bytes], document: CharterDocument, definitions: Sequence[bytes]) -> Ballot:
    """A ballot of verified parts; charters as documents' bytes.

    Raises:
        ProtocolError: a part is not good.
    """
    federation, charters = verify_charters([parse_charter_document(one) for one in chain])
    ballot = Ballot(federation, tuple(charters), document, tuple(definitions))
    check_succession(ballot.charter, ballot.parents())
    if len(ballot.parents()) != len(ballot.charter.previous):
        refuse("ballot", "the proposal follows a charter that is not in it")
    check_signatures(document, [*ballot.parents(), ballot.charter], ballot.federation)
    return ballot


def is_ballot(raw: bytes) -> bool:
    """Whether the bytes begin like a ballot."""
    return raw[1:9] == b"\x01\xa6ballot"


def parse_ballot(raw: bytes) -> Ballot:
    """A ballot from a file's bytes, verified.

    Raises:
        ProtocolError: it is none, or a part is not good.
    """
    items = check_array(canonical.decode(raw, max_bytes=MAX_BALLOT_BYTES), KIND, 5, 5)
    if items[:2] != [1, KIND]:
        refuse(KIND, "the bytes are another type of object")
    chain = [check_bytes(one, KIND, 1, MAX_BALLOT_BYTES) for one in check_array(items[2], KIND, 1, 1000)]
    definitions = [check_bytes(one, KIND, 1, 64 << 10) for one in check_array(items[4], KIND, 0, 2000)]
    return make_ballot(chain, parse_charter_document(check_bytes(items[3], KIND, 1, MAX_BALLOT_BYTES)), definitions)


def load_ballot(file: Path) -> Ballot:
    """A ballot from its file.

    Raises:
        CommandRefused: it cannot be read, or is no good ballot (exit 6).
    """
    raw = read_bounded(file, MAX_BALLOT_BYTES, noun="ballot")
    try:
        return parse_ballot(raw)
    except ProtocolError as error:
        raise CommandRefused(
            exits.VERIFICATION, code=error.code, what=f"{file} is no good ballot", why=error.why, fix=error.fix
        ) from error
