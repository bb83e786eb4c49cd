"""Charters after the first, in the state database: verified ones, and proposals with the approvals known so far.

The founding charter stays in `DATA/charter`, where `murmur charter accept` put it. Bytes are kept as the core gave
them; a verified charter is never changed or deleted.
"""

from __future__ import annotations

from node.state.database import StateDatabase
from protocol.charter_document import CharterDocument, parse_charter_document
from protocol.ids import CharterHash


class CharterStore:
    """What this node holds of the charter chain beyond version 1."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def save(self, charter: CharterHash, version: int, body: bytes, *, is_proposal: bool) -> None:
        """Keep a charter durably. A proposal is replaced by what is newer of it; a verified charter by nothing."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO charters (hash, version, is_proposal, body) VALUES (?, ?, ?, ?) ON CONFLICT (hash)"
                " DO UPDATE SET is_proposal = excluded.is_proposal, body = excluded.body WHERE is_proposal = 1",
                (charter, version, int(is_proposal), body),
            )

    def forget_proposals(self, version: int) -> None:
        """Drop what was proposed for this version or an earlier one: it is decided."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM charters WHERE is_proposal = 1 AND version <= ?", (version,))

    def verified(self) -> list[CharterDocument]:
        """Every verified charter after the first, in order of version."""
        return self._documents(is_proposal=False)

    def proposals(self) -> list[CharterDocument]:
        """Charters that were proposed and not decided when they were stored."""
        return self._documents(is_proposal=True)

    def _documents(self, *, is_proposal: bool) -> list[CharterDocument]:
        rows = self._database.query(
            "SELECT body FROM charters WHERE is_proposal = ? ORDER BY version, hash", (int(is_proposal),)
        )
        return [parse_charter_document(body) for (body,) in rows]
