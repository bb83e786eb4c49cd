"""Check a proof bundle, offline: who signed the number, under which rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.output import emit, emit_json, output_option, say


@click.command(
    cls=Verb,
    examples=(
        ("murmur verify 3f9c….murmur-proof --federation 8a41…", "with the federation id you know from elsewhere"),
        ("murmur verify 3f9c….murmur-proof --json", "for a program; exit code 6 when anything is wrong"),
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--federation", metavar="HEX", help="The federation id, 64 hex digits, from a source you trust.")
@output_option("table", "json")
def command(file: Path, federation: str | None, output: str) -> None:
    """Check a proof bundle, offline: who signed the number, under which rules.

    FILE comes from GET /v1/proofs/{release id} or "murmur release prove RELEASE --out FILE". Nothing is asked of any node.
    """
    from federation.proofs import MAX_PROOF_BYTES, NOT_PROVED, PROVED, verify_proof
    from protocol.ids import parse_hex_id

    expected = None if federation is None else parse_hex_id(federation, "federation id")
    with file.open("rb") as opened:
        data = opened.read(MAX_PROOF_BYTES + 1)
    found = verify_proof(data, expected)
    summary = found.summary
    if output == "json":
        document: dict[str, Any] = {
            "federation": found.federation,
            "federation_is_given": expected is not None,
            "charter_version": found.charter_version,
            "node": found.node,
            "name": found.name,
            "metric": found.metric,
            "question": found.question,
            "window": summary.window,
            "release": summary.release.hex(),
            "person_key": summary.unit,
            "blocks": [
                {"cells": block.cells, "mechanism": block.mechanism, "quantum": str(block.quantum),
                 "sigma_squared": str(block.sigma2)}
                for block in summary.blocks
            ],
            "cells": list(found.cells),
            "epoch": summary.charges[0].epoch,
            "charged_nano_rho": found.charged,
            "cap_nano_rho": found.cap,
            "other_summaries": found.others,
            "proved": PROVED,
            "not_proved": NOT_PROVED,
        }  # fmt: skip
        emit_json("murmur.verified/1", document)
        return
    signed = f"{datetime.fromtimestamp(found.signed_at, UTC):%Y-%m-%d %H:%M} UTC (its own clock)"
    sigma = ", ".join(f"{float(square) ** 0.5:.4g}" for square in found.sigma_squared)
    emit(f"Good: {found.metric}  {summary.window}  {found.name}")
    emit(f"  asks        {found.question}")
    emit(f"  release     {summary.release.hex()}")
    emit(f"  cells       {len(found.cells)}, noise of sigma {sigma}, counting by {summary.unit}")
    emit(f"  signed by   {found.name} ({found.node[:16]}…), entry {found.position[1]} of its log, {signed}")
    emit(
        f"  charged     {found.charged / 1e9:g} of {found.cap / 1e9:g} rho of {summary.charges[0].epoch},"
        f" {found.others} other releases shown"
    )
    emit(f"  federation  {found.federation}, charter {found.charter_version}")
    emit(f"Proved: {PROVED}.")
    emit(f"Not proved: {NOT_PROVED}.")
    if expected is None:
        say("The federation id was taken from the file. Compare it with one you trust, or give --federation.")
