"""DuckDB as the engine of releases: one way to open it, one window in it at a time (specs/vault.md 6).

Rules:
- In memory only: no file, no temporary folder (a window that does not fit is refused, never spilled), no network, no
  extensions, and a configuration that nothing can change afterwards.
- The rows of a window are seen as `window_rows`, part after part (`opened`), one row per (person, event key). Columns
  with one value for the whole window take no memory.
- The per-person cells that a release is made from are made part after part, and kept while the window is open: the
  next definition over the same groups (people after events, another C or K) starts from them. Those that will be asked
  for are made in one pass over the rows. They are a cache: forgotten when memory is short.
- Errors name their kind only: DuckDB quotes values in its messages, and a value of a row stays here (I1).

duckdb is imported on first use: most commands and an idle node never need it. Trap of 2.0: a connection is busy
until a result is read to its end, so always `fetchall`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from node.errors import StorageError
from privacy.bounding import Binding, deduplicate_sql
from privacy.rows import ROW_COLUMNS
from privacy.units import Window

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from node.vault.opened import OpenedRows
    from privacy.placing import Places

FAULTS: Final = frozenset({"engine", "engine_memory"})  # of one query; the next one may work
_PART: Final = "part_rows"  # the part in hand, as Arrow
_REPEATED: Final = "sealed_rows"  # its rows whose event key occurs more than once
_KEPT_SETS: Final = 8  # sets of per-person cells kept at a time; the one used longest ago goes first
_KEPT_BYTES: Final = 512 << 20  # of them together, beside the one in use
_CELL_BYTES: Final = 20  # of a cell, for a guess before it is made; a row makes at most one
_TYPES: Final = {"u8": "UTINYINT", "u16": "USMALLINT", "u32": "UINTEGER", "u64": "UBIGINT", "i64": "BIGINT"}

_Answer = TypeVar("_Answer")


class WindowSource(Protocol):
    """Where a window's rows and its kept cells come from."""

    def rows(self) -> OpenedRows:
        """The rows; asked for once at most, and not at all where every set of cells is kept."""
        ...

    def load(self, amounts: str) -> pa.Table | None:
        """The cells that this query made of the very same rows; None where they are not there or not whole."""
        ...

    def save(self, amounts: str, cells: pa.Table) -> None:
        """Keep them, if that is worth it. Raises StorageError only where the process must end."""
        ...


@dataclass(frozen=True, slots=True)
class _Open:
    """Rows that are open already, and no kept cells."""

    opened: OpenedRows

    def rows(self) -> OpenedRows:
        return self.opened

    def load(self, amounts: str) -> pa.Table | None:
        return None

    def save(self, amounts: str, cells: pa.Table) -> None:
        pass


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


def run_window(
    rows: WindowSource | OpenedRows | pa.Table, window: Window | None = None, limits: EngineLimits | None = None
) -> WindowEngine:
    """An engine over the rows, one per (person, event key); a table is cut to the hours of `window` first.

    Use it in a `with` block. What does not fit into its memory is refused when it is asked for (`engine_memory`).
    """
    import pyarrow as pa

    from node.vault.frames import frame_of
    from node.vault.opened import OpenedRows

    if isinstance(rows, pa.Table):
        rows = OpenedRows([frame_of(rows)], window)
    return WindowEngine(connect(limits), _Open(rows) if isinstance(rows, OpenedRows) else rows)


class WindowEngine:
    """The deduplicated rows of one window, ready for any number of bounding queries."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: WindowSource) -> None:
        self._connection = connection
        self._source = source
        self._opened: OpenedRows | None = None
        self._part = -1  # the part that stands in `window_rows`
        self._kept: dict[str, tuple[str, pa.Table]] = {}  # (relation, cells) by their SQL, in the order of use
        self._unsaved: set[str] = set()
        self._expected: list[str] = []
        self._relations = 0

    def __enter__(self) -> WindowEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _rows(self) -> OpenedRows:
        if self._opened is None:
            self._opened = self._source.rows()
        return self._opened

    def expect(self, bindings: Collection[Binding]) -> None:
        """Say what will be asked for, so that one pass over the rows makes the cells of all of it."""
        self._expected = list(dict.fromkeys(binding.amounts for binding in bindings if binding.amounts))

    def vector(self, binding: Binding, salt: bytes) -> list[int]:
        """The exact bounded vector, dense. For `make_release` only, which forgets it at once."""
        cells = [0] * binding.cells
        for cell, value in self._sums(binding, Binding.parameters(salt)):
            cells[cell] += value
        return cells

    def keys(self, binding: Binding, salt: bytes) -> list[tuple[Any, ...]]:
        """The exact cells of every key, where keys are discovered. For `release_keys` only, which forgets them."""
        return list(self._sums(binding, Binding.parameters(salt)))

    def _sums(self, binding: Binding, parameters: dict[str, int]) -> Iterator[tuple[Any, ...]]:
        """(cell, value) rows, of a cell perhaps several: from kept cells, else from the rows, part after part."""
        if not binding.amounts:
            for part in range(self._rows.parts):
                self._load(part)
                yield from self._query(binding.sql, parameters)
            return
        yield from self._query(binding.sql_over(self._keep(binding.amounts)), parameters)

    def _keep(self, amounts: str) -> str:
        """The relation of these per-person cells, found or made on first use."""
        if amounts not in self._kept:
            cells = self._source.load(amounts)
            if cells is not None:
                self._remember(amounts, cells)
            else:
                self._make(amounts)
        self._kept[amounts] = self._kept.pop(amounts)
        return self._kept[amounts][0]

    def _make(self, amounts: str) -> None:
        """Make these cells, and in the same pass as many of those expected as memory is likely to hold."""
        size = _CELL_BYTES * max(1, self._rows.rows)
        others = [one for one in self._expected if one != amounts and one not in self._kept]
        wanted = [amounts, *others[: min(_KEPT_SETS, _KEPT_BYTES // size) - 1 if size < _KEPT_BYTES else 0]]
        for one in tuple(wanted[1:]):
            cells = self._source.load(one)
            if cells is not None:
                self._remember(one, cells)
                wanted.remove(one)
        try:
            parts = self._parts_of(wanted)
        except StorageError as error:
            if error.code not in FAULTS or len(wanted) == 1:
                raise
            parts = self._parts_of([amounts])  # another's failure is told when that one is asked for
        for one in reversed(tuple(parts)):  # the one asked for last, as the one used last
            self._unsaved.add(one)
            self._remember(one, _joined(parts.pop(one)))

    def _parts_of(self, wanted: Sequence[str]) -> dict[str, list[pa.Table]]:
        """The cells of these queries, part by part, in one pass over the rows."""
        parts: dict[str, list[pa.Table]] = {one: [] for one in wanted}
        for part in range(self._rows.parts):
            self._load(part)
            placing = _Placing()
            for one in wanted:
                parts[one].append(placing.placed(self._table(one)))
        return parts

    def _remember(self, amounts: str, cells: pa.Table) -> None:
        """Keep a set of cells; the ones used longest ago go until all fit.

        They stay Arrow: copying them into a table costs twelve times what the next scan of it gains.
        """
        while self._kept and (
            len(self._kept) >= _KEPT_SETS
            or sum(kept.nbytes for _, kept in self._kept.values()) + cells.nbytes > _KEPT_BYTES
        ):
            self._forget(next(iter(self._kept)))
        self._relations += 1
        relation = f"kept_cells_{self._relations}"
        self._connection.register(f"{relation}_narrow", cells)
        as_they_are = ("uint64", "string")
        columns = ", ".join(
            f'"{field.name}"' if str(field.type) in as_they_are else f'CAST("{field.name}" AS BIGINT) AS "{field.name}"'
            for field in cells.schema
        )
        self._query(f"CREATE VIEW {relation} AS SELECT {columns} FROM {relation}_narrow")
        self._kept[amounts] = relation, cells

    def _forget(self, amounts: str) -> None:
        relation, cells = self._kept.pop(amounts)
        self._query(f"DROP VIEW {relation}")
        self._connection.unregister(f"{relation}_narrow")
        self._save(amounts, cells)

    def _save(self, amounts: str, cells: pa.Table) -> None:
        if amounts in self._unsaved:
            self._source.save(amounts, cells)
        self._unsaved.discard(amounts)

    def save_cells(self) -> None:
        """Have the cells made here kept; after the window's answers, which need not wait for it."""
        for amounts, (_, cells) in self._kept.items():
            self._save(amounts, cells)

    def _load(self, part: int) -> None:
        """Let `window_rows` be this part, one row per (person, event key)."""
        if part == self._part:
            return
        import numpy as np
        import pyarrow as pa

        from node.vault.frames import arrow_of

        self._part = -1
        columns = self._rows.columns(self._rows.part(part))
        table = pa.table({name: arrow_of(name, column) for name, column in columns.items()})
        repeated = _repeated(columns["event_key"][0]) if "event_key" in columns else np.ones(table.num_rows, np.bool_)
        if repeated is not None:
            table = self._deduplicated(table, repeated)
        self._connection.register(_PART, table)
        self._query(f"CREATE OR REPLACE VIEW window_rows AS SELECT {self._columns} FROM {_PART}")
        self._part = part

    def _deduplicated(self, table: pa.Table, repeated: Any) -> pa.Table:
        """The rows with one for each repeated event. Any: an array of booleans."""
        import pyarrow as pa

        self._connection.register(f"{_REPEATED}_narrow", table.filter(pa.array(repeated)))
        self._query(f"CREATE OR REPLACE VIEW {_REPEATED} AS SELECT {self._columns} FROM {_REPEATED}_narrow")
        names = ", ".join(f'"{name}"' for name in table.column_names)
        reading = f"SELECT {names} FROM ({deduplicate_sql(_REPEATED)})"
        kept = self._table(reading)
        self._connection.unregister(f"{_REPEATED}_narrow")
        return pa.concat_tables([table.filter(pa.array(~repeated)), kept.cast(table.schema)])

    @property
    def _columns(self) -> str:
        """The columns of a row; those that are one value for the whole window as that value."""
        constants = self._rows.constants
        return ", ".join(
            f"CAST({'NULL' if constants[column.name] is None else constants[column.name]} AS {_TYPES[column.type]})"
            f' AS "{column.name}"'
            if column.name in constants
            else f'"{column.name}"'
            for column in ROW_COLUMNS
        )

    def run(self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of one statement over a window of one part. Any: the statement decides.

        Raises:
            StorageError: DuckDB failed.
            ValueError: the window has several parts, so that no statement sees all of it.
        """
        if self._rows.parts > 1:
            raise ValueError("this window has several parts")
        self._load(0)
        return self._query(sql, parameters)

    def _query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._asked(lambda: self._connection.execute(sql, parameters).fetchall())

    def _table(self, sql: str) -> pa.Table:
        return self._asked(lambda: self._connection.sql(sql).to_arrow_table())

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        """What DuckDB answers. StorageError when it fails."""
        import duckdb

        try:
            return ask()
        except duckdb.OutOfMemoryException:
            raise StorageError(
                code="engine_memory",
                what="A window does not fit into the engine's memory",
                why="its rows need more than the memory limit, and nothing may spill to disk",
                fix="Nothing was released or charged. Raise the engine's memory limit, or use shorter windows",
            ) from None
        except duckdb.Error as error:
            raise StorageError(
                code="engine",
                what="The engine could not answer",
                why=f"DuckDB raised {type(error).__name__} (its message may quote rows, so it is not shown)",
                fix="Nothing was released or charged. Report this as a bug with the version of murmur",
            ) from None

    def close(self) -> None:
        """Forget the rows. May be called twice."""
        self._connection.close()
        self._kept.clear()
        self._opened = None
        self._part = -1


def _repeated(keys: Any) -> Any:
    """Which rows have an event key that occurs more than once, so that they may repeat one event; None: no row.

    Only keys that fall into one bucket with another are sorted: few, as buckets outnumber rows eightfold.
    """
    import numpy as np

    buckets = (keys & np.uint64((1 << max(10, (8 * len(keys)).bit_length())) - 1)).astype(np.int64)
    crowded = np.flatnonzero(np.bincount(buckets)[buckets] > 1)
    rising = np.sort(keys[crowded])
    twice = rising[1:][rising[1:] == rising[:-1]]
    return np.isin(keys, twice) if len(twice) else None


class _Placing:
    """Places the cells of one part; sets of the same persons and units, as of count and sum, share their places."""

    def __init__(self) -> None:
        self._last: tuple[Any, Any, Places] | None = None

    def placed(self, cells: pa.Table) -> pa.Table:
        """The cells with their places, by person and unit, in the least room."""
        import numpy as np
        import pyarrow as pa

        unit = cells.column("unit").combine_chunks()
        is_text = pa.types.is_string(unit.type)  # keys that nobody listed, in hexadecimal digits
        units = _ranks(unit) if is_text else unit.to_numpy()
        places = self._places(cells.column("person").to_numpy().astype(np.uint64, copy=False), units)
        return pa.table(
            {
                "person": places.number,
                "lot": places.lot,
                "nth": _narrow(places.nth),
                "units": _narrow(places.units),
                "unit": unit.take(pa.array(places.order)) if is_text else _narrow(units[places.order]),
                **{
                    name: _narrow(cells.column(name).to_numpy()[places.order])
                    for name in cells.column_names
                    if name not in ("person", "unit")
                },
            }
        )

    def _places(self, persons: Any, units: Any) -> Places:
        import numpy as np

        from privacy.placing import placed

        last = self._last
        if last is None or not (np.array_equal(last[0], persons) and np.array_equal(last[1], units)):
            last = self._last = persons, units, placed(persons, units)
        return last[2]


def _ranks(texts: pa.Array) -> Any:
    """The places of texts in their order, equal ones alike, as an array of integers."""
    import pyarrow.compute as pc

    return pc.rank(texts, tiebreaker="dense").to_numpy()


def _narrow(values: Any) -> Any:
    """An array of integers in the smallest signed type that holds them; unsigned 64 bits stay."""
    import numpy as np

    if not len(values) or values.dtype == np.uint64:
        return values
    low, high = int(values.min()), int(values.max())
    return values.astype(np.promote_types(np.min_scalar_type(min(low, -1)), np.min_scalar_type(-high - 1)), copy=False)


def _joined(parts: list[pa.Table]) -> pa.Table:
    """The cells of all parts, persons numbered on, each column as wide as its widest part."""
    import numpy as np
    import pyarrow as pa

    filled = [part for part in parts if part.num_rows] or parts[:1]
    schema = filled[0].schema
    for place, field in enumerate(schema):
        if not pa.types.is_string(field.type):
            widest = np.result_type(*(part.schema.field(place).type.to_pandas_dtype() for part in filled))
            schema = schema.set(place, field.with_type(pa.from_numpy_dtype(widest)))
    persons = 0
    found = []
    for part in filled:
        numbers = part.column("person").to_numpy()
        numbered = part.set_column(0, "person", pa.array(numbers + np.int32(persons)))
        persons += int(numbers[-1]) + 1 if len(numbers) else 0
        found.append(numbered if numbered.schema == schema else numbered.cast(schema))
    return pa.concat_tables(found)
