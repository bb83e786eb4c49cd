"""Releases, one by one: which there are, what each says, and its proof."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.kit.base import Noun
from node.cli.kit.choice import client_of, node_option
from node.cli.kit.output import emit, emit_json, output_option, say
from node.cli.kit.table import Column, render_table, terminal_width


@click.group(
    cls=Noun,
    examples=(
        ("murmur release list --metric people_by_country", "the newest releases of one metric"),
        ("murmur release show 3f9c…", "every cell of one, and what was signed"),
        ("murmur release prove 3f9c… --out people.murmur-proof", 'its proof, for "murmur verify"'),
    ),
)
def command() -> None:
    """Releases, one by one: which there are, what each says, and its proof."""


@command.command("list", examples=(("murmur release list --metric people", ""),))
@click.option("--metric", metavar="NAME", help="Of this metric only.")
@click.option("--window", metavar="WINDOW", help="Of this window only.")
@click.option("--node", metavar="NAME", help="Of this member only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="At most so many.")
@node_option
@output_option("table", "json", "ndjson", "csv", "parquet", "arrow", "md")
def list_(metric: str | None, window: str | None, node: str | None, limit: int, data: Path, output: str) -> None:
    """List releases, the newest window first."""
    from node.cli.kit.rows import write_bytes, write_table
    from node.commons_db.forms import CONTENT_TYPES

    asked = {"metric": metric, "window": window, "node": node, "limit": str(limit)}
    query = {name: value for name, value in asked.items() if value is not None}
    if output in ("ndjson", "csv", "parquet", "arrow"):
        answer = client_of(data).exchange("GET", _path("/v1/releases", query), accept=CONTENT_TYPES[output])
        write_bytes(answer.body, output)
        return
    envelope = client_of(data).get("/v1/releases", query)
    rows = envelope["data"]["releases"]
    if output == "json":
        emit_json("murmur.releases/1", {"releases": rows, **envelope["metadata"]})
        return
    texts = [[row["release"], row["metric"], row["window"], row["name"]] for row in rows]
    names = ["release", "metric", "window", "node"]
    if output == "md":
        write_table(names, texts, output)
        return
    columns = [Column(names[0], is_number=True), *(Column(name) for name in names[1:])]  # an id is never cut
    for line in render_table(columns, texts, terminal_width()):
        emit(line)
    if envelope["metadata"]["next"]:
        say(f"{envelope['metadata']['total']} in all; --limit shows more.")


@command.command("show", examples=(("murmur release show 3f2a99c0", "the beginning of its id is enough"),))
@click.argument("release")
@node_option
@output_option("table", "json", "csv")
def show(release: str, data: Path, output: str) -> None:
    """Show RELEASE: its cells, noise and charge, as its node signed them."""
    from node.cli.kit.rows import write_bytes, write_table

    path = f"/v1/releases/{release}"
    if output == "csv":
        write_bytes(client_of(data).exchange("GET", path, accept="text/csv").body, output)
        return
    found = client_of(data).get(path)["data"]
    if output == "json":
        emit_json("murmur.release/1", {name: value for name, value in found.items() if name != "schema"})
        return
    emit(f"{found['metric']}  {found['window']}  {found['name']}")
    for block in found["blocks"]:
        emit(f"{block['name']}: {block['cells']} cells, {block['mechanism']} noise, sigma {block['sigma']}")
    charge = found["charges"][0]
    emit(f"charged {charge['rho_nano'] / 1e9:g} rho to {charge['epoch']}; entry {found['seq']} of its log, "
         f"signed {found['signed']['at'] or 'at an unknown time'}")  # fmt: skip
    emit("")
    axes = sorted({axis for cell in found["cells"] for axis in cell["key"]})
    rows = [[cell["block"], *(cell["key"].get(axis) for axis in axes), cell["units"]] for cell in found["cells"]]
    write_table(["block", *axes, "released"], rows, output)


@command.command(
    "prove", examples=(("murmur release prove 3f2a99c0 --out number.proof", "for whoever doubts the number"),)
)
@click.argument("release")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Where to write it.  [default: ID.murmur-proof]"
)
@node_option
@output_option("table", "json")
def prove(release: str, out: Path | None, data: Path, output: str) -> None:
    """Write the proof bundle of RELEASE, which "murmur verify" checks offline."""
    bundle = client_of(data).exchange("GET", f"/v1/proofs/{release}", accept="*/*").body
    target = out or Path(f"{release[:16]}.murmur-proof")
    target.write_bytes(bundle)
    if output == "json":
        emit_json("murmur.proof/1", {"file": str(target), "bytes": len(bundle)})
        return
    emit(f"{target}  {len(bundle):,} bytes")
    say(f'\n"murmur verify {target} --federation ID" checks it without any node.')


def _path(path: str, query: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return f"{path}?{urlencode(query)}" if query else path
