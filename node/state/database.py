"""The node's state database: one SQLite file, one connection, one writer at a time.

Rules:
- WAL with `synchronous=FULL`: a transaction that returned is on disk.
- `transaction()` is BEGIN IMMEDIATE … COMMIT under a lock; threads wait for each other. It does not nest.
- An error from COMMIT (or from a needed ROLLBACK) leaves the truth unknown: StorageError with `fatal`, and
  every later call is refused. The caller ends the process; what is true is read again at start (DESIGN 5).
- A full disk is the one exception: SQLite says `SQLITE_FULL` when a page could not be *written*, before anything is
  synced, and has rolled back. Nothing was written: StorageError `disk_full`, and the next transaction tries again.
- The schema is the sum of `migrations/NNNN_noun.sql`, applied in order of NNNN, each once, each in one
  transaction, and recorded with its SHA-256. Migrations are appended, never edited: a changed one, one that
  sorts before an applied one, and a database newer than this code are refused.

Left out on purpose: a pool, an ORM, a second connection. Lock order: the vault's gate first, then this lock.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import StorageError

MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_NAME = re.compile(r"([0-9]{4})_[a-z][a-z0-9_]*\.sql")
_BUSY_TIMEOUT_S = 5.0  # another process on the file is a mistake (the folder is locked); wait briefly, then say so


@dataclass(frozen=True, slots=True)
class _Migration:
    number: int
    name: str
    text: str
    sha256: str


class StateDatabase:
    """The open state database at `path` (created with mode 0600), migrated to what this code knows.

    Safe to use from several threads. Raises StorageError when the file cannot be opened, is not a state
    database, or does not match the folder `migrations`.
    """

    def __init__(self, path: Path, *, migrations: Path = MIGRATIONS) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._failed = False
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._migrate(_load_migrations(migrations))
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(error) from error
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One writing transaction: committed when the block ends, rolled back when it raises.

        Raises:
            StorageError: SQLite failed on the way (nothing was written); with `fatal`, COMMIT failed.
            sqlite3.IntegrityError: the block broke a constraint; passed on, as the block may mean it.
            RuntimeError: this thread already is in a transaction.
        """
        with self._lock:
            self._refuse_after_failure()
            connection = self._connection
            if connection.in_transaction:
                raise RuntimeError("transactions do not nest")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
            except sqlite3.IntegrityError:
                self._rollback()
                raise
            except sqlite3.DatabaseError as error:
                self._rollback()
                if isinstance(error, sqlite3.ProgrammingError):
                    raise
                raise self._unusable(error) from error
            except BaseException:
                self._rollback()
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                if _is_full(error) and not connection.in_transaction:
                    raise self._unusable(error) from error
                self._failed = True
                raise StorageError(
                    code="state_commit",
                    what="The state database could not commit",
                    why=f"SQLite said {error!s}, so it is unknown whether the change is on disk",
                    fix="The node stops here; check the disk for space and errors, then start it again",
                    fatal=True,
                ) from error

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one reading statement; inside this thread's transaction it sees what that wrote.

        Any: SQLite decides the type of each value. Raises StorageError when the file cannot be read.
        """
        with self._lock:
            self._refuse_after_failure()
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
                raise
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from error

    def copy_to(self, path: Path) -> None:
        """A copy of one moment in a new file, mode 0600; writers go on meanwhile, since it is read by a second hand.

        Raises:
            StorageError: the copy could not be made.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with (
                closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(path)) as target,
            ):
                source.backup(target)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                code="state_not_copied",
                what="The state database was not copied",
                why=str(error),
                fix="Check the disk for space and errors",
            ) from error

    def close(self) -> None:
        """Close the connection; the WAL is folded into the file. May be called twice."""
        with self._lock:
            self._connection.close()
            self._failed = True

    def _rollback(self) -> None:
        if not self._connection.in_transaction:
            return  # SQLite already rolled back, as it does on a full disk
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._failed = True
            raise StorageError(
                code="state_commit",
                what="The state database could not roll back",
                why=f"SQLite said {error!s}",
                fix="The node stops here; check the disk for space and errors, then start it again",
                fatal=True,
            ) from error

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise StorageError(
                code="state_closed",
                what="The state database is closed",
                why="it was closed, or an earlier commit failed and what is on disk is unknown",
                fix="Start the node again",
                fatal=True,
            )

    def _unusable(self, error: Exception) -> StorageError:
        if _is_full(error):
            return StorageError(
                code="disk_full",
                what=f"The state database {self._path} could not be written",
                why="the disk is full; nothing was written",
                fix="Make room on the disk: the node goes on by itself",
            )
        return StorageError(
            code="state_unreadable",
            what=f"The state database {self._path} cannot be used",
            why=str(error),
            fix="Check that the path is right, its disk has space and no other process holds it",
        )

    def _migrate(self, known: list[_Migration]) -> None:
        with self.transaction() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations"
                " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
            )
        applied = {row[0]: row[1:] for row in self.query("SELECT number, name, sha256 FROM migrations")}
        by_number = {migration.number: migration for migration in known}
        for number, (name, sha256) in sorted(applied.items()):
            if number not in by_number:
                raise StorageError(
                    code="state_newer",
                    what=f"The state database {self._path} is newer than this program",
                    why=f"it has migration {name}, which this version does not know",
                    fix="Start it with the version of murmur that last used it, or a later one",
                )
            if by_number[number].sha256 != sha256:
                raise StorageError(
                    code="state_migration_changed",
                    what=f"Migration {name} was changed after the state database applied it",
                    why=f"expected SHA-256 {sha256}, got {by_number[number].sha256}",
                    fix="Migrations are appended, never edited: restore the file and add a new one",
                )
        newest = max(applied, default=-1)
        for migration in known:
            if migration.number in applied:
                continue
            if migration.number < newest:
                raise StorageError(
                    code="state_migration_order",
                    what=f"Migration {migration.name} cannot be applied any more",
                    why=f"migration {applied[newest][0]} was applied before it",
                    fix="Give the new migration the next free number",
                )
            with self.transaction() as connection:
                for statement in _statements(migration.text):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations (number, name, sha256) VALUES (?, ?, ?)",
                    (migration.number, migration.name, migration.sha256),
                )


def _is_full(error: Exception) -> bool:
    """Whether SQLite found no room. Never said of a failed sync, whatever its errno: that is SQLITE_IOERR_FSYNC."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _load_migrations(folder: Path) -> list[_Migration]:
    """The migrations of `folder` by number. RuntimeError when two share one: our mistake, not the disk's."""
    found: dict[int, _Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _MIGRATION_NAME.fullmatch(path.name)
        if match is None:
            raise RuntimeError(f"{path.name} is not named NNNN_noun.sql")
        number = int(match[1])
        if number in found:
            raise RuntimeError(f"{path.name} and {found[number].name} share a number")
        content = path.read_bytes()
        found[number] = _Migration(number, path.name, content.decode(), hashlib.sha256(content).hexdigest())
    return list(found.values())


def _statements(text: str) -> Iterator[str]:
    """Split a script after each line that completes a statement (`executescript` would commit on its own)."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
