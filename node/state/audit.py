"""The table `audit`: appended to, never changed. Each record is durable when the call returns."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from node.audit_chain import SALT_BYTES, AuditRecord
from node.state.database import StateDatabase

_COLUMNS = "number, at, actor, action, subject, outcome, salt, hash"


class AuditStore:
    """The audit log of one node.

    Args:
        node: The node id, which the first record stands on.
    """

    def __init__(self, database: StateDatabase, node: bytes, rng: Callable[[int], bytes] = os.urandom) -> None:
        self._database = database
        self._node = node
        self._rng = rng

    def append(self, *, at_s: int, actor: str, action: str, subject: str = "", outcome: str = "done") -> AuditRecord:
        """Write one record behind the last one.

        Raises:
            StorageError: nothing was written; what it is about must not be done.
        """
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchall()
            number, before = rows[0] if rows else (0, self._node)
            blank = AuditRecord(number + 1, at_s, actor, action, subject, outcome, self._rng(SALT_BYTES), b"")
            record = replace(blank, hash=blank.expected_hash(before))
            connection.execute(
                f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number + 1, at_s, actor, action, subject, outcome, record.salt, record.hash),
            )
        return record

    def head(self) -> bytes | None:
        """The hash of the last record; None for an empty log."""
        rows = self._database.query("SELECT hash FROM audit ORDER BY number DESC LIMIT 1")
        return rows[0][0] if rows else None

    def records(self, *, after: int = 0, since_s: int = 0, limit: int = -1) -> list[AuditRecord]:
        """Records after this number and not before this time, oldest first; at most `limit`, -1 for all."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM audit WHERE number > ? AND at >= ? ORDER BY number LIMIT ?",
            (after, since_s, limit),
        )
        return [AuditRecord(*row) for row in rows]

    def last_of(self, action: str, outcome: str) -> int | None:
        """When this was last recorded, in unix seconds; None for never."""
        rows = self._database.query("SELECT max(at) FROM audit WHERE action = ? AND outcome = ?", (action, outcome))
        return None if rows[0][0] is None else int(rows[0][0])

    def last(self, count: int) -> list[AuditRecord]:
        """The last records, oldest first."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM audit ORDER BY number DESC LIMIT ?", (count,))
        return [AuditRecord(*row) for row in reversed(rows)]
