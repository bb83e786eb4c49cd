"""Check a proof bundle of a release or an answer, offline: who signed the numbers, under which rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.kit.base import Verb
from node.cli.kit.output import emit, emit_json, output_option, say

if TYPE_CHECKING:
    from federation.answer_proofs import VerifiedAnswer


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
    """Check a proof bundle, offline: who signed the numbers, under which rules.

    FILE comes from "murmur release prove ID" or "murmur query METRIC --proof FILE"; an answer is computed anew from the
    signed releases in it. Nothing is asked of any node.
    """
    from federation.answer_proofs import is_answer_proof, verify_answer_proof
    from federation.proofs import MAX_PROOF_BYTES, NOT_PROVED, PROVED, verify_proof
    from protocol.ids import parse_hex_id

    expected = None if federation is None else parse_hex_id(federation, "federation id")
    with file.open("rb") as opened:
        data = opened.read(MAX_PROOF_BYTES + 1)
    if is_answer_proof(data):
        _answer(verify_answer_proof(data, expected), expected is not None, output)
        return
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


def _answer(found: VerifiedAnswer, is_given: bool, output: str) -> None:
    """What the bundle of an answer proves, and the answer as it was computed anew."""
    from federation.answer_proofs import NOT_PROVED, PROVED
    from node.cli.kit.answer import answer_lines
    from node.cli.kit.table import terminal_width

    data: Any = found.data
    if output == "json":
        document = {
            "federation": found.federation, "federation_is_given": is_given, "charter_version": found.charter_version,
            "identity": data["identity"], "releases": found.releases, "other_summaries": found.others, "answer": data,
            "proved": PROVED, "not_proved": NOT_PROVED,
        }  # fmt: skip
        emit_json("murmur.verified-answer/1", document)
        return
    emit(f"Good: the answer {data['identity']}")
    emit(f"  computed    anew from {found.releases} signed releases, {found.others} other releases shown")
    emit(f"  federation  {found.federation}, charter {found.charter_version}")
    emit("")
    for line in answer_lines(data, terminal_width()):
        emit(line)
    emit("")
    emit(f"Proved: {PROVED}.")
    emit(f"Not proved: {NOT_PROVED}.")
    if not is_given:
        say("The federation id was taken from the file. Compare it with one you trust, or give --federation.")
