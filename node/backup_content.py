"""What goes into a backup: everything that is needed to go on as this node, and nothing of anybody's events.

In: the state database without its tables of events, the identity, the charter, the key files but the master key's, the
TLS files, node.toml and the tracking plan. Never in: segments, epoch keys, the master key, the anchor, and the rows of
`WITHOUT_ROWS`, which name segments or hold sealed pseudonyms. So a backup opens nothing after an epoch's keys are
destroyed (I12); and because nothing an event left is in it, nothing in it says how many there were.

The copy is of one moment, between two turns of the key; the node works on meanwhile.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from node.config import NodeConfig
from node.errors import StorageError
from node.state.database import StateDatabase

SCHEMA: Final = "murmur.backup/1"
WITH_ROWS: Final = frozenset(
    {
        "migrations", "vault_start", "epochs", "closed_windows", "entries", "slots", "charges",
        "bodies_away", "evidence_documents", "evidence_told",
        "definitions", "tokens", "plans", "plan_adoptions", "clock_mark", "reservations", "refusals", "pen", "audit",
        "charters", "join_requests", "invites", "choices", "taken_back",
    }
)  # fmt: skip
WITHOUT_ROWS: Final = frozenset({"segments", "segment_removals", "withdrawals", "kept_cells"})
_KEYS: Final = ("signing.key", "next.key", "staged.key", "after.key", "fresh.key", "token.key")
_WORK: Final = ".backup"
_READ: Final = 1 << 20


class BackupMaker:
    """Makes backups of a running node, one at a time.

    Args:
        turns: Held while the copy is made, so that keys and log are of one moment.
        about: What the manifest says besides: node, federation, position, time.
    """

    def __init__(
        self, config: NodeConfig, database: StateDatabase, turns: threading.Lock, about: Mapping[str, Any]
    ) -> None:
        self._config = config
        self._database = database
        self._turns = turns
        self._about = about
        self._busy = threading.Lock()
        clear_work(config.data)

    @contextmanager
    def made(self, **about: Any) -> Iterator[Path]:
        """A gzipped tar of the content, which is gone after the block.

        Raises:
            StorageError: the disk failed, or a table is neither to be kept nor to be left out.
        """
        with self._busy:
            work = self._config.data / _WORK
            clear_work(self._config.data)
            try:
                work.mkdir(mode=0o700)
                with self._turns:
                    self._database.copy_to(work / "state.db")
                    small = {name: path.read_bytes() for name, path in self._small_files()}
                strip_events(work / "state.db")
                manifest = {"schema": SCHEMA, **self._about, **about}
                with tarfile.open(work / "content.tar.gz", "w:gz", compresslevel=3) as tar:
                    _add(tar, "manifest.json", json.dumps(manifest, indent=1).encode())
                    for name, content in small.items():
                        _add(tar, name, content)
                    tar.add(work / "state.db", "state.db", filter=_anonymous)
                yield work / "content.tar.gz"
            except (OSError, tarfile.TarError) as error:
                raise StorageError(
                    code="backup_failed", what="The backup was not made", why=str(error),
                    fix="Free space in the data folder: the copy needs as much as state.db",
                ) from error  # fmt: skip
            finally:
                clear_work(self._config.data)

    def _small_files(self) -> Iterator[tuple[str, Path]]:
        config, data = self._config, self._config.data
        yield "node.toml", config.path
        yield "plan.yaml", config.plan
        yield "inception", data / "inception"
        for folder in ("charter", "tls"):
            for path in sorted((data / folder).glob("*")):
                if path.is_file():
                    yield f"{folder}/{path.name}", path
        for name in _KEYS:
            if (data / "keys" / name).exists():
                yield f"keys/{name}", data / "keys" / name


def strip_events(copy: Path) -> None:
    """Take out every row that speaks of events, and the pages they stood on.

    Raises:
        StorageError: the database has a table that this list does not know; then nothing is handed out.
    """
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        tables = {
            name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if not name.startswith("sqlite_")
        }  # fmt: skip
        if unknown := tables - WITH_ROWS - WITHOUT_ROWS:
            raise StorageError(
                code="backup_failed", what="The backup was not made",
                why=f"the table {min(unknown)} is neither to be kept nor to be left out",
                fix="This is a mistake in murmur itself: report it",
            )  # fmt: skip
        database.execute("PRAGMA secure_delete = ON")
        for name in sorted(tables & WITHOUT_ROWS):
            database.execute(f"DELETE FROM {name}")
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")


def clear_work(data: Path) -> None:
    """Remove what a killed process left of a backup being made."""
    shutil.rmtree(data / _WORK, ignore_errors=True)


def read_parts(path: Path) -> Iterator[bytes]:
    """A file's bytes, 1 MiB at a time."""
    with path.open("rb") as file:
        while part := file.read(_READ):
            yield part


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the user's name and ids of this machine."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
