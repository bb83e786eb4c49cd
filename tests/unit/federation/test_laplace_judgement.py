"""Judgement demands of Laplace noise exactly what the definition compiles to: carrier, σ² and price."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from federation.judgement import _mismatch
from federation.rules import demand_of
from privacy.definition import parse_definition
from privacy.ledger import nano_rho_of_charge
from privacy.mechanisms import GEOMETRIC_CELLS, variance_of_discrete_laplace
from protocol.ids import DefinitionHash, NodeId
from protocol.summaries import Charge, SummaryData, build_summary
from protocol.windows import parse_window

DAY = "2026-11-01/P1D"


def tree(**changes: Any) -> dict[str, Any]:
    """Tips by category, b = Δ₁/ε = 4·10 = 40, ρ = Δ₂²/(2b²) = 1/400."""
    return {
        "metric": "tips", "question": "What is tipped for?", "from": "any", "measure": "count",
        "by": {"country": ["DE", "FR", "ES"]}, "window": "day",
        "privacy": {"max_cells": "2", "max_per_cell": "2", "mechanism": "laplace", "epsilon": "1/10"}, **changes,
    }  # fmt: skip


def summary(**changes: Any) -> SummaryData:
    demand = demand_of(parse_definition(tree()))
    [block] = demand.blocks
    charge = Charge(DAY, demand.rho_nano, 0)
    data, _ = build_summary(
        definition=DefinitionHash(b"d" * 32), window=DAY, node=NodeId(b"n" * 32), unit="user",
        blocks=[replace(block, **changes)], charges=[charge], total=[charge], sampling=Fraction(1),
        cells=[0] * block.cells,
    )  # fmt: skip
    return data


def test_the_demand_names_the_carrier_and_the_exact_variance() -> None:
    demand = demand_of(parse_definition(tree()))
    [block] = demand.blocks
    assert (block.mechanism, block.sigma2) == ("geometric", variance_of_discrete_laplace(Fraction(40)))
    assert demand.rho_nano == nano_rho_of_charge(Fraction(1, 400))


def test_a_large_layout_is_drawn_by_the_table() -> None:
    """The carrier follows from the definition: the same at every node and every reader."""
    wide = tree(by={"country": [a + b for a in "ABCDEFGHIJKL" for b in "ABCDEFGHIJKLMNOPQRSTUVW"]})
    [block] = demand_of(parse_definition(wide)).blocks
    assert block.cells > GEOMETRIC_CELLS
    assert block.mechanism == "laplace"


def test_a_summary_as_demanded_fits() -> None:
    assert _mismatch(summary(), parse_window(DAY), demand_of(parse_definition(tree()))) is None


@pytest.mark.parametrize(("changes", "reason"), [
    ({"mechanism": "laplace"}, "mechanism_mismatch"),
    ({"mechanism": "gaussian"}, "mechanism_mismatch"),
    ({"sigma2": Fraction(3200)}, "sigma_mismatch"),  # 2b²: nearly right is not right
    ({"sigma2": variance_of_discrete_laplace(Fraction(20))}, "sigma_mismatch"),
    ({"quantum": Fraction(1, 2)}, "quantum_mismatch"),
])  # fmt: skip
def test_any_other_noise_is_void_by_name(changes: dict[str, Any], reason: str) -> None:
    assert _mismatch(summary(**changes), parse_window(DAY), demand_of(parse_definition(tree()))) == reason


def test_the_price_in_rho_demands_a_scale_rounded_up() -> None:
    """b is the smallest multiple of 1/1024 that costs no more than ρ; the charge is the ρ of the text."""
    priced = tree(privacy={"max_cells": "2", "max_per_cell": "2", "mechanism": "laplace", "rho": "1/300"})
    definition = parse_definition(priced)
    demand = demand_of(definition)
    assert demand.rho_nano == nano_rho_of_charge(Fraction(1, 300))
    scale = next(b for k in range(35_470, 35_490) if 8 / (2 * (b := Fraction(k, 1024)) ** 2) <= Fraction(1, 300))
    assert demand.blocks[0].sigma2 == variance_of_discrete_laplace(scale)
