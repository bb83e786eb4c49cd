"""Rows of any question as a table for people, as Markdown, or as bytes for a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from node.cli.kit.output import emit
from node.cli.kit.table import Column, render_table, terminal_width
from node.harmless import harmless


def write_table(names: Sequence[str], rows: Sequence[Sequence[Any]], output: str) -> None:
    """The rows on stdout: `table` fits the terminal, `md` is Markdown."""
    texts = [[_text(value) for value in row] for row in rows]
    if output == "md":
        for line in markdown(names, texts):
            emit(line)
        return
    numeric = [
        all(isinstance(row[place], int | float | None) for row in rows) and bool(rows) for place in range(len(names))
    ]
    columns = [Column(name, is_number=is_number) for name, is_number in zip(names, numeric, strict=True)]
    for line in render_table(columns, texts, terminal_width()):
        emit(line)


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; pipes in cells are escaped."""
    lines = [names, ["---"] * len(names), *rows]
    return ["| " + " | ".join(harmless(str(cell)).replace("|", "\\|") for cell in line) + " |" for line in lines]


def write_bytes(body: bytes, output: str) -> None:
    """Bytes on stdout; binary forms are not poured into a terminal."""
    if output in ("parquet", "arrow") and sys.stdout.isatty():
        raise click.UsageError(f"{output} is binary: send it into a file with > FILE")
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
