"""One statement on the commons, in a child process that is thrown away: `python -m node.commons_db.ask`.

Reads one `Question` as a line of JSON from stdin; answers with a line of JSON (`columns`, `rows`, `truncated`, or
`error`) and then the body in the form asked for. The parent kills it when its time is over. Whatever a statement
manages to do, it does to this process: it can write no file, sees no environment, and holds the commons read-only.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import TYPE_CHECKING, Any, Final

import duckdb
import msgspec
import pyarrow as pa

from node.commons_db import forms
from node.commons_db.statement import StatementRefused, check_statement

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_BYTES: Final = 64 << 20  # of an answer, as Arrow
BATCH_ROWS: Final = 1024
_ADDRESS_SPACE: Final = 4 << 30  # beyond the engine's own limit: what it allocates without counting


class Question(msgspec.Struct, frozen=True):
    """What is asked.

    Attributes:
        parameters: For `$name`, or in order for `?` and `$1`.
        form: One of `forms.FORMS`; json gives rows of values.
    """

    file: str
    sql: str
    parameters: dict[str, Any] | list[Any]
    form: str
    max_rows: int
    memory_mb: int
    threads: int
    time_s: int


def main() -> int:
    """One question from stdin, one answer on stdout."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    question = msgspec.json.decode(line, type=Question)
    _lock_down(question)
    try:
        head, body = answer(question)
    except StatementRefused as refused:
        head, body = {"error": {"code": refused.code, "why": refused.why, "fix": refused.fix}}, b""
    sys.stdout.buffer.write(msgspec.json.encode(head) + b"\n" + body)
    sys.stdout.buffer.flush()
    return 0


def answer(question: Question) -> tuple[dict[str, Any], bytes]:
    """Run the statement; what it found and the body.

    Raises:
        StatementRefused: it may not run, or failed.
    """
    connection = _connect(question)
    try:
        check_statement(connection, question.sql)
        found = connection.sql(question.sql, params=question.parameters or None)
        table, truncated = _taken(found.to_arrow_reader(BATCH_ROWS), question.max_rows)
    except duckdb.OutOfMemoryException:
        raise StatementRefused(
            "sql_memory", f"it needs more than {question.memory_mb} MB", "Aggregate more, or ask for fewer rows"
        ) from None
    except MemoryError:
        raise StatementRefused("sql_memory", "it needs too much memory", "Aggregate more") from None
    except duckdb.Error as error:
        raise StatementRefused("sql_failed", _first_line(error), "Mend the statement") from None
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    head = {"columns": columns, "rows": table.num_rows, "truncated": truncated}
    if question.form == "json":
        return head, msgspec.json.encode(forms.rows(table))
    return head, forms.written(table, question.form, {"murmur.truncated": str(truncated).lower()})


def _connect(question: Question) -> DuckDBPyConnection:
    connection = duckdb.connect(
        question.file,
        read_only=True,
        config={
            "memory_limit": f"{question.memory_mb}MB",
            "threads": question.threads,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    for statement in (
        "SET TimeZone = 'UTC'",
        "SET max_temp_directory_size = '0KB'",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement).fetchall()
    return connection


def _taken(reader: pa.RecordBatchReader, max_rows: int) -> tuple[pa.Table, bool]:
    """At most so many rows and bytes; whether there were more."""
    batches: list[pa.RecordBatch] = []
    count = size = 0
    for batch in reader:
        if count + batch.num_rows > max_rows:
            batches.append(batch.slice(0, max_rows - count))
            return pa.Table.from_batches(batches, reader.schema), True
        batches.append(batch)
        count += batch.num_rows
        size += batch.nbytes
        if size > MAX_BYTES:
            return pa.Table.from_batches(batches, reader.schema), True
    return pa.Table.from_batches(batches, reader.schema), False


def _lock_down(question: Question) -> None:
    limits = {
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: question.time_s * max(1, question.threads) + 5,
        resource.RLIMIT_AS: _ADDRESS_SPACE,
    }
    for kind, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a stricter limit of the system stands
            resource.setrlimit(kind, (value, value))


def _first_line(error: Exception) -> str:
    """The engine's own word on the statement; it knows nothing that the researcher may not read."""
    return str(error).split("\n", 1)[0][:300].rstrip(".") or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
