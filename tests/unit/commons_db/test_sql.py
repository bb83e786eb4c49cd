"""SQL on the commons: what researchers need works, and every attack ends in a refusal that says what to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from node.commons_db import ask
from node.commons_db.researcher import SqlLimits
from node.commons_db.statement import StatementRefused
from node.http.access import read_gate
from node.http.problems import problem_middleware
from node.http.sql import SqlEndpoint
from tests.research_kit import ResearchNode, small

Client = TestClient[web.Request, web.Application]
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ResearchNode]:
    node = small(tmp_path, limits=SqlLimits(time_s=8, memory_mb=200, max_rows=1000))
    await node.start()
    yield node
    await node.close()


@pytest.fixture
async def post(node: ResearchNode, aiohttp_client: Callable[..., Awaitable[Client]]) -> Ask:
    """POST a statement; gives (status, document or bytes, headers)."""
    app = web.Application(middlewares=[problem_middleware])
    gate = read_gate(None, is_open=True)  # type: ignore[arg-type]  # an open gate asks for no key
    app.router.add_routes(SqlEndpoint(node.researcher, gate, node.commons.node, "amber").routes())
    client = await aiohttp_client(app)

    async def asked(sql: str, accept: str = "application/json", **more: Any) -> Any:
        response = await client.post("/v1/sql", json={"sql": sql, **more}, headers={"Accept": accept})
        body = await response.read()
        is_document = response.content_type in ("application/json", "application/problem+json")
        return response.status, json.loads(body) if is_document else body, response.headers

    return asked


async def test_questions_that_researchers_ask(post: Ask) -> None:
    """Joins, groups, windows, common tables, parameters, lambdas: ordinary SELECTs."""
    status, document, _ = await post(
        "WITH days AS (SELECT period, sum(value) AS total FROM released_cells WHERE metric = $metric GROUP BY period)"
        " SELECT period, total, total - lag(total) OVER (ORDER BY period) AS change FROM days ORDER BY period",
        parameters={"metric": "calls"},
    )
    assert status == 200, document
    assert [row[1:] for row in document["data"]["rows"]] == [[24090.0, None], [25290.0, 1200.0], [26490.0, 1200.0]]
    assert document["data"]["columns"][0] == {"name": "period", "type": "string"}
    assert document["metadata"]["commons"] == "current"
    assert document["data"]["truncated"] is False
    for sql, rows in (
        ("SELECT count(*) FROM releases JOIN members USING (node)", [[15]]),
        ("SELECT key['country'] AS c, sum(units) FROM released_cells GROUP BY c ORDER BY c LIMIT 1", None),
        ("FROM insights SELECT max(nodes)", [[3]]),
        ("SELECT list_transform([1, 2], lambda x: x + 1)", [[[2, 3]]]),
        ("SELECT reason FROM abstentions LIMIT 1", [["not_in_plan"]]),
        ("SELECT count(DISTINCT table_name) FROM dictionary", [[7]]),
        ("SELECT unnest(dimensions) FROM metrics WHERE metric = 'calls'", [["country"]]),
    ):
        status, document, _ = await post(sql)
        assert status == 200, document
        assert rows is None or document["data"]["rows"] == rows, sql


async def test_every_form(post: Ask) -> None:
    """JSON, NDJSON, CSV, Parquet and Arrow say the same."""
    sql = "SELECT period, cell, key, units, starts FROM released_cells WHERE metric = 'calls' ORDER BY ALL"
    _, document, _ = await post(sql)
    rows = document["data"]["rows"]
    assert rows[0] == [rows[0][0], 0, {"country": "DE"}, 997, "2026-11-01T00:00:00Z"]
    _, ndjson, _ = await post(sql, "application/x-ndjson")
    assert [list(json.loads(line).values()) for line in ndjson.splitlines()] == rows
    _, text, headers = await post(sql, "text/csv")
    assert text.decode().splitlines()[:2] == ["period,cell,key,units,starts", f'{rows[0][0]},0,"{{""country"":""DE""}}",997,2026-11-01T00:00:00Z']  # fmt: skip  # noqa: E501
    assert headers["Murmur-Truncated"] == "false"
    _, parquet, _ = await post(sql, "application/vnd.apache.parquet")
    assert pyarrow.parquet.read_table(pa.BufferReader(parquet)).column("units").to_pylist() == [row[3] for row in rows]
    _, arrow, _ = await post(sql, "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(arrow).read_all().num_rows == len(rows)
    status, document, _ = await post(sql, "image/png")
    assert (status, document["code"]) == (406, "not_acceptable")


async def test_too_many_rows_are_cut_and_said_so(post: Ask) -> None:
    _, document, _ = await post("SELECT range FROM range(5000)")
    assert (len(document["data"]["rows"]), document["data"]["truncated"]) == (1000, True)
    _, document, headers = await post("SELECT range FROM range(5000)", "text/csv", max_rows=3)
    assert document == b"range\n0\n1\n2\n"
    assert headers["Murmur-Truncated"] == "true"


ATTACKS = [
    # files
    ("SELECT * FROM read_csv('/etc/passwd')", "sql_forbidden_function"),
    ("SELECT * FROM '/etc/passwd'", "sql_unknown_table"),
    ("SELECT * FROM read_text('/proc/self/environ')", "sql_forbidden_function"),
    ("SELECT * FROM glob('/*')", "sql_forbidden_function"),
    ("SELECT * FROM 'state.db'", "sql_unknown_table"),
    ("SELECT * FROM parquet_scan('x')", "sql_forbidden_function"),
    ("SELECT getenv('HOME')", "sql_forbidden_function"),
    ("COPY metrics TO '/tmp/x.csv'", "sql_not_a_select"),
    ("EXPORT DATABASE '/tmp/x'", "sql_not_a_select"),
    # other databases and extensions
    ("ATTACH 'state.db' AS s", "sql_not_a_select"),
    ("INSTALL httpfs", "sql_not_a_select"),
    ("LOAD httpfs", "sql_not_a_select"),
    ("USE store", "sql_not_a_select"),
    # settings and state
    ("SET enable_external_access = true", "sql_not_a_select"),
    ("SET VARIABLE x = 1", "sql_not_a_select"),
    ("PRAGMA database_list", "sql_not_a_select"),
    ("CALL pragma_version()", "sql_not_a_select"),
    ("SELECT current_setting('memory_limit')", "sql_forbidden_function"),
    ("SELECT getvariable('x')", "sql_forbidden_function"),
    ("SELECT setseed(0.5)", "sql_forbidden_function"),
    ("SELECT * FROM duckdb_settings()", "sql_forbidden_function"),
    ("PREPARE p AS SELECT 1", "sql_not_a_select"),
    ("BEGIN", "sql_not_a_select"),
    # other work, other connections
    ("SELECT * FROM duckdb_logs()", "sql_forbidden_function"),
    ("SELECT * FROM duckdb_prepared_statements()", "sql_forbidden_function"),
    ("SELECT txid_current(), current_query()", "sql_forbidden_function"),
    ("SELECT write_log('x')", "sql_forbidden_function"),
    # system tables and what lies behind the views
    ("SELECT * FROM information_schema.tables", "sql_unknown_table"),
    ("SELECT * FROM sqlite_master", "sql_unknown_table"),
    ("SELECT * FROM pg_catalog.pg_class", "sql_unknown_table"),
    ("SELECT * FROM duckdb_tables", "sql_unknown_table"),
    ("SELECT * FROM store.cells", "sql_unknown_table"),
    ("DESCRIBE metrics", "sql_not_a_select"),
    ("SELECT * FROM (SHOW ALL TABLES)", "sql_not_a_select"),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM duckdb_secrets())", "sql_forbidden_function"),
    ("SELECT * FROM query('SELECT 1')", "sql_forbidden_function"),
    ("SELECT * FROM query_table('metrics')", "sql_forbidden_function"),
    ("SELECT * FROM json_execute_serialized_sql('{}')", "sql_forbidden_function"),
    # writing
    ("DELETE FROM metrics", "sql_not_a_select"),
    ("WITH x AS (DELETE FROM metrics RETURNING *) SELECT * FROM x", "sql_not_a_select"),
    ("CREATE TABLE x AS SELECT 1", "sql_not_a_select"),
    ("CREATE MACRO f() AS 1", "sql_not_a_select"),
    ("DROP VIEW insights", "sql_not_a_select"),
    # more than one, none, nonsense
    ("SELECT 1; DROP TABLE metrics", "sql_not_a_select"),
    ("SELECT 1; SELECT 2", "sql_not_one_statement"),
    ("", "sql_not_one_statement"),
    ("SELEKT 1", "sql_syntax"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "sql_syntax"),
    ("SELECT '" + "x" * 100_001 + "'", "sql_too_long"),
    ("SELECT $missing", "sql_failed"),
    # time and memory
    ("SELECT list(range) FROM range(1000000000)", "sql_memory"),
    ("SELECT pg_sleep(60)", "sql_forbidden_function"),
]


ONE_OF_EACH = [(sql, code) for code, sql in {code: sql for sql, code in ATTACKS}.items()]
IN_A_CHILD_ONLY = "sql_memory"  # the process that runs it is thrown away for a reason


async def test_every_attack_is_refused_by_what_runs_it(node: ResearchNode) -> None:
    """Without the process around it: each statement meets the very check and engine of a child, and a code."""
    before = node.projection.file.read_bytes()
    asked = ask.Question(
        file=str(node.projection.file), sql="", parameters={}, form="json", max_rows=1000, memory_mb=200, threads=1,
        time_s=8,
    )  # fmt: skip
    wrong: list[object] = []
    for sql, code in ATTACKS:
        if code != IN_A_CHILD_ONLY:
            try:
                wrong.append((sql[:60], ask.answer(msgspec.structs.replace(asked, sql=sql))))
            except StatementRefused as refused:
                if refused.code != code:
                    wrong.append((sql[:60], refused.code))
    assert wrong == []
    assert node.projection.file.read_bytes() == before


@pytest.mark.parametrize("attacks", [ONE_OF_EACH, pytest.param(ATTACKS, marks=pytest.mark.slow)], ids=["few", "all"])
async def test_an_attack_is_refused_cleanly(post: Ask, node: ResearchNode, attacks: list[tuple[str, str]]) -> None:
    """A problem document with a code, no crash, nothing changed; and the next question is answered."""
    before = node.projection.file.read_bytes()
    wrong = []
    for sql, code in attacks:
        status, document, _ = await post(sql)
        if (status, document["code"]) != (400, code):
            wrong.append((sql[:60], status, document.get("code"), document.get("detail")))
    assert wrong == []
    assert node.projection.file.read_bytes() == before
    assert (await post("SELECT count(*) FROM metrics"))[1]["data"]["rows"] == [[4]]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM range(100000000000) a, range(1000000) b",
        "SELECT length(repeat('x', 2000000000) || repeat('y', 2000000000))",
    ],
)
async def test_endless_statements_end(post: Ask, node: ResearchNode, sql: str) -> None:
    """Their process is killed when the time is over; the node lives on."""
    node.researcher.limits = SqlLimits(time_s=2, memory_mb=200)
    status, document, _ = await post(sql)
    assert status == 400
    assert document["code"] in ("sql_timeout", "sql_memory", "sql_failed")
    node.researcher.limits = SqlLimits(time_s=60)  # starting a process alone may take two seconds of a busy machine
    assert (await post("SELECT 1"))[0] == 200


@pytest.mark.parametrize("body", ["", "[]", '{"sql": 1}', '{"sql": "SELECT 1", "more": 1}', '{"sql": "SELECT 1", "max_rows": 0}'])  # fmt: skip  # noqa: E501
def test_a_malformed_body_is_refused(body: str) -> None:
    from node.commons_db.researcher import SqlRefused
    from node.http.sql import _parsed

    with pytest.raises(SqlRefused):
        _parsed(body.encode())


async def test_before_the_first_build_the_answer_says_so(tmp_path: Path) -> None:
    """503 and what to do; the file is then built."""
    from node.commons_db.researcher import SqlRefused

    fresh = small(tmp_path)
    with pytest.raises(SqlRefused) as refused:
        await fresh.researcher.ask("SELECT 1", {}, "json")
    assert (refused.value.status, refused.value.code) == (503, "commons_not_built")
    await fresh.close()
