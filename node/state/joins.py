"""Requests to join and invitations, in the state database. Of an invitation's code only the hash is kept."""

from __future__ import annotations

import hashlib
from typing import Final

from node.state.database import StateDatabase
from protocol.ids import NodeId

MAX_REQUESTS: Final = 256  # kept in all; the oldest refused ones go first
INVITE_LIFE_S: Final = 7 * 86_400


class JoinStore:
    """Who asked to be admitted, and which codes lead here."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add(self, node: NodeId, request: bytes, now_s: int) -> None:
        """Remember a request durably; one that is there stays as it is."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO join_requests (node, body, received_s, state) VALUES (?, ?, ?, 'pending')",
                (node, request, now_s),
            )
            connection.execute(
                "DELETE FROM join_requests WHERE node IN (SELECT node FROM join_requests"
                " ORDER BY state = 'pending', received_s LIMIT max(0, (SELECT count(*) FROM join_requests) - ?))",
                (MAX_REQUESTS,),
            )

    def refuse(self, node: NodeId) -> bool:
        """Turn a request down; False when there is none."""
        with self._database.transaction() as connection:
            done = connection.execute("UPDATE join_requests SET state = 'refused' WHERE node = ?", (node,))
            return done.rowcount > 0

    def requests(self, state: str) -> list[tuple[NodeId, bytes, int]]:
        """(node, signed request, received at) of one state (`pending`, `refused`), oldest first."""
        rows = self._database.query(
            "SELECT node, body, received_s FROM join_requests WHERE state = ? ORDER BY received_s, node", (state,)
        )
        return [(NodeId(node), body, received) for node, body, received in rows]

    def invite(self, code: str, now_s: int) -> int:
        """Let a code lead here for seven days; when that ends, in Unix seconds."""
        expires = now_s + INVITE_LIFE_S
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM invites WHERE expires_s <= ?", (now_s,))
            connection.execute(
                "INSERT OR REPLACE INTO invites (code_hash, made_s, expires_s) VALUES (?, ?, ?)",
                (_hash(code), now_s, expires),
            )
        return expires

    def is_invited(self, code: str, now_s: int) -> bool:
        """Whether a code leads here now."""
        found = self._database.query(
            "SELECT 1 FROM invites WHERE code_hash = ? AND expires_s > ?", (_hash(code), now_s)
        )
        return bool(found)


def _hash(code: str) -> bytes:
    return hashlib.sha256(b"murmur invite " + code.strip().lower().encode()).digest()
