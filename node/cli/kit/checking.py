"""What `murmur metrics check` says: what a definition compiles to, or why it is refused; no node is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import sqrt
from pathlib import Path
from typing import Any, Final, cast

from federation.definitions import definition_bytes
from node.cli.kit.files import read_text
from node.cli.kit.table import Column, render_table, terminal_width
from node.yaml import load_strings
from privacy.abstaining import abstain_for_epoch
from privacy.definition import parse_definition
from privacy.errors import InvalidWindow
from privacy.layout import Layout, compile_layout
from privacy.measures.base import Measure
from privacy.partitions import people_to_pass
from privacy.units import EPOCH_LENGTHS, EpochLength, Window
from protocol.bundle import MAX_DEFINITION_BYTES
from protocol.objects import definition_hash

_SAMPLE_HOUR: Final = (50 * 365 + 12) * 24  # January 2020: windows of one kind have one layout


def check_document(path: Path, epoch: str | None) -> dict[str, Any]:
    """The document of `murmur.metric_check/1`; ratios are texts.

    Args:
        path: The definition's file.
        epoch: Length of the epochs it must be answered in; None asks nothing of it.

    Raises:
        PrivacyError: the definition is refused, or its window lies in no such epoch. NodeError: the file is.
    """
    return tree_document(
        load_strings(read_text(path, MAX_DEFINITION_BYTES, noun="metric definition"), str(path)), epoch
    )


def tree_document(tree: object, epoch: str | None = None) -> dict[str, Any]:
    """As `check_document`, of a definition's tree.

    Raises:
        PrivacyError: the definition is refused, or its window lies in no such epoch.
    """
    definition = parse_definition(tree)
    window = Window.containing(definition.window, _SAMPLE_HOUR)
    answered = [length for length in EPOCH_LENGTHS if abstain_for_epoch(window, length) is None]
    if epoch is not None and cast(EpochLength, epoch) not in answered:
        raise InvalidWindow(
            what=f"Metric {definition.metric} refused",
            why=f"a window of one {definition.window} lies in no one {epoch} epoch: nobody's rows in it could be "
            "bounded together",
            fix=f"Take a shorter window, or nodes with epochs of a {' or '.join(answered)}",
        )
    layout = compile_layout(definition, window)
    return {
        "metric": definition.metric,
        "definition": definition_hash(definition_bytes(tree)).hex(),
        "measure": definition.measure.word,
        "window": definition.window,
        "epochs": answered,
        "rho": str(layout.rho),
        "epsilon": None if definition.epsilon is None else str(definition.epsilon),
        "cells": layout.cells,
        "discovery": discovery_document(layout),
        "kept": _kept(definition.measure, layout),
        "blocks": [
            {
                "name": block.name, "cells": block.cells, "l0": block.l0, "linf": block.linf, "l1": block.l1,
                "l2_squared": block.l2_squared, "rho": str(block.rho), "mechanism": block.mechanism,
                "sigma_squared": str(block.sigma_squared),
                "scale": None if block.scale is None else str(block.scale), "quantum": str(block.quantum),
            }
            for block in layout.blocks
        ],
    }  # fmt: skip


def discovery_document(layout: Layout) -> dict[str, Any] | None:
    """Where keys are discovered: price, threshold, and how many people a key needs to pass; else None."""
    if layout.discovery is None:
        return None
    people = layout.blocks[0]
    return {
        "dimension": layout.discovery.axis.name,
        "delta": str(layout.discovery.delta),
        "threshold": layout.discovery.threshold,
        "sigma": f"{float(people.sigma_squared) ** 0.5:.4g}",
        "passes": [
            {
                "probability": probability,
                "people": people_to_pass(
                    layout.discovery.threshold,
                    Fraction(probability),
                    people.mechanism,
                    sigma_squared=people.sigma_squared,
                    scale=people.scale,
                ),
            }
            for probability in ("0.50", "0.95", "0.99")
        ],
    }


def discovery_lines(found: Mapping[str, Any] | None) -> Iterator[str]:
    """The same in words; nothing where nothing is discovered."""
    if found is None:
        return
    needed = ", ".join(f"{one['people']:,} people at {float(one['probability']):.0%}" for one in found["passes"])
    yield (
        f"  keys   of {found['dimension']}: shown from {found['threshold']:,} noised people of a node on (sigma "
        f"{found['sigma']}), at delta {found['delta']} a release"
    )
    yield f"         a key passes with {needed}"


def _kept(measure: Measure, layout: Layout) -> str:
    """What of a person counts, in words."""
    most = f"{_many(measure.kept(layout.bounds), 'cell' if measure.uses_max_cells else 'session')} of a person"
    if measure.uses_max_per_cell and measure.uses_max_cells:
        return f"{most}, {_many(layout.bounds.max_per_cell, 'event')} in each"
    return most


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The document in words."""
    pure = f", pure epsilon {document['epsilon']}" if document["epsilon"] else ""
    yield (
        f"{document['metric']} ({document['measure']}) is a definition: a {document['window']} costs rho "
        f"{document['rho']}{pure}, answered in epochs of a {' or '.join(document['epochs'])}"
    )
    yield f"  keeps  {document['kept']}"
    yield from discovery_lines(document["discovery"])
    yield f"  hash   {document['definition']}"
    yield ""
    columns = (
        Column("block"), Column("noise"), Column("cells", is_number=True), Column("L0", is_number=True),
        Column("Linf", is_number=True), Column("Δ₁", is_number=True), Column("Δ₂²", is_number=True),
        Column("sigma", is_number=True), Column("rho", is_number=True),
    )  # fmt: skip
    rows = [
        (
            block["name"], block["mechanism"], _cells(block, document), *(f"{block[key]:,}" for key in _SENSITIVITIES),
            f"{_root(block['sigma_squared']):.4g}", block["rho"],
        )
        for block in document["blocks"]
    ]  # fmt: skip
    yield from render_table(columns, rows, terminal_width())


def _cells(block: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    return "1 a key" if document["discovery"] else f"{block['cells']:,}"


_SENSITIVITIES: Final = ("l0", "linf", "l1", "l2_squared")


def _root(ratio: str) -> float:
    above, _, below = ratio.partition("/")
    return sqrt(int(above) / int(below or 1))
