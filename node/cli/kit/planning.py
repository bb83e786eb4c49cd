"""What `murmur metrics plan` says: the price of an accuracy, the interval by cell size, what the bounds clip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from federation.definitions import definition_bytes
from node.cli.kit.checking import discovery_document, discovery_lines
from node.cli.kit.files import read_text
from node.cli.kit.table import Column, render_table, terminal_width
from node.yaml import load_strings
from privacy.accounting import DEFAULT_CAP_RHO, guarantees
from privacy.definition import parse_definition
from privacy.errors import InvalidParameterError
from privacy.exact import parse_decimal
from privacy.layout import compile_layout
from privacy.ledger import ATTO, DELTA_ATTO_PER_DAY
from privacy.planning import accuracy_by_size, parse_accuracy, price_for, yardstick
from privacy.quantiles import decimal_text
from privacy.sampling import keystream
from privacy.twin import Crowd, make_twin
from privacy.units import EpochLength, Window, window_lies_in_one_epoch, windows_between
from protocol.bundle import MAX_DEFINITION_BYTES

_SAMPLE_HOUR = (50 * 365 + 12) * 24  # January 2020: a month of 31 days


def plan_document(
    path: Path,
    accuracy: str,
    *,
    people: int,
    groups: str,
    events: str,
    value: str | None,
    releases: int,
    epoch: str,
    keys: int = 100,
) -> dict[str, Any]:
    """The document of `murmur.metric_plan/1`; ratios and decimals are texts.

    Raises:
        PrivacyError: the definition, the accuracy or a figure is refused. NodeError: the file is.
    """
    tree = load_strings(read_text(path, MAX_DEFINITION_BYTES, noun="metric definition"), str(path))
    return plan_of(tree, accuracy, people=people, groups=groups, events=events, value=value, releases=releases,
                   epoch=epoch, keys=keys)  # fmt: skip


def plan_of(
    tree: Any,
    accuracy: str,
    *,
    people: int = 10_000,
    groups: str = "1.5",
    events: str = "3",
    value: str | None = None,
    releases: int = 1,
    epoch: str = "day",
    keys: int = 100,
) -> dict[str, Any]:
    """The same of a definition's strings-only tree.

    Raises:
        PrivacyError: the definition, the accuracy or a figure is refused.
    """
    wanted = parse_accuracy(accuracy)
    usual = None if value is None else parse_decimal(value, "--value")
    crowd = Crowd(people, _mean(groups, "--groups"), _mean(events, "--events"), usual, keys)
    definition = parse_definition(tree)
    # The bytes of the definition decide the twin: everybody who plans this definition sees the same one.
    seed = hashlib.sha256(b"murmur twin\n" + definition_bytes(tree)).digest()
    twin = make_twin(definition, crowd, keystream(lambda size: seed[:size]))
    yard = yardstick(definition, twin)
    price = price_for(yard, wanted, twin.typical, releases)
    block = price.layout.own_blocks[0]
    asked = compile_layout(price.definition, Window.containing(definition.window, _SAMPLE_HOUR))
    length = cast(EpochLength, epoch)  # click offers only these
    a_epoch = Window.containing(length, _SAMPLE_HOUR)
    fits = window_lies_in_one_epoch(Window.containing(definition.window, _SAMPLE_HOUR), length)
    windows = sum(1 for _ in windows_between(definition.window, a_epoch.start_hour, a_epoch.end_hour)) if fits else 0
    per_epoch = price.layout.rho * windows
    digits = 4 if yard.is_ratio or block.quantum != 1 else 2
    return {
        "metric": definition.metric,
        "measure": definition.measure.word,
        "mechanism": definition.mechanism,
        "accuracy": {"asked": accuracy, "figure": yard.name, "wanted": decimal_text(price.wanted, digits),
                     "half_width": decimal_text(price.half_width, digits), "level": "0.95", "releases": releases},
        "price": {
            "rho": str(price.layout.rho),
            "epsilon": None if price.definition.epsilon is None else str(price.definition.epsilon),
            "sigma": f"{float(block.sigma_squared) ** 0.5 * float(block.quantum):.4g}",
            "block": block.name,
        },
        "stated": {"rho": str(definition.rho),
                   "epsilon": None if definition.epsilon is None else str(definition.epsilon)},
        "epoch": {
            "length": epoch,
            "windows": windows,
            "rho": str(per_epoch),
            "delta": str(Fraction(asked.delta_atto * windows, ATTO)),
            "default_delta_cap": str(Fraction(DELTA_ATTO_PER_DAY * (a_epoch.hours // 24), ATTO)),
            "share_of_default_cap": decimal_text(per_epoch / DEFAULT_CAP_RHO[length], 3),
            "guarantees": [
                {"days": one.days, "epochs": one.epochs, "epsilon": f"{one.epsilon:f}", "delta": f"{one.delta:f}"}
                for one in guarantees(length, per_epoch, thresholds_delta=Fraction(asked.delta_atto * windows, ATTO))
            ],
        },
        "discovery": discovery_document(asked),
        "by_size": [
            {"cell": size, "half_width": None if width is None else decimal_text(width, digits),
             "share": None if share is None else decimal_text(share, 4)}
            for size, width, share in accuracy_by_size(yard, price.layout, releases)
        ],
        "twin": {
            "people": people,
            "groups": groups,
            "events": events,
            "kept": decimal_text(twin.kept, 3),
            "cut_people": decimal_text(twin.cut_people, 3),
            "typical_cell": twin.typical,
            "usual_value": decimal_text(twin.value, 4),
            "largest_cell": twin.sizes[0] if twin.sizes else 0,
        },
    }  # fmt: skip


def plan_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The document in words."""
    price, accuracy, epoch, twin = document["price"], document["accuracy"], document["epoch"], document["twin"]
    pure = f", pure epsilon {price['epsilon']}" if price["epsilon"] else ""
    stated = document["stated"]
    said = f"epsilon {stated['epsilon']}" if stated["epsilon"] else f"rho {stated['rho']}"
    yield (
        f"{document['metric']} ({document['measure']}, {document['mechanism']} noise) at {accuracy['asked']}: "
        f"rho {price['rho']}{pure} a release"
    )
    yield f"  the definition itself states {said}"
    many = "s" if accuracy["releases"] > 1 else ""
    yield (
        f"  interval  ±{accuracy['half_width']} at 95 % on {accuracy['figure']}, over {accuracy['releases']} "
        f"release{many} with {twin['typical_cell']:,} counted in each (one cell of block {price['block']}: sigma "
        f"{price['sigma']})"
    )
    if not epoch["windows"]:
        yield f"  budget    a node with {epoch['length']} epochs abstains: the window lies in no one epoch"
    else:
        spans = "   ".join(
            f"{one['days']} day{'s' if one['days'] > 1 else ''} {float(one['epsilon']):.2f}"
            for one in epoch["guarantees"]
        )
        yield (
            f"  budget    {epoch['windows']} window{'s' if epoch['windows'] > 1 else ''} a {epoch['length']} epoch: "
            f"rho {epoch['rho']}, {float(epoch['share_of_default_cap']):.0%} of the default cap; epsilon (zCDP) {spans}"
        )
        if Fraction(epoch["delta"]):
            yield f"            and delta {float(Fraction(epoch['delta'])):.3g} of {epoch['default_delta_cap']}"
        over = Fraction(epoch["delta"]) > Fraction(epoch["default_delta_cap"])
        if float(epoch["share_of_default_cap"]) > 1 or over:
            yield "            more than such an epoch holds at the default cap: a node would abstain, budget"
    yield (
        f"  bounds    of a twin of {twin['people']:,} people they keep {float(twin['kept']):.0%} and cut "
        f"{float(twin['cut_people']):.0%} of the people; its typical cell counts {twin['typical_cell']:,}"
        + ("" if float(twin["usual_value"]) == 1 else f", usual value {twin['usual_value']}")
    )
    yield from discovery_lines(document["discovery"])
    yield ""
    rows = [
        (
            f"{row['cell']:,}",
            "open" if row["half_width"] is None else f"±{row['half_width']}",
            "-" if row["share"] is None else f"{float(row['share']):.1%}",
        )
        for row in document["by_size"]
    ]
    columns = (Column("counted", is_number=True), Column("interval", is_number=True), Column("share", is_number=True))
    yield from render_table(columns, rows, terminal_width())
    yield ""
    yield "Nothing was spent: these are public figures and a made-up crowd."


def _mean(text: str, name: str) -> Fraction:
    value = parse_decimal(text, name)
    if value < 1:
        raise InvalidParameterError(
            what=f"{name} refused", why=f"the mean is {text}, a person who counts has at least 1", fix="Give 1 or more"
        )
    return value
