"""The table of migration 0140: which sets of per-person cells are kept, and of which rows they were made.

A set that is given up goes to `segment_removals` in the transaction that gives it up, so that its file is destroyed
whatever crashes.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from node.state.database import StateDatabase
from node.state.epochs import delete_removals, insert_removal

_COLUMNS = "id, epoch, window, query, source, frames, bytes"


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """One set: its id, whose it is, and the known range of its file."""

    id: bytes
    epoch: str
    window: str
    query: bytes
    source: bytes
    frames: int
    size_bytes: int


def load_kept(database: StateDatabase, epoch: str | None = None) -> list[KeptRecord]:
    """The sets of an epoch, or of all, oldest first."""
    rows = database.query(f"SELECT {_COLUMNS} FROM kept_cells WHERE epoch = ?1 OR ?1 IS NULL ORDER BY number", (epoch,))
    return [KeptRecord(*row) for row in rows]


def find_kept(database: StateDatabase, window: str, query: bytes) -> KeptRecord | None:
    """The set of this window and query, whatever rows it was made of."""
    rows = database.query(f"SELECT {_COLUMNS} FROM kept_cells WHERE window = ? AND query = ?", (window, query))
    return KeptRecord(*rows[0]) if rows else None


def insert_kept(connection: sqlite3.Connection, record: KeptRecord) -> None:
    """Record a set whose file is whole and stood among the removals until now."""
    delete_removals(connection, [record.id])
    values = (record.id, record.epoch, record.window, record.query, record.source, record.frames, record.size_bytes)
    connection.execute(f"INSERT INTO kept_cells ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def give_up_kept(connection: sqlite3.Connection, record: KeptRecord) -> None:
    """Forget a set; its file must go."""
    connection.execute("DELETE FROM kept_cells WHERE id = ?", (record.id,))
    insert_removal(connection, record.id, record.epoch)


def give_up_epoch(connection: sqlite3.Connection, epoch: str) -> None:
    """Forget every set of the epoch; their files must go."""
    connection.execute("INSERT INTO segment_removals SELECT id, epoch FROM kept_cells WHERE epoch = ?", (epoch,))
    delete_kept(connection, epoch)


def delete_kept(connection: sqlite3.Connection, epoch: str) -> None:
    """Forget every set of an epoch whose files are gone."""
    connection.execute("DELETE FROM kept_cells WHERE epoch = ?", (epoch,))


def move_source(connection: sqlite3.Connection, epoch: str, old: bytes, new: bytes) -> None:
    """The same rows rest in other segments now."""
    connection.execute("UPDATE kept_cells SET source = ? WHERE epoch = ? AND source = ?", (new, epoch, old))
