"""What a running node says of its charters, read once and verified by the command line itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.cli.kit import exits
from node.cli.kit.ballot import Ballot, make_ballot
from node.cli.kit.choice import client_of
from node.cli.kit.failures import CommandRefused
from protocol.charter import Charter, Organisation, parse_charter
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.ids import CharterHash


@dataclass(frozen=True, slots=True)
class Asked:
    """The node's state and its chain of charters, as bytes."""

    data: Path
    state: dict[str, Any]
    chain: list[bytes]

    @property
    def trusted(self) -> CharterDocument:
        return parse_charter_document(bytes.fromhex(self.state["trusted"]["document"]))

    @property
    def charter(self) -> Charter:
        return parse_charter(self.trusted.body)

    @property
    def definitions(self) -> dict[bytes, bytes]:
        """Definition bodies by hash."""
        return {bytes.fromhex(hash_): bytes.fromhex(body) for hash_, body in self.state["definitions"].items()}

    def organisations(self) -> dict[str, Organisation]:
        """Every organisation that ever voted, as the last charter that listed it says."""
        charters = (parse_charter(parse_charter_document(raw).body) for raw in self.chain)
        return {one.id: one for charter in charters for one in charter.organisations}

    def rivals(self) -> list[tuple[CharterHash, Charter, bytes]]:
        """Charters with a quorum for the vote that made the trusted one."""
        documents = [bytes.fromhex(one["document"]) for one in self.state["rivals"]]
        parsed = [(parse_charter_document(raw), raw) for raw in documents]
        return [(document.hash, parse_charter(document.body), raw) for document, raw in parsed]

    def ballot(self, wanted: str | None) -> Ballot:
        """The proposal meant: by the beginning of its fingerprint, or the only one there is.

        Raises:
            CommandRefused: there is none, or several and none was named.
        """
        proposals = self.state["proposals"]
        named = [one for one in proposals if wanted is None or one["hash"].startswith(wanted.replace(" ", "").lower())]
        if len(named) != 1:
            several = ", ".join(one["hash"][:16] for one in proposals) or "none"
            raise CommandRefused(
                exits.NOT_FOUND, code="which_proposal", what="No one proposal is meant",
                why=f"open proposals: {several}", fix="Name one by the beginning of its hash, or propose one",
            )  # fmt: skip
        return self.ballot_of(parse_charter_document(bytes.fromhex(named[0]["document"])))

    def ballot_of(self, document: CharterDocument) -> Ballot:
        """A ballot for a charter on top of what this node trusts."""
        charters = sorted([*self.chain, *(raw for *_, raw in self.rivals())], key=_place)
        rows = parse_charter(document.body).catalogue
        bodies = self.definitions
        found = [bodies[row.definition] for row in rows if row.definition in bodies]
        needed = set(parse_charter(document.body).previous)
        if needed <= {parse_charter_document(raw).hash for raw in self.chain}:
            charters = self.chain
        return make_ballot(charters, document, list(dict.fromkeys(found)))

    def post(self, document: CharterDocument, definitions: list[bytes]) -> dict[str, Any]:
        """Give the node a charter: proposed, or approved by more."""
        body = {"document": document.encode().hex(), "definitions": [one.hex() for one in definitions]}
        found: dict[str, Any] = client_of(self.data).post("/v1/admin/charter", body)
        return found


def _place(raw: bytes) -> tuple[int, int, bytes]:
    document = parse_charter_document(raw)
    charter = parse_charter(document.body)
    return charter.version, charter.attempt, document.hash


def ask(data: Path) -> Asked:
    """What the running node says.

    Raises:
        TransportError: it does not run.
    """
    client = client_of(data)
    chain = client.get("/v1/admin/charter/chain")["charters"]
    return Asked(data, client.get("/v1/admin/charter"), [bytes.fromhex(one["document"]) for one in chain])
