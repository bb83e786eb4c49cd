"""Ask the federation a question; free, any number of times."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say


@click.command(
    cls=Verb,
    examples=(
        ("murmur query people_by_country", "the last 30 days that were released"),
        ("murmur query people_by_country --window 2026-11-18/P1D", "one day"),
        ("murmur query people_by_country --last 7d --compare", "and the week before, with what is more than noise"),
        ("murmur query people_by_country --proof answer.proof", 'and what "murmur verify" checks offline'),
        ("murmur query runway_months --from 2026-11-05 --to 2026-11-19 -o csv > runway.csv", "two weeks, as CSV"),
    ),
)
@click.argument("metric")
@click.option("--window", metavar="WINDOW", help="One window: 2026-11-18/P1D, 2026-11-16/P1W, 2026-11-01/P1M.")
@click.option("--from", "from_", metavar="DATE", help="The first day or hour (UTC): 2026-11-05, 2026-11-05T08.")
@click.option("--to", metavar="DATE", help="The first day or hour that is not included.")
@click.option("--last", metavar="SPAN", help="Back from the newest release: 7d, 24h, 4w.  [default: 30d]")
@click.option("--by", metavar="DIMENSION,…", help="Which dimensions to keep; the others are summed up.  [default: all]")
@click.option("--level", metavar="PERCENT", help="Level of the privacy interval: 80, 95 or 99.  [default: 95]")
@click.option("--where", metavar="DIMENSION:LABEL,…", help="Which labels to keep: country:DE,FR;app:shop.")
@click.option("--nodes", metavar="NAME,…", help="Which members to sum.  [default: all]")
@click.option("--raw", is_flag=True, help="Every released cell, unrounded, also those too small to show.")
@click.option("--compare", is_flag=True, help="Set the span before beside it, and say what is more than noise.")
@click.option("--proof", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help='Also write the proof of the answer, which "murmur verify" checks.')  # fmt: skip
@node_option
@output_option("table", "json", "csv", "ndjson", "parquet", "arrow", "md")
def command(
    metric: str, window: str | None, from_: str | None, to: str | None, last: str | None, by: str | None,
    level: str | None, where: str | None, nodes: str | None, raw: bool, compare: bool, proof: Path | None, data: Path,
    output: str,
) -> None:  # fmt: skip
    """Ask the federation a question; free, any number of times.

    The answer is computed from signed, noised summaries that the node holds; every node gives the same.
    """
    from node.cli.kit.answer import answer_csv, answer_lines
    from node.cli.kit.comparing import compare_lines
    from node.cli.kit.table import terminal_width

    asked = {
        "window": window,
        "from": from_,
        "to": to,
        "last": last,
        "by": by,
        "level": level,
        "where": where,
        "nodes": nodes,
        "raw": "1" if raw else None,
    }
    query = {name: value for name, value in asked.items() if value is not None}
    if proof is not None:
        client = client_of(data)
        path = client.path(f"/v1/insights/{quote(metric, safe='')}.proof", query)
        bundle = client.exchange("GET", path, accept="*/*").body
        proof.write_bytes(bundle)
        say(f'{proof}  {len(bundle):,} bytes; "murmur verify {proof} --federation ID" checks it without any node.')
    if compare:
        query["compare"] = "previous"
    if output in ("ndjson", "parquet", "arrow"):
        from node.cli.kit.rows import write_bytes
        from node.commons_db.forms import CONTENT_TYPES

        client = client_of(data)
        path = client.path(f"/v1/insights/{quote(metric, safe='')}", query)
        write_bytes(client.exchange("GET", path, accept=CONTENT_TYPES[output]).body, output)
        return
    if output in ("table", "json"):
        query["badges"] = "1"
    envelope = json.loads(client_of(data).get_bytes(f"/v1/insights/{quote(metric, safe='')}", query))
    if output == "json":
        emit_json("murmur.query/1", envelope)
    elif output == "md":
        from node.cli.kit.rows import write_table
        from node.http.insights import insight_rows

        write_table(*insight_rows(envelope["data"]), output)
    elif output == "csv":
        click.echo(answer_csv(envelope["data"]), nl=False)
    else:
        for line in answer_lines(envelope["data"], terminal_width()):
            emit(line)
        if compare:
            for line in compare_lines(envelope["data"], terminal_width()):
                emit(line)
