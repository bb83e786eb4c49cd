"""What the ledger adds up against what was really suffered: never too little, and for Gaussian noise not much too much.

- Gaussian releases: ε of the ledger's ρ lies between 1 and 1.1 times PLD's (total ρ >= 1/1000, σ²/Linf² >= 2), on
  random sequences.
- With Laplace releases the report is the smallest of zCDP, PLD and Σε: one-sided, each is a bound.
- A year of daily releases for a person who is always active: the ε told as charged is PLD's, within 2 %, found by other
  code (the analytic Gaussian formula; for Laplace the figure of notes/privacy.md, 10.31).

Sequences are random; a failure prints its seed.
"""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from scipy import optimize, stats  # type: ignore[import-untyped]

from federation.query import MetricRow
from node.commons import EpochCharge
from node.jobs.facts import Facts, Layouts, suffered
from node.jobs.workshop import Epsilons
from privacy.accounting import DELTA, epsilon_of_rho
from privacy.definition import parse_definition
from privacy.layout import compile_layout
from privacy.ledger import nano_rho_of_charge
from privacy.losses import Loss, geometric_delta, losses_of
from privacy.mechanisms import eta_of_geometric
from privacy.pld import SLACK, pld_epsilons
from privacy.units import Window

DAY = Window.parse("2026-11-01/P1D")


def gaussian_epsilon(rho: float) -> float:
    """ε at δ = 1e-6 of one Gaussian of this total ρ, by the analytic formula (Balle, Wang 2018, Theorem 8)."""
    mu = math.sqrt(2 * rho)

    def beyond(epsilon: float) -> float:
        upper, lower = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
        return float(stats.norm.cdf(upper) - math.exp(epsilon) * stats.norm.cdf(lower)) - float(DELTA)

    return float(optimize.brentq(beyond, 1e-9, 200))


def rho_of(losses: dict[Loss, int]) -> Fraction:
    return sum((loss.rho * times for loss, times in losses.items()), Fraction(0))


@pytest.mark.parametrize("seed", range(12))
def test_the_gaussian_ledger_is_a_bound_and_at_most_a_tenth_more(seed: int) -> None:
    """σ²/Linf² from 2 up, one to five cells, one to eight metrics, up to 365 epochs; odd seeds hold narrow noise."""
    source = random.Random(seed)
    while True:
        losses: dict[Loss, int] = {}
        for _ in range(source.randint(1, 8)):
            linf, cells = source.randint(1, 6), source.randint(1, 5)
            widest = 20 if seed % 2 else 2000
            scale = linf**2 * Fraction(source.randint(2, widest))
            loss = Loss("gaussian", scale, linf, cells, cells * linf**2)
            losses[loss] = losses.get(loss, 0) + source.randint(1, 4)
        epochs = source.choice((1, 7, 30, 365))
        total = rho_of(losses) * epochs
        if Fraction(1, 1000) <= total <= 60:
            break
    [tight] = pld_epsilons(losses, (epochs,), DELTA)
    ledger = epsilon_of_rho(total)
    assert tight / SLACK <= ledger <= tight * Decimal("1.1"), f"seed {seed}"


@pytest.mark.parametrize("seed", range(6))
def test_with_laplace_every_figure_is_a_bound(seed: int) -> None:
    """PLD is at most Σε and at most zCDP (but for its own slack); the report takes the smallest."""
    source = random.Random(100 + seed)
    losses = {
        Loss("laplace", Fraction(source.randint(4, 80)), shift, cells, cells * shift**2): source.randint(1, 3)
        for shift, cells in ((1, 1), (2, 2), (1, 4))
    }
    epochs = source.choice((1, 30, 365))
    [tight] = pld_epsilons(losses, (epochs,), DELTA)
    pure = sum((loss.pure_epsilon or Fraction(0)) * times for loss, times in losses.items()) * epochs
    assert Fraction(tight / SLACK) <= pure + Fraction(1, 1000)
    assert tight / SLACK <= epsilon_of_rho(rho_of(losses) * epochs)


@pytest.mark.parametrize("rho", [Fraction(1, 400), Fraction(1, 40), Fraction(30, 40), Fraction(365, 40)])
def test_pld_of_gaussians_is_the_analytic_figure(rho: Fraction) -> None:
    """By other code, within the slack of a thousandth."""
    losses = {Loss("gaussian", Fraction(200), 1, 1, 1): int(rho * 400)}
    [tight] = pld_epsilons(losses, (1,), DELTA)
    assert gaussian_epsilon(float(rho)) <= float(tight) <= 1.002 * gaussian_epsilon(float(rho)) + 1e-4


def test_pld_takes_the_rate_and_not_the_scale() -> None:
    """The trap of dp-accounting: it wants ε/sensitivity. ε = 1/10 over 30 and 365 days: 2.346 and 10.31."""
    month, year = pld_epsilons({Loss("laplace", Fraction(10), 1, 1, 1): 1}, (30, 365), DELTA)
    assert float(month) == pytest.approx(2.346, rel=0.02)
    assert float(year) == pytest.approx(10.31, rel=0.02)


def test_nothing_released_is_nothing_suffered() -> None:
    assert pld_epsilons({}, (1, 365), DELTA) == [0, 0]


# ── as charged ───────────────────────────────────────────────────────────────────────────────────────────────


def row(name: str, digest: bytes, **privacy: str) -> MetricRow:
    tree = {"metric": name, "question": "How many?", "from": "any", "measure": "people", "window": "day",
            "privacy": {"max_cells": "1", **privacy}}  # fmt: skip
    return MetricRow(name, digest, parse_definition(tree), 0, None)


class InProcess:
    """A workshop that computes here: the tests are a process of their own."""

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def epsilons(self, losses: dict[Loss, int], epochs: tuple[int, ...]) -> Epsilons:
        tight = tuple(pld_epsilons(losses, epochs, DELTA))
        return Epsilons(tight, tight)


def charged(node: bytes, metric: MetricRow, times: int) -> EpochCharge:
    layout = compile_layout(metric.definition, DAY)
    return EpochCharge(node, DAY, times * nano_rho_of_charge(layout.rho), 0, times, (metric.definition_hash,) * times)


def test_a_year_of_daily_releases_is_told_as_pld_has_it() -> None:
    """An always-active person, 365 days: Gaussian ten times 1/400 a day (28.8), and one Laplace of ε = 1/10 (10.31)."""
    usual, pure = row("usual", b"u" * 32, rho="1/400"), row("pure", b"p" * 32, mechanism="laplace", epsilon="1/10")
    layouts = Layouts([usual, pure])
    found = suffered([charged(b"a" * 32, usual, 10), charged(b"b" * 32, pure, 1)], layouts)
    gaussian, laplace = Facts(InProcess).spans(found)  # type: ignore[arg-type]  # a workshop for the test
    assert [span.guarantee.days for span in gaussian] == [1, 30, 365]
    assert float(gaussian[2].epsilon) == pytest.approx(gaussian_epsilon(365 / 40), rel=0.02)
    assert float(laplace[2].epsilon) == pytest.approx(10.31, rel=0.02)
    assert all(span.pld is not None and span.epsilon <= span.guarantee.epsilon for span in (*gaussian, *laplace))
    assert laplace[0].epsilon == Decimal("0.1"), "a single one is its pure epsilon, without PLD's slack"


def test_a_charge_that_no_release_explains_is_told_by_zcdp() -> None:
    """PLD of the releases that are known would be too little: the ledger held more."""
    usual = row("usual", b"u" * 32, rho="1/400")
    known = charged(b"a" * 32, usual, 1)
    more = EpochCharge(known.node, known.epoch, known.rho_nano + 1, 0, 1, known.definitions)
    stranger = EpochCharge(known.node, known.epoch, known.rho_nano, 0, 1, (b"?" * 32,))
    for one in (more, stranger):
        [spans] = Facts(InProcess).spans(suffered([one], Layouts([usual])))  # type: ignore[arg-type]
        assert all(span.pld is None and span.epsilon == span.guarantee.epsilon for span in spans)


def test_what_geometric_is_off_by_stands_in_the_delta() -> None:
    """Σ (1 + e^ε)·η over its draws, times the epochs; of a table's draws nothing shows."""
    pure, table = row("pure", b"p" * 32, mechanism="laplace", epsilon="1/1000"), row("usual", b"u" * 32, rho="1/400")
    blocks = compile_layout(pure.definition, DAY).blocks
    assert blocks[0].mechanism == "geometric"
    delta = geometric_delta(blocks)
    assert 2 * eta_of_geometric(Fraction(1000)) < delta <= 4 * eta_of_geometric(Fraction(1000))
    assert geometric_delta(compile_layout(table.definition, DAY).blocks) == 0
    [one] = suffered([charged(b"a" * 32, pure, 1)], Layouts([pure]))
    assert one.guarantees[2].delta >= Decimal("0.000001") + 365 * Decimal(delta.numerator) / Decimal(delta.denominator)


def test_the_corner_of_a_block_is_never_less_than_its_sensitivities() -> None:
    """Also where Δ₁ and Δ₂² name no corner: one cell moved by Δ₂ rounded up, or by Δ₁."""

    class Odd:
        cells, l0, linf, l1, l2_squared = 9, 3, 4, 7, 21
        sigma_squared, mechanism, scale = Fraction(100), "gaussian", None

    [loss] = losses_of([Odd()])  # type: ignore[list-item]  # a block reduced to what is read
    assert loss.shift**2 * loss.times >= 21
    assert loss.rho == Fraction(21, 200)
    Odd.mechanism, Odd.scale = "laplace", Fraction(10)  # type: ignore[assignment]
    [loss] = losses_of([Odd()])  # type: ignore[list-item]
    assert loss.pure_epsilon == Fraction(7, 10)
