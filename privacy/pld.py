"""Tight epsilon of many releases, by privacy loss distributions (dp-accounting); runs in a short-lived child.

Rules:

- Blocks of wide Gaussian noise (σ >= 5 per unit moved) are one continuous Gaussian with μ² = Σ Δ₂²/σ²: there the
  discrete law agrees with it to four digits. Narrower ones, where the discrete law is tighter, are composed one by one.
- Laplace blocks are composed one by one as discrete Laplace; the parameter is ε/sensitivity, *not* the scale b.
- Pessimistic rounding on a grid in proportion to the loss, connecting the dots; the result is raised by 1e-3 of itself
  for the digits that floats and the continuous Gaussian leave open, and rounded up to 1e-4.
- It is a report. The ledger charges ρ, in exact numbers; nothing here decides whether anything is released.

dp-accounting and scipy weigh 108 MB and a second: imported when a function here is called.

Source: dp-accounting 0.6.0, pld/privacy_loss_distribution.py; Doroshenko et al. 2022 (arXiv 2207.04380) for the dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from privacy.losses import Loss, Losses
from privacy.mechanisms import GAUSSIAN

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDE: Final = 25  # σ² per squared shift from which the continuous Gaussian stands for the discrete one
SLACK: Final = Decimal("1.001")
SHOWN: Final = Decimal("1e-4")
_GRID: Final = 5e-4  # of √ρ, about the spread of the loss: four digits and more, a tenth of a second
_FINEST: Final = 1e-6


def pld_epsilons(losses: Losses, epochs: Sequence[int], delta: Fraction) -> list[Decimal]:
    """ε at this δ of suffering these losses in each of so many epochs, for each number given; rounded up.

    Args:
        losses: Of one epoch, with how often; empty means nothing was released.
        epochs: Numbers of epochs, >= 1.
        delta: In (0, 1).
    """
    return [_epsilon(losses, count, delta) for count in epochs]


def _epsilon(losses: Losses, epochs: int, delta: Fraction) -> Decimal:
    wide = [(loss, times) for loss, times in losses.items() if _is_wide(loss)]
    narrow = [(loss, times) for loss, times in losses.items() if not _is_wide(loss)]
    mu_squared = epochs * sum((Fraction(loss.l2_squared) / loss.scale * times for loss, times in wide), Fraction(0))
    grid = _grid(losses, epochs)
    parts: list[Any] = []
    if mu_squared:
        parts.append(_pld().from_gaussian_mechanism(
            1 / sqrt(mu_squared), value_discretization_interval=grid, use_connect_dots=True))  # fmt: skip
    for loss, times in narrow:
        parts.append(_narrow(loss, grid).self_compose(loss.times * times * epochs))
    if not parts:
        return Decimal(0).quantize(SHOWN)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.compose(part)
    told = Decimal(whole.get_epsilon_for_delta(float(delta))) * SLACK
    return told.quantize(SHOWN, rounding=ROUND_CEILING)


def _narrow(loss: Loss, grid: float) -> Any:
    """The distribution of one cell of one block. Any: dp-accounting has no types."""
    options: Mapping[str, Any] = {"value_discretization_interval": grid, "use_connect_dots": True}
    if loss.law == GAUSSIAN:
        return _pld().from_discrete_gaussian_mechanism(sqrt(loss.scale), loss.shift, **options)
    return _pld().from_discrete_laplace_mechanism(float(1 / loss.scale), loss.shift, **options)


def _is_wide(loss: Loss) -> bool:
    return loss.law == GAUSSIAN and loss.scale >= WIDE * loss.shift**2


def _grid(losses: Losses, epochs: int) -> float:
    """A grid fine beside the whole loss, coarse enough that a large total stays quick."""
    rho = epochs * sum((loss.rho * times for loss, times in losses.items()), Fraction(0))
    return max(_FINEST, _GRID * sqrt(rho))


def _pld() -> Any:  # a package without types
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution
