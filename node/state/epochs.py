"""The tables of migrations 0010 and 0070: when this node began, its epochs, their segments, the windows that closed.

Reading takes the database, writing takes the connection of a transaction, so that the vault puts several changes
into one. Nothing here touches a key or a file. Other parts read an epoch's caps with `find_epoch`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from node.state.database import StateDatabase
from privacy.units import EpochLength, Window

SegmentState = Literal["open", "closed", "cut"]
_EPOCH_COLUMNS = (
    "epoch, cap_rho_nano, cap_delta_atto, backfill, keyless,"
    " created_at, finished_at, pseudonym_destroyed_at, data_destroyed_at"
)


@dataclass(frozen=True, slots=True)
class VaultStart:
    """What the first start fixed for ever.

    Args:
        length: Length of this node's epochs.
        backfill_from_hour: First hour of the history this node takes in, or None.
        live_from_hour: Where history ends and live windows begin; an epoch's boundary.
        finished_hour: History before this hour is finished, or None.
    """

    length: EpochLength
    backfill_from_hour: int | None
    live_from_hour: int
    finished_hour: int | None = None

    def is_history(self, hour: int) -> bool:
        return self.backfill_from_hour is not None and self.backfill_from_hour <= hour < self.live_from_hour


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch this node has begun. Times are unix seconds, None = not yet; caps as in the ledger.

    A `keyless` epoch was recorded after it was over, so that its empty windows can be released; it never had
    keys or rows. Destruction is recorded before it is done and finished at the next start.
    """

    epoch: Window
    cap_rho_nano: int
    cap_delta_atto: int
    is_backfill: bool
    is_keyless: bool
    created_at: int
    finished_at: int | None = None
    pseudonym_destroyed_at: int | None = None
    data_destroyed_at: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """One segment; frames and bytes of its known range once it has ended."""

    id: bytes
    epoch: str
    slots: int
    state: SegmentState
    frames: int | None
    size_bytes: int | None


def load_start(database: StateDatabase) -> VaultStart | None:
    """What the first start recorded; None before it."""
    rows = database.query("SELECT length, backfill_from_hour, live_from_hour, finished_hour FROM vault_start")
    return VaultStart(*rows[0]) if rows else None


def insert_start(connection: sqlite3.Connection, start: VaultStart, now_s: int) -> None:
    connection.execute(
        "INSERT INTO vault_start VALUES (1, ?, ?, ?, ?, ?)",
        (start.length, start.backfill_from_hour, start.live_from_hour, start.finished_hour, now_s),
    )


def set_finished_hour(connection: sqlite3.Connection, hour: int) -> None:
    connection.execute("UPDATE vault_start SET finished_hour = ?", (hour,))


def load_epochs(database: StateDatabase) -> list[EpochRecord]:
    """All epochs, oldest first."""
    rows = database.query(f"SELECT {_EPOCH_COLUMNS} FROM epochs ORDER BY start_hour")
    return [_epoch(row) for row in rows]


def find_epoch(database: StateDatabase, epoch: str) -> EpochRecord | None:
    """The record of the epoch with this text, or None."""
    rows = database.query(f"SELECT {_EPOCH_COLUMNS} FROM epochs WHERE epoch = ?", (epoch,))
    return _epoch(rows[0]) if rows else None


def insert_epoch(connection: sqlite3.Connection, record: EpochRecord) -> None:
    epoch = record.epoch
    connection.execute(
        f"INSERT INTO epochs ({_EPOCH_COLUMNS}, length, start_hour, end_hour)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            epoch.text,
            record.cap_rho_nano,
            record.cap_delta_atto,
            int(record.is_backfill),
            int(record.is_keyless),
            record.created_at,
            record.finished_at,
            record.pseudonym_destroyed_at,
            record.data_destroyed_at,
            epoch.kind,
            epoch.start_hour,
            epoch.end_hour,
        ),
    )


def mark_finished(connection: sqlite3.Connection, epoch: str, now_s: int) -> None:
    _mark(connection, "finished_at", epoch, now_s)


def mark_destroyed(connection: sqlite3.Connection, epoch: str, key: Literal["pseudonym", "data"], now_s: int) -> None:
    _mark(connection, f"{key}_destroyed_at", epoch, now_s)


def load_segments(database: StateDatabase) -> list[SegmentRecord]:
    """All segments, in the order of their making."""
    rows = database.query("SELECT id, epoch, slots, state, frames, bytes FROM segments ORDER BY number")
    return [SegmentRecord(*row) for row in rows]


def insert_segment(connection: sqlite3.Connection, segment: bytes, epoch: str, slots: int) -> None:
    connection.execute(
        "INSERT INTO segments (id, epoch, slots, state) VALUES (?, ?, ?, 'open')", (segment, epoch, slots)
    )


def end_segment(
    connection: sqlite3.Connection,
    segment: bytes,
    state: Literal["closed", "cut"],
    frames: int,
    size_bytes: int,
) -> None:
    """Record the known range of a segment that will not grow any more."""
    connection.execute(
        "UPDATE segments SET state = ?, frames = ?, bytes = ? WHERE id = ? AND state = 'open'",
        (state, frames, size_bytes, segment),
    )


def delete_segments(connection: sqlite3.Connection, epoch: str) -> None:
    connection.execute("DELETE FROM segments WHERE epoch = ?", (epoch,))
    connection.execute("DELETE FROM segment_removals WHERE epoch = ?", (epoch,))


def load_removals(database: StateDatabase) -> list[tuple[bytes, str]]:
    """(id, epoch) of each segment whose file must go."""
    return cast("list[tuple[bytes, str]]", database.query("SELECT id, epoch FROM segment_removals ORDER BY id"))


def insert_removal(connection: sqlite3.Connection, segment: bytes, epoch: str) -> None:
    connection.execute("INSERT INTO segment_removals (id, epoch) VALUES (?, ?)", (segment, epoch))


def delete_removals(connection: sqlite3.Connection, segments: Iterable[bytes]) -> None:
    connection.executemany("DELETE FROM segment_removals WHERE id = ?", [(segment,) for segment in segments])


def replace_segments(
    connection: sqlite3.Connection, epoch: str, old: Iterable[bytes], new: Iterable[SegmentRecord]
) -> None:
    """Switch from the old segments to the new ones, which are closed and stood among the removals until now."""
    for record in new:
        delete_removals(connection, [record.id])
        connection.execute(
            "INSERT INTO segments (id, epoch, slots, state, frames, bytes) VALUES (?, ?, ?, ?, ?, ?)",
            (record.id, epoch, record.slots, record.state, record.frames, record.size_bytes),
        )
    for segment in old:
        connection.execute("DELETE FROM segments WHERE id = ?", (segment,))
        insert_removal(connection, segment, epoch)


def load_closed_windows(database: StateDatabase) -> list[Window]:
    """All closed windows, oldest first."""
    rows = database.query("SELECT kind, start_hour FROM closed_windows ORDER BY start_hour, kind")
    return [Window(*row) for row in rows]


def open_span(database: StateDatabase, window: Window) -> tuple[int, int]:
    """From when until when (unix seconds) rows of a closed window could be taken in; the first is early for history."""
    start = load_start(database)
    closed_at = int(database.query("SELECT closed_at FROM closed_windows WHERE window = ?", (window.text,))[0][0])
    is_history = start is not None and start.is_history(window.start_hour)
    return (
        0 if is_history else (window.start_hour - 1) * 3600
    ), closed_at  # an event may be an hour ahead of the clock


def insert_closed_windows(connection: sqlite3.Connection, windows: Iterable[Window], now_s: int) -> None:
    """Close the windows; one that is closed already keeps its first record."""
    connection.executemany(
        "INSERT INTO closed_windows VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(window.text, window.kind, window.start_hour, now_s) for window in windows],
    )


def _mark(connection: sqlite3.Connection, column: str, epoch: str, now_s: int) -> None:
    connection.execute(f"UPDATE epochs SET {column} = ? WHERE epoch = ? AND {column} IS NULL", (now_s, epoch))


def _epoch(row: tuple[object, ...]) -> EpochRecord:
    text, rho, delta, backfill, keyless, *times = row
    return EpochRecord(
        Window.parse(cast("str", text)),
        cast("int", rho),
        cast("int", delta),
        bool(backfill),
        bool(keyless),
        *cast("list[int]", times),
    )
