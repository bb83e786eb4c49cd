"""Building the commons, in a child process of its own: `python -m node.commons_db.build`.

Reads one job from stdin as lines of JSON: first a header (`Job`), then one line per slot. Writes a new file beside
the old one and renames it, so readers go on with the old one and a killed build leaves nothing half done.

A line is `[author, definition, period, "released", entry id]`, `[…, "abstained", reason]` or `[…, "nothing", ""]`
(hex, texts). A slot's line replaces what stood there, so lines may come again and in any order of slots.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from federation.documents import read_definition
from node.commons_db.tables import STORED, TABLES
from privacy.definition import Definition
from privacy.layout import Layout, compile_layout
from privacy.units import Window, datetime_of_hour
from protocol.entries import parse_header
from protocol.ids import NodeId
from protocol.summaries import SummaryData, parse_summary, read_cells

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH: Final = 512  # slots decoded before they are inserted
_UNIX: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # TIMESTAMP columns are UTC without saying so
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z

Slot = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """What to build.

    Args:
        file: The commons file to replace.
        state: The node's state database, opened read-only.
        is_rebuild: True to begin with nothing, False to begin with a copy of the file.
        definitions: Bodies by hash, hex.
        catalogue: [metric, definition, first hour, end hour or None], in charter order.
        members: [node, name, organisation, first hour], in charter order.
        min_organisations: How many the charter demands in a sum that is shown.
    """

    file: Path
    state: Path
    is_rebuild: bool
    definitions: Mapping[str, str]
    catalogue: Sequence[tuple[str, str, int, int | None]]
    members: Sequence[tuple[str, str, str, int]]
    min_organisations: int = 1


def main() -> int:
    """One job from stdin; a line of JSON with what was done on stdout."""
    header = json.loads(sys.stdin.readline())
    job = Job(**{**header, "file": Path(header["file"]), "state": Path(header["state"])})
    done = build(job, (json.loads(line) for line in sys.stdin))
    print(json.dumps(done), flush=True)  # noqa: T201  # the parent reads it
    return 0


def build(job: Job, slots: Iterable[Slot]) -> dict[str, int]:
    """Write the new file and put it in the old one's place; how many slots were taken."""
    aside = job.file.with_suffix(".new")
    aside.unlink(missing_ok=True)
    aside.with_suffix(".new.wal").unlink(missing_ok=True)
    if not job.is_rebuild:
        shutil.copyfile(job.file, aside)
    connection = duckdb.connect(str(aside), config={"threads": 1, "memory_limit": "500MB", "temp_directory": ""})
    state = sqlite3.connect(f"file:{job.state}?mode=ro", uri=True)
    try:
        if job.is_rebuild:
            connection.execute(STORED)
        connection.begin()
        builder = _Builder(connection, state, job)
        builder.fill_small_tables()
        taken = builder.take(slots)
        connection.commit()
        connection.execute("CHECKPOINT")
    finally:
        state.close()
        connection.close()
    aside.chmod(0o600)
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(job.file)
    return {"slots": taken}


@dataclass
class _Builder:
    connection: DuckDBPyConnection
    state: sqlite3.Connection
    job: Job
    _definitions: dict[str, Definition] = field(default_factory=dict)
    _layouts: dict[str, int] = field(default_factory=dict)
    _next_slot: int = 0

    def __post_init__(self) -> None:
        for digest, body in self.job.definitions.items():
            known = read_definition(bytes.fromhex(body))
            if known is not None:  # else this version cannot compute it, and nothing of it counts here
                self._definitions[digest] = known
        for number, name in self.connection.execute("SELECT layout, name FROM store.layout_names").fetchall():
            self._layouts[name] = number
        [(last,)] = self.connection.execute("SELECT coalesce(max(slot), 0) FROM store.releases").fetchall()
        self._next_slot = last + 1

    def fill_small_tables(self) -> None:
        """Charter and catalogue, written anew each time."""
        for table in ("store.members", "store.rules", "metrics", "dictionary"):
            self.connection.execute(f"DELETE FROM {table}")
        self._insert("store.rules", [(self.job.min_organisations,)])
        members = [(place, *row[:3], _instant(row[3])) for place, row in enumerate(self.job.members)]
        self._insert("store.members", members)
        self._insert("metrics", [self._metric(*row) for row in self.job.catalogue if row[1] in self._definitions])
        columns = [(table, *column) for table, of_table in TABLES.items() for column in of_table]
        self._insert("dictionary", columns)

    def take(self, slots: Iterable[Slot]) -> int:
        """Replace what stands in each slot; how many there were."""
        taken = 0
        for batch in _batches(slots):
            taken += len(batch)
            if not self.job.is_rebuild:
                self._forget(batch)
            self._insert("store.abstentions", [row for slot in batch if (row := self._abstention(slot)) is not None])
            self._release([slot for slot in batch if slot[3] == "released" and slot[1] in self._definitions])
        return taken

    def _forget(self, batch: Sequence[Slot]) -> None:
        self.connection.execute("CREATE OR REPLACE TEMP TABLE gone (node VARCHAR, definition VARCHAR, period VARCHAR)")
        self._insert("gone", [slot[:3] for slot in batch])
        self.connection.execute(
            "DELETE FROM store.cells WHERE slot IN"
            " (SELECT slot FROM store.releases SEMI JOIN gone USING (node, definition, period))"
        )
        for table in ("releases", "abstentions"):
            self.connection.execute(
                f"DELETE FROM store.{table} t USING gone g"
                " WHERE t.node = g.node AND t.definition = g.definition AND t.period = g.period"
            )

    def _abstention(self, slot: Slot) -> tuple[Any, ...] | None:
        author, digest, period, kind, reason = slot
        if kind != "abstained" or digest not in self._definitions:
            return None
        window = Window.parse(period)
        name = self._definitions[digest].metric
        return name, digest, period, _instant(window.start_hour), _instant(window.end_hour), author, reason

    def _release(self, slots: Sequence[Slot]) -> None:
        rows: list[tuple[Any, ...]] = []
        numbers: list[int] = []
        places: list[int] = []
        units: list[int] = []
        for slot in slots:
            summary, cells, at = self._read(slot)
            rows.append(self._row(slot, summary, at))
            numbers += [self._next_slot] * len(cells)
            places += range(len(cells))
            units += cells
            self._next_slot += 1
        self._insert("store.releases", rows)
        if units:
            table = pa.table(
                {
                    "slot": pa.array(numbers, pa.int32()),
                    "cell": pa.array(places, pa.int32()),
                    "units": pa.array(units, pa.int64()),
                }
            )
            self._insert_table("store.cells", table)

    def _row(self, slot: Slot, summary: SummaryData, at: int) -> tuple[Any, ...]:
        author, digest, period, _, entry = slot
        window = Window.parse(period)
        definition = self._definitions[digest]
        charge = summary.charges[0]
        return (
            self._next_slot, self._layout(digest, definition, window, summary), definition.metric, digest, period,
            _instant(window.start_hour), _instant(window.end_hour), author, summary.release.hex(), entry,
            summary.unit, float(summary.sampling), summary.cells, charge.epoch, charge.rho_nano / 1e9,
            _UNIX + timedelta(seconds=at) if 0 <= at <= _LAST_SECOND else None, summary.keys is not None,
        )  # fmt: skip

    def _layout(self, digest: str, definition: Definition, window: Window, summary: SummaryData) -> int:
        """The number of the layout of this window; only hour windows differ, by their hour of the day.

        A release that brings its own keys has a layout of its own.
        """
        hour = window.start_hour % 24 if window.kind == "hour" else 0
        name = f"{digest} {hour}" if summary.keys is None else f"{digest} {summary.release.hex()}"
        number = self._layouts.get(name)
        if number is None:
            number = self._layouts[name] = len(self._layouts) + 1
            layout = compile_layout(definition, window)
            self._insert("store.layout_names", [(number, name)])
            self._insert(
                "store.layouts",
                _layout_rows(number, layout if summary.keys is None else layout.with_keys(summary.keys)),
            )
        return number

    def _read(self, slot: Slot) -> tuple[SummaryData, tuple[int, ...], int]:
        [row] = self.state.execute(
            "SELECT header, data, cells FROM entries WHERE id = ?", (bytes.fromhex(slot[4]),)
        ).fetchall()
        summary = parse_summary(row[1], NodeId(bytes.fromhex(slot[0])))
        return summary, read_cells(summary, row[2]), parse_header(row[0]).at

    def _metric(self, name: str, digest: str, from_hour: int, until_hour: int | None) -> tuple[Any, ...]:
        definition = self._definitions[digest]
        layout = compile_layout(definition, Window.containing(definition.window, from_hour))
        return (
            name, digest, definition.question, definition.measure.word, definition.window, _instant(from_hour),
            None if until_hour is None else _instant(until_hour), [axis.name for axis in layout.dimensions],
            layout.cells, definition.mechanism, definition.max_cells, definition.max_per_cell, float(layout.rho),
        )  # fmt: skip

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        schema, _, name = table.rpartition(".")
        columns = self.connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
            " ORDER BY column_index",
            (schema or "main", name),
        ).fetchall()
        arrays = [_array(type_, [row[place] for row in rows]) for place, (_, type_) in enumerate(columns)]
        self._insert_table(table, pa.table(arrays, names=[column for column, _ in columns]))

    def _insert_table(self, table: str, rows: pa.Table) -> None:
        self.connection.register("new_rows", rows)
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM new_rows")
        self.connection.unregister("new_rows")


def _layout_rows(number: int, layout: Layout) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    keys = layout.keys()
    for block in layout.blocks:
        sigma = math.sqrt(block.sigma_squared) * float(block.quantum)
        for key in islice(keys, block.cells):
            rows.append((number, block.name, len(rows), list(key.items()), float(block.quantum), sigma))
    return rows


_ARROW: Final = {
    "INTEGER": pa.int32(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(), "TIMESTAMP": pa.timestamp("us"), "VARCHAR[]": pa.list_(pa.string()),
    "MAP(VARCHAR, VARCHAR)": pa.map_(pa.string(), pa.string()),
}  # fmt: skip


def _array(type_: str, values: list[Any]) -> pa.Array:
    return pa.array(values, _ARROW[type_])


def _instant(hour: int) -> datetime:
    return datetime_of_hour(hour).replace(tzinfo=None)


def _batches(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    iterator = iter(slots)
    while batch := list(islice(iterator, BATCH)):
        yield batch


if __name__ == "__main__":
    sys.exit(main())
