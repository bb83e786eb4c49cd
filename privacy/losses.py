"""The worst privacy loss of a release, as an accountant reads it: which law, how wide, how far one person moves it.

A `Loss` is the noise of one block with the worst vector one person can add: `times` cells moved by `shift` each. That
corner is the worst because a larger shift of a cell is never better hidden, in each cell by itself. Where Δ₁, Δ₂² and
Linf of a block do not name such a corner, one cell moved by Δ₂ rounded up (Gaussian) or Δ₁ (Laplace) stands for it:
never less loss than the block has.

Light on purpose: this travels from the node to the child that computes (`privacy.pld`), and back come numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt
from typing import Protocol

from privacy.mechanisms import GAUSSIAN, GEOMETRIC, LAPLACE, eta_of_geometric, rho_of_discrete_laplace


class LossBlock(Protocol):
    """What the worst loss needs to know of a block (`privacy.layout.Block`)."""

    @property
    def cells(self) -> int: ...
    @property
    def l0(self) -> int: ...
    @property
    def linf(self) -> int: ...
    @property
    def l1(self) -> int: ...
    @property
    def l2_squared(self) -> int: ...
    @property
    def sigma_squared(self) -> Fraction: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def scale(self) -> Fraction | None: ...


@dataclass(frozen=True, slots=True)
class Loss:
    """One block at its worst.

    Args:
        law: "gaussian" or "laplace".
        scale: σ² of the Gaussian, b of the Laplace law.
        shift: How far one person moves a cell; >= 1.
        times: How many cells so; >= 1.
        l2_squared: Δ₂², exact; at most shift²·times.
    """

    law: str
    scale: Fraction
    shift: int
    times: int
    l2_squared: int

    @property
    def rho(self) -> Fraction:
        """What it costs in zCDP."""
        if self.law == GAUSSIAN:
            return Fraction(self.l2_squared) / (2 * self.scale)
        return rho_of_discrete_laplace(Fraction(self.l2_squared), self.scale)

    @property
    def pure_epsilon(self) -> Fraction | None:
        """What it costs in pure DP; None for Gaussian."""
        return None if self.law == GAUSSIAN else Fraction(self.shift * self.times) / self.scale


Losses = Mapping[Loss, int]
"""Losses and how often each was suffered."""


def losses_of(blocks: Iterable[LossBlock]) -> Losses:
    """The worst losses of one release's blocks."""
    return Counter(_loss(block) for block in blocks)


def geometric_delta(blocks: Iterable[LossBlock]) -> Fraction:
    """What diffprivlib's `Geometric` is off by, as δ: Σ (1 + e^{ε_i})·η over its draws, ε_i = Linf/b (PRIVACY 5).

    A draw is (ε_i, (1 + e^{ε_i})η)-DP by itself, and such δ add up beside any accountant. e^{ε_i} is bounded by
    3^⌈ε_i⌉.
    """
    total = Fraction(0)
    for block in blocks:
        if block.mechanism == GEOMETRIC and block.scale is not None:
            growth = 3 ** ceil(Fraction(block.linf) / block.scale)
            total += (1 + growth) * eta_of_geometric(block.scale) * block.cells
    return total


def _loss(block: LossBlock) -> Loss:
    gaussian = block.mechanism == GAUSSIAN
    scale = block.sigma_squared if gaussian else block.scale
    assert scale is not None, "the compiler gives Laplace blocks their scale"
    law = GAUSSIAN if gaussian else LAPLACE
    is_corner = block.l0 * block.linf == block.l1 and block.l0 * block.linf**2 == block.l2_squared
    if is_corner:
        return Loss(law, scale, block.linf, block.l0, block.l2_squared)
    shift = isqrt(block.l2_squared - 1) + 1 if gaussian else block.l1
    return Loss(law, scale, shift, 1, block.l2_squared)
