"""Mistakes 1, 6, 12, 14 and the supports: what is added is integers, of the stated law, from the system's randomness.

Statistical checks here fail an honest sampler with probability at most 1e-9 each (three of them).
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from privacy.definition import parse_definition
from privacy.diffprivlib_adapter import draw_geometric
from privacy.layout import Layout, compile_layout
from privacy.mechanisms import noise_for
from privacy.release import Release, Slot, draw_noise, make_release
from privacy.units import Window
from tests.evidence.mistakes import Rng, fixed, rejected

ROOT = Path(__file__).parents[2]
WINDOW = Window.parse("2026-11-02/P1D")
MECHANISMS = ("gaussian", "laplace")
SHIFTS = [0, 1] + [value for k in (2, 8, 31, 40) for value in (2**k - 1, 2**k)]
Z = 6.2  # two-sided 1e-9


def layout(mechanism: str, rho: str = "1/400") -> Layout:
    """One count by 254 countries: 256 cells, so that Laplace noise is diffprivlib's."""
    pairs = [first + second for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"][:254]
    terms = {"max_cells": "1", "max_per_cell": "2", "rho": rho, "mechanism": mechanism}
    tree = {
        "metric": "m",
        "question": "?",
        "from": "any",
        "measure": "count",
        "by": {"country": pairs},
        "window": "day",
    }
    return compile_layout(parse_definition({**tree, "privacy": terms}), WINDOW)


def released(layout: Layout, value: int, rng: Rng) -> Release:
    """A release of a vector that holds this value everywhere."""
    noise = draw_noise(layout, rng, draw_geometric)
    charge = -(-layout.rho.numerator * 10**9 // layout.rho.denominator)
    slot = Slot(bytes(32), WINDOW, bytes(32))
    return make_release(slot, layout, noise, [value] * layout.cells, [(WINDOW.text, charge, 0)], "user")


# ── 1 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_low_bits(at_zero: Sequence[float], at_one: Sequence[float]) -> None:
    """No output tells by its low bits which value it was made from: the shares off the grid of 2⁻⁵³ are equal."""
    off_grid = [sum((value * 2.0**53) % 1 != 0 for value in outputs) for outputs in (at_zero, at_one)]
    assert abs(off_grid[0] - off_grid[1]) <= Z * math.sqrt(sum(off_grid) + 1)
    assert all(isinstance(value, int) for value in (*at_zero, *at_one)) or sum(off_grid) > 0


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_mistake_01_noise_is_no_float(mechanism: str) -> None:
    """40,000 outputs at the values 0 and 1 are integers; float Laplace noise tells 0 from 1 in a fifth of them."""
    one = layout(mechanism)
    runs = -(-40_000 // one.cells)
    at_zero, at_one = (
        [cell for _ in range(runs) for cell in released(one, value, os.urandom).cells] for value in (0, 1)
    )
    check_low_bits(at_zero, at_one)
    source = np.random.default_rng()
    with rejected("noise in binary64, added in binary64"):
        check_low_bits(list(0 + source.laplace(size=40_000)), list(1 + source.laplace(size=40_000)))


# ── supports ─────────────────────────────────────────────────────────────────────────────────────────────────────


def check_support(release: Callable[[int], Sequence[int]]) -> None:
    """The same bytes give the same noise whatever the value: so every value has one and the same set of noises."""
    noises = {tuple(cell - value for cell in release(value)) for value in SHIFTS}
    assert len(noises) == 1


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_supports_are_identical_for_every_true_value(mechanism: str) -> None:
    """0, 1, 2ᵏ − 1 and 2ᵏ up to 2⁴⁰: byte for byte the same noise, so no output is possible for one value only."""
    one = layout(mechanism)
    check_support(lambda value: released(one, value, fixed(7)).cells)
    with rejected("noise that is rounded with the value, as binary32 does"):
        check_support(lambda value: [int(np.float32(cell)) for cell in released(one, value, fixed(7)).cells])
    with rejected("negative counts are clamped at 0"):
        check_support(lambda value: [max(cell, 0) for cell in released(one, value, fixed(7)).cells])


# ── 6 ────────────────────────────────────────────────────────────────────────────────────────────────────────────

SEEDED = re.compile(r"random_state\s*=\s*\d|np\.random\.|numpy\.random|default_rng|random\.seed|RandomState\(")
_DRAW = """
import random, os, sys
import numpy
random.seed(1); numpy.random.seed(1)
sys.path.insert(0, {root!r})
from fractions import Fraction
from privacy.sampling import draw_gaussian, keystream
source = {source}
print(draw_gaussian(Fraction(200), 64, keystream(source)).tolist())
"""


def draws_of_a_process(source: str) -> str:
    script = _DRAW.format(root=str(ROOT), source=source)
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


def check_unseeded(source: str) -> None:
    """Two processes with equal seeds everywhere draw different noise."""
    assert draws_of_a_process(source) != draws_of_a_process(source)


def check_sources(texts: Sequence[str]) -> None:
    assert [text for text in texts if SEEDED.search(text)] == []


def test_mistake_06_noise_has_no_seed() -> None:
    """Equal seeds of `random` and numpy change nothing, and no file of the core names a seedable generator."""
    check_unseeded("os.urandom")
    with rejected("a generator seeded with a constant"):
        check_unseeded("random.randbytes")
    check_sources([path.read_text() for folder in ("privacy", "node/jobs") for path in (ROOT / folder).rglob("*.py")])
    with rejected("numpy's generator in the core"):
        check_sources(["noise = np.random.laplace(0, 1 / epsilon)"])
    with rejected("diffprivlib with an integer seed"):
        check_sources(["Geometric(epsilon=1, random_state=0)"])


# ── 12 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def exact_epsilon(weight: Callable[[int], float], shift: int, delta: float, reach: int) -> float:
    """ε at δ of moving a law on the integers by `shift`, from its probabilities alone (dp-accounting)."""
    law = {value: weight(value) for value in range(-reach, reach + 1)}
    whole = sum(law.values())
    upper = {value: math.log(mass / whole) for value, mass in law.items() if mass > 0}
    lower = {value + shift: mass for value, mass in upper.items()}
    found = pld.from_two_probability_mass_functions(lower, upper, value_discretization_interval=1e-3)
    return float(found.get_epsilon_for_delta(delta))


def check_convention(mechanism: str, draws: Sequence[int], price: Fraction, l1: int, l2_squared: int) -> None:
    """The second moment of the draws is what an independent formula says for this price; claim and law agree."""
    if mechanism == "gaussian":  # ρ = Δ₂²/2σ², of the continuous law, which agrees from σ = 4 on
        variance, fourth = l2_squared / (2 * float(price)), 3 * (l2_squared / (2 * float(price))) ** 2
    else:  # ε = Δ₁/b; the variance of discrete Laplace is 2q/(1 − q)² with q = e^(−1/b)
        q = math.exp(-float(price) / l1)
        variance = 2 * q / (1 - q) ** 2
        fourth = variance * (1 + 10 * q + q * q) / (1 - q) ** 2
    found = sum(draw * draw for draw in draws) / len(draws)
    assert abs(found - variance) <= Z * math.sqrt((fourth - variance**2) / len(draws))


def draws_of(mechanism: str, parameter: Fraction, count: int = 100_000) -> list[int]:
    from privacy.sampling import draw_gaussian, draw_laplace, keystream

    draw = draw_gaussian if mechanism == "gaussian" else draw_laplace
    draws: list[int] = draw(parameter, count, keystream(os.urandom)).tolist()
    return draws


def test_mistake_12_no_parameter_is_taken_for_another() -> None:
    """b is no 1/b, σ² no σ, and one price is no other: 100,000 draws against formulas written here."""
    gaussian = noise_for("gaussian", Fraction(6), Fraction(12), 10, rho=Fraction(1, 20))
    check_convention("gaussian", draws_of("gaussian", gaussian.sigma_squared), Fraction(1, 20), 6, 12)
    laplace = noise_for("laplace", Fraction(6), Fraction(12), 10, epsilon=Fraction(1, 2))
    assert laplace.scale is not None
    check_convention("laplace", draws_of("laplace", laplace.scale), Fraction(1, 2), 6, 12)
    with rejected("σ where σ² is meant"):
        check_convention("gaussian", draws_of("gaussian", Fraction(11)), Fraction(1, 20), 6, 12)
    with rejected("ε/Δ₁ where b = Δ₁/ε is meant"):
        check_convention("laplace", draws_of("laplace", 1 / laplace.scale), Fraction(1, 2), 6, 12)
    with rejected("Δ₂ where Δ₁ is meant"):
        check_convention("laplace", draws_of("laplace", laplace.scale * 346 / 600), Fraction(1, 2), 6, 12)


def test_mistake_12_the_claimed_epsilon_is_that_of_the_law() -> None:
    """For one cell moved by Δ the law's own probabilities give no larger ε than claimed, at δ = 10⁻⁶."""
    laplace = noise_for("laplace", Fraction(3), Fraction(9), 1, epsilon=Fraction(1, 2))
    assert laplace.scale is not None
    b = float(laplace.scale)
    found = exact_epsilon(lambda x: math.exp(-abs(x) / b), 3, 1e-12, 400)
    assert found == pytest.approx(0.5, rel=5e-3)
    with rejected("b too small by half"):
        assert exact_epsilon(lambda x: math.exp(-abs(x) / (b / 2)), 3, 1e-12, 400) == pytest.approx(0.5, rel=5e-3)


# ── 14 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_full_noise(sigma_squared: Fraction, nodes: int) -> None:
    """A summary in the clear carries the whole noise of its price, however many nodes are in the federation."""
    price = Fraction(4) / (2 * sigma_squared)
    assert price <= Fraction(1, 400), f"each of {nodes} nodes stands alone"


def test_mistake_14_no_share_of_noise_is_published_in_the_clear() -> None:
    """Every layout has its full σ²; one sized for a sum over nodes would leave each node's own release bare."""
    (block,) = layout("gaussian").blocks
    check_full_noise(block.sigma_squared, 4)
    with rejected("σ²/n a node"):
        check_full_noise(block.sigma_squared / 4, 4)


def test_mistake_14_a_summary_with_less_noise_is_void() -> None:
    """What a peer judges: a stated σ² that is not the definition's does not count."""
    from federation.judgement import _block_mismatch
    from protocol.summaries import BlockData

    demanded = BlockData(256, "gaussian", Fraction(1), Fraction(800))
    assert _block_mismatch((BlockData(256, "gaussian", Fraction(1), Fraction(200)),), (demanded,)) == "sigma_mismatch"
