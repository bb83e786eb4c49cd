"""DuckDB as the engine of releases: one way to open it, one window in it at a time (specs/vault.md 6).

Rules:
- In memory only: no file, no temporary folder (a window that does not fit is refused, never spilled), no network, no
  extensions, and a configuration that nothing can change afterwards.
- The rows of a window are deduplicated once, into what queries see as `window_rows`; then the sealed rows are let go.
  Slots that no row of the window fills, half of a usual row, take no memory.
- The per-person cells that a release is made from are kept while the window is open: the next definition over the same
  groups (people after events, another C or K) starts from them. They are a cache: forgotten when memory is short.
- Errors name their kind only: DuckDB quotes values in its messages, and a value of a row stays here (I1).

duckdb is imported on first use: most commands and an idle node never need it. Trap of 2.0: a connection is busy
until a result is read to its end, so always `fetchall`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from node.errors import StorageError
from privacy.bounding import Binding, deduplicate_sql
from privacy.rows import ROW_NAMES, SLOT_COLUMNS
from privacy.units import Window

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_SEALED: Final = "sealed_rows"
_KEPT_TABLES: Final = 4  # per-person cells kept at a time; the one used longest ago goes first


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How much of the machine one window may take: working memory in MB (10^6 bytes) and threads."""

    memory_mb: int = 1000
    threads: int = 1


def connect(limits: EngineLimits | None = None) -> duckdb.DuckDBPyConnection:
    """The one way to open DuckDB on rows: in memory, alone, locked."""
    import duckdb

    limits = limits or EngineLimits()
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits.memory_mb}MB",
            "threads": limits.threads,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,  # a name in SQL never reaches a variable of ours
        },
    )
    # In this order: each of the last two forbids what comes before it.
    for statement in (
        "SET max_temp_directory_size = '0KB'",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement).fetchall()
    return connection


def run_window(rows: pa.Table, window: Window | None = None, limits: EngineLimits | None = None) -> WindowEngine:
    """An engine holding the rows, one per (person, event key); with `window`, cut to its hours first.

    Use it in a `with` block. Raises StorageError `engine_memory` when the rows do not fit.
    """
    connection = connect(limits)
    engine = WindowEngine(connection)
    try:
        connection.register(_SEALED, rows)
        empty = {slot.name for slot in SLOT_COLUMNS if rows.column(slot.name).null_count == rows.num_rows}
        kept = ", ".join(f'"{name}"' for name in ROW_NAMES if name not in empty)
        engine.run(f"CREATE TABLE kept_rows AS SELECT {kept} FROM ({deduplicate_sql(_SEALED, window)})")
        connection.unregister(_SEALED)
        columns = ", ".join(f'CAST(NULL AS BIGINT) AS "{name}"' if name in empty else f'"{name}"' for name in ROW_NAMES)
        engine.run(f"CREATE VIEW window_rows AS SELECT {columns} FROM kept_rows")
    except BaseException:
        connection.close()
        raise
    return engine


class WindowEngine:
    """The deduplicated rows of one window, ready for any number of bounding queries."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._kept: dict[str, str] = {}  # table by the SQL of its cells, in the order of use
        self._tables = 0

    def __enter__(self) -> WindowEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        """The exact bounded vector, dense. For `make_release` only, which forgets it at once."""
        cells = [0] * binding.cells
        for cell, value in self._sums(binding, Binding.parameters(salt)):
            cells[cell] = value
        return cells

    def _sums(self, binding: Binding, parameters: dict[str, int]) -> list[tuple[Any, ...]]:
        """(cell, value) rows from kept cells; from the rows where they do not fit beside each other."""
        if not binding.pieces:
            return self.run(binding.sql, parameters)
        try:
            return self.run(binding.sql_over(self._keep(binding.pieces)), parameters)
        except StorageError as error:
            if error.code != "engine_memory":
                raise
        while self._kept:
            self._forget_oldest()
        return self.run(binding.sql, parameters)

    def _keep(self, pieces: str) -> str:
        """The table of these per-person cells, made on first use."""
        table = self._kept.pop(pieces, None)
        if table is None:
            while len(self._kept) >= _KEPT_TABLES:
                self._forget_oldest()
            self._tables += 1
            table = f"kept_cells_{self._tables}"
            self.run(f"CREATE TABLE {table} AS {pieces}")
        self._kept[pieces] = table
        return table

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._kept))
        self.run(f"DROP TABLE {self._kept.pop(oldest)}")

    def run(self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of one statement. Any: the statement decides. StorageError when DuckDB fails."""
        import duckdb

        try:
            found: list[tuple[Any, ...]] = self._connection.execute(sql, parameters).fetchall()
            return found
        except duckdb.OutOfMemoryException:
            raise StorageError(
                code="engine_memory",
                what="A window does not fit into the engine's memory",
                why="its rows need more than the memory limit, and nothing may spill to disk",
                fix="Raise the engine's memory limit, or use shorter windows",
            ) from None
        except duckdb.Error as error:
            raise StorageError(
                code="engine",
                what="The engine could not answer",
                why=f"DuckDB raised {type(error).__name__} (its message may quote rows, so it is not shown)",
                fix="Report this as a bug with the version of murmur",
            ) from None

    def close(self) -> None:
        """Forget the rows. May be called twice."""
        self._connection.close()
