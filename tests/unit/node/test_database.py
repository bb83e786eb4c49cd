"""The state database: what returned is on disk, what raised never happened, migrations only grow."""

from __future__ import annotations

import resource
import signal
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from node.errors import StorageError
from node.state.database import StateDatabase


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_birds.sql").write_text(
        "-- a comment; with a semicolon\nCREATE TABLE birds (name TEXT PRIMARY KEY) STRICT;\n"
        "CREATE TABLE nests (\n    bird TEXT REFERENCES birds (name) DEFERRABLE INITIALLY DEFERRED\n) STRICT;\n"
    )
    return folder


def opened(tmp_path: Path, migrations: Path) -> StateDatabase:
    return StateDatabase(tmp_path / "state.db", migrations=migrations)


def test_the_shipped_migrations_apply_and_the_file_is_private(tmp_path: Path) -> None:
    """A fresh database has every migration, WAL, full sync, foreign keys and mode 0600."""
    database = StateDatabase(tmp_path / "state.db")
    assert database.query("SELECT count(*) FROM migrations")[0][0] >= 1
    assert database.query("PRAGMA journal_mode") == [("wal",)]
    assert database.query("PRAGMA synchronous") == [(2,)]
    assert database.query("PRAGMA foreign_keys") == [(1,)]
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


def test_a_committed_transaction_survives_reopening(tmp_path: Path, migrations: Path) -> None:
    """What returned is there; the migration is not applied twice."""
    database = opened(tmp_path, migrations)
    with database.transaction() as connection:
        connection.execute("INSERT INTO birds VALUES ('robin')")
    database.close()
    assert opened(tmp_path, migrations).query("SELECT name FROM birds") == [("robin",)]


def test_a_raising_block_changes_nothing(tmp_path: Path, migrations: Path) -> None:
    """The error passes and the rows are not there; the database goes on."""
    database = opened(tmp_path, migrations)

    def insert_and_stop() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO birds VALUES ('robin')")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        insert_and_stop()
    assert database.query("SELECT name FROM birds") == []
    with database.transaction() as connection:
        connection.execute("INSERT INTO birds VALUES ('wren')")
    assert database.query("SELECT name FROM birds") == [("wren",)]


def test_a_broken_constraint_is_the_callers_and_rolls_back(tmp_path: Path, migrations: Path) -> None:
    """IntegrityError passes as it is, so that a block may use a constraint as its rule."""
    database = opened(tmp_path, migrations)
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as connection:
        connection.executemany("INSERT INTO birds VALUES (?)", [("robin",), ("robin",)])
    assert database.query("SELECT name FROM birds") == []


def test_transactions_do_not_nest(tmp_path: Path, migrations: Path) -> None:
    """A second one inside is a mistake of the program."""
    database = opened(tmp_path, migrations)
    with database.transaction(), pytest.raises(RuntimeError), database.transaction():
        pass


def test_an_error_from_commit_is_fatal_and_closes_the_database(tmp_path: Path, migrations: Path) -> None:
    """After a failed COMMIT nothing is believed: every later call is refused."""
    database = opened(tmp_path, migrations)
    with pytest.raises(StorageError) as caught, database.transaction() as connection:
        connection.execute("INSERT INTO nests VALUES ('nobody')")  # found out at COMMIT only
    assert caught.value.fatal
    assert caught.value.code == "state_commit"
    for call in (lambda: database.query("SELECT 1"), lambda: database.transaction().__enter__()):
        with pytest.raises(StorageError) as refused:
            call()
        assert refused.value.fatal


def test_a_full_disk_at_commit_is_fatal_and_keeps_what_was_there(tmp_path: Path, migrations: Path) -> None:
    """A real write error from the kernel (file size limit): the earlier row stays, the new one is not there."""
    database = opened(tmp_path, migrations)
    with database.transaction() as connection:
        connection.execute("INSERT INTO birds VALUES ('robin')")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (tmp_path / "state.db-wal").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        with pytest.raises(StorageError) as caught, database.transaction() as connection:
            connection.execute("INSERT INTO birds VALUES (?)", ("x" * 50_000,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.fatal
    assert opened(tmp_path, migrations).query("SELECT name FROM birds") == [("robin",)]


def test_threads_wait_for_each_other(tmp_path: Path, migrations: Path) -> None:
    """Four threads adding to one number lose no addition."""
    database = opened(tmp_path, migrations)

    def add() -> None:
        for _ in range(25):
            with database.transaction() as connection:
                ((count,),) = connection.execute("SELECT count(*) FROM birds").fetchall()
                connection.execute("INSERT INTO birds VALUES (?)", (f"bird {count}",))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.query("SELECT count(*) FROM birds") == [(100,)]


def test_a_later_migration_is_applied_once_in_order(tmp_path: Path, migrations: Path) -> None:
    """Appending is how the schema grows."""
    opened(tmp_path, migrations).close()
    (migrations / "0002_eggs.sql").write_text("CREATE TABLE eggs (count INTEGER) STRICT;")
    opened(tmp_path, migrations).close()
    database = opened(tmp_path, migrations)
    assert database.query("SELECT name FROM migrations") == [("0001_birds.sql",), ("0002_eggs.sql",)]


def test_a_half_failing_migration_leaves_nothing(tmp_path: Path, migrations: Path) -> None:
    """One transaction each: the good statement of a bad migration is undone."""
    opened(tmp_path, migrations).close()
    bad = migrations / "0002_eggs.sql"
    bad.write_text("CREATE TABLE eggs (count INTEGER) STRICT;\nCREATE TABLE birds (again TEXT);\n")
    with pytest.raises(StorageError):
        opened(tmp_path, migrations)
    bad.unlink()
    assert opened(tmp_path, migrations).query("SELECT name FROM sqlite_master WHERE name = 'eggs'") == []


def test_a_changed_migration_is_refused(tmp_path: Path, migrations: Path) -> None:
    """An applied migration is history; its hash says so."""
    opened(tmp_path, migrations).close()
    path = migrations / "0001_birds.sql"
    path.write_text(path.read_text() + "-- edited\n")
    with pytest.raises(StorageError) as caught:
        opened(tmp_path, migrations)
    assert caught.value.code == "state_migration_changed"


def test_a_newer_database_is_refused(tmp_path: Path, migrations: Path) -> None:
    """Older code never writes into what newer code made."""
    later = migrations / "0002_eggs.sql"
    later.write_text("CREATE TABLE eggs (count INTEGER) STRICT;")
    opened(tmp_path, migrations).close()
    later.unlink()
    with pytest.raises(StorageError) as caught:
        opened(tmp_path, migrations)
    assert caught.value.code == "state_newer"


def test_a_migration_slipped_in_before_an_applied_one_is_refused(tmp_path: Path, migrations: Path) -> None:
    """Otherwise two nodes of one version could have different schemas."""
    (migrations / "0003_eggs.sql").write_text("CREATE TABLE eggs (count INTEGER) STRICT;")
    opened(tmp_path, migrations).close()
    (migrations / "0002_twigs.sql").write_text("CREATE TABLE twigs (count INTEGER) STRICT;")
    with pytest.raises(StorageError) as caught:
        opened(tmp_path, migrations)
    assert caught.value.code == "state_migration_order"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, migrations: Path, content: bytes) -> None:
    """Clear words instead of a stack trace, and the file is left as it was."""
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StorageError) as caught:
        opened(tmp_path, migrations)
    assert caught.value.code == "state_unreadable"
    assert (tmp_path / "state.db").read_bytes() == content
