"""A table in the form that was asked for: JSON, NDJSON, CSV, Parquet, Arrow IPC.

Works on Arrow tables, from SQL and from the query routes alike. In JSON and CSV whole numbers beyond 2^53 and exact
decimals are texts, times are ISO 8601 with Z, bytes are hex, and a number that JSON does not have is null.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
FORMS: Final = tuple(CONTENT_TYPES)
_EXACT: Final = 2**53


def written(table: pa.Table, form: str, metadata: Mapping[str, str] | None = None) -> bytes:
    """The table as NDJSON, CSV, Parquet or Arrow IPC stream; `metadata` goes into the schema of the last two."""
    if form == "ndjson":
        return b"".join(msgspec.json.encode(row) + b"\n" for row in records(table))
    if form == "csv":
        return _csv(table)
    if metadata:
        table = table.replace_schema_metadata(dict(metadata))
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    if form == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, sink, compression="zstd")
    elif form == "arrow":
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        raise ValueError(f"no form {form}")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def records(table: pa.Table) -> Iterable[dict[str, Any]]:
    """One JSON-able mapping per row."""
    names = table.column_names
    for row in rows(table):
        yield dict(zip(names, row, strict=True))


def rows(table: pa.Table) -> list[list[Any]]:
    """JSON-able values, row by row."""
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_EXACT < value < _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return plain(int(value)) if value == value.to_integral_value() else str(value)
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z" if value.tzinfo in (None, UTC) else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        pairs = value and all(isinstance(item, tuple) and len(item) == 2 for item in value)
        return {str(key): plain(item) for key, item in value} if pairs else [plain(item) for item in value]
    return str(value)


def _csv(table: pa.Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in rows(table):
        writer.writerow([_field(value) for value in row])
    return text.getvalue().encode()


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def written_rows(
    names: Sequence[str], rows: Sequence[Sequence[Any]], form: str, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Rows of JSON-able values in a form; exact decimals stay texts in NDJSON and CSV, and are doubles in the rest."""
    if form == "ndjson":
        return b"".join(msgspec.json.encode(dict(zip(names, row, strict=True))) + b"\n" for row in rows)
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_field(value) for value in row] for row in rows)
        return text.getvalue().encode()
    import pyarrow as pa

    columns = [_column([row[place] for row in rows], name) for place, name in enumerate(names)]
    return written(pa.table(columns, names=list(names)), form, metadata)


NUMBERS: Final = frozenset(
    {"estimate", "lower", "upper", "sigma", "before", "difference", "rho", "units", "cells", "seq", "generation"}
)
"""Columns of `written_rows` that hold numbers whatever their first value is."""


def _column(values: list[Any], name: str) -> pa.Array:
    import pyarrow as pa

    if name in NUMBERS:
        if all(value is None or isinstance(value, int) for value in values):
            return pa.array(values, pa.int64())
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if all(value is None or isinstance(value, bool) for value in values) and any(v is not None for v in values):
        return pa.array(values, pa.bool_())
    texts = [
        None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for value in values
    ]
    return pa.array(texts, pa.string())
