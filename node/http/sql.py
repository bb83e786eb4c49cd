"""POST /v1/sql: one read-only statement on the commons (specs/commons.md).

The body is `{"sql": …, "parameters": {…} | […], "max_rows": n}`. The answer is an envelope with columns and rows, or
NDJSON, CSV, Parquet or an Arrow stream by `Accept`; then `Murmur-Truncated` and `Murmur-Commons` say what the
envelope would. Asking is free: only released, noised numbers are there.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from node.commons_db.forms import CONTENT_TYPES
from node.commons_db.researcher import Researcher, SqlRefused
from node.http.access import ReadGate
from node.http.envelope import served_by
from node.http.forms_asked import form_accepted

MAX_BODY_BYTES: Final = 256 << 10


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    sql: str
    parameters: dict[str, Any] | list[Any] = {}
    max_rows: int | None = None


class SqlEndpoint:
    """The handler of `/v1/sql`."""

    def __init__(self, researcher: Researcher, gate: ReadGate, node: bytes, name: str) -> None:
        self._researcher = researcher
        self._gate = gate
        self._served_by = served_by(node, name)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/sql", self.ask)]

    async def ask(self, request: web.Request) -> web.Response:
        """Run the statement of the body."""
        self._gate(request)
        form = form_accepted(request)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise _too_long() from error
        statement = _parsed(body)
        answer = await self._researcher.ask(statement.sql, statement.parameters, form, statement.max_rows)
        headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Murmur-Truncated": str(answer.truncated).lower(),
            "Murmur-Commons": answer.commons,
        }
        body = answer.body
        if form == "json":
            data = {
                "schema": "murmur.sql/1",
                "columns": answer.columns,
                "rows": msgspec.Raw(answer.body),
                "truncated": answer.truncated,
            }
            metadata = {"commons": answer.commons, "data_points": answer.rows, "served_by": self._served_by}
            body = msgspec.json.encode({"status": "ok", "data": data, "metadata": metadata})
        return web.Response(body=body, content_type=CONTENT_TYPES[form], headers=headers)


def _too_long() -> SqlRefused:
    return SqlRefused(
        code="sql_too_long",
        why=f"the body is larger than {MAX_BODY_BYTES >> 10} KiB",
        fix="Shorten the statement, or what is given as parameters",
    )


def _parsed(body: bytes) -> _Statement:
    if len(body) > MAX_BODY_BYTES:
        raise _too_long()
    try:
        statement = msgspec.json.decode(body, type=_Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SqlRefused(
            code="malformed_body",
            why=f"the body is not what this path takes: {error}",
            fix='Send {"sql": "SELECT …", "parameters": {}} as JSON',
        ) from None
    if statement.max_rows is not None and statement.max_rows < 1:
        raise SqlRefused(code="bad_parameter", why="max_rows is below 1", fix="Leave it out, or give 1 or more")
    return statement
