"""What this node has answered and paid: one row per slot, one per charge, written in the publishing transaction."""

from __future__ import annotations

import sqlite3

from node.state.database import StateDatabase
from privacy.ledger import Charge
from protocol.ids import DefinitionHash, EntryId, ReleaseId


class SlotStore:
    """The node's own slots and the ledger's charges.

    Reads with a `connection` belong to a running transaction: they see what it wrote, and nothing can come between.
    """

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def answered(self) -> set[tuple[DefinitionHash, str]]:
        """Every (definition, window) with a release or an abstention."""
        rows = self._database.query("SELECT definition, window FROM slots")
        return {(DefinitionHash(definition), window) for definition, window in rows}

    def is_answered(self, connection: sqlite3.Connection, definition: DefinitionHash, window: str) -> bool:
        """Whether the slot has a release or an abstention."""
        query = "SELECT 1 FROM slots WHERE definition = ? AND window = ?"
        return connection.execute(query, (definition, window)).fetchone() is not None

    def entries(self) -> list[tuple[DefinitionHash, str, bytes]]:
        """(definition, window, entry id) of every answer."""
        rows = self._database.query("SELECT definition, window, entry FROM slots ORDER BY window, definition")
        return [(DefinitionHash(definition), window, entry) for definition, window, entry in rows]

    def charges_by_epoch(self) -> dict[str, Charge]:
        """The ledger's running totals, newest epoch last."""
        rows = self._database.query(
            "SELECT epoch, sum(rho_nano), sum(delta_atto) FROM charges GROUP BY epoch ORDER BY epoch"
        )
        return {epoch: Charge(rho_nano, delta_atto) for epoch, rho_nano, delta_atto in rows}

    def record_release(
        self,
        connection: sqlite3.Connection,
        *,
        definition: DefinitionHash,
        window: str,
        release: ReleaseId,
        entry: EntryId,
        epoch: str,
        charge: Charge,
    ) -> None:
        """The slot's release and its charge. An IntegrityError says that the slot already has one."""
        connection.execute(
            "INSERT INTO slots (definition, window, outcome, release_id, entry) VALUES (?, ?, 'release', ?, ?)",
            (definition, window, release, entry),
        )
        connection.execute(
            "INSERT INTO charges (epoch, definition, window, rho_nano, delta_atto, entry) VALUES (?, ?, ?, ?, ?, ?)",
            (epoch, definition, window, charge.rho_nano, charge.delta_atto, entry),
        )

    def record_recovered(
        self, connection: sqlite3.Connection, definition: DefinitionHash, window: str, entry: EntryId
    ) -> None:
        """The slot's abstention in place of an answer that a recovery made void; its charge stays."""
        connection.execute(
            "INSERT OR REPLACE INTO slots (definition, window, outcome, reason, entry)"
            " VALUES (?, ?, 'abstain', 'recovered', ?)",
            (definition, window, entry),
        )

    def taken_back(self) -> list[tuple[DefinitionHash, str, bytes]]:
        """(definition, window, entry id) of every abstention in a slot that only somebody else answered."""
        rows = self._database.query("SELECT definition, window, entry FROM taken_back")
        return [(DefinitionHash(definition), window, entry) for definition, window, entry in rows]

    def abstention_in(self, connection: sqlite3.Connection, definition: DefinitionHash, window: str) -> bytes | None:
        """The abstention that took back what somebody else said in the slot, if any."""
        query = "SELECT entry FROM taken_back WHERE definition = ? AND window = ?"
        row = connection.execute(query, (definition, window)).fetchone()
        return None if row is None else bytes(row[0])

    def record_taken_back(
        self, connection: sqlite3.Connection, definition: DefinitionHash, window: str, entry: EntryId
    ) -> None:
        """The abstention in a slot that this node never answered: it may still release it, and abstains no more."""
        connection.execute(
            "INSERT OR REPLACE INTO taken_back (definition, window, entry) VALUES (?, ?, ?)",
            (definition, window, entry),
        )

    def record_abstain(
        self, connection: sqlite3.Connection, definition: DefinitionHash, window: str, reason: str, entry: EntryId
    ) -> None:
        """The slot's abstention."""
        connection.execute(
            "INSERT INTO slots (definition, window, outcome, reason, entry) VALUES (?, ?, 'abstain', ?, ?)",
            (definition, window, reason, entry),
        )
