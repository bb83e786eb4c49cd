"""Ask the released numbers anything, in SQL; free, read only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, output_option, say


@click.command(
    cls=Verb,
    examples=(
        ('murmur sql "SELECT metric, count(*) FROM releases GROUP BY metric"', "how much there is"),
        ('murmur sql "FROM dictionary"', "every table and column, with its meaning"),
        ('murmur sql "FROM insights WHERE metric = $m" -p m=people_by_country -o csv > people.csv', "with a parameter"),
        ("murmur sql - -o parquet < question.sql > cells.parquet", "from a file"),
    ),
)
@click.argument("statement")
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="For $NAME; may be repeated."
)
@click.option("--max-rows", type=click.IntRange(min=1), metavar="N", help="Stop after so many rows.")
@node_option
@output_option("table", "json", "ndjson", "csv", "parquet", "arrow", "md")
def command(statement: str, parameters: tuple[str, ...], max_rows: int | None, data: Path, output: str) -> None:
    """Ask the released numbers anything, in SQL; free, read only.

    One SELECT over the tables of released cells. STATEMENT is the text, or - for stdin.
    """
    from node.cli.kit.rows import write_bytes, write_table
    from node.commons_db.forms import CONTENT_TYPES

    body: dict[str, Any] = {"sql": sys.stdin.read() if statement == "-" else statement}
    if parameters:
        body["parameters"] = dict(_parameter(text) for text in parameters)
    if max_rows is not None:
        body["max_rows"] = max_rows
    form = output if output in CONTENT_TYPES else "json"
    answer = client_of(data).exchange("POST", "/v1/sql", body, accept=CONTENT_TYPES[form])
    if output in ("table", "md"):
        found = json.loads(answer.body)["data"]
        write_table([column["name"] for column in found["columns"]], found["rows"], output)
    elif output == "json":
        emit(answer.body.decode())
    else:
        write_bytes(answer.body, output)
    if answer.headers.get("Murmur-Truncated") == "true":
        say("There are more rows: the answer was cut. Aggregate, or give a WHERE.")
    if answer.headers.get("Murmur-Commons") != "current":
        say(f"The tables are {answer.headers.get('Murmur-Commons')}: newest releases may be missing.")


def _parameter(text: str) -> tuple[str, Any]:
    """NAME=VALUE; a value that reads as JSON (a number, true) is that, everything else is text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
