"""Which SQL may run on the commons: one SELECT over the documented tables, with functions that only compute.

The statement is parsed by DuckDB itself (`json_serialize_sql`, which knows nothing but SELECT) and its tree is walked:
every table, table function and function must be one that is allowed. This stands before the locks of the engine
(read-only file, no external access, locked configuration, memory and time limits), not instead of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from node.commons_db.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_SQL_CHARS: Final = 100_000
TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})
_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES: Final = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "CTE"})

# Functions that tell of or change the engine, its files, its clock or other work. Everything else computes on values.
_FORBIDDEN: Final = re.compile(
    r"pg_(?!typeof).*|duckdb_.*|pragma_.*|read_.*|parquet_.*|.*_scan|__internal.*|has_.*_privilege|.*_log(_.*)?|"
    r"(get|set|enable|disable|truncate|checkpoint|force|execute|query|register|create|destroy|json_execute)_.*|"
    r"current_(catalog|connection_id|database|query|query_id|role|schema|schemas|setting|transaction_id|user)|"
    r"getenv|getvariable|nextval|currval|setseed|sleep_ms|stats|txid_current|user|session_user|version|write_log|"
    r"in_search_path|col_description|obj_description|shobj_description|format_pg_type|map_to_pg_oid|"
    r"parse_duckdb_log_message|sql_auto_complete|which_secret|json_serialize_.*|json_deserialize_.*|"
    r"finalize|combine|icu_.*|last_insert_rowid|lastval|get_block_size|glob"
)
_ALLOWED_ALL_THE_SAME: Final = frozenset({"get_bit", "set_bit"})


class StatementRefused(Exception):
    """The statement may not run; nothing was."""

    def __init__(self, code: str, why: str, fix: str) -> None:
        super().__init__(f"{why}. {fix}")
        self.code = code
        self.why = why
        self.fix = fix


def check_statement(connection: DuckDBPyConnection, sql: str) -> None:
    """Nothing, when the statement may run.

    Raises:
        StatementRefused: it is not one SELECT, cannot be read, or names what it may not.
    """
    if len(sql) > MAX_SQL_CHARS:
        raise StatementRefused("sql_too_long", f"it is longer than {MAX_SQL_CHARS} characters", "Shorten it")
    [(text,)] = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    parsed = msgspec.json.decode(text)
    if parsed["error"]:
        if parsed["error_type"] == "not implemented":
            raise _not_a_select()
        raise StatementRefused("sql_syntax", str(parsed["error_message"]), "Mend the statement")
    if len(parsed["statements"]) != 1:
        raise StatementRefused(
            "sql_not_one_statement", f"there are {len(parsed['statements'])} statements", "Send exactly one"
        )
    _check_tree(parsed["statements"])


def _check_tree(tree: Any) -> None:
    named = {str(entry["key"]).lower() for node in _walk(tree) for entry in _common_tables(node)}
    for node in _walk(tree):
        if node.get("class") == "FUNCTION":
            _check_function(node)
        if "class" in node:
            continue
        kind = str(node.get("type", ""))
        if (kind.endswith("_NODE") and kind not in _NODES) or ("cte_map" in node and kind not in _NODES):
            raise _not_a_select()
        if kind == "SHOW_REF":
            raise StatementRefused(
                "sql_not_a_select",
                "DESCRIBE, SHOW and SUMMARIZE read the engine's catalogue",
                "SELECT * FROM dictionary lists tables and columns",
            )
        if "sample" in node and "alias" in node and kind not in _SOURCES:
            raise StatementRefused("sql_forbidden_source", f"it reads from {kind.lower()}", "Use tables and joins")
        if kind == "BASE_TABLE":
            _check_table(node, named)
        if kind == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            if name not in TABLE_FUNCTIONS:
                raise _forbidden_function(name)


def _check_table(node: dict[str, Any], named: set[str]) -> None:
    name = str(node["table_name"]).lower()
    path = [part for part in (node.get("catalog_name"), node.get("schema_name")) if part]
    if path or (name not in TABLES and name not in named):
        shown = ascii(".".join([*map(str, path), name])[:60])
        raise StatementRefused(
            "sql_unknown_table", f"there is no table {shown} for research", f"Use one of: {', '.join(TABLES)}"
        )


def _check_function(node: dict[str, Any]) -> None:
    name = str(node.get("function_name", "")).lower()
    path = node.get("schema") or node.get("catalog")
    if (path and path not in ("main", "pg_catalog")) or (
        name not in _ALLOWED_ALL_THE_SAME and name not in TABLE_FUNCTIONS and _FORBIDDEN.fullmatch(name)
    ):
        raise _forbidden_function(name)


def _forbidden_function(name: str) -> StatementRefused:
    return StatementRefused(
        "sql_forbidden_function",
        f"the function {name[:60]!a} reaches beyond the tables",
        f"Use functions that only compute; table functions are {', '.join(sorted(TABLE_FUNCTIONS))}",
    )


def _not_a_select() -> StatementRefused:
    return StatementRefused("sql_not_a_select", "it is not a SELECT", "The commons is read only: send one SELECT")


def _common_tables(node: dict[str, Any]) -> list[dict[str, Any]]:
    ctes = node.get("cte_map")
    found: list[dict[str, Any]] = ctes.get("map", []) if isinstance(ctes, dict) else []
    if node.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE") and isinstance(node.get("cte_name"), str):
        return [*found, {"key": node["cte_name"]}]
    return found


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree; a loop, since a statement may nest deeply."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
