"""Write an answer to a file, with everything needed to read and cite it beside it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.cli.kit.base import Verb
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say


@click.command(
    cls=Verb,
    examples=(
        ("murmur export people_by_country --out people.parquet", "and people.parquet.meta.json beside it"),
        ("murmur export runway_months --from 2026-11-05 --to 2026-11-19 --out runway.csv", "two weeks, as CSV"),
    ),
)
@click.argument("metric")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="Where to write it; .csv, .ndjson, .json, .parquet or .arrow.")  # fmt: skip
@click.option("--window", metavar="WINDOW", help="One window.")
@click.option("--from", "from_", metavar="DATE", help="The first day or hour (UTC).")
@click.option("--to", metavar="DATE", help="The first day or hour that is not included.")
@click.option("--last", metavar="SPAN", help="Back from the newest release: 7d, 24h, 4w.  [default: 30d]")
@click.option("--by", metavar="DIMENSION,…", help="Which dimensions to keep.  [default: all]")
@click.option("--where", metavar="DIMENSION:LABEL,…", help="Which labels to keep, such as country:DE,FR.")
@node_option
@output_option("table", "json")
def command(
    metric: str, out: Path, window: str | None, from_: str | None, to: str | None, last: str | None, by: str | None,
    where: str | None, data: Path, output: str,
) -> None:  # fmt: skip
    """Write an answer to a file, with everything needed to read and cite it beside it.

    Every released cell, unrounded, with its sigma; FILE.meta.json says what was asked, who is in, and how to cite it.
    """
    from node.client import Answer, Client
    from node.commons_db.forms import CONTENT_TYPES

    form = out.suffix.removeprefix(".")
    if form not in CONTENT_TYPES:
        raise click.BadParameter(f"{out.name} ends in none of {', '.join(f'.{one}' for one in CONTENT_TYPES)}")
    asked = {"window": window, "from": from_, "to": to, "last": last, "by": by, "where": where, "raw": "1"}
    query = {name: value for name, value in asked.items() if value is not None}
    admin = client_of(data)
    envelope = admin.get(f"/v1/insights/{metric}", query)
    body = admin.exchange("GET", admin.path(f"/v1/insights/{metric}", query), accept=CONTENT_TYPES[form]).body
    answer = Answer(
        envelope["data"], envelope["metadata"], Client(admin.socket), admin.path(f"/v1/insights/{metric}", query)
    )
    left_out = ("cells", "hidden", "total")
    about = {
        "data": {name: value for name, value in envelope["data"].items() if name not in left_out},
        "metadata": envelope["metadata"],
        "citation": answer.cite(check=False),
    }
    out.write_bytes(body)
    twin = out.with_name(f"{out.name}.meta.json")
    twin.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if output == "json":
        emit_json(
            "murmur.export/1", {"file": str(out), "about": str(twin), "bytes": len(body), "identity": answer.identity}
        )
        return
    emit(f"{out}  {len(body):,} bytes")
    emit(f"{twin}  what was asked, who is in, how to cite")
    say(f"\nAnswer {answer.identity[:16]}…: equal identities mean equal answers.")
